//! What a training step is fed with: images from a loader, or features that were computed once. Nothing learns here.

use panal_data::Loader;
use panal_tensor::{Precision, batch_to_tensors, to_device};
use tch::{Device, Tensor};

use crate::TrainError;

/// Batches of one phase of training.
pub(crate) enum Feed {
    /// Images, loaded and transformed anew in every epoch.
    Images(Loader),
    /// Features `[N, d]` and labels `[N]` of every image, in the order that the loader would bring the images in.
    Features { values: Tensor, labels: Tensor, order: Loader },
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
            Feed::Images(loader) | Feed::Features { order: loader, .. } => loader.batches(),
        }
    }

    /// The batches of `epoch` from batch `first` on, on `device`; images in `precision`, features as they are.
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
            Feed::Features { values, labels, order } => {
                let batches: Vec<Vec<i64>> = order
                    .batch_indices(epoch)
                    .skip(first)
                    .map(|batch| batch.iter().map(|&index| index as i64).collect())
                    .collect();
                Box::new(batches.into_iter().map(move |batch| {
                    let rows = to_device(&Tensor::f_from_slice(&batch)?, values.device())?;
                    Ok(Examples { input: values.f_index_select(0, &rows)?, labels: labels.f_index_select(0, &rows)? })
                }))
            }
        }
    }
}
