//! A study's tables and pictures: every value and every score is there, also where some were not measured.

use panal_report::{Study, StudyPlot, StudyScore};

/// Seeds from 3 on.
fn runs(scores: &[Option<f64>]) -> Vec<StudyScore> {
    (3..).zip(scores).map(|(seed, &score)| StudyScore { seed, score }).collect()
}

fn all(scores: &[f64]) -> Vec<StudyScore> {
    runs(&scores.iter().copied().map(Some).collect::<Vec<_>>())
}

fn study() -> Study {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Study {
        title: "Heads & widths".into(),
        subject: "CIFAR-10, 2 seeds".into(),
        score: "accuracy".into(),
        row_axis: "head".into(),
        column_axis: "width".into(),
        rows: names(&["none", "linear <1>"]),
        columns: names(&["32", "64", "a|b"]),
        cells: vec![
            vec![all(&[0.5, 0.52]), all(&[0.61]), all(&[])],
            vec![all(&[0.4]), all(&[0.45, 0.55]), all(&[0.7])],
        ],
    }
}

#[test]
fn tables_hold_every_score() {
    let study = study();
    let lines: Vec<String> = study.markdown().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].contains("head") && lines[0].contains("width") && lines[0].contains("a\\|b"), "{}", lines[0]);
    // 0.50 and 0.52: mean 0.51, sample standard deviation 0.01 sqrt 2 = 0.0141.
    assert_eq!(lines[2], "| none | 51.0 ± 1.4 | 61.0 | — |");
    assert!(lines[3].ends_with("| 40.0 | 50.0 ± 7.1 | 70.0 |"), "{}", lines[3]);
    let csv = study.csv();
    assert_eq!(csv.lines().next(), Some("row,column,seed,score"));
    assert_eq!(csv.lines().count(), 1 + 7);
    assert!(csv.contains("none,32,4,0.52"), "{csv}");

    let one =
        Study { row_axis: String::new(), rows: vec![String::new()], cells: vec![study.cells[0].clone()], ..study };
    assert!(one.markdown().starts_with("| width | 32 | 64 |"), "{}", one.markdown());
}

#[test]
fn pictures_name_everything_and_escape_it() {
    let study = study();
    for plot in [StudyPlot::HeatMap, StudyPlot::Lines] {
        let svg = study.svg(plot).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["Heads &amp; widths", "CIFAR-10, 2 seeds", "linear &lt;1&gt;", "32", "64", "a|b"] {
            assert!(svg.contains(text), "{plot:?}: {text}");
        }
        assert!(!svg.contains("NaN"), "{plot:?}");
    }
    assert!(study.svg(StudyPlot::HeatMap).unwrap().contains("51.0"));
}

#[test]
fn a_seed_without_a_score_is_told() {
    let cells = vec![vec![runs(&[None, Some(0.123), None]), runs(&[None]), all(&[0.4])], study().cells[1].clone()];
    let study = Study { cells, ..study() };
    assert!(
        study.markdown().contains(
            "| none | 12.3 (1 of 3 seeds; the loss of the others is no number) | — (0 of 1 seed; the loss is no number) | 40.0 |"
        ),
        "{}",
        study.markdown()
    );
    let csv = study.csv();
    assert!(csv.contains("none,32,3,\nnone,32,4,0.123\nnone,32,5,\n"), "{csv}");
    for plot in [StudyPlot::HeatMap, StudyPlot::Lines] {
        let svg = study.svg(plot).unwrap();
        assert!(svg.contains("3 of 9 runs have no score: the loss was no number"), "{plot:?}");
    }
}

#[test]
fn a_study_without_any_score_can_be_drawn() {
    let empty = Study { cells: vec![vec![Vec::new(); 3]; 2], ..study() };
    for plot in [StudyPlot::HeatMap, StudyPlot::Lines] {
        assert!(!empty.svg(plot).unwrap().contains("NaN"), "{plot:?}");
    }
}
