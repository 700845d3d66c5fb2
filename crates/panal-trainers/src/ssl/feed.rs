//! Where the two views of every image come from: a loader on the CPU, or images and augmentation on the device. Nothing learns here.

use std::sync::Arc;

use panal_data::{DataSource, Loader, LoaderSpec, Pipeline};
use panal_tensor::{batch_to_tensors, tensor_pixels};
use rayon::prelude::*;
use tch::{Device, Tensor};

use crate::TrainError;

/// Images to learn from, without their labels, and how views are drawn of them.
#[derive(Clone)]
pub struct Views {
    /// The images. Their labels are not looked at.
    pub source: Arc<dyn DataSource>,
    /// What is drawn of each image, for both views unless `second` is given.
    pub pipeline: Pipeline,
    /// What is drawn for the second view, where it is something else.
    pub second: Option<Pipeline>,
}

impl Views {
    /// Every image is at least as large as the crop: smaller ones would be blown up, and learnt as if they were blurred.
    ///
    /// # Errors
    /// [`TrainError::SmallImage`] for the first that is not; an image whose size cannot be read.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let (rows, columns) = self.pipeline.size();
        (0..self.source.len()).into_par_iter().try_for_each(|index| {
            let (width, height) = self.source.size(index)?;
            if width.min(height) < rows.min(columns) {
                let id = self.source.id(index);
                return Err(TrainError::SmallImage { id, width, height, rows, columns });
            }
            Ok(())
        })
    }

    /// The micro-batches of one epoch after another.
    pub(super) fn feed(&self, images: usize, seed: u64, threads: Option<usize>) -> Result<Feed, TrainError> {
        let spec = LoaderSpec {
            views: 2,
            batch: images,
            shuffle: true,
            drop_last: true,
            seed,
            threads,
            ..LoaderSpec::default()
        };
        let mut loader = Loader::new(self.source.clone(), self.pipeline.clone(), spec)?.writing_to(tensor_pixels);
        if let Some(second) = &self.second {
            loader = loader.with_second_view(second.clone())?;
        }
        Ok(Feed { loader })
    }
}

/// Micro-batches of views.
pub(super) struct Feed {
    loader: Loader,
}

impl Feed {
    /// The views of `epoch` from micro-batch `first` on, each `[2M, 3, H, W]`, those of an image adjacent.
    pub(super) fn epoch_from(
        &self,
        epoch: u64,
        first: usize,
        device: Device,
    ) -> impl Iterator<Item = Result<Tensor, TrainError>> + '_ {
        self.loader.epoch_from(epoch, first).map(move |batch| Ok(batch_to_tensors(batch?, device)?.0))
    }
}
