//! The built-in lab: when it runs, that it says what it is, and that it shows what transfer learning is for.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Said, panal, run};
use panal_data::{DataSource, Insects};
use serde_json::Value;

const PROBING: [&str; 4] = ["--row", "linear probing", "--seeds", "1"];

/// `panal lab` with these arguments, nothing cached and no server asked.
fn lab(results: &Path, args: &[&str]) -> Said {
    run(panal(&["lab"]).args(args).arg("--results").arg(results).env("PANAL_CACHE", results.join("no-cache")))
}

fn table(folder: &Path) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(folder.join("table.json")).unwrap()).unwrap()
}

#[test]
fn without_photographs_the_built_in_lab_runs_and_says_so_once() {
    let results = tempfile::tempdir().unwrap();
    let said = lab(results.path(), &PROBING);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.err.matches("hymenoptera_data can't be reached").count(), 1, "{}", said.err);
    assert!(said.err.contains("--data hymenoptera"), "{}", said.err);
    let folder = results.path().join("insects-resnet10_w24");
    let table = table(&folder);
    assert_eq!((&table[0]["origin"], &table[0]["images"]), (&"synthetic insects".into(), &153.into()));
    for file in [
        "table.md",
        "table.csv",
        "table.tex",
        "README.md",
        "index.html",
        "confusion.svg",
        "curves.svg",
        "f1.svg",
        "reliability.svg",
        "runs.jsonl",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains("synthetic insects"), "{file} does not say what the images are");
    }
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("lab --row &#39;linear probing&#39; --seeds 1"), "the command is not one to repeat");
    // Each image that was wrong, and where the evidence for two classes lay in it.
    let wrong = page.matches("class=\"said\"").count();
    assert_eq!(page.matches("<img src=\"data:image/jpeg;base64,").count(), 3 * wrong);
}

#[test]
fn photographs_that_are_insisted_on_are_not_replaced() {
    let results = tempfile::tempdir().unwrap();
    for asked in [&["--data", "hymenoptera"][..], &["--model", "mobilenet_v2"], &["--preset", "tutorial"]] {
        let said = lab(results.path(), &[&PROBING, asked].concat());
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(
            said.err.contains("cannot get `hymenoptera_data`") && said.err.contains("PANAL_MIRROR"),
            "{}",
            said.err
        );
    }
    assert!(!results.path().join("tutorial-resnet18/table.json").exists());
    let said = lab(results.path(), &["--quick", "--data", "hymenoptera"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
}

#[test]
fn a_quick_lab_has_one_seed_and_a_folder_of_its_own() {
    let results = tempfile::tempdir().unwrap();
    let said = lab(results.path(), &["--quick", "--row", "linear probing"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(table(&results.path().join("insects-resnet10_w24-quick"))[0]["seeds"], 1);
    assert!(!said.err.contains("can't be reached"), "nothing was to be reached: {}", said.err);
}

#[test]
fn transfer_is_far_better_than_random_initialisation() {
    let results = tempfile::tempdir().unwrap();
    // All cores: it is the whole lab, three seeds.
    let mut command = std::process::Command::new(common::program("panal"));
    let said = run(command.args(["lab", "--data", "insects", "--results"]).arg(results.path()));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = table(&results.path().join("insects-resnet10_w24"));
    let f1 = |row: &Value| row["f1"].as_f64().unwrap();
    let (random, transfer): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["init"] == "random");
    assert_eq!((random.len(), transfer.len()), (1, 4));
    for row in transfer {
        assert_eq!(row["seeds"], 3);
        assert!(f1(row) >= 0.90, "{}: {}", row["row"], f1(row));
        assert!(f1(row) - f1(random[0]) >= 0.12, "{}: {} against {}", row["row"], f1(row), f1(random[0]));
    }
}

/// A change of the pictures that the built-in backbone was pretrained on makes its record untrue.
#[test]
fn the_built_in_backbone_was_pretrained_on_the_pictures_of_today() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/backbone");
    let record: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("record.jsonl")).unwrap()).unwrap();
    let [train, held_out] = Insects::pretraining(0).unwrap();
    assert_eq!(record["data"]["train"]["digest"], train.digest().unwrap());
    assert_eq!(record["data"]["evaluation"]["digest"], held_out.digest().unwrap());
    let classes = record["data"]["classes"].as_array().unwrap();
    assert!(!classes.iter().any(|class| class == "ants" || class == "bees"));
    let last = record["epochs"].as_array().unwrap().last().unwrap();
    assert!(last["eval_accuracy"].as_f64().unwrap() > 0.9, "{last}");
    let weights = folder.join("model.safetensors");
    assert!(weights.metadata().unwrap().len() <= 4 << 20);
}

#[test]
fn the_contact_sheet_is_written_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sheet.jpg");
    assert_eq!(run(panal(&["data", "--sheet"]).arg(&file)).code, Some(0));
    assert!(image::open(&file).unwrap().width() > 1000);
    let said = run(panal(&["data", "--sheet"]).arg(folder.path().join("sheet.gif")));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("sheet.gif") && said.err.contains(".png"), "{}", said.err);
}

#[test]
fn what_is_changed_by_set_is_meant_as_it_is() {
    let place = common::Place::new();
    let quick = ["--row", "linear probing", "--seeds", "1", "--set", "row.2.init=random", "--set", "batch=4"];
    let data = format!("data={}", place.path("images").display());
    let said = lab(&place.path("results"), &[&quick[..], &["--set", &data]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.err.contains("can't be reached"), "{}", said.err);
    assert_eq!(table(&place.path("results/tutorial-resnet18-images"))[0]["origin"], "origin not stated");
}

#[test]
fn weights_and_network_that_do_not_fit_are_refused_with_what_fits() {
    let results = tempfile::tempdir().unwrap();
    let said = lab(results.path(), &[&PROBING[..], &["--data", "insects", "--model", "resnet18"]].concat());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("are for resnet10_w24, and the model is resnet18"), "{}", said.err);
    let said = lab(results.path(), &[&PROBING[..], &["--set", "model=resnet10_w24", "--set", "data=insects"]].concat());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("--data insects"), "{}", said.err);
}

#[test]
fn drawn_insects_and_a_folder_of_that_name_do_not_share_results() {
    let place = common::Place::new();
    std::fs::rename(place.path("images"), place.path("insects")).unwrap();
    let common = ["--preset", "tutorial", "--set", "row.2.init=random", "--set", "batch=4"];
    let run_on = |data: &str| lab(&place.path("results"), &[&PROBING[..], &common, &["--data", data]].concat());
    assert_eq!(run_on(place.path("insects").to_str().unwrap()).code, Some(0));
    let before = std::fs::read(place.path("results/tutorial-resnet18-insects/table.json")).unwrap();
    let said = run_on("insects");
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("synthetic insects") && said.err.contains("--results"), "{}", said.err);
    assert_eq!(std::fs::read(place.path("results/tutorial-resnet18-insects/table.json")).unwrap(), before);
    // The preset's own data by name is the preset's own folder.
    let said = lab(&place.path("results"), &[&PROBING[..], &["--preset", "insects", "--data", "insects"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(place.path("results/insects-resnet10_w24/table.json").exists());
}
