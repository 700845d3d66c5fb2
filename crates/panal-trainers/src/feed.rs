//! What a training step is fed with: images from a loader, or images or features that are at hand. Nothing learns here.

use panal_data::Loader;
use panal_tensor::{Precision, batch_to_tensors, to_device};
use tch::{Device, Tensor};

use crate::TrainError;
use crate::kept::Kept;

/// Batches of one phase of training.
pub(crate) enum Feed {
    /// Images that are asked for anew in every epoch.
    Images(Loader),
    /// What every image is to the network, and its label, `[N]` i64, on the device, in the order that the loader would bring them in.
    AtHand { inputs: AtHand, labels: Tensor, order: Loader },
}

/// Inputs that were made once for a whole phase.
pub(crate) enum AtHand {
    /// The images themselves, in the precision of the phase.
    Images(Kept),
    /// Their features, `[N, d]`.
    Features(Tensor),
}

impl AtHand {
    fn select(&self, numbers: &Tensor) -> Result<Tensor, TrainError> {
        match self {
            Self::Images(images) => images.select(numbers),
            Self::Features(values) => Ok(values.f_index_select(0, numbers)?),
        }
    }
}

/// One batch.
pub(crate) struct Examples {
    /// Images `[B, 3, H, W]` or features `[B, d]`.
    pub(crate) input: Tensor,
    /// Classes, `[B]` i64.
    pub(crate) labels: Tensor,
}

impl Feed {
    /// Batches an epoch.
    pub(crate) fn batches(&self) -> usize {
        match self {
            Feed::Images(loader) | Feed::AtHand { order: loader, .. } => loader.batches(),
        }
    }

    /// The batches of `epoch` from batch `first` on, on `device`; images that are loaded in `precision`, what is at hand as it is.
    pub(crate) fn epoch_from<'a>(
        &'a self,
        epoch: u64,
        first: usize,
        device: Device,
        precision: Precision,
    ) -> Box<dyn Iterator<Item = Result<Examples, TrainError>> + 'a> {
        match self {
            Feed::Images(loader) => Box::new(loader.epoch_from(epoch, first).map(move |batch| {
                let (input, labels) = batch_to_tensors(batch?, device)?;
                Ok(Examples { input: precision.of(&input)?, labels })
            })),
            Feed::AtHand { inputs, labels, order } => {
                let batches: Vec<Vec<i64>> = order
                    .batch_indices(epoch)
                    .skip(first)
                    .map(|batch| batch.iter().map(|&index| index as i64).collect())
                    .collect();
                Box::new(batches.into_iter().map(move |batch| {
                    let numbers = to_device(&Tensor::f_from_slice(&batch)?, device)?;
                    Ok(Examples { input: inputs.select(&numbers)?, labels: labels.f_index_select(0, &numbers)? })
                }))
            }
        }
    }
}
