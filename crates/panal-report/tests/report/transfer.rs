//! The table of transfer: a case done by hand, and what is refused.

use panal_report::{ReportError, TransferResult, TransferTable};

/// A result of one run; `1` for an image that was right.
fn result(protocol: &str, init: &str, data: &str, correct: &str) -> TransferResult {
    runs(protocol, init, data, &[correct])
}

fn runs(protocol: &str, init: &str, data: &str, correct: &[&str]) -> TransferResult {
    let correct = correct.iter().map(|run| run.chars().map(|c| c == '1').collect()).collect();
    TransferResult { protocol: protocol.into(), init: init.into(), data: data.into(), correct }
}

const LINEAR: &str = "Linear evaluation";
const TUNED: &str = "Fine-tuned";

/// Ten images. Against `SimCLR` (9 right):
/// - `random` has 3 right, all among those 9: six differences of one sign, p = 2 / 2^6 = 0.03125
/// - `supervised` has 5 right, one of them where `SimCLR` is wrong: five against one; of the 64 sign patterns those with five
///   or six of one sign are as extreme, p = 2 (6 + 1) / 64 = 0.21875
fn by_hand() -> Vec<TransferResult> {
    vec![
        result(LINEAR, "random", "CIFAR-10", "1110000000"),
        result(LINEAR, "SimCLR", "CIFAR-10", "1111111110"),
        result(TUNED, "SimCLR", "CIFAR-10", "1111111100"),
        result(LINEAR, "supervised", "CIFAR-10", "1111000001"),
        result(TUNED, "random", "ants_bees", "110"),
        result(TUNED, "SimCLR", "ants_bees", "011"),
        result(LINEAR, "SimCLR", "ants_bees", "001"),
    ]
}

#[test]
fn a_table_done_by_hand() {
    let table = TransferTable::new(&by_hand()).unwrap();
    let expected = "\
| | CIFAR-10 | ants\\_bees |
| --- | ---: | ---: |
| Linear evaluation: random | 30.0 | — |
| Linear evaluation: SimCLR | **90.0** | 33.3 |
| Linear evaluation: supervised | **50.0** | — |
| Fine-tuned: SimCLR | 80.0 | **66.7** |
| Fine-tuned: random | — | **66.7** |
";
    assert_eq!(table.markdown(), expected);
    let p = |row: usize, column: usize| table.cells[row][column].unwrap().p;
    assert_eq!([p(0, 0), p(1, 0), p(2, 0)], [Some(0.03125), Some(1.0), Some(0.21875)]);
    // Nothing else of its protocol was evaluated on these images.
    assert_eq!([p(1, 1), p(3, 0)], [None, None]);
}

#[test]
fn csv_and_json_have_every_accuracy() {
    let table = TransferTable::new(&by_hand()).unwrap();
    let csv = table.csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "protocol,init,data,accuracy,images,runs,p_vs_best,bold");
    assert_eq!(lines[1], "Linear evaluation,random,CIFAR-10,0.3,10,1,0.03125,false");
    assert_eq!(lines[2], "Linear evaluation,SimCLR,CIFAR-10,0.9,10,1,1.0,true");
    assert_eq!(lines.len(), 1 + 7);
    let json: serde_json::Value = serde_json::from_str(&table.json().unwrap()).unwrap();
    let objects = json.as_array().unwrap();
    assert_eq!(objects.len(), 7);
    assert_eq!(
        objects[4],
        serde_json::json!({
            "protocol": TUNED, "init": "SimCLR", "data": "CIFAR-10", "accuracy": 0.8, "images": 10, "runs": 1,
            "p_vs_best": null, "bold": false,
        })
    );
}

#[test]
fn runs_are_averaged_and_compared_image_by_image() {
    // In two runs 2, 2, 1, 0 right of one row, in a single run 0, 0, 0, 1 of the other: brought to two runs, the differences
    // are 2, 2, 1 and -2 with sum 3. The sums of the 16 sign patterns are 7, 5, 3, 1, ...: 3 or more from 0 have all but
    // those of sum 1 and -1, which come about three times each.
    let table =
        TransferTable::new(&[runs(LINEAR, "a", "x", &["1110", "1100"]), result(LINEAR, "b", "x", "0001")]).unwrap();
    let [a, b] = [0, 1].map(|row: usize| table.cells[row][0].unwrap());
    assert_eq!((a.accuracy, a.runs, b.accuracy, b.runs), (0.625, 2, 0.25, 1));
    assert_eq!(b.p, Some(10.0 / 16.0));
    assert!(a.is_bold() && b.is_bold());
}

#[test]
fn equal_rows_are_both_bold_and_many_images_decide() {
    let half: String = "10".repeat(500);
    let better: String = "1110".repeat(250);
    let table = TransferTable::new(&[
        result(LINEAR, "a", "x", &better),
        result(LINEAR, "b", "x", &half),
        result(LINEAR, "c", "x", &better),
    ])
    .unwrap();
    let bold: Vec<bool> = table.cells.iter().map(|row| row[0].unwrap().is_bold()).collect();
    assert_eq!(bold, [true, false, true]);
    assert_eq!(table.cells[1][0].unwrap().p, Some(1.0 / 100_001.0));
}

#[test]
fn results_that_do_not_go_together_are_refused() {
    let said = |results: &[TransferResult]| TransferTable::new(results).unwrap_err().to_string();
    assert!(matches!(TransferTable::new(&[]), Err(ReportError::NoTransfer)));
    let mend = "; hand in every test image once, in one order for all rows";
    let a = result(LINEAR, "a", "x", "101");
    assert_eq!(
        said(&[a.clone(), result(TUNED, "b", "x", "10")]),
        format!("Fine-tuned: b on x: it has 2 test images, Linear evaluation: a has 3{mend}")
    );
    assert_eq!(said(&[a.clone(), a]), format!("Linear evaluation: a on x: this result is given twice{mend}"));
    assert_eq!(
        said(&[runs(LINEAR, "a", "x", &["10", "101"])]),
        format!("Linear evaluation: a on x: one run has 2 test images, another 3{mend}")
    );
    for nothing in [runs(LINEAR, "a", "x", &[]), result(LINEAR, "a", "x", "")] {
        let expected = format!("Linear evaluation: a on x: there is no run of at least one test image{mend}");
        assert_eq!(said(&[nothing]), expected);
    }
}
