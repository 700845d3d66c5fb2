//! Whether probabilities mean what they say: reliability bins and their calibration error, Brier score, log loss.

use crate::{MetricsError, Probabilities};

/// The most probable class's probability (the confidence) against how often that class was right, in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// From confidence 0 to 1, empty bins included.
    pub bins: Vec<ReliabilityBin>,
    /// Samples in all bins.
    pub samples: usize,
}

/// The samples whose confidence is in `(lower, upper]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// Confidence above which the bin starts; the first bin includes 0.
    pub lower: f64,
    /// Highest confidence in the bin.
    pub upper: f64,
    /// Samples in the bin.
    pub samples: usize,
    /// Their mean confidence; `None` without samples.
    pub confidence: Option<f64>,
    /// Share of them that is right; `None` without samples.
    pub accuracy: Option<f64>,
}

impl ReliabilityBin {
    /// `|accuracy - confidence|`, 0 without samples.
    pub fn gap(&self) -> f64 {
        self.accuracy.zip(self.confidence).map_or(0.0, |(accuracy, confidence)| (accuracy - confidence).abs())
    }
}

impl Calibration {
    /// Sorts samples by confidence into `bins` bins of width `1 / bins`; 15 is usual.
    ///
    /// # Errors
    /// [`MetricsError::Setting`] for no bins, [`MetricsError::Lengths`], [`MetricsError::Label`].
    pub fn new(truth: &[usize], probabilities: &Probabilities, bins: usize) -> Result<Self, MetricsError> {
        if bins == 0 {
            return Err(MetricsError::Setting { what: "bins", allowed: "at least 1", got: 0.0 });
        }
        probabilities.check_labels(truth)?;
        let edge = |bin: usize| bin as f64 / bins as f64;
        let upper: Vec<f64> = (1..=bins).map(edge).collect();
        let mut tallies = vec![(0_usize, 0.0, 0_usize); bins];
        for ((class, confidence), &label) in probabilities.most_probable().zip(truth) {
            let bin = upper.partition_point(|&upper| upper < confidence).min(bins - 1);
            let (samples, sum, right) = &mut tallies[bin];
            *samples += 1;
            *sum += confidence;
            *right += usize::from(class == label);
        }
        let bins = tallies.into_iter().enumerate().map(|(bin, (samples, confidence, right))| ReliabilityBin {
            lower: edge(bin),
            upper: edge(bin + 1),
            samples,
            confidence: (samples > 0).then(|| confidence / samples as f64),
            accuracy: (samples > 0).then(|| right as f64 / samples as f64),
        });
        Ok(Self { bins: bins.collect(), samples: truth.len() })
    }

    /// Expected calibration error, `sum over bins of samples / all samples * |accuracy - confidence|`, in `[0, 1]`
    /// (Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 3).
    pub fn expected_error(&self) -> f64 {
        self.bins.iter().map(|bin| bin.samples as f64 / self.samples as f64 * bin.gap()).sum()
    }

    /// Maximum calibration error, the largest `|accuracy - confidence|` of any bin (same paper).
    pub fn maximum_error(&self) -> f64 {
        self.bins.iter().map(ReliabilityBin::gap).fold(0.0, f64::max)
    }
}

/// Brier score, the mean over samples of `sum over classes of (probability - [class is the label])^2`, in `[0, 2]`.
///
/// scikit-learn's `brier_score_loss` with `scale_by_half=False`; its value for two classes is by default half of this one.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::Label`].
pub fn brier(truth: &[usize], probabilities: &Probabilities) -> Result<f64, MetricsError> {
    mean_loss(truth, probabilities, |row, label| {
        row.iter().enumerate().map(|(class, p)| (p - f64::from(u8::from(class == label))).powi(2)).sum()
    })
}

/// Log loss, the mean over samples of `-ln(probability of the label)`, in nats; probabilities are first clipped to
/// `[eps, 1 - eps]` with `eps` of double precision, as scikit-learn's `log_loss` does for f64, so that one certain mistake is not infinite.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::Label`].
pub fn log_loss(truth: &[usize], probabilities: &Probabilities) -> Result<f64, MetricsError> {
    mean_loss(truth, probabilities, |row, label| -row[label].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln())
}

fn mean_loss(
    truth: &[usize],
    probabilities: &Probabilities,
    loss: impl Fn(&[f64], usize) -> f64,
) -> Result<f64, MetricsError> {
    probabilities.check_labels(truth)?;
    let sum: f64 = probabilities.rows().zip(truth).map(|(row, &label)| loss(row, label)).sum();
    Ok(sum / truth.len() as f64)
}
