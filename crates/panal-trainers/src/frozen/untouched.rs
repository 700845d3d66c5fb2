//! The guard that a backbone is the same after some work as before it. What the work is, the caller says.

use panal_models::Classifier;

use crate::TrainError;

/// Does `work` and proves that it left every parameter and buffer of the backbone as it was, to the bit; the head may move.
///
/// The proof is [`Classifier::backbone_digest`] before and after.
///
/// # Errors
/// What `work` returns; [`TrainError::BackboneMoved`] where the digests differ.
pub fn untouched<T>(
    model: &mut Classifier,
    work: impl FnOnce(&mut Classifier) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let before = model.backbone_digest()?;
    let result = work(model)?;
    let after = model.backbone_digest()?;
    if before == after { Ok(result) } else { Err(TrainError::BackboneMoved { before, after }) }
}
