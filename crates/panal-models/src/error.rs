//! What can go wrong with a model, each case one message that names what was found and what was wanted.

use std::path::PathBuf;

use panal_tensor::TensorError;

use crate::Arch;

/// A spec, weights or images that a model cannot take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A name that is no architecture.
    #[error("unknown model `{name}`{hint}\n  = the models are {}", Arch::names().join(", "))]
    UnknownArch {
        /// The name that was given.
        name: String,
        /// Empty, or the nearest name, as `: did you mean ...?`.
        hint: String,
    },
    /// A field of a [`ModelSpec`](crate::ModelSpec) outside its range.
    #[error("{field} must be {allowed}, got {got}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its range.
        allowed: String,
        /// What was given.
        got: String,
    },
    /// Weights of another network. Nothing was loaded.
    #[error("{}: these are weights for {found}, not {arch}: first mismatch: {mismatch}", origin.display())]
    WrongWeights {
        /// The file.
        origin: PathBuf,
        /// The network they seem to belong to.
        found: String,
        /// The network they were to be loaded into.
        arch: Arch,
        /// The first tensor that differs, and how.
        mismatch: String,
    },
    /// Weights that were to fill the whole network, head included, and do not. Nothing was loaded.
    #[error("{}: these weights do not fill {arch} with {classes} classes: first mismatch: {mismatch}", origin.display())]
    NotExact {
        /// The file.
        origin: PathBuf,
        /// The network.
        arch: Arch,
        /// Its number of classes.
        classes: usize,
        /// The first tensor that differs, and how.
        mismatch: String,
    },
    /// Input of a shape, element type or device that the network cannot take.
    #[error("{what} must be {expected}, got {got}")]
    Input {
        /// Which argument.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// libtorch, or the weights themselves, for example a NaN among them.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
