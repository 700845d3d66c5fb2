//! Intervals with a closed form: Wilson's for a share, Student's for a mean. The bootstrap has its own file.

use crate::MetricsError;
use crate::distribution::{normal_outside, student_within, two_sided_quantile};
use crate::error::{all_finite, open_unit, same_length};
use crate::summary::Summary;

/// An estimate with a confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate from all samples.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Confidence level, such as 0.95.
    pub level: f64,
}

/// Wilson's score interval of a share, without continuity correction: with `p = successes / trials`, `n = trials` and `z` the normal
/// quantile, `(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`. Never leaves `[0, 1]`, and is not empty at 0 or 1.
///
/// # Errors
/// [`MetricsError::Setting`] without trials, for more successes than trials, or a level outside `(0, 1)`.
pub fn wilson(successes: u64, trials: u64, level: f64) -> Result<Interval, MetricsError> {
    open_unit("level", level)?;
    if trials == 0 {
        return Err(MetricsError::Setting { what: "trials", allowed: "at least 1", got: 0.0 });
    }
    if successes > trials {
        return Err(MetricsError::Setting { what: "successes", allowed: "at most trials", got: successes as f64 });
    }
    let n = trials as f64;
    let p = successes as f64 / n;
    let z = two_sided_quantile(level, |z| 1.0 - normal_outside(z));
    let scale = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / scale;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    // In exact arithmetic the ends are 0 and 1 there; rounding must not push the estimate outside.
    let lower = if successes == 0 { 0.0 } else { centre - half };
    let upper = if successes == trials { 1.0 } else { centre + half };
    Ok(Interval { estimate: p, lower, upper, level })
}

/// Student's t interval of a mean: `mean ± t(n - 1) * sd / sqrt(n)`, for values that are independent and about normal,
/// such as the scores of several seeds, or accuracies over episodes. Few-shot papers put 1.96 in place of `t(n - 1)`, which for 600 episodes makes
/// the interval narrower by 0.2 %, for 20 by 6 %.
///
/// Over episodes it covers the draw of episodes only. Where they share images it says nothing of other images, and the more episodes
/// are drawn the smaller it gets, whatever the data (Lafargue et al., arXiv 2409.02850).
///
/// # Errors
/// [`MetricsError::Setting`] for fewer than two values or a level outside `(0, 1)`; [`MetricsError::Number`] for NaN or an infinity.
pub fn mean_interval(values: &[f64], level: f64) -> Result<Interval, MetricsError> {
    open_unit("level", level)?;
    let Summary { samples, mean, standard_deviation: Some(deviation), .. } = Summary::of(values)? else {
        return Err(MetricsError::Setting { what: "the number of values", allowed: "at least 2", got: 1.0 });
    };
    let quantile = two_sided_quantile(level, |t| student_within(t, samples - 1));
    let half = quantile * deviation / (samples as f64).sqrt();
    Ok(Interval { estimate: mean, lower: mean - half, upper: mean + half, level })
}

/// Student's t interval of the mean of `first[i] - second[i]`, two methods on the same episodes. Narrower than the intervals
/// of both suggest, since what makes an episode hard is hard for both; where it does not hold 0 they differ at that level.
///
/// # Errors
/// As [`mean_interval`], and [`MetricsError::Lengths`].
pub fn paired_interval(first: &[f64], second: &[f64], level: f64) -> Result<Interval, MetricsError> {
    same_length(("first", first.len()), ("second", second.len()))?;
    all_finite("first", first)?;
    all_finite("second", second)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    mean_interval(&differences, level)
}
