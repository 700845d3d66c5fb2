//! Every number against scikit-learn, SciPy, statsmodels or NumPy; `../golden/generate.py` made them.

use std::sync::LazyLock;

use panal_metrics::{
    AucAverage, Average, Bootstrap, Calibration, ConfusionMatrix, McNemar, Prf, Probabilities, Summary, ZeroDivision,
    brier, holm, log_loss, mean_interval, paired_permutation, roc_auc, roc_auc_one_vs_rest, wilson,
};
use serde_json::Value;

static GOLDEN: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("../golden/golden.json")).unwrap());

/// The cases of one kind; there must be `count` of them.
fn cases(kind: &str, count: usize) -> &'static [Value] {
    let cases = GOLDEN[kind].as_array().unwrap();
    assert_eq!(cases.len(), count, "{kind}");
    cases
}

fn read<T: serde::de::DeserializeOwned>(case: &Value, field: &str) -> T {
    serde_json::from_value(case[field].clone()).unwrap_or_else(|error| panic!("{field} of {case}: {error}"))
}

/// Equal within 1e-12, relative to numbers above 1.
#[track_caller]
fn near(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{what}: {got}, expected {expected}");
}

/// Equal within 1e-10 of the number itself, however small: for p-values.
#[track_caller]
fn near_relative(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-10 * expected.abs(), "{what}: {got:e}, expected {expected:e}");
}

#[test]
fn confusion_matrices() {
    for case in cases("confusion", 9) {
        let name: String = read(case, "name");
        let (truth, predicted): (Vec<usize>, Vec<usize>) = (read(case, "truth"), read(case, "predicted"));
        let matrix = ConfusionMatrix::from_labels(read(case, "classes"), &truth, &predicted).unwrap();
        let expected: Vec<Vec<u64>> = read(case, "matrix");
        assert!(matrix.rows().eq(expected.iter().map(Vec::as_slice)), "{name}");
        assert_eq!(ConfusionMatrix::from_counts(&expected).unwrap(), matrix);
        assert_eq!(matrix.samples(), truth.len() as u64);
        near(matrix.accuracy(), read(case, "accuracy"), &name);
        for (word, choice) in [("zero", ZeroDivision::Zero), ("one", ZeroDivision::One)] {
            let matrix = matrix.clone().zero_division(choice);
            let same = |got: &Prf, expected: &[f64], what: &str| {
                for (got, expected) in [got.precision, got.recall, got.f1].iter().zip(expected) {
                    near(*got, *expected, &format!("{name}, {word}, {what}"));
                }
            };
            let per_class: Vec<[f64; 4]> = read(&case[word], "per_class");
            assert_eq!(matrix.per_class().len(), per_class.len());
            for (got, expected) in matrix.per_class().iter().zip(&per_class) {
                same(got, &expected[..3], "class");
                assert_eq!(got.support as f64, expected[3], "{name}");
            }
            for (what, average) in
                [("macro", Average::Macro), ("micro", Average::Micro), ("weighted", Average::Weighted)]
            {
                same(&matrix.average(average), &read::<[f64; 3]>(&case[word], what), what);
            }
        }
    }
}

#[test]
fn areas_under_the_roc_curve() {
    for case in cases("auc", 6) {
        let (positive, scores): (Vec<bool>, Vec<f64>) = (read(case, "positive"), read(case, "scores"));
        near(roc_auc(&positive, &scores).unwrap(), read(case, "auc"), &read::<String>(case, "name"));
    }
}

#[test]
fn scores_of_probabilities() {
    let mut areas = 0;
    for case in cases("probabilities", 6) {
        let name: String = read(case, "name");
        let (truth, rows): (Vec<usize>, Vec<Vec<f64>>) = (read(case, "truth"), read(case, "rows"));
        let probabilities = Probabilities::from_rows(&rows).unwrap();
        near(brier(&truth, &probabilities).unwrap(), read(case, "brier"), &name);
        near(log_loss(&truth, &probabilities).unwrap(), read(case, "log_loss"), &name);

        let bins: Vec<(usize, Option<f64>, Option<f64>)> = read(case, "bins");
        let calibration = Calibration::new(&truth, &probabilities, bins.len()).unwrap();
        near(calibration.expected_error(), read(case, "ece"), &name);
        near(calibration.maximum_error(), read(case, "mce"), &name);
        for (got, (samples, confidence, accuracy)) in calibration.bins.iter().zip(bins) {
            assert_eq!((got.samples, got.accuracy), (samples, accuracy), "{name}, up to {}", got.upper);
            assert_eq!(got.confidence.is_some(), confidence.is_some(), "{name}");
            near(got.confidence.unwrap_or(0.0), confidence.unwrap_or(0.0), &name);
        }

        if !case["auc"].is_null() {
            areas += 1;
            for (word, average) in [("macro", AucAverage::Macro), ("weighted", AucAverage::Weighted)] {
                let got = roc_auc_one_vs_rest(&truth, &probabilities, average).unwrap();
                near(got, read(&case["auc"], word), &format!("{name}, {word}"));
            }
        }
    }
    assert_eq!(areas, 2);
}

#[test]
fn intervals_with_a_closed_form() {
    for case in cases("wilson", 18) {
        let got = wilson(read(case, "successes"), read(case, "trials"), read(case, "level")).unwrap();
        near(got.lower, read(case, "lower"), &format!("lower of {case}"));
        near(got.upper, read(case, "upper"), &format!("upper of {case}"));
    }
    for case in cases("student", 21) {
        let values: Vec<f64> = read(case, "values");
        let got = mean_interval(&values, read(case, "level")).unwrap();
        near(got.lower, read(case, "lower"), &format!("lower of {case}"));
        near(got.upper, read(case, "upper"), &format!("upper of {case}"));
        let summary = Summary::of(&values).unwrap();
        near(summary.mean, read(case, "mean"), "mean");
        near(summary.standard_deviation.unwrap(), read(case, "sd"), "standard deviation");
    }
}

#[test]
fn bootstrap_intervals() {
    for case in cases("bootstrap", 3) {
        let values: Vec<f64> = read(case, "values");
        let bootstrap =
            Bootstrap { resamples: read(case, "resamples"), level: read(case, "level"), seed: read(case, "seed") };
        let mean = |sample: &[usize]| Ok(sample.iter().map(|&i| values[i]).sum::<f64>() / sample.len() as f64);
        let got = bootstrap.interval(values.len(), mean).unwrap();
        near(got.lower, read(case, "lower"), "lower");
        near(got.upper, read(case, "upper"), "upper");
    }
}

#[test]
fn mcnemars_test() {
    for case in cases("mcnemar", 12) {
        let test = McNemar { only_first: read(case, "only_first"), only_second: read(case, "only_second") };
        near_relative(test.exact(), read(case, "exact"), &format!("exact p of {case}"));
        let chi_square = test.chi_square();
        if test.only_first == test.only_second {
            assert_eq!((chi_square.statistic, chi_square.p_value), (0.0, 1.0));
        } else {
            near(chi_square.statistic, read(case, "statistic"), "statistic");
            near_relative(chi_square.p_value, read(case, "p_value"), &format!("chi-square p of {case}"));
        }
    }
}

#[test]
fn the_paired_permutation_test() {
    for case in cases("permutation", 6) {
        let (first, second): (Vec<f64>, Vec<f64>) = (read(case, "first"), read(case, "second"));
        let expected: f64 = read(case, "p_value");
        let exact = paired_permutation(&first, &second, 1 << first.len(), 0).unwrap();
        assert!(exact.exact);
        near(exact.p_value, expected, "exact p");
        near(exact.mean_difference, read(case, "mean"), "mean difference");
        // Random signs, told not to try them all, agree within five standard errors.
        let few = 1 << 8;
        if let Ok(random) = paired_permutation(&first, &second, few - 1, 7)
            && !random.exact
        {
            let error = (expected * (1.0 - expected) / few as f64).sqrt();
            assert!((random.p_value - expected).abs() < 5.0 * error + 1.0 / few as f64, "{} of {case}", random.p_value);
        }
    }
}

#[test]
fn holms_correction() {
    for case in cases("holm", 4) {
        let adjusted: Vec<f64> = read(case, "adjusted");
        for (got, expected) in holm(&read::<Vec<f64>>(case, "p")).unwrap().iter().zip(&adjusted) {
            near(*got, *expected, "adjusted p");
        }
    }
}
