//! Predicted probabilities, checked once: one row for each sample, one column for each class.

use crate::MetricsError;
use crate::error::non_empty;

/// How far the sum of a row may be from 1: room for a softmax over many classes in single precision.
const ROW_SUM_TOLERANCE: f64 = 1e-4;

/// Probabilities of every class for every sample: finite, in `[0, 1]`, each row with sum 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    classes: usize,
    /// Row-major, a row for each sample.
    values: Vec<f64>,
}

impl Probabilities {
    /// Checks and takes rows of `f32` or `f64`; the first row sets the number of classes.
    ///
    /// # Errors
    /// [`MetricsError::Empty`] without rows or classes, [`MetricsError::Lengths`] for rows of different lengths,
    /// [`MetricsError::Number`] (with the position counted row by row) for NaN or a value outside `[0, 1]`, [`MetricsError::RowSum`].
    pub fn from_rows<T, R>(rows: &[R]) -> Result<Self, MetricsError>
    where
        T: Copy + Into<f64>,
        R: AsRef<[T]>,
    {
        non_empty("probabilities", rows)?;
        let classes = rows[0].as_ref().len();
        non_empty("a row of probabilities", rows[0].as_ref())?;
        let mut values = Vec::with_capacity(rows.len() * classes);
        for (index, row) in rows.iter().map(AsRef::as_ref).enumerate() {
            crate::error::same_length(("the first row of probabilities", classes), ("another row", row.len()))?;
            let start = values.len();
            for value in row.iter().map(|&value| value.into()) {
                if !(0.0..=1.0).contains(&value) {
                    let index = values.len();
                    return Err(MetricsError::Number {
                        what: "probabilities",
                        index,
                        allowed: "in [0, 1]",
                        got: value,
                    });
                }
                values.push(value);
            }
            let sum: f64 = values[start..].iter().sum();
            if (sum - 1.0).abs() > ROW_SUM_TOLERANCE {
                return Err(MetricsError::RowSum { index, sum });
            }
        }
        Ok(Self { classes, values })
    }

    /// Number of classes; at least 1.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of samples; at least 1.
    pub fn samples(&self) -> usize {
        self.values.len() / self.classes
    }

    /// One row for each sample, a probability for each class.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.classes)
    }

    /// The most probable class of every sample and its probability; of equals the first.
    pub fn most_probable(&self) -> impl Iterator<Item = (usize, f64)> {
        self.rows().map(|row| {
            let first = (0, row[0]);
            row.iter().copied().enumerate().fold(first, |best, next| if next.1 > best.1 { next } else { best })
        })
    }

    /// Refuses labels that do not go with these rows.
    pub(crate) fn check_labels(&self, truth: &[usize]) -> Result<(), MetricsError> {
        crate::error::same_length(("probabilities", self.samples()), ("truth", truth.len()))?;
        crate::error::labels_below(self.classes, "truth", truth)
    }
}
