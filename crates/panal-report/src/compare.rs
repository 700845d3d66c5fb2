//! Which rows differ from the best one by more than the choice of images explains. Scores themselves are made in `table`.

use std::collections::HashMap;

use panal_metrics::{holm, paired_permutation};

use crate::table::Row;
use crate::{ReportError, RunRecord};

/// Sign patterns tried at most for each pair of rows.
pub(crate) const RESAMPLES: usize = 10_000;
/// Rows with a smaller corrected p-value count as different.
pub(crate) const SIGNIFICANCE: f64 = 0.05;

/// How the accuracy of a row compares with that of the best row judged on the same images.
///
/// The test is a paired permutation over images of how many of a row's seeds got each image right, two-sided, 10,000 resamples.
/// p-values are Holm-corrected over *all pairs* of rows, not only those with the best, because the best is chosen on the same images.
/// It asks whether the order would hold on other images with these trained networks; the spread over seeds is the column beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    /// No other row was judged on the same images.
    Alone,
    /// The row with the highest mean accuracy at the last epoch; among equals that with the higher macro F1, then the earlier.
    Best,
    /// Not the best.
    Against {
        /// Corrected p-value of the difference from the best.
        p: f64,
    },
}

impl Comparison {
    /// Whether the row is worse than the best with a corrected p-value below 0.05.
    pub fn is_significantly_worse(self) -> bool {
        matches!(self, Self::Against { p } if p < SIGNIFICANCE)
    }

    /// The corrected p-value against the best row.
    pub fn p(self) -> Option<f64> {
        if let Self::Against { p } = self { Some(p) } else { None }
    }
}

/// Fills in the comparison of every row; `runs[i]` are the records of `rows[i]`.
pub(crate) fn compare(
    rows: &mut [Row],
    runs: &[Vec<&RunRecord>],
    warnings: &mut Vec<String>,
) -> Result<(), ReportError> {
    let mut done = vec![false; rows.len()];
    for first in 0..rows.len() {
        if done[first] {
            continue;
        }
        let peers: Vec<usize> = (first..rows.len()).filter(|&i| rows[i].same_data(&rows[first])).collect();
        for &peer in &peers {
            done[peer] = true;
        }
        if peers.len() > 1 {
            compare_peers(rows, runs, &peers, warnings)?;
        }
    }
    Ok(())
}

fn compare_peers(
    rows: &mut [Row],
    runs: &[Vec<&RunRecord>],
    peers: &[usize],
    warnings: &mut Vec<String>,
) -> Result<(), ReportError> {
    let order: Vec<&str> = runs[peers[0]][0].predictions.iter().map(|prediction| prediction.id.as_str()).collect();
    let Some(right) = peers.iter().map(|&peer| right_counts(&runs[peer], &order)).collect::<Option<Vec<_>>>() else {
        warnings
            .push("rows are not compared: their records name different images although the digests agree".to_owned());
        return Ok(());
    };
    let pairs: Vec<(usize, usize)> = (0..peers.len()).flat_map(|a| (a + 1..peers.len()).map(move |b| (a, b))).collect();
    let mut p_values = Vec::with_capacity(pairs.len());
    for &(a, b) in &pairs {
        // Brought to a common number of seeds instead of divided by it: whole numbers, so that ties are exact.
        let scaled = |row: usize, other: usize| -> Vec<f64> {
            let seeds = runs[peers[other]].len() as f64;
            right[row].iter().map(|&count| count * seeds).collect()
        };
        let seed = (peers[a] as u64) << 32 | peers[b] as u64;
        p_values.push(paired_permutation(&scaled(a, b), &scaled(b, a), RESAMPLES, seed)?.p_value);
    }
    let p_values = holm(&p_values)?;

    let score = |i: usize| (rows[peers[i]].last.accuracy.mean, rows[peers[i]].last.f1.mean);
    let mut best = 0;
    for i in 1..peers.len() {
        if score(i) > score(best) {
            best = i;
        }
    }
    for (i, &peer) in peers.iter().enumerate() {
        let pair = pairs.iter().position(|&pair| pair == (i.min(best), i.max(best)));
        rows[peer].comparison = pair.map_or(Comparison::Best, |pair| Comparison::Against { p: p_values[pair] });
    }
    Ok(())
}

/// How many of the runs got each image of `order` right; `None` where a run has other images.
pub(crate) fn right_counts(runs: &[&RunRecord], order: &[&str]) -> Option<Vec<f64>> {
    let place: HashMap<&str, usize> = order.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let mut counts = vec![0.0; order.len()];
    for run in runs {
        if run.predictions.len() != order.len() {
            return None;
        }
        for prediction in &run.predictions {
            let i = *place.get(prediction.id.as_str())?;
            counts[i] += f64::from(prediction.truth == prediction.predicted);
        }
    }
    Some(counts)
}
