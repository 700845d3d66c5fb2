//! Two rows side by side, from one lab or from two: how their scores differ, seed by seed and image by image. Many rows of one lab
//! against its best are in `compare`.

use std::collections::HashMap;

use panal_metrics::{Interval, McNemar, mean_interval, paired_permutation};

use crate::compare::{RESAMPLES, right_counts};
use crate::table::{Row, Scores, Spread, group};
use crate::{ReportError, RunRecord, Table};

/// Names and values of the scores that are compared.
type Score = (&'static str, fn(&Scores) -> &Spread);
const SCORES: [Score; 4] = [
    ("F1", |scores| &scores.f1),
    ("accuracy", |scores| &scores.accuracy),
    ("precision", |scores| &scores.precision),
    ("recall", |scores| &scores.recall),
];

/// How a second row differs from a first.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedRows {
    /// F1, accuracy, precision and recall of the last epoch, in that order.
    pub scores: Vec<PairedScore>,
    /// Image by image; `None` where both were not judged on the same images.
    pub images: Option<PairedImages>,
}

/// One score of two rows.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedScore {
    /// Its name.
    pub name: &'static str,
    /// Over the first row's seeds.
    pub first: Spread,
    /// Over the second row's seeds.
    pub second: Spread,
    /// Mean of the second less mean of the first.
    pub difference: f64,
    /// The seeds that both rows have.
    pub seeds: Vec<u64>,
    /// Student's 95 % interval of the mean of the second less the first, seed by seed; `None` for fewer than two common seeds, or
    /// where both were not judged on the same images.
    pub interval: Option<Interval>,
}

/// A test of whether the order of two rows would hold on other images, with these trained networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedImages {
    /// Images that both were judged on.
    pub images: usize,
    /// Two-sided p-value of the paired permutation over images of how many of a row's seeds got each right, 10,000 resamples.
    pub p: f64,
    /// McNemar's exact test, where each row has one seed.
    pub mcnemar: Option<f64>,
}

/// The rows of `records`, with the runs of each.
///
/// # Errors
/// As [`Table::new`].
pub fn rows_with_runs(records: &[RunRecord]) -> Result<Vec<(Row, Vec<&RunRecord>)>, ReportError> {
    let rows = Table::new(records)?.rows;
    Ok(rows.into_iter().zip(group(records, &mut Vec::new())).collect())
}

/// Compares two rows with their runs, as [`rows_with_runs`] gives them.
///
/// # Errors
/// [`ReportError::Metrics`].
pub fn compare_rows(
    (first, first_runs): (&Row, &[&RunRecord]),
    (second, second_runs): (&Row, &[&RunRecord]),
) -> Result<PairedRows, ReportError> {
    let same = first.same_data(second);
    let place: HashMap<u64, usize> = second.seeds.iter().enumerate().map(|(i, &seed)| (seed, i)).collect();
    let common: Vec<(u64, usize, usize)> =
        first.seeds.iter().enumerate().filter_map(|(i, seed)| place.get(seed).map(|&j| (*seed, i, j))).collect();
    let score = |&(name, of): &Score| {
        let (a, b) = (of(&first.last).clone(), of(&second.last).clone());
        let differences: Vec<f64> = common.iter().map(|&(_, i, j)| b.values[j] - a.values[i]).collect();
        let interval = if same && differences.len() > 1 { Some(mean_interval(&differences, 0.95)?) } else { None };
        let seeds = common.iter().map(|&(seed, ..)| seed).collect();
        Ok(PairedScore { name, difference: b.mean - a.mean, first: a, second: b, seeds, interval })
    };
    let scores = SCORES.iter().map(score).collect::<Result<Vec<_>, ReportError>>()?;
    let images = if same { by_image(first_runs, second_runs)? } else { None };
    Ok(PairedRows { scores, images })
}

/// `None` where the records name different images although the digests agree.
fn by_image(first: &[&RunRecord], second: &[&RunRecord]) -> Result<Option<PairedImages>, ReportError> {
    let order: Vec<&str> = first[0].predictions.iter().map(|prediction| prediction.id.as_str()).collect();
    let (Some(a), Some(b)) = (right_counts(first, &order), right_counts(second, &order)) else { return Ok(None) };
    // Brought to a common number of seeds instead of divided by it: whole numbers, so that ties are exact.
    let scaled = |counts: &[f64], seeds: usize| -> Vec<f64> { counts.iter().map(|c| c * seeds as f64).collect() };
    let p = paired_permutation(&scaled(&b, first.len()), &scaled(&a, second.len()), RESAMPLES, 0)?.p_value;
    let mcnemar = if first.len() == 1 && second.len() == 1 {
        let wrong = |counts: &[f64]| -> Vec<usize> { counts.iter().map(|&right| usize::from(right == 0.0)).collect() };
        Some(McNemar::from_labels(&vec![0; order.len()], &wrong(&a), &wrong(&b))?.exact())
    } else {
        None
    };
    Ok(Some(PairedImages { images: order.len(), p, mcnemar }))
}
