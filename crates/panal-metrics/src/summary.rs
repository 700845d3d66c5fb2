//! Mean and spread of a handful of values, such as one score over several seeds.

use crate::MetricsError;
use crate::error::{all_finite, non_empty};

/// Mean, spread and range of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many values; at least 1.
    pub samples: usize,
    /// Their mean.
    pub mean: f64,
    /// Their sample standard deviation, with `samples - 1` in the denominator; `None` for one value.
    pub standard_deviation: Option<f64>,
    /// The least.
    pub min: f64,
    /// The middle one in order, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Summary {
    /// Summarises `values`.
    ///
    /// # Errors
    /// [`MetricsError::Empty`]; [`MetricsError::Number`] for NaN or an infinity.
    pub fn of(values: &[f64]) -> Result<Self, MetricsError> {
        non_empty("values", values)?;
        all_finite("values", values)?;
        let samples = values.len();
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (sorted[0], sorted[samples - 1]);
        let (low, high) = (sorted[(samples - 1) / 2], sorted[samples / 2]);
        let median = low + (high - low) / 2.0;
        // A rounded mean of equal values may lie just beside them.
        let mean = (values.iter().sum::<f64>() / samples as f64).clamp(min, max);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_deviation = (samples > 1).then(|| (squares / (samples - 1) as f64).sqrt());
        Ok(Self { samples, mean, standard_deviation, min, median, max })
    }
}
