//! Which augmentations run on the device. How they do lives beside it.

use panal_data::augment::Op;
use panal_data::transforms::Interpolation;

use crate::AugmentError;

/// Refuses the first of `ops`, which stand at `path`, that does not run on the device.
pub(crate) fn check(ops: &[Op], path: &str) -> Result<(), AugmentError> {
    let mut sizing: Option<&Op> = None;
    let mut painted = false;
    for (i, op) in ops.iter().enumerate() {
        let at = format!("{path}[{i}]");
        let why = match op {
            Op::Resize(_) | Op::CenterCrop(_) | Op::RandomResizedCrop(_) if painted => {
                Some("the size must be set before the colours change")
            }
            _ if interpolation(op) == Some(Interpolation::Nearest) => Some("interpolation must be bilinear or bicubic"),
            Op::CenterCrop(_) if matches!(sizing, None | Some(Op::Resize(_))) => None,
            Op::Resize(_) | Op::RandomResizedCrop(_) if sizing.is_none() => None,
            Op::Resize(_) | Op::CenterCrop(_) | Op::RandomResizedCrop(_) => {
                Some("the size must be set once: by resize, center_crop, both in this order, or random_resized_crop")
            }
            Op::RandomHorizontalFlip(_) | Op::RandomVerticalFlip(_) => None,
            Op::RandomApply(op) => {
                check(&op.ops, &format!("{at}.ops"))?;
                None
            }
            Op::ColorJitter(_) | Op::RandomGrayscale(_) | Op::GaussianBlur(_) | Op::RandomErasing(_) => None,
            _ => Some("it is made on the CPU only"),
        };
        if let Some(why) = why {
            return Err(AugmentError::Unsupported { at, op: op.name(), why });
        }
        match op {
            Op::RandomHorizontalFlip(_) | Op::RandomVerticalFlip(_) => {}
            Op::Resize(_) | Op::CenterCrop(_) | Op::RandomResizedCrop(_) => sizing = Some(op),
            _ => painted = true,
        }
    }
    Ok(())
}

/// How the step mixes pixels, if it resizes.
pub(crate) fn interpolation(op: &Op) -> Option<Interpolation> {
    match op {
        Op::Resize(op) => Some(op.interpolation),
        Op::RandomResizedCrop(op) => Some(op.interpolation),
        _ => None,
    }
}
