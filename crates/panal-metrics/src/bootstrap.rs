//! The percentile bootstrap of any statistic of the samples.

use crate::error::open_unit;
use crate::rng::SplitMix64;
use crate::{Interval, MetricsError};

/// How to draw a bootstrap interval; the default is 10,000 resamples at level 0.95 from seed 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How often the samples are drawn anew, with replacement.
    pub resamples: usize,
    /// Confidence level, in `(0, 1)`.
    pub level: f64,
    /// Equal seeds give equal intervals.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, level: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// The interval between the `(1 - level) / 2` and `(1 + level) / 2` quantiles (linear between order statistics) of `statistic`
    /// over resamples of `samples` samples. `statistic` gets the indices of one resample, all below `samples`.
    ///
    /// A percentile interval of a biased statistic need not contain the estimate.
    ///
    /// # Errors
    /// [`MetricsError::Setting`] for no samples or resamples or a level outside `(0, 1)`; what `statistic` returns, such as
    /// [`MetricsError::OneSided`] for an area under the ROC curve of a resample without positives; [`MetricsError::Number`] where it is not finite.
    ///
    /// ```
    /// use panal_metrics::Bootstrap;
    /// let correct = [true, true, false, true, true, false, true, true];
    /// let accuracy = |sample: &[usize]| Ok(sample.iter().filter(|&&i| correct[i]).count() as f64 / sample.len() as f64);
    /// let interval = Bootstrap::default().interval(correct.len(), accuracy)?;
    /// assert_eq!((interval.lower, interval.estimate, interval.upper), (0.375, 0.75, 1.0));
    /// # Ok::<(), panal_metrics::MetricsError>(())
    /// ```
    pub fn interval(
        &self,
        samples: usize,
        mut statistic: impl FnMut(&[usize]) -> Result<f64, MetricsError>,
    ) -> Result<Interval, MetricsError> {
        open_unit("level", self.level)?;
        for (what, value) in [("the number of samples", samples), ("resamples", self.resamples)] {
            if value == 0 {
                return Err(MetricsError::Setting { what, allowed: "at least 1", got: 0.0 });
            }
        }
        let mut indices: Vec<usize> = (0..samples).collect();
        let estimate = statistic(&indices)?;
        let mut rng = SplitMix64::new(self.seed);
        let mut values = Vec::with_capacity(self.resamples);
        for _ in 0..self.resamples {
            indices.fill_with(|| rng.below(samples));
            values.push(statistic(&indices)?);
        }
        crate::error::all_finite("the statistic", &[estimate])?;
        crate::error::all_finite("the statistic of resamples", &values)?;
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        let (lower, upper) = (quantile(&values, tail), quantile(&values, 1.0 - tail));
        Ok(Interval { estimate, lower, upper, level: self.level })
    }
}

/// Quantile of sorted values at `share` of the way from first to last, linear between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}
