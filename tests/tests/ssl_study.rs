//! `panal ssl study` from end to end on small images.

#![allow(clippy::unwrap_used)]

mod common;

use common::ssl::{Place, json};
use common::{panal, run};

#[test]
fn a_study_makes_a_table_and_a_plot_and_goes_on() {
    let place = Place::new();
    let study = r#"
title = "Temperatures"
plot = "lines"
[rows]
name = "similarity"
[[rows.value]]
label = "cosine"
set = { "simclr.loss" = { kind = "nt_xent", similarity = "cosine" } }
[[rows.value]]
label = "dot"
set = { "simclr.loss" = { kind = "nt_xent", similarity = "dot" } }
[columns]
name = "epochs"
[[columns.value]]
label = "100"
set = { "simclr.epochs" = 100 }
cpu = { label = "1", set = { "simclr.epochs" = 1 } }
[[columns.value]]
label = "200"
set = { "simclr.epochs" = 200 }
cpu = { label = "2", set = { "simclr.epochs" = 2 } }
"#;
    std::fs::write(place.at("study.toml"), study).unwrap();
    for fixed in ["share = 0.5", "shorter_side = 500"] {
        let varied = study.replace("set = { \"simclr.epochs\" = 2 }", &format!("set = {{ {fixed} }}"));
        assert_ne!(varied, study);
        std::fs::write(place.at("varied.toml"), varied).unwrap();
        let (file, data, config, out) =
            (place.at("varied.toml"), place.at("images"), place.at("tiny.toml"), place.at("out"));
        let said = run(&mut panal(&["ssl", "study", &file, &data, "--config", &config, "--out", &out]));
        assert!(
            said.code == Some(1) && said.err.contains("can't vary `data`, `share` or `shorter_side`"),
            "{}",
            said.err
        );
        assert!(!std::fs::exists(&out).unwrap());
    }
    let again = || {
        let (study, data, config, out) =
            (place.at("study.toml"), place.at("images"), place.at("tiny.toml"), place.at("out"));
        run(&mut panal(&["ssl", "study", &study, &data, "--config", &config, "--out", &out]))
    };
    let said = again();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.contains("| similarity \\ epochs | 1 | 2 |")
            || said.out.contains("| similarity \\\\ epochs | 1 | 2 |"),
        "{}",
        said.out
    );
    let cells = std::fs::read_to_string(place.at("out/study.json")).unwrap();
    assert_eq!(json(&cells).as_array().unwrap().len(), 4);
    let svg = std::fs::read_to_string(place.at("out/study.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Temperatures") && svg.contains("cosine"));
    let said = again();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("is known"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(place.at("out/study.json")).unwrap(), cells);
}

#[test]
fn a_study_counts_the_seeds_that_have_a_score() {
    let place = Place::new();
    let study = r#"
title = "Rates"
plot = "lines"
set = { "simclr.epochs" = 2 }
[columns]
name = "rate"
[[columns.value]]
label = "small"
set = { "simclr.lr" = 0.01 }
[[columns.value]]
label = "huge"
set = { "simclr.lr" = 1e30 }
"#;
    std::fs::write(place.at("rates.toml"), study).unwrap();
    let run_study = |more: &[&str]| {
        let (study, data, config, out) =
            (place.at("rates.toml"), place.at("images"), place.at("tiny.toml"), place.at("out"));
        run(panal(&["ssl", "study", &study, &data, "--config", &config, "--out", &out]).args(more))
    };
    let said = run_study(&["--lr", "0.5"]);
    assert!(
        said.code == Some(1) && said.err.contains("--lr 0.5: the study varies `simclr.lr` (rate: small, huge)"),
        "{}",
        said.err
    );
    let said = run_study(&["--set", "augment.evaluation.ops.0.size=[24, 24]"]);
    assert!(
        said.code == Some(1) && said.err.contains("views are of 16 x 16 pixels, and images are evaluated at 24 x 24"),
        "{}",
        said.err
    );
    assert!(!std::fs::exists(place.at("out")).unwrap());

    // What the study fixes, the command line changes.
    let said = run_study(&["--set", "simclr.epochs=1", "--seed", "5", "--protocol", "knn"]);
    assert!(said.code == Some(1) && said.err.contains("knn.k"), "{}", said.err);
    let said = run_study(&["--set", "simclr.epochs=1", "--seed", "5"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let table = std::fs::read_to_string(place.at("out/study.md")).unwrap();
    assert!(table.contains(" 1 epochs unless varied"), "{table}");
    assert!(table.contains("— (0 of 1 seed; the loss is no number)"), "{table}");
    let csv = std::fs::read_to_string(place.at("out/study.csv")).unwrap();
    assert!(csv.starts_with("row,column,seed,score\n,small,5,0.") && csv.ends_with(",huge,5,\n"), "{csv}");
}

#[test]
fn every_built_in_study_and_preset_can_be_read() {
    let place = Place::new();
    for study in ["batch-epochs", "augmentations", "temperature", "head", "colour"] {
        for budget in ["cpu", "full"] {
            // All combinations are checked before the data are looked for.
            let said =
                run(&mut panal(&["ssl", "study", study, "nowhere", "--budget", budget, "--out", &place.at("out")]));
            assert_eq!(said.code, Some(1));
            assert!(said.err.contains("there is no folder nowhere"), "{study}, {budget}: {}", said.err);
        }
    }
    let mut command = panal(&["ssl", "study", "augmentations", "nowhere", "--preset", "photographs"]);
    let said = run(command.args(["--out", &place.at("out")]));
    assert!(said.err.contains("views are of 32 x 32 pixels, and images are evaluated at 64 x 64"), "{}", said.err);
    for preset in ["cifar10-cpu", "cifar10-gpu", "photographs", "study-cpu"] {
        let said = run(&mut panal(&["ssl", "pretrain", "nowhere", "--preset", preset, "--out", &place.at("out")]));
        assert!(said.err.contains("there is no folder nowhere"), "{preset}: {}", said.err);
    }
}
