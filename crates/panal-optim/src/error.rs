//! What can be wrong with a specification, with parameters or with a saved state.

use thiserror::Error;

/// An optimizer or schedule that cannot be made, stepped or restored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A setting is outside its range.
    #[error("{field} must be {allowed}, got {got}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What is allowed.
        allowed: &'static str,
        /// The value.
        got: f64,
    },
    /// Nesterov's form asks for momentum.
    #[error("nesterov = true needs momentum > 0, got momentum = 0; set a momentum or leave nesterov out")]
    Nesterov,
    /// There is nothing to optimize.
    #[error("no parameters were given; at least one is needed")]
    NoParameters,
    /// Two parameters have one name, so that their states could not be told apart.
    #[error("parameter {name} was given twice; each name must be unique over all groups")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A tensor was computed from others, so that it never gets a gradient of its own.
    #[error(
        "parameter {name} is not a leaf: it was computed from other tensors; hand in the tensor it was computed from"
    )]
    NotLeaf {
        /// The parameter.
        name: String,
    },
    /// The elements of a tensor don't fill a stretch of memory, each place once, as those of a slice or of an expanded tensor.
    #[error(
        "parameter {name} is not dense: there are gaps between its elements, or some share a place; hand in a copy of it"
    )]
    NotDense {
        /// The parameter.
        name: String,
    },
    /// A saved state lacks a tensor.
    #[error("the saved state has no {name}; it was saved from other parameters or by another optimizer")]
    StateMissing {
        /// The tensor.
        name: String,
    },
    /// A saved state holds a tensor that this optimizer has no use for.
    #[error(
        "the saved state holds {name}, which this optimizer does not have; it was saved from other parameters or by another optimizer"
    )]
    StateUnexpected {
        /// The tensor.
        name: String,
    },
    /// A tensor of a saved state has another shape or type than the optimizer's.
    #[error("{name} of the saved state must be {expected}, got {got}")]
    StateMismatch {
        /// The tensor.
        name: String,
        /// Type and shape here.
        expected: String,
        /// Type and shape in the saved state.
        got: String,
    },
    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] tch::TchError),
}

/// Refuses a setting that is not in its range.
pub(crate) fn ensure(ok: bool, field: &'static str, allowed: &'static str, got: f64) -> Result<(), OptimError> {
    if ok { Ok(()) } else { Err(OptimError::Setting { field, allowed, got }) }
}

/// Refuses NaN, the infinities and numbers below 0.
pub(crate) fn ensure_non_negative(field: &'static str, got: f64) -> Result<(), OptimError> {
    ensure(got >= 0.0 && got.is_finite(), field, "a finite number >= 0", got)
}
