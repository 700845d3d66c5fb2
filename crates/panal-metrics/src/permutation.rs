//! The paired permutation test: is the mean of paired differences further from 0 than random signs would make it?

use crate::MetricsError;
use crate::error::{all_finite, non_empty, same_length};
use crate::rng::SplitMix64;

/// What a paired permutation test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// Mean of `first - second`.
    pub mean_difference: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Whether all sign patterns were tried (else `resamples` random ones).
    pub exact: bool,
}

/// Flips the sign of each difference `first[i] - second[i]` and counts how often the mean gets as far from 0 as it is.
///
/// Where all `2^n` sign patterns of the `n` differences other than 0 are at most `resamples`, all are tried and the p-value is exact.
/// Otherwise `resamples` patterns are drawn from `seed`, and the p-value is `(hits + 1) / (resamples + 1)`, which never is 0.
/// Means within 1e-14 of each other (relative) count as equal. As `scipy.stats.permutation_test` with `permutation_type="samples"`.
///
/// # Errors
/// [`MetricsError::Empty`], [`MetricsError::Lengths`], [`MetricsError::Number`] for a value that is not finite,
/// [`MetricsError::Setting`] for no resamples.
pub fn paired_permutation(
    first: &[f64],
    second: &[f64],
    resamples: usize,
    seed: u64,
) -> Result<Permutation, MetricsError> {
    non_empty("first", first)?;
    same_length(("first", first.len()), ("second", second.len()))?;
    all_finite("first", first)?;
    all_finite("second", second)?;
    if resamples == 0 {
        return Err(MetricsError::Setting { what: "resamples", allowed: "at least 1", got: 0.0 });
    }
    let mut differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    all_finite("first - second", &differences)?;
    let observed: f64 = differences.iter().sum();
    let mean_difference = observed / differences.len() as f64;
    // The sign of 0 changes nothing, and fewer signs may all be tried.
    differences.retain(|&difference| difference != 0.0);

    let threshold = observed.abs() * (1.0 - 1e-14);
    let mut random = SplitMix64::new(seed);
    let patterns = u32::try_from(differences.len()).ok().and_then(|n| 1_usize.checked_shl(n));
    let (exact, p_value) = match patterns.filter(|&patterns| patterns <= resamples) {
        Some(patterns) => {
            let hits =
                (0..patterns as u64).filter(|&pattern| flipped(&differences, || pattern).abs() >= threshold).count();
            (true, hits as f64 / patterns as f64)
        }
        None => {
            let hits = (0..resamples).filter(|_| flipped(&differences, || random.bits()).abs() >= threshold).count();
            (false, (hits + 1) as f64 / (resamples + 1) as f64)
        }
    };
    Ok(Permutation { mean_difference, p_value, exact })
}

/// The sum of `differences`, each negated where its bit is set; `bits` gives the next 64.
fn flipped(differences: &[f64], mut bits: impl FnMut() -> u64) -> f64 {
    let mut sum = 0.0;
    for group in differences.chunks(64) {
        let signs = bits();
        for (position, difference) in group.iter().enumerate() {
            sum += if signs >> position & 1 == 1 { -difference } else { *difference };
        }
    }
    sum
}
