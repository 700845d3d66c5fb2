//! What can be wrong with the numbers handed in, and the few checks that every metric shares.

use std::error::Error;
use std::fmt;

/// An input that no metric can be computed from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetricsError {
    /// Nothing was handed in.
    Empty {
        /// Which argument.
        what: &'static str,
    },
    /// Two arguments that go together, sample by sample, are of different lengths.
    Lengths {
        /// The argument that sets the length.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The argument that disagrees.
        other: &'static str,
        /// Its length.
        other_len: usize,
    },
    /// A label is not one of the classes.
    Label {
        /// Which argument.
        what: &'static str,
        /// Position of the label.
        index: usize,
        /// The label.
        label: usize,
        /// Number of classes; labels run from 0 to one less.
        classes: usize,
    },
    /// A number at some position is NaN, infinite or outside its range.
    Number {
        /// Which argument.
        what: &'static str,
        /// Position of the number.
        index: usize,
        /// What is allowed.
        allowed: &'static str,
        /// The number.
        got: f64,
    },
    /// A setting is outside its range.
    Setting {
        /// Which setting.
        what: &'static str,
        /// What is allowed.
        allowed: &'static str,
        /// The value.
        got: f64,
    },
    /// The probabilities of one sample do not sum to 1.
    RowSum {
        /// Position of the sample.
        index: usize,
        /// Their sum.
        sum: f64,
    },
    /// A class has no sample, or all of them, where both are needed.
    OneSided {
        /// The class.
        class: usize,
        /// Whether it has every sample (else it has none).
        all: bool,
    },
}

impl fmt::Display for MetricsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { what } => write!(f, "{what} is empty; at least one sample is needed"),
            Self::Lengths { what, len, other, other_len } => {
                write!(f, "{other} has length {other_len}, but {what} has {len}; they must agree")
            }
            Self::Label { what, index, label, classes } => {
                write!(f, "{what}[{index}] is class {label}, but there are {classes} classes, numbered from 0")
            }
            Self::Number { what, index, allowed, got } => write!(f, "{what}[{index}] must be {allowed}, got {got}"),
            Self::Setting { what, allowed, got } => write!(f, "{what} must be {allowed}, got {got}"),
            Self::RowSum { index, sum } => {
                write!(f, "the probabilities of sample {index} sum to {sum}, not 1; apply softmax to scores first")
            }
            Self::OneSided { class, all } => {
                let share = if *all { "every" } else { "no" };
                write!(
                    f,
                    "{share} sample is of class {class}: an area under its ROC curve needs samples of it and of others"
                )
            }
        }
    }
}

impl Error for MetricsError {}

/// Refuses an empty argument.
pub(crate) fn non_empty<T>(what: &'static str, values: &[T]) -> Result<(), MetricsError> {
    if values.is_empty() { Err(MetricsError::Empty { what }) } else { Ok(()) }
}

/// Refuses two arguments of different lengths.
pub(crate) fn same_length(
    (what, len): (&'static str, usize),
    (other, other_len): (&'static str, usize),
) -> Result<(), MetricsError> {
    if len == other_len { Ok(()) } else { Err(MetricsError::Lengths { what, len, other, other_len }) }
}

/// Refuses labels that are not below `classes`.
pub(crate) fn labels_below(classes: usize, what: &'static str, labels: &[usize]) -> Result<(), MetricsError> {
    match labels.iter().enumerate().find(|(_, label)| **label >= classes) {
        Some((index, &label)) => Err(MetricsError::Label { what, index, label, classes }),
        None => Ok(()),
    }
}

/// Refuses NaN and the infinities.
pub(crate) fn all_finite(what: &'static str, values: &[f64]) -> Result<(), MetricsError> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, &got)) => Err(MetricsError::Number { what, index, allowed: "a finite number", got }),
        None => Ok(()),
    }
}

/// Refuses a confidence level outside `(0, 1)`.
pub(crate) fn open_unit(what: &'static str, got: f64) -> Result<(), MetricsError> {
    if got > 0.0 && got < 1.0 { Ok(()) } else { Err(MetricsError::Setting { what, allowed: "in (0, 1)", got }) }
}
