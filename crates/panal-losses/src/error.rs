//! What can be wrong with the arguments of a loss. The losses themselves live in their own files.

/// An argument that a loss cannot be computed from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// The logits are not `[N, C]` with at least one row and one class.
    #[error("logits must be [N, C] with N >= 1 and C >= 1, got {got:?}")]
    Logits {
        /// The shape that was given.
        got: Vec<i64>,
    },
    /// The labels are not one 64-bit integer a row of the logits.
    #[error("labels must be [{rows}] of Int64, one for each row of the logits, got {got:?} of {kind:?}")]
    Labels {
        /// How many rows the logits have.
        rows: i64,
        /// The shape that was given.
        got: Vec<i64>,
        /// The element type that was given.
        kind: tch::Kind,
    },
    /// A label names no class.
    #[error("label {value} at position {position} is no class: with {classes} classes, labels go from 0 to {}", classes - 1)]
    Label {
        /// Where in the labels it stands, from 0.
        position: usize,
        /// The label.
        value: i64,
        /// How many classes there are.
        classes: i64,
    },
    /// The label smoothing lies outside its range.
    #[error("label_smoothing must be >= 0 and <= 1, got {0}")]
    LabelSmoothing(f64),
    /// libtorch refused, for example for want of memory.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
