//! Area under the ROC curve, for two classes and for several one against the rest.
//! With `P` positive and `Q` negative samples, `AUC = (sum of the positives' ranks - P (P + 1) / 2) / (P Q)`, tied scores sharing
//! the mean of their ranks: the probability that a positive scores above a negative, half of each tie counted.

use crate::error::{all_finite, non_empty, same_length};
use crate::{MetricsError, Probabilities};

/// How one-against-the-rest areas become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AucAverage {
    /// The mean over classes.
    Macro,
    /// The mean over classes, each weighted by its number of samples.
    Weighted,
}

/// Area under the ROC curve of `scores` (any finite scale, higher means more likely positive) for `positive` samples.
///
/// # Errors
/// [`MetricsError::Empty`], [`MetricsError::Lengths`], [`MetricsError::Number`] for a score that is not finite, and
/// [`MetricsError::OneSided`] (positive being class 1) where all samples are positive or none is.
pub fn roc_auc(positive: &[bool], scores: &[f64]) -> Result<f64, MetricsError> {
    non_empty("positive", positive)?;
    same_length(("positive", positive.len()), ("scores", scores.len()))?;
    all_finite("scores", scores)?;
    area(positive, scores).map_err(|all| MetricsError::OneSided { class: 1, all })
}

/// One-against-the-rest areas under the ROC curve, averaged: scikit-learn's `roc_auc_score(multi_class="ovr")`.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::Label`], and [`MetricsError::OneSided`] for a class that no sample is of,
/// or all are: its area is undefined, and leaving it out would change what the average means.
pub fn roc_auc_one_vs_rest(
    truth: &[usize],
    probabilities: &Probabilities,
    average: AucAverage,
) -> Result<f64, MetricsError> {
    probabilities.check_labels(truth)?;
    let mut sum = 0.0;
    for class in 0..probabilities.classes() {
        let positive: Vec<bool> = truth.iter().map(|&label| label == class).collect();
        let scores: Vec<f64> = probabilities.rows().map(|row| row[class]).collect();
        let area = area(&positive, &scores).map_err(|all| MetricsError::OneSided { class, all })?;
        let samples = positive.iter().filter(|&&is| is).count();
        sum += area
            * match average {
                AucAverage::Macro => 1.0 / probabilities.classes() as f64,
                AucAverage::Weighted => samples as f64 / truth.len() as f64,
            };
    }
    Ok(sum)
}

/// The area, or where it is undefined whether that is because every sample is positive (else none is).
fn area(positive: &[bool], scores: &[f64]) -> Result<f64, bool> {
    let positives = positive.iter().filter(|&&is| is).count() as u64;
    let negatives = positive.len() as u64 - positives;
    if positives == 0 || negatives == 0 {
        return Err(positives > 0);
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // `-0.0` and `0.0` tie, though `total_cmp` orders them.
    let mut below = 0;
    let mut twice_rank_sum = 0;
    for tie in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let twice_rank = 2 * below + tie.len() as u64 + 1;
        twice_rank_sum += twice_rank * tie.iter().filter(|&&sample| positive[sample]).count() as u64;
        below += tie.len() as u64;
    }
    let twice_wins = twice_rank_sum - positives * (positives + 1);
    Ok(twice_wins as f64 / (2.0 * positives as f64 * negatives as f64))
}
