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
    /// The labels are not one 64-bit integer a row.
    #[error("labels must be [{rows}] of Int64, one for each row, got {got:?} of {kind:?}")]
    Labels {
        /// How many rows the logits or the embeddings have.
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
    /// Embeddings that are not a matrix of floating point numbers.
    #[error(
        "{name} must be [rows, d] with rows >= 1 and d >= 1, of Half, BFloat16, Float or Double, got {got:?} of {kind:?}"
    )]
    Embeddings {
        /// Which argument it is.
        name: &'static str,
        /// The shape that was given.
        got: Vec<i64>,
        /// The element type that was given.
        kind: tch::Kind,
    },
    /// The rows are not two views each of at least two images.
    #[error("z must have two rows for each of at least two images: an even number of rows >= 4, got {rows}")]
    Pairs {
        /// How many rows were given.
        rows: i64,
    },
    /// An argument has another number of rows than the queries.
    #[error("{name} must have {expected} rows, one for each query, got {got}")]
    Rows {
        /// Which argument it is.
        name: &'static str,
        /// How many queries there are.
        expected: i64,
        /// How many rows were given.
        got: i64,
    },
    /// Rows of one argument are longer or shorter than those they are compared with.
    #[error("{name} must have rows of {expected} numbers, got rows of {got}")]
    Width {
        /// Which argument it is.
        name: &'static str,
        /// How many numbers a row of the others has.
        expected: i64,
        /// How many were given.
        got: i64,
    },
    /// Two arguments lie on different devices.
    #[error("{name} must be on {expected:?} as the other arguments are, got {got:?}")]
    Device {
        /// Which argument it is.
        name: &'static str,
        /// Where the others are.
        expected: tch::Device,
        /// Where it is.
        got: tch::Device,
    },
    /// A temperature that nothing can be divided by.
    #[error("temperature must be > 0 and finite, got {0}")]
    Temperature(f64),
    /// A margin that is none.
    #[error("margin must be >= 0 and finite, got {0}")]
    Margin(f64),
    /// A row whose label no other row has, so that there is nothing to pull it to.
    #[error(
        "row {row} has no positive: no other row has its label {label}; leave it out, or give two views of each image"
    )]
    NoPositive {
        /// Which row, from 0.
        row: usize,
        /// Its label.
        label: i64,
    },
    /// A position that lies outside its queue.
    #[error("position must be >= 0 and < {keys}, the number of keys in the queue, got {got}")]
    Position {
        /// How many keys the queue holds.
        keys: i64,
        /// The position that was given.
        got: i64,
    },
    /// libtorch refused, for example for want of memory.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
