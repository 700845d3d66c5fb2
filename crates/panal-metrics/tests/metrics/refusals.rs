//! What is refused, and with which words.

use panal_metrics::{
    AucAverage, Bootstrap, Calibration, ConfusionMatrix, McNemar, Metric, MetricsError, Probabilities, Summary, brier,
    holm, log_loss, mean_interval, paired_permutation, roc_auc, roc_auc_one_vs_rest, wilson,
};

fn refused<T: std::fmt::Debug>(result: Result<T, MetricsError>, message: &str) {
    assert_eq!(result.unwrap_err().to_string(), message);
}

#[test]
fn labels_that_do_not_fit() {
    let matrix = ConfusionMatrix::from_labels;
    refused(matrix(2, &[], &[]), "truth is empty; at least one sample is needed");
    refused(matrix(2, &[0, 1], &[0]), "predicted has length 1, but truth has 2; they must agree");
    refused(matrix(2, &[0, 2], &[0, 1]), "truth[1] is class 2, but there are 2 classes, numbered from 0");
    refused(matrix(3, &[0, 2], &[7, 1]), "predicted[0] is class 7, but there are 3 classes, numbered from 0");
    refused(matrix(0, &[0], &[0]), "truth[0] is class 0, but there are 0 classes, numbered from 0");
    let counts = [vec![1, 2], vec![3]];
    refused(
        ConfusionMatrix::from_counts(&counts),
        "one of its rows has length 1, but the confusion matrix has 2; they must agree",
    );
    refused(
        ConfusionMatrix::from_counts(&[[0, 0], [0, 0]]),
        "the confusion matrix is empty; at least one sample is needed",
    );
    refused(McNemar::from_labels(&[0, 1], &[0, 1], &[0]), "second has length 1, but truth has 2; they must agree");
}

#[test]
fn areas_that_are_undefined() {
    let area = "an area under its ROC curve needs samples of it and of others";
    refused(roc_auc(&[true, true], &[0.1, 0.2]), &format!("every sample is of class 1: {area}"));
    refused(roc_auc(&[false], &[0.1]), &format!("no sample is of class 1: {area}"));
    let probabilities = Probabilities::from_rows(&[[0.2, 0.3, 0.5], [0.5, 0.25, 0.25]]).unwrap();
    for average in [AucAverage::Macro, AucAverage::Weighted] {
        refused(roc_auc_one_vs_rest(&[0, 2], &probabilities, average), &format!("no sample is of class 1: {area}"));
    }
}

#[test]
fn numbers_that_are_none() {
    let nan = f64::NAN;
    refused(roc_auc(&[true, false], &[0.5, nan]), "scores[1] must be a finite number, got NaN");
    refused(Summary::of(&[1.0, f64::INFINITY]), "values[1] must be a finite number, got inf");
    refused(Summary::of(&[]), "values is empty; at least one sample is needed");
    refused(mean_interval(&[nan, 1.0], 0.95), "values[0] must be a finite number, got NaN");
    refused(mean_interval(&[1.0], 0.95), "the number of values must be at least 2, got 1");
    refused(paired_permutation(&[1.0], &[nan], 10, 0), "second[0] must be a finite number, got NaN");
    refused(paired_permutation(&[1.0], &[2.0], 0, 0), "resamples must be at least 1, got 0");
    refused(holm(&[0.1, nan]), "p_values[1] must be in [0, 1], got NaN");
    refused(holm(&[1.5]), "p_values[0] must be in [0, 1], got 1.5");
    refused(Metric::BRIER.measured(nan, 3), "Brier score must be a finite number, got NaN");
    refused(Metric::BRIER.measured(0.1, 0), "the number of samples must be at least 1, got 0");
    refused(wilson(1, 2, 1.0), "level must be in (0, 1), got 1");
    refused(wilson(1, 2, nan), "level must be in (0, 1), got NaN");
    refused(wilson(0, 0, 0.9), "trials must be at least 1, got 0");
    refused(wilson(3, 2, 0.9), "successes must be at most trials, got 3");
    refused(Bootstrap::default().interval(3, |_| Ok(nan)), "the statistic[0] must be a finite number, got NaN");
    refused(Bootstrap::default().interval(0, |_| Ok(0.0)), "the number of samples must be at least 1, got 0");
    let empty = Bootstrap { resamples: 0, ..Bootstrap::default() };
    refused(empty.interval(3, |_| Ok(0.0)), "resamples must be at least 1, got 0");
}

#[test]
fn a_bootstrap_hands_on_what_its_statistic_says() {
    let (positive, scores) = ([true, false, false], [0.9, 0.1, 0.2]);
    let area = |sample: &[usize]| {
        let (positive, scores): (Vec<bool>, Vec<f64>) = sample.iter().map(|&i| (positive[i], scores[i])).unzip();
        roc_auc(&positive, &scores)
    };
    let error = Bootstrap::default().interval(3, area).unwrap_err();
    assert!(matches!(error, MetricsError::OneSided { class: 1, .. }), "{error}");
}

#[test]
fn probabilities_that_are_none() {
    let rows = |rows: &[&[f64]]| Probabilities::from_rows(rows);
    refused(rows(&[]), "probabilities is empty; at least one sample is needed");
    refused(rows(&[&[]]), "a row of probabilities is empty; at least one sample is needed");
    refused(
        rows(&[&[0.5, 0.5], &[1.0]]),
        "another row has length 1, but the first row of probabilities has 2; they must agree",
    );
    refused(rows(&[&[0.5, f64::NAN]]), "probabilities[1] must be in [0, 1], got NaN");
    refused(rows(&[&[0.5, 0.5], &[1.5, -0.5]]), "probabilities[2] must be in [0, 1], got 1.5");
    refused(rows(&[&[0.5, 0.4]]), "the probabilities of sample 0 sum to 0.9, not 1; apply softmax to scores first");
    let good = Probabilities::from_rows(&[[0.25_f32, 0.75], [0.5, 0.5]]).unwrap();
    assert_eq!(good.most_probable().collect::<Vec<_>>(), [(1, 0.75), (0, 0.5)]);
    refused(brier(&[0], &good), "truth has length 1, but probabilities has 2; they must agree");
    refused(log_loss(&[0, 2], &good), "truth[1] is class 2, but there are 2 classes, numbered from 0");
    refused(Calibration::new(&[0, 1], &good, 0), "bins must be at least 1, got 0");
}
