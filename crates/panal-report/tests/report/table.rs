//! The table against scikit-learn, statsmodels and NumPy (`golden/table.py`), and what it says where records are uneven.

use crate::common::{best, run};
use panal_report::{Comparison, ReportError, RunRecord, Spread, Table, render_terminal};
use serde_json::Value;

const CLASSES: [&str; 2] = ["ants", "bees"];

fn close(got: f64, expected: &Value) -> bool {
    (got - expected.as_f64().unwrap()).abs() < 1e-12
}

fn assert_spread(got: &Spread, expected: &Value, what: &str) {
    assert!(close(got.mean, &expected["mean"]), "{what}: {got:?} is not {expected}");
    match got.std {
        Some(std) => assert!(close(std, &expected["std"]), "{what}: {got:?} is not {expected}"),
        None => assert!(expected["std"].is_null(), "{what}: {got:?} is not {expected}"),
    }
}

#[test]
fn the_table_is_that_of_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("../golden/table.json")).unwrap();
    let labels = |value: &Value| -> Vec<usize> {
        value.as_array().unwrap().iter().map(|label| label.as_u64().unwrap() as usize).collect()
    };
    let truth = labels(&golden["truth"]);
    let mut records = Vec::new();
    for (index, row) in golden["rows"].as_array().unwrap().iter().enumerate() {
        for (seed, predicted) in row["predicted"].as_array().unwrap().iter().enumerate() {
            let pairs: Vec<(usize, usize)> = truth.iter().copied().zip(labels(predicted)).collect();
            records.push(run(index, row["row"].as_str().unwrap(), seed as u64, &["a", "b", "c"], &pairs));
        }
    }
    records.reverse();
    let table = Table::new(&records).unwrap();
    assert_eq!(table.rows.len(), 3);
    for (row, expected) in table.rows.iter().zip(golden["rows"].as_array().unwrap()) {
        let name = row.name.as_str();
        assert_eq!(name, expected["row"]);
        assert_eq!(row.images, truth.len());
        assert_spread(&row.last.precision, &expected["precision"], name);
        assert_spread(&row.last.recall, &expected["recall"], name);
        assert_spread(&row.last.f1, &expected["f1"], name);
        assert_spread(&row.last.accuracy, &expected["accuracy"], name);
        for (class, expected) in row.classes.iter().zip(expected["class_f1"].as_array().unwrap()) {
            assert_spread(&class.f1, expected, &class.class);
        }
        assert!(close(row.accuracy_interval.lower, &expected["low"]), "{name}");
        assert!(close(row.accuracy_interval.upper, &expected["high"]), "{name}");
        let counts: Vec<Vec<u64>> = row.confusion.rows().map(<[u64]>::to_vec).collect();
        assert_eq!(serde_json::json!(counts), expected["confusion"]);
        match row.comparison {
            Comparison::Against { p } => assert!(close(p, &expected["p"]), "{name}: {p}"),
            other => assert!(other == Comparison::Best && expected["p"].is_null(), "{name}: {other:?}"),
        }
    }
    assert!(table.warnings.contains(&"not all rows were run with the same seeds".to_owned()));
    let never = "collapsed: class c was never predicted with seed 0, seed 1; its precision counts as 0 there";
    assert!(table.warnings.contains(&never.to_owned()), "{:?}", table.warnings);
}

#[test]
fn one_row_with_one_seed_has_no_spread_and_nothing_to_compare() {
    let table = Table::new(&[run(0, "only", 7, &CLASSES, &[(0, 0), (0, 1), (1, 1), (1, 1)])]).unwrap();
    assert_eq!((table.rows[0].last.f1.std, table.rows[0].comparison), (None, Comparison::Alone));
    assert_eq!(table.warnings, Vec::<String>::new());
    let text = render_terminal(&table);
    // Precision (1 + 2/3) / 2, recall (1/2 + 1) / 2, F1 (2/3 + 4/5) / 2, accuracy 3/4.
    assert!(text.contains("only  0.833 ± —  0.750 ± —  0.733 ± —  0.750 ± —             —      1"), "{text}");
    assert!(text.contains("Hymenoptera (real photographs); 4 images evaluated (2 ants, 2 bees)"), "{text}");
    assert!(!text.contains("NaN") && !text.contains("Against best: p"), "{text}");
}

#[test]
fn rows_that_tie_are_not_different_and_the_earlier_is_best() {
    let pairs = [(0, 0), (0, 1), (1, 1), (1, 0)];
    let records: Vec<RunRecord> = (0..3)
        .flat_map(|row| (0..2).map(move |seed| run(row, &format!("row {row}"), seed, &CLASSES, &pairs)))
        .collect();
    let table = Table::new(&records).unwrap();
    let found: Vec<Comparison> = table.rows.iter().map(|row| row.comparison).collect();
    assert_eq!(found, [Comparison::Best, Comparison::Against { p: 1.0 }, Comparison::Against { p: 1.0 }]);
    assert!(table.rows.iter().all(|row| !row.comparison.is_significantly_worse()));
}

#[test]
fn a_row_far_behind_is_significantly_worse_whatever_the_order_of_its_images() {
    let good: Vec<(usize, usize)> = (0..40).map(|i| (i % 2, i % 2)).collect();
    let bad: Vec<(usize, usize)> = (0..40).map(|i| (i % 2, usize::from(i % 3 == 0))).collect();
    let mut behind = run(0, "behind", 0, &CLASSES, &bad);
    behind.predictions.reverse();
    let table = Table::new(&[behind, run(1, "ahead", 0, &CLASSES, &good)]).unwrap();
    assert_eq!(table.rows[1].comparison, Comparison::Best);
    assert!(table.rows[0].comparison.is_significantly_worse(), "{:?}", table.rows[0].comparison);
}

#[test]
fn rows_on_other_images_are_not_compared() {
    let pairs = [(0, 0), (1, 1), (1, 0)];
    let mut other = run(1, "other images", 0, &CLASSES, &pairs);
    other.data.evaluation.digest = "another".to_owned();
    let table = Table::new(&[run(0, "some images", 0, &CLASSES, &pairs), other]).unwrap();
    assert!(table.rows.iter().all(|row| row.comparison == Comparison::Alone));
    assert_eq!(table.subjects().len(), 2);

    let mut renamed = run(1, "renamed images", 0, &CLASSES, &pairs);
    renamed.predictions[0].id = "elsewhere.jpg".to_owned();
    let table = Table::new(&[run(0, "some images", 0, &CLASSES, &pairs), renamed]).unwrap();
    assert!(table.rows.iter().all(|row| row.comparison == Comparison::Alone));
    assert!(table.warnings[0].contains("name different images"), "{:?}", table.warnings);
}

#[test]
fn missing_rows_and_repeated_seeds_are_told() {
    let (wrong, right) = ([(0, 1), (1, 0)], [(0, 0), (1, 1)]);
    let records = [
        run(3, "fourth", 0, &CLASSES, &right),
        run(1, "second", 0, &CLASSES, &wrong),
        run(1, "second", 0, &CLASSES, &right),
    ];
    let table = Table::new(&records).unwrap();
    assert_eq!(table.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["second", "fourth"]);
    assert_eq!((table.rows[0].last.accuracy.mean, table.rows[0].seeds.as_slice()), (1.0, [0].as_slice()));
    let expected =
        ["second: seed 0 was run more than once; the last run counts", "not run, so not shown: row 1, 3 of this lab"];
    assert_eq!(table.warnings, expected);
}

#[test]
fn seeds_with_other_settings_are_told() {
    let pairs = [(0, 0), (1, 1)];
    let mut other = run(0, "row", 1, &CLASSES, &pairs);
    other.config = serde_json::json!({"batch": 32});
    let table = Table::new(&[run(0, "row", 0, &CLASSES, &pairs), other]).unwrap();
    assert_eq!(
        table.warnings,
        ["row: its seeds differ in their configuration, so their spread is not that of the seed alone"]
    );
}

#[test]
fn the_best_epoch_is_shown_only_where_every_seed_has_it() {
    let pairs = [(0, 0), (1, 1)];
    let mut records = [run(0, "row", 0, &CLASSES, &pairs), run(0, "row", 1, &CLASSES, &pairs)];
    records[0].best = Some(best(4, 0.5));
    assert_eq!(Table::new(&records).unwrap().rows[0].best, None);
    records[1].best = Some(best(2, 0.75));
    assert_eq!(Table::new(&records).unwrap().rows[0].best.as_ref().unwrap().f1.mean, 0.625);
}

#[test]
fn a_class_without_images_counts_as_zero_and_is_told() {
    let table = Table::new(&[run(0, "row", 0, &["ants", "bees", "wasps"], &[(0, 0), (1, 1)])]).unwrap();
    assert!((table.rows[0].last.recall.mean - 2.0 / 3.0).abs() < 1e-12);
    assert!(table.warnings[0].contains("no evaluated image is of class wasps"), "{:?}", table.warnings);
}

#[test]
fn records_that_contradict_themselves_are_refused_by_field() {
    type Case = (fn(&mut RunRecord), &'static str);
    let broken = |edit: fn(&mut RunRecord)| {
        let mut record = run(0, "row", 3, &CLASSES, &[(0, 0), (1, 1)]);
        edit(&mut record);
        Table::new(&[record]).unwrap_err().to_string()
    };
    let cases: [Case; 7] = [
        (|r| r.data.classes.clear(), "field `data.classes`: empty"),
        (|r| r.data.train.per_class.push(1), "field `data.train.per_class`: 3 counts for 2 classes"),
        (|r| r.predictions.clear(), "field `predictions`: empty"),
        (|r| r.predictions.truncate(1), "field `predictions`: 1 of them for 2 evaluated images"),
        (|r| r.predictions[1].predicted = 2, "field `predictions[1].predicted`: class 2 of 2, counted from 0"),
        (
            |r| r.predictions[0].probabilities = vec![1.0],
            "field `predictions[0].probabilities`: 1 of them for 2 classes",
        ),
        (
            |r| r.predictions[1].id = r.predictions[0].id.clone(),
            "field `predictions[1].id`: `val/ants/0.jpg` came before",
        ),
    ];
    for (edit, message) in cases {
        let error = broken(edit);
        assert!(error.starts_with("row `row`, seed 3, ") && error.contains(message), "{error}");
    }
    assert!(matches!(Table::new(&[]), Err(ReportError::NoRecords)));
}
