//! The confusion matrix, and every score that is a function of it: accuracy, precision, recall, F1 and their averages.
//! With `tp`, `fp`, `fn` the true positives, false positives and false negatives of one class,
//! precision is `tp / (tp + fp)`, recall `tp / (tp + fn)`, F1 `2 tp / (2 tp + fp + fn)` and support `tp + fn`.

use crate::MetricsError;
use crate::error::{labels_below, non_empty, same_length};

/// How often each true class was predicted as each class.
///
/// All declared classes count, also one that no sample has and no prediction names: averages are those of scikit-learn's
/// `precision_recall_fscore_support` with `labels=range(classes)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row-major, a row for each true class; never all zero.
    counts: Vec<u64>,
    zero_division: ZeroDivision,
}

/// Precision, recall and F1 of one class, or an average of them over classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prf {
    /// Of the samples given to the class, the share that is of it.
    pub precision: f64,
    /// Of the samples of the class, the share that was given to it.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Samples of the class, or all samples for an average.
    pub support: u64,
}

/// How scores of classes become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Average {
    /// The mean over classes; each class counts the same.
    Macro,
    /// From the sums of `tp`, `fp` and `fn` over classes. With one label for each sample all three scores equal the accuracy.
    Micro,
    /// The mean over classes, each weighted by its support.
    Weighted,
}

/// What a score is where its denominator is zero: precision of a class never predicted, recall of a class without samples, F1 of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ZeroDivision {
    /// 0, as scikit-learn takes it (there with a warning).
    #[default]
    Zero,
    /// 1, scikit-learn's `zero_division=1`.
    One,
}

impl ConfusionMatrix {
    /// Counts pairs of labels; sample `i` is of class `truth[i]` and was said to be `predicted[i]`.
    ///
    /// # Errors
    /// [`MetricsError::Empty`], [`MetricsError::Lengths`], or [`MetricsError::Label`] for a label that is not below `classes`.
    pub fn from_labels(classes: usize, truth: &[usize], predicted: &[usize]) -> Result<Self, MetricsError> {
        non_empty("truth", truth)?;
        same_length(("truth", truth.len()), ("predicted", predicted.len()))?;
        labels_below(classes, "truth", truth)?;
        labels_below(classes, "predicted", predicted)?;
        let mut counts = vec![0; classes * classes];
        for (truth, predicted) in truth.iter().zip(predicted) {
            counts[truth * classes + predicted] += 1;
        }
        Ok(Self { classes, counts, zero_division: ZeroDivision::default() })
    }

    /// Takes counts that were made before: `rows[t][p]` samples of class `t` were said to be `p`.
    ///
    /// # Errors
    /// [`MetricsError::Lengths`] where a row is not as long as there are rows; [`MetricsError::Empty`] where no sample was counted.
    pub fn from_counts<R: AsRef<[u64]>>(rows: &[R]) -> Result<Self, MetricsError> {
        let mut counts = Vec::with_capacity(rows.len() * rows.len());
        for row in rows {
            same_length(("the confusion matrix", rows.len()), ("one of its rows", row.as_ref().len()))?;
            counts.extend_from_slice(row.as_ref());
        }
        if counts.iter().all(|&count| count == 0) {
            return Err(MetricsError::Empty { what: "the confusion matrix" });
        }
        Ok(Self { classes: rows.len(), counts, zero_division: ZeroDivision::default() })
    }

    /// The same counts with another meaning of 0 / 0.
    #[must_use]
    pub fn zero_division(self, zero_division: ZeroDivision) -> Self {
        Self { zero_division, ..self }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// One row for each true class: how often it was said to be each class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes)
    }

    /// Samples counted; at least 1.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Samples whose class was predicted.
    pub fn correct(&self) -> u64 {
        self.counts.iter().step_by(self.classes + 1).sum()
    }

    /// Share of samples whose class was predicted.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.samples() as f64
    }

    /// Precision, recall, F1 and support of every class, in order.
    pub fn per_class(&self) -> Vec<Prf> {
        (0..self.classes)
            .map(|class| {
                let right = self.counts[class * self.classes + class];
                let support = self.counts[class * self.classes..][..self.classes].iter().sum();
                let predicted = self.counts[class..].iter().step_by(self.classes).sum();
                self.prf(right, predicted, support)
            })
            .collect()
    }

    /// Precision, recall and F1 over all classes, with all samples as support.
    pub fn average(&self, average: Average) -> Prf {
        let samples = self.samples();
        let weight: fn(&Prf) -> u64 = match average {
            Average::Micro => return self.prf(self.correct(), samples, samples),
            Average::Macro => |_| 1,
            Average::Weighted => |class| class.support,
        };
        let classes = self.per_class();
        let weights: u64 = classes.iter().map(weight).sum();
        let mean = |score: fn(&Prf) -> f64| {
            classes.iter().map(|class| weight(class) as f64 * score(class)).sum::<f64>() / weights as f64
        };
        Prf { precision: mean(|c| c.precision), recall: mean(|c| c.recall), f1: mean(|c| c.f1), support: samples }
    }

    fn prf(&self, right: u64, predicted: u64, support: u64) -> Prf {
        Prf {
            precision: self.ratio(right, predicted),
            recall: self.ratio(right, support),
            f1: self.ratio(2 * right, predicted + support),
            support,
        }
    }

    fn ratio(&self, part: u64, whole: u64) -> f64 {
        match (whole, self.zero_division) {
            (0, ZeroDivision::Zero) => 0.0,
            (0, ZeroDivision::One) => 1.0,
            _ => part as f64 / whole as f64,
        }
    }
}
