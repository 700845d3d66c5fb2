//! What a number measures: its name, its unit, and which way is better. How it is computed stands in the other files.

use std::cmp::Ordering;
use std::fmt;

use crate::MetricsError;

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Metric {
    /// Name as a table shows it.
    pub name: &'static str,
    /// Unit; `""` for a plain ratio.
    pub unit: &'static str,
    /// Whether more of it is better.
    pub higher_is_better: bool,
}

impl Metric {
    /// Share of samples whose class was predicted.
    pub const ACCURACY: Self = Self::score("accuracy");
    /// Mean precision of the classes.
    pub const MACRO_PRECISION: Self = Self::score("macro precision");
    /// Mean recall of the classes.
    pub const MACRO_RECALL: Self = Self::score("macro recall");
    /// Mean F1 of the classes.
    pub const MACRO_F1: Self = Self::score("macro F1");
    /// Area under the ROC curve.
    pub const ROC_AUC: Self = Self::score("ROC-AUC");
    /// Expected calibration error.
    pub const CALIBRATION_ERROR: Self = Self { name: "calibration error", unit: "", higher_is_better: false };
    /// Brier score.
    pub const BRIER: Self = Self { name: "Brier score", unit: "", higher_is_better: false };
    /// Log loss, which is the mean cross entropy.
    pub const LOG_LOSS: Self = Self { name: "log loss", unit: "nats", higher_is_better: false };

    const fn score(name: &'static str) -> Self {
        Self { name, unit: "", higher_is_better: true }
    }

    /// This metric's `value` over `samples` samples.
    ///
    /// # Errors
    /// [`MetricsError::Setting`] for NaN or an infinity, or no samples.
    pub fn measured(self, value: f64, samples: usize) -> Result<Measured, MetricsError> {
        if !value.is_finite() {
            return Err(MetricsError::Setting { what: self.name, allowed: "a finite number", got: value });
        }
        if samples == 0 {
            return Err(MetricsError::Setting { what: "the number of samples", allowed: "at least 1", got: 0.0 });
        }
        Ok(Measured { metric: self, value, samples })
    }

    /// Orders two values of this metric from worse to better, so that `max_by` finds the best; NaN is worst.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        let signed = |value: f64| match (value.is_nan(), self.higher_is_better) {
            (true, _) => f64::NEG_INFINITY,
            (false, true) => value,
            (false, false) => -value,
        };
        signed(a).total_cmp(&signed(b))
    }
}

/// A value that knows what it measures and over how many samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub metric: Metric,
    /// The value, finite.
    pub value: f64,
    /// Samples it was measured over; at least 1.
    pub samples: usize,
}

impl fmt::Display for Measured {
    /// Such as `log loss 0.2107 nats (153 samples)`; the value takes the precision asked for, 4 digits otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric: Metric { name, unit, .. }, value, samples } = self;
        let space = if unit.is_empty() { "" } else { " " };
        let digits = f.precision().unwrap_or(4);
        let noun = if *samples == 1 { "sample" } else { "samples" };
        write!(f, "{name} {value:.digits$}{space}{unit} ({samples} {noun})")
    }
}
