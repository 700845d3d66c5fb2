//! The results folder: its files, names with awkward characters, folders that can't be written, old results kept.

use std::fs;
use std::path::Path;

use crate::common::{best, epoch, run};
use panal_report::{ReportError, RunRecord, append_run, check_folder, write_results};
use serde_json::Value;

const FILES: [&str; 15] = [
    "README.md",
    "confusion.json",
    "confusion.md",
    "confusion.svg",
    "curves.svg",
    "f1.svg",
    "index.html",
    "per_class.csv",
    "per_class.json",
    "per_class.md",
    "reliability.svg",
    "table.csv",
    "table.json",
    "table.md",
    "table.tex",
];

/// Two rows, two seeds, three classes; the second row in two phases and with a best epoch.
fn records() -> Vec<RunRecord> {
    let truth = [0, 0, 0, 1, 1, 2, 2, 2, 2];
    let mut records = Vec::new();
    for seed in 0..2 {
        let pairs: Vec<(usize, usize)> = truth.iter().map(|&class| (class, class)).collect();
        let mut first = run(0, "first", seed, &["a", "b", "c"], &pairs);
        first.epochs = vec![epoch(0, 0, 0.5)];
        records.push(first);
        let pairs: Vec<(usize, usize)> = truth.iter().map(|&class| (class, usize::from(class == 1))).collect();
        let mut second = run(1, "second", seed, &["a", "b", "c"], &pairs);
        second.epochs = vec![epoch(0, 0, 0.4), epoch(0, 1, 0.6), epoch(1, 2, 0.7 + 0.1 * seed as f64)];
        second.epochs[1].train_loss = f64::NAN;
        second.phases = vec!["head".to_owned(), "all".to_owned()];
        second.best = Some(best(2, 0.7));
        records.push(second);
    }
    records
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&read(folder, name)).unwrap()
}

#[test]
fn every_file_is_written_and_says_what_the_images_are() {
    let folder = tempfile::tempdir().unwrap();
    let written = write_results(folder.path(), &records()).unwrap();
    assert_eq!(names(folder.path()), FILES);
    assert_eq!(written.files.len(), FILES.len());
    for file in FILES {
        let text = read(folder.path(), file);
        assert!(text.contains("Hymenoptera") && text.contains("real photographs"), "{file} hides the data");
        assert!(!text.contains("NaN"), "{file} has NaN");
    }
}

#[test]
fn the_json_table_has_plain_numbers() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &records()).unwrap();
    let table = json(folder.path(), "table.json");
    let second = &table[1];
    let text = |name: &str| second[name].as_str().unwrap().to_owned();
    assert_eq!(
        (text("row"), text("data"), text("model")),
        ("second".into(), "hymenoptera_data".into(), "mobilenet_v2".into())
    );
    assert_eq!((second["seeds"].as_u64(), second["images"].as_u64()), (Some(2), Some(9)));
    // Class a: 3 of 7 predicted, all found. Class b: perfect. Class c: never predicted.
    let number = |name: &str| second[name].as_f64().unwrap();
    let close =
        |name: &str, expected: f64| assert!((number(name) - expected).abs() < 1e-12, "{name}: {}", second[name]);
    close("precision", (3.0 / 7.0 + 1.0) / 3.0);
    close("recall", 2.0 / 3.0);
    close("f1", (0.6 + 1.0) / 3.0);
    close("accuracy", 5.0 / 9.0);
    close("f1_std", 0.0);
    close("best_epoch_f1", 0.7);
    close("seconds", 10.5);
    close("images_per_second", 244.0);
    assert!(number("accuracy_low") < 5.0 / 9.0 && number("accuracy_high") > 5.0 / 9.0);
    assert_eq!(second["best_epoch_selected_on"], "evaluation split");
    assert!(table[0]["best_epoch_f1"].is_null() && table[0]["p_vs_best"].is_null());
    assert_eq!((&table[0]["is_best"], &second["is_best"]), (&Value::Bool(true), &Value::Bool(false)));

    let confusion = json(folder.path(), "confusion.json");
    assert_eq!(confusion[1]["counts"], serde_json::json!([[6, 0, 0], [0, 4, 0], [8, 0, 0]]));
    assert_eq!(confusion[1]["normalised"][2], serde_json::json!([1.0, 0.0, 0.0]));
    let per_class = json(folder.path(), "per_class.json");
    assert_eq!((per_class[5]["class"].as_str(), per_class[5]["images"].as_u64()), (Some("c"), Some(4)));
    assert_eq!(per_class[5]["f1"], 0.0);
}

#[test]
fn csv_has_the_columns_of_json_and_numbers_that_parse() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &records()).unwrap();
    let csv = read(folder.path(), "table.csv");
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let table = json(folder.path(), "table.json");
    let keys: Vec<&str> = table[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((lines.len(), &lines[0]), (3, &keys));
    let column = keys.iter().position(|key| *key == "f1").unwrap();
    assert_eq!(lines[2][column].parse::<f64>().unwrap(), table[1]["f1"].as_f64().unwrap());
}

#[test]
fn best_epoch_is_labelled_as_selection_wherever_people_read_it() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &records()).unwrap();
    for file in ["README.md", "index.html", "table.md", "table.tex", "f1.svg"] {
        let text = read(folder.path(), file);
        assert!(text.contains("best epoch, selected on the evaluation split"), "{file}");
    }
    let table = read(folder.path(), "table.md");
    assert!(table.contains("| second | 0.476 ± 0.000 | 0.667 ± 0.000 | 0.533 ± 0.000 | 0.556 ± 0.000 | "), "{table}");
}

#[test]
fn the_story_tells_how_to_do_it_again() {
    let folder = tempfile::tempdir().unwrap();
    append_run(&folder.path().join("runs.jsonl"), &records()[0]).unwrap();
    write_results(folder.path(), &records()).unwrap();
    let story = read(folder.path(), "README.md");
    for part in [
        "panal lab tutorial --row 2 --seed 1\n",
        "panal 0.1.0, tch 0.24.0, libtorch 2.11.0, rustc 1.89.0",
        "excluded: train/ants/imageNotFound.gif: not an image file",
        "digest `e7a1`",
        "\"batch\": 16",
        "second: class c was never predicted with seed 0, seed 1",
        "[runs.jsonl](runs.jsonl)",
        "![Learning curves](curves.svg)",
    ] {
        assert!(story.contains(part), "no {part:?} in\n{story}");
    }
}

#[test]
fn awkward_names_stay_text() {
    let name = "a|b_c, \"50%\" & <i>\n\\x{y}#$^~`";
    let folder = tempfile::tempdir().unwrap();
    let mut record = run(0, name, 0, &[name, "b"], &[(0, 0), (1, 0)]);
    record.epochs = vec![epoch(0, 0, 0.5)];
    write_results(folder.path(), &[record]).unwrap();

    let markdown = read(folder.path(), "table.md");
    assert!(markdown.contains(r#"| a\|b\_c, "50%" &amp; &lt;i&gt; \\x{y}\#\$^\~\` | "#), "{markdown}");
    let latex = read(folder.path(), "table.tex");
    let escaped = r"a\textbar{}b\_c, \textquotedbl{}50\%\textquotedbl{} \& \textless{}i\textgreater{} ";
    assert!(latex.contains(escaped), "{latex}");
    let csv = read(folder.path(), "table.csv");
    assert!(csv.contains("\n\"a|b_c, \"\"50%\"\" & <i>\n\\x{y}#$^~`\",0,"), "{csv}");
    assert_eq!(json(folder.path(), "table.json")[0]["row"], name);
    for plot in ["f1.svg", "curves.svg", "confusion.svg", "reliability.svg"] {
        let svg = read(folder.path(), plot);
        assert!(svg.contains("a|b_c, &quot;50%&quot; &amp; &lt;i&gt;") && !svg.contains("<i>"), "{plot}");
    }
}

#[test]
fn plots_hold_rows_without_epochs_and_many_classes() {
    let folder = tempfile::tempdir().unwrap();
    let classes: Vec<String> = (0..120).map(|class| format!("class {class}")).collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let pairs: Vec<(usize, usize)> = (0..120).map(|class| (class, (class * 7) % 120)).collect();
    write_results(folder.path(), &[run(0, "many", 0, &classes, &pairs)]).unwrap();
    let svg = read(folder.path(), "confusion.svg");
    // One square for each of the 120 pairs that occur, the background and the frame.
    assert_eq!(svg.matches("<rect").count(), 122);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_a_remedy() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "").unwrap();
    let mut folders = vec![outside.path().join("file/results")];
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let sealed = outside.path().join("sealed");
        fs::create_dir(&sealed).unwrap();
        fs::set_permissions(&sealed, fs::Permissions::from_mode(0o555)).unwrap();
        // Root writes anywhere, so there is nothing to see then.
        if fs::write(sealed.join("probe"), "").is_err() {
            folders.push(sealed);
        }
    }
    for folder in folders {
        for error in [write_results(&folder, &records()).unwrap_err(), check_folder(&folder).unwrap_err()] {
            assert!(matches!(&error, ReportError::Write { folder: named, .. } if *named == folder));
            let text = error.to_string();
            assert!(
                text.contains(&folder.display().to_string()) && text.contains("make that folder writable"),
                "{text}"
            );
        }
    }
    assert_eq!(read(outside.path(), "file"), "");
}

#[test]
fn a_write_that_fails_leaves_the_old_results() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &records()).unwrap();
    let old: Vec<String> = FILES.iter().map(|file| read(folder.path(), file)).collect();
    let mut broken = records();
    broken[3].predictions[0].truth = 9;
    write_results(folder.path(), &broken).unwrap_err();
    // The last file can't be moved into place.
    fs::remove_file(folder.path().join("table.tex")).unwrap();
    fs::create_dir(folder.path().join("table.tex")).unwrap();
    write_results(folder.path(), &records()[..1]).unwrap_err();
    assert_eq!(names(folder.path()), FILES);
    for (file, old) in FILES.iter().zip(&old).filter(|(file, _)| **file != "table.tex") {
        assert_eq!(&read(folder.path(), file), old, "{file}");
    }
}

#[test]
fn results_are_the_same_bytes_each_time() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_results(one.path(), &records()).unwrap();
    write_results(two.path(), &records()[..2]).unwrap();
    write_results(two.path(), &records()).unwrap();
    for file in FILES {
        assert_eq!(read(one.path(), file), read(two.path(), file), "{file}");
    }
}
