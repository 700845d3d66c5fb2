//! What can be wrong with a setting. A counter that can't be read is no error: then the energy is estimated.

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EnergyError {
    /// A number that no machine and no grid has.
    #[error("{field} must be {allowed}, got {got}")]
    Field {
        /// The setting.
        field: &'static str,
        /// Its range.
        allowed: &'static str,
        /// What was given.
        got: f64,
    },
}

/// `value`, where it lies from `least` to `most`.
pub(crate) fn within(
    field: &'static str,
    allowed: &'static str,
    value: f64,
    (least, most): (f64, f64),
) -> Result<f64, EnergyError> {
    if value >= least && value <= most { Ok(value) } else { Err(EnergyError::Field { field, allowed, got: value }) }
}
