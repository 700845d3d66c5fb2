//! Records survive the file: round trips, torn lines, other releases, lines that are no records.

use std::fs;
use std::io::Write;

use crate::common::{best, epoch, run};
use panal_report::{Evaluation, Origin, ReportError, RunRecord, append_run, read_runs, rewrite_runs};
use proptest::prelude::*;

fn record(seed: u64) -> RunRecord {
    run(0, "linear probing", seed, &["ants", "bees"], &[(0, 0), (0, 1), (1, 1)])
}

/// A folder with `runs.jsonl`, which holds `text`.
fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.jsonl");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn appended_records_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/the/way/runs.jsonl");
    for seed in 0..3 {
        append_run(&path, &record(seed)).unwrap();
    }
    let runs = read_runs(&path).unwrap();
    assert_eq!((runs.records, runs.note), (vec![record(0), record(1), record(2)], None));
}

#[test]
fn many_processes_may_append_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.jsonl");
    std::thread::scope(|scope| {
        for seed in 0..16 {
            let path = &path;
            scope.spawn(move || append_run(path, &record(seed)).unwrap());
        }
    });
    let mut seeds: Vec<u64> = read_runs(&path).unwrap().records.iter().map(|record| record.seed).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, (0..16).collect::<Vec<u64>>());
}

#[test]
fn a_line_torn_anywhere_is_left_out_with_a_note_and_then_replaced() {
    let line = serde_json::to_string(&record(1)).unwrap();
    for cut in [1, 10, line.len() / 2, line.len() - 1] {
        let (_folder, path) = file("");
        append_run(&path, &record(0)).unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&line.as_bytes()[..cut]).unwrap();

        let runs = read_runs(&path).unwrap();
        assert_eq!(runs.records, [record(0)]);
        assert!(runs.note.unwrap().contains("runs.jsonl, line 2: torn by an interrupted write"));

        append_run(&path, &record(2)).unwrap();
        let runs = read_runs(&path).unwrap();
        assert_eq!((runs.records, runs.note), (vec![record(0), record(2)], None));
    }
}

#[test]
fn a_last_line_that_only_lacks_its_end_counts() {
    let (_folder, path) = file(&serde_json::to_string(&record(0)).unwrap());
    assert_eq!(read_runs(&path).unwrap().records, [record(0)]);
    append_run(&path, &record(1)).unwrap();
    assert_eq!(read_runs(&path).unwrap().records, [record(0), record(1)]);
}

#[test]
fn a_line_that_is_no_record_is_named_with_its_field() {
    let good = serde_json::to_string(&record(0)).unwrap();
    let error = |bad: &str| {
        let (_folder, path) = file(&format!("{good}\n{bad}\n{good}\n"));
        read_runs(&path).unwrap_err().to_string()
    };
    let wrong_type = error(&good.replace("\"images_seen\":732", "\"images_seen\":\"many\""));
    assert!(
        wrong_type.contains("runs.jsonl, line 2, field `images_seen`: invalid type: string \"many\""),
        "{wrong_type}"
    );
    let nested = error(&good.replace("\"truth\":1", "\"truth\":-1"));
    assert!(nested.contains("field `predictions[2].truth`"), "{nested}");
    let missing = error(&good.replace("\"seed\":0,", ""));
    assert!(missing.contains("missing field `seed`"), "{missing}");
    assert!(error("not JSON").contains("line 2"));
    assert!(error(&format!("{good}{good}")).contains("trailing characters"));
}

#[test]
fn fields_of_a_later_release_are_ignored_but_not_a_later_format() {
    let line = serde_json::to_string(&record(0)).unwrap();
    let (_folder, path) = file(&(line.replacen('{', "{\"weather\":\"fine\",", 1) + "\n\n"));
    assert_eq!(read_runs(&path).unwrap().records, [record(0)]);
    let (_folder, path) = file("{\"format\":2,\"all\":\"new\"}\n");
    let error = read_runs(&path).unwrap_err();
    assert!(matches!(error, ReportError::Format { line: 1, found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("update panal"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read_runs(std::path::Path::new("no/such/runs.jsonl")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read run records from no/such/runs.jsonl: "), "{error}");
}

#[test]
fn a_rewrite_replaces_all_or_nothing() {
    let (folder, path) = file("");
    append_run(&path, &record(0)).unwrap();
    rewrite_runs(&path, &[record(4), record(5)]).unwrap();
    assert_eq!(read_runs(&path).unwrap().records, [record(4), record(5)]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // A file stands where the folder should be.
    let error = rewrite_runs(&path.join("runs.jsonl"), &[record(0)]).unwrap_err();
    assert!(matches!(error, ReportError::Write { .. }), "{error}");
    assert_eq!(read_runs(&path).unwrap().records, [record(4), record(5)]);
}

#[test]
fn numbers_that_a_diverged_run_lost_come_back_as_nan() {
    let mut diverged = record(0);
    diverged.epochs = vec![epoch(0, 0, 0.5), epoch(0, 1, 0.5)];
    diverged.epochs[1].train_loss = f64::INFINITY;
    diverged.epochs[1].eval_loss = f64::NAN;
    diverged.predictions[0].probabilities = vec![f32::NAN, 0.25];
    let (_folder, path) = file("");
    append_run(&path, &diverged).unwrap();
    let read = &read_runs(&path).unwrap().records[0];
    assert_eq!(read.epochs[0], diverged.epochs[0]);
    assert!(read.epochs[1].train_loss.is_nan() && read.epochs[1].eval_loss.is_nan());
    assert!(read.predictions[0].probabilities[0].is_nan());
    assert_eq!(read.predictions[0].probabilities[1], 0.25);
}

#[test]
fn words_of_the_format_stay_what_they_are() {
    fn word(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }
    assert_eq!(word(&Origin::RealPhotographs), "\"real photographs\"");
    assert_eq!(word(&Origin::SyntheticInsects), "\"synthetic insects\"");
    assert_eq!(word(&Evaluation::ValidationSplit), r#"{"kind":"validation split"}"#);
    assert_eq!(word(&Evaluation::CrossValidation { folds: 5 }), r#"{"kind":"k-fold cross-validation","folds":5}"#);
    assert_eq!(Evaluation::CrossValidation { folds: 5 }.to_string(), "5-fold cross-validation");
}

proptest! {
    #[test]
    fn any_record_comes_back_as_it_was(
        row in any::<String>(),
        class in any::<String>(),
        path in any::<String>(),
        seed in any::<u64>(),
        loss in -1e300..1e300_f64,
        probabilities in prop::collection::vec(0.0..1.0_f32, 2),
        folds in 2..20_usize,
        score in 0.0..1.0_f64,
    ) {
        let mut written = run(3, &row, seed, &[&class, "b\nees"], &[(0, 1), (1, 1)]);
        written.data.excluded[0].path = path;
        written.evaluation = Evaluation::CrossValidation { folds };
        written.epochs = vec![epoch(1, 2, score)];
        written.epochs[0].train_loss = loss;
        written.predictions[0].probabilities = probabilities;
        written.best = Some(best(2, score));
        let (_folder, path) = file("");
        append_run(&path, &written).unwrap();
        append_run(&path, &written).unwrap();
        prop_assert_eq!(read_runs(&path).unwrap().records, vec![written.clone(), written]);
    }
}
