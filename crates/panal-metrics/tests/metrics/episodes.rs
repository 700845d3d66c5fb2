//! What few-shot tables need: the interval of a mean over episodes, that of a paired difference, the middle of some values.

use panal_metrics::{MetricsError, Summary, mean_interval, paired_interval};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    first: Vec<f64>,
    second: Vec<f64>,
    level: f64,
    median: f64,
    min: f64,
    max: f64,
    student: (f64, f64),
    mean_difference: f64,
    paired: (f64, f64),
}

#[track_caller]
fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-12, "{got}, expected {expected}");
}

/// `../golden/episodes.py` made the numbers.
#[test]
fn intervals_over_episodes_are_scipys() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/episodes.json")).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let summary = Summary::of(&case.first).unwrap();
        near(summary.median, case.median);
        assert_eq!((summary.min, summary.max), (case.min, case.max));
        let student = mean_interval(&case.first, case.level).unwrap();
        near(student.lower, case.student.0);
        near(student.upper, case.student.1);
        let paired = paired_interval(&case.first, &case.second, case.level).unwrap();
        near(paired.estimate, case.mean_difference);
        near(paired.lower, case.paired.0);
        near(paired.upper, case.paired.1);
    }
}

#[test]
fn few_episodes_get_wider_intervals_than_1_96_standard_errors() {
    for (episodes, factor) in [(600, 1.9639), (20, 2.0930), (5, 2.7764), (2, 12.7062)] {
        let first: Vec<f64> = (0..episodes).map(|episode| f64::from(episode % 7) / 7.0).collect();
        let second = vec![0.25; first.len()];
        let Summary { standard_deviation, .. } = Summary::of(&first).unwrap();
        let half = factor * standard_deviation.unwrap() / f64::from(episodes).sqrt();
        for interval in [mean_interval(&first, 0.95), paired_interval(&first, &second, 0.95)].map(Result::unwrap) {
            assert!(((interval.upper - interval.estimate) / half - 1.0).abs() < 5e-5, "{episodes}: {interval:?}");
        }
    }
}

#[test]
fn wrong_numbers_are_refused() {
    let said = |result: Result<_, MetricsError>| result.map(|_| ()).unwrap_err().to_string();
    assert_eq!(said(mean_interval(&[1.0], 0.95)), "the number of values must be at least 2, got 1");
    assert_eq!(said(mean_interval(&[], 0.95)), "values is empty; at least one sample is needed");
    assert_eq!(said(mean_interval(&[1.0, 2.0], 1.0)), "level must be in (0, 1), got 1");
    assert_eq!(
        said(paired_interval(&[1.0, 2.0], &[1.0], 0.9)),
        "second has length 1, but first has 2; they must agree"
    );
    assert_eq!(said(paired_interval(&[1.0, 2.0], &[1.0, f64::NAN], 0.9)), "second[1] must be a finite number, got NaN");
}

proptest! {
    #[test]
    fn a_paired_interval_knows_its_sides(
        pairs in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 2..40), level in 0.1..0.999_f64,
    ) {
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let (there, back) =
            (paired_interval(&first, &second, level).unwrap(), paired_interval(&second, &first, level).unwrap());
        prop_assert!((there.lower + back.upper).abs() < 1e-12 && (there.upper + back.lower).abs() < 1e-12);
        // What both have in common is nothing.
        let shifted: Vec<f64> = second.iter().zip(&first).map(|(second, first)| second + first).collect();
        let doubled: Vec<f64> = first.iter().map(|first| 2.0 * first).collect();
        let same = paired_interval(&doubled, &shifted, level).unwrap();
        prop_assert!((same.lower - there.lower).abs() < 1e-12 && (same.upper - there.upper).abs() < 1e-12);
    }

    #[test]
    fn half_of_the_values_lie_on_each_side_of_the_median(values in prop::collection::vec(-5.0..5.0_f64, 1..30)) {
        let Summary { min, median, max, .. } = Summary::of(&values).unwrap();
        let (below, above) = (values.iter().filter(|&&v| v < median).count(), values.iter().filter(|&&v| v > median).count());
        prop_assert!(min <= median && median <= max && below <= values.len() / 2 && above <= values.len() / 2);
    }
}
