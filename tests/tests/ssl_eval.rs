//! `panal ssl eval`, `table` and `compare` from end to end on small images: what is judged, kept and shown.

#![allow(clippy::unwrap_used)]

mod common;

use common::ssl::{Place, json};
use common::{Place as Lab, panal, run};
use serde_json::Value;

#[test]
fn pretrain_judge_and_tabulate() {
    let place = Place::new();
    for seed in ["0", "1"] {
        let said = place.pretrain("images", &format!("run{seed}"), &["--seed", seed, "--json"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(json(&said.out)["loss"].as_f64().unwrap().is_finite());
    }
    let record = json(&std::fs::read_to_string(place.at("run1/record.json")).unwrap());
    assert_eq!((&record["seed"], &record["steps"], &record["images_seen"]), (&1.into(), &6.into(), &36.into()));
    let epochs = record["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 3);
    assert_eq!(epochs.iter().map(|epoch| epoch["knn"].is_null()).collect::<Vec<_>>(), [true, false, false]);
    assert!(epochs[2]["health"]["rank"].as_f64().unwrap() >= 1.0);

    let (first, second) = (place.at("run0/encoder.safetensors"), place.at("run1/encoder.safetensors"));
    let out = place.at("judged.json");
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", &first, "--init", &second]);
    command.args(["--init", "random", "--seeds", "2", "--out", &out, "--json"]);
    command.args([
        "--protocol",
        "knn",
        "--protocol",
        "linear",
        "--protocol",
        "linear-sgd",
        "--protocol",
        "finetune-10",
    ]);
    command.args([
        "--set",
        "knn.k=3",
        "--set",
        "finetune.epochs=1",
        "--set",
        "scratch.epochs=1",
        "--set",
        "linear_sgd.epochs=2",
        "--set",
        "batch=4",
    ]);
    let said = run(&mut command);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        // Both encoders are of one pretraining, so they share a row; random features have two seeds.
        assert_eq!((row["accuracy"].as_array().unwrap().len(), &row["images"]), (2, &6.into()), "{row}");
    }

    let said = run(&mut panal(&[
        "ssl",
        "eval",
        &place.at("images"),
        "--init",
        &first,
        "--init",
        "pixels",
        "--set",
        "knn.k=3",
        "--share",
        "0.5",
    ]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("a share of 0.5 of the training images: 6"), "{}", said.err);
    assert!(said.out.contains("Nearest neighbours") && said.out.contains("pixels"), "{}", said.out);

    let said = run(&mut panal(&["ssl", "table", &out, "--out", &place.at("table")]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("| Linear evaluation: tiny |") && said.out.contains("**"), "{}", said.out);
    assert_eq!(std::fs::read_dir(place.at("table")).unwrap().count(), 3);
}

#[test]
fn what_is_not_one_thing_is_not_averaged() {
    let place = Place::new();
    let pretrain = |out: &str, more: &[&str]| {
        let said = place.pretrain("images", out, more);
        assert_eq!(said.code, Some(0), "{}", said.err);
        place.at(&format!("{out}/encoder.safetensors"))
    };
    let first = pretrain("run", &[]);
    let other = pretrain("other", &["--set", "simclr.lr=0.02"]);
    let judge = |inits: &[&str], more: &[&str]| {
        let mut command = panal(&["ssl", "eval", &place.at("images"), "--protocol", "knn", "--set", "knn.k=3"]);
        for init in inits {
            command.args(["--init", init]);
        }
        run(command.args(more))
    };
    let said = judge(&[&first, &other], &[]);
    assert!(said.code == Some(1) && said.err.contains("differ in settings or images"), "{}", said.err);
    let said = judge(&[&first, &first], &[]);
    assert!(said.code == Some(1) && said.err.contains("is given twice"), "{}", said.err);
    let copy = place.at("copy.safetensors");
    std::fs::copy(&first, &copy).unwrap();
    let said = judge(&[&first, &copy], &[]);
    assert!(said.code == Some(1) && said.err.contains("the same seed"), "{}", said.err);
    let said = judge(&[&first, "random", "random"], &[]);
    assert!(said.code == Some(1) && said.err.contains("--init random is given twice"), "{}", said.err);
    let said = judge(&[&first], &["--set", "shorter_side=15"]);
    assert!(said.code == Some(1) && said.err.contains("shorter_side must be at least 16"), "{}", said.err);
    for (flag, value) in [("--lr", "0.1"), ("--checkpoint-every", "30")] {
        let said = judge(&[&first], &[flag, value]);
        assert!(said.code == Some(1) && said.err.contains(&format!("{flag} has no meaning here")), "{}", said.err);
    }
    let said = judge(&[&first, "pixels"], &["--protocol", "finetune"]);
    assert!(said.code == Some(1) && said.err.contains("pixels have no backbone"), "{}", said.err);
    let said = judge(&["random:resnet10_w24"], &["--seed", "18446744073709551615"]);
    assert!(said.code == Some(1) && said.err.contains("leaves no room for 3 seeds"), "{}", said.err);

    let (one, two) = (place.at("one.json"), place.at("two.json"));
    assert_eq!(judge(&[&first], &["--out", &one]).code, Some(0));
    assert_eq!(judge(&["random:resnet10_w24"], &["--out", &two, "--set", "batch=3"]).code, Some(0));
    let said = run(&mut panal(&["ssl", "table", &one, &one]));
    assert!(said.code == Some(1) && said.err.contains("was judged twice"), "{}", said.err);
    let said = run(&mut panal(&["ssl", "table", &one, &two]));
    assert!(said.code == Some(1) && said.err.contains("can't share a column"), "{}", said.err);

    // An encoder for small images is not for a row of a lab that begins in another way, though only ResNets' shapes tell.
    let lab = Lab::new();
    let init = format!("row.0.init={first}");
    let said = run(&mut lab.lab(&["--model", "resnet10_w24", "--seeds", "1", "--row", "1", "--set", &init]));
    assert!(
        said.code == Some(1) && said.err.contains(r#"pretrained with stem = "cifar", and here it is "imagenet""#),
        "{}",
        said.err
    );
    let said = run(&mut lab.lab(&[
        "--model",
        "resnet10_w24",
        "--seeds",
        "1",
        "--row",
        "1",
        "--set",
        &init,
        "--set",
        "stem=cifar",
    ]));
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[test]
fn rows_of_several_files_are_one_thing() {
    let place = Place::new();
    let judged = |out: &str, pretraining: &[&str], more: &[&str]| {
        let said = place.pretrain("images", out, pretraining);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let (encoder, file) = (place.at(&format!("{out}/encoder.safetensors")), place.at(&format!("{out}.json")));
        let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", &encoder, "--out", &file]);
        let said = run(command.args(["--protocol", "knn", "--set", "knn.k=3", "--seeds", "1"]).args(more));
        assert_eq!(said.code, Some(0), "{}", said.err);
        file
    };
    let first = judged("first", &[], &["--init", "random"]);
    let second = judged("second", &["--seed", "1"], &[]);
    let short = judged("short", &["--seed", "2", "--set", "simclr.epochs=1"], &[]);
    let other = judged(
        "other",
        &["--set", "name=other", "--set", "stem=imagenet", "--set", "simclr.epochs=1"],
        &["--init", "random", "--seed", "5"],
    );
    let table = |files: &[&str]| run(panal(&["ssl", "table"]).args(files));
    let said = table(&[&first, &second]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for (file, name) in [(&short, "tiny"), (&other, "random")] {
        let said = table(&[&first, file]);
        let expected = format!("{first} and {file} both judge `{name}` on `images`");
        assert!(said.code == Some(1) && said.err.contains(&expected), "{}", said.err);
    }
}

#[test]
fn what_no_seed_decides_is_judged_once() {
    let place = Place::new();
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", "insects:resnet10_w24"]);
    command.args(["--init", "random:resnet10_w24", "--seeds", "2", "--protocol", "knn", "--protocol", "linear-sgd"]);
    let said = run(command.args(["--set", "knn.k=3", "--set", "linear_sgd.epochs=1", "--json"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let runs = |row: &Value| row["accuracy"].as_array().unwrap().len();
    let found: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (row["protocol"].as_str().unwrap(), runs(row))).collect();
    assert_eq!(found, [("knn", 1), ("knn", 2), ("linear-sgd", 2), ("linear-sgd", 2)]);
}

#[test]
fn an_interrupted_evaluation_goes_on() {
    let place = Place::new();
    let said = place.pretrain("images", "run", &["--set", "simclr.epochs=1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let (encoder, out) = (place.at("run/encoder.safetensors"), place.at("judged.json"));
    let judge = |more: &[&str]| {
        let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", &encoder, "--init", "random"]);
        command.args(["--seeds", "2", "--protocol", "knn", "--protocol", "linear", "--out", &out]);
        run(command.args(more))
    };
    let said = judge(&["--set", "knn.k=3"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let mut file = json(&std::fs::read_to_string(&out).unwrap());
    let whole = file["judgements"].as_array().unwrap().clone();
    assert_eq!((whole.len(), file.get("missing")), (6, None));

    // As a kill after the second judgement leaves it.
    file["judgements"] = whole[..2].into();
    file["missing"] = 4.into();
    std::fs::write(&out, file.to_string()).unwrap();
    let said = run(&mut panal(&["ssl", "table", &out]));
    assert!(said.code == Some(0) && said.err.contains("4 of its judgements are missing"), "{}", said.err);
    let said = judge(&["--set", "knn.k=4", "--resume"]);
    assert!(said.code == Some(1) && said.err.contains("was judged with other settings"), "{}", said.err);
    assert_eq!(json(&std::fs::read_to_string(&out).unwrap()), file, "a refusal leaves the file as it was");
    let said = judge(&["--set", "knn.k=3", "--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("2 judgements are known"), "{}", said.err);
    let found = json(&std::fs::read_to_string(&out).unwrap());
    let correct =
        |judgements: &[Value]| -> Vec<Value> { judgements.iter().map(|one| one["correct"].clone()).collect() };
    assert_eq!(correct(found["judgements"].as_array().unwrap()), correct(&whole));
    assert_eq!(found.get("missing"), None);

    // More may be asked for, but what was judged has to be named.
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", "random:resnet10_w24", "--resume"]);
    let said = run(command.args(["--out", &out, "--set", "knn.k=3"]));
    assert!(said.code == Some(1) && said.err.contains("also judged \"tiny\""), "{}", said.err);
    let said = run(&mut panal(&["ssl", "eval", &place.at("images"), "--init", &encoder, "--resume"]));
    assert!(said.code == Some(1) && said.err.contains("name it by --out"), "{}", said.err);
}

#[test]
fn one_command_makes_the_table_beside_supervised_and_random() {
    let place = Place::new();
    let (data, config, out) = (place.at("images"), place.at("tiny.toml"), place.at("out"));
    let compare = |more: &[&str]| {
        let mut command = panal(&["ssl", "compare", &data, "--config", &config, "--out", &out, "--supervised"]);
        command.args(["--seeds", "2", "--set", "simclr.epochs=2", "--set", "shorter_side=20"]);
        command.args(["--judge", "knn.k=3", "--judge", "batch=4"]);
        command.args(["--judge", "finetune.epochs=1", "--judge", "scratch.epochs=2"]);
        run(command.args(more))
    };
    let said = compare(&["--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let found: Vec<(&str, &str, usize)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (text("protocol"), text("init"), row["accuracy"].as_array().unwrap().len())
        })
        .collect();
    let of = |protocol| {
        [(protocol, "tiny", 2), (protocol, "tiny, supervised", 2), (protocol, "random", 2), (protocol, "pixels", 1)]
    };
    assert_eq!(found, [of("knn"), of("linear")].concat());
    let record = json(&std::fs::read_to_string(place.at("out/supervised-1/record.json")).unwrap());
    assert_eq!((&record["kind"], &record["config"]["supervised"]), (&"supervised pretraining".into(), &true.into()));
    // What is judged is read as what was learnt from.
    let judged = json(&std::fs::read_to_string(place.at("out/evaluation.json")).unwrap());
    assert_eq!((&record["config"]["shorter_side"], &judged["settings"]["shorter_side"]), (&20.into(), &20.into()));
    let said = compare(&["--judge", "shorter_side=30"]);
    assert!(said.code == Some(1) && said.err.contains("--judge can't set shorter_side"), "{}", said.err);
    let epochs = record["epochs"].as_array().unwrap();
    assert!(epochs.len() == 2 && epochs[1]["train_loss"].as_f64().unwrap().is_finite(), "{record}");
    let labels = std::fs::read(place.at("out/supervised-1/encoder.safetensors")).unwrap();
    assert_ne!(labels, std::fs::read(place.at("out/simclr-1/encoder.safetensors")).unwrap());

    // What is there is not made again, and more can be asked for: the rows of Table 8.
    let said = compare(&["--protocol", "linear", "--protocol", "finetune"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.matches("encoder.safetensors is known").count() == 4, "{}", said.err);
    assert!(said.err.contains("14 judgements are known"), "{}", said.err);
    let table = std::fs::read_to_string(place.at("out/table.md")).unwrap();
    for row in [
        "Linear evaluation: tiny |",
        "Linear evaluation: tiny, supervised",
        "Linear evaluation: random",
        "Fine-tuned: tiny |",
        "Fine-tuned: tiny, supervised",
        "Fine-tuned: random",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(!table.contains("Fine-tuned: pixels"), "{table}");
    // An encoder that could not share their table is refused before anything is pretrained for it.
    let (other, encoder) = (place.at("other"), place.at("out/simclr-0/encoder.safetensors"));
    let mut command = panal(&["ssl", "compare", &data, "--config", &config, "--out", &other, "--init", &encoder]);
    let said = run(command.args(["--protocol", "linear"]));
    assert!(
        said.code == Some(1) && said.err.contains("would both be called `tiny` but differ in settings"),
        "{}",
        said.err
    );
    assert!(!std::fs::exists(&other).unwrap());
    let said = compare(&["--set", "simclr.micro_batch=3"]);
    assert!(said.code == Some(1) && said.err.contains("no meaning where supervised = true"), "{}", said.err);
}
