//! Where the two views of every image come from: a loader on the CPU, or images and augmentation on the device. Nothing learns here.

use std::sync::Arc;

use panal_augment::{AugmentError, Augmenter, ImageBank};
use panal_data::{AugmentSpec, DataSource, Loader, LoaderSpec};
use panal_tensor::{batch_to_tensors, pixels_for, to_device};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::TrainError;

/// Images that are kept on the device take at most so much of its memory.
const BANK_BYTES: usize = 8 << 30;

/// Where views are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AugmentOn {
    /// On the device where that is none of the CPU's, the images are of one size and its memory holds them, and every step of the
    /// augmentation runs there; else on the CPU.
    #[default]
    Auto,
    /// By threads of the CPU.
    Cpu,
    /// On the device, whatever it is.
    Device,
}

impl AugmentOn {
    /// Whether it is what is meant where nothing is said.
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// Images to learn from, without their labels, and how views are drawn of them.
#[derive(Clone)]
pub struct Views {
    /// The images. Their labels are not looked at.
    pub source: Arc<dyn DataSource>,
    /// What is drawn of each image, for both views unless `second` is given.
    pub augment: AugmentSpec,
    /// What is drawn for the second view, where it is something else; made on the CPU only.
    pub second: Option<AugmentSpec>,
    /// Where views are made.
    pub on: AugmentOn,
}

impl Views {
    /// Every image is at least as large as the crop: smaller ones would be blown up, and learnt as if they were blurred.
    ///
    /// # Errors
    /// [`TrainError::SmallImage`] for the first that is not; an image whose size cannot be read.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let (rows, columns) = self.augment.check()?.size();
        (0..self.source.len()).into_par_iter().try_for_each(|index| {
            let (width, height) = self.source.size(index)?;
            if width.min(height) < rows.min(columns) {
                let id = self.source.id(index);
                return Err(TrainError::SmallImage { id, width, height, rows, columns });
            }
            Ok(())
        })
    }

    /// The micro-batches of one epoch after another, of so many images each.
    pub(super) fn feed(
        &self,
        images: usize,
        seed: u64,
        threads: Option<usize>,
        device: Device,
    ) -> Result<Feed, TrainError> {
        let spec = LoaderSpec {
            views: 2,
            batch: images,
            shuffle: true,
            drop_last: true,
            seed,
            threads,
            ..LoaderSpec::default()
        };
        let mut loader = Loader::new(self.source.clone(), self.augment.check()?, spec)?.writing_to(pixels_for(device));
        if let Some(second) = &self.second {
            loader = loader.with_second_view(second.check()?)?;
        }
        let make = match self.on(device)? {
            Some((bank, augmenter)) => Make::OnDevice { bank, augmenter, seed },
            None => Make::OnCpu(device),
        };
        Ok(Feed { loader, make })
    }

    /// Whether the images have one size, and the device's memory may well hold them: a batch of images of several sizes takes
    /// room for each as for the largest.
    fn fits(&self) -> Result<bool, TrainError> {
        let (width, height) = self.source.size(0)?;
        let alike = (0..self.source.len())
            .into_par_iter()
            .map(|index| self.source.size(index).map(|size| size == (width, height)))
            .try_reduce(|| true, |all, one| Ok(all && one))?;
        Ok(alike && self.source.len() * 3 * width as usize * height as usize <= BANK_BYTES)
    }

    /// Images and augmentation on the device, where views are to be made there.
    fn on(&self, device: Device) -> Result<Option<(ImageBank, Augmenter)>, TrainError> {
        let wanted = match self.on {
            AugmentOn::Auto => device != Device::Cpu && self.second.is_none(),
            AugmentOn::Cpu => false,
            AugmentOn::Device if self.second.is_some() => {
                return Err(TrainError::Spec {
                    field: "augment_on".into(),
                    allowed: "`cpu` or `auto` where the second view is made in another way".into(),
                    got: "device".into(),
                });
            }
            AugmentOn::Device => true,
        };
        if !wanted {
            return Ok(None);
        }
        if self.on == AugmentOn::Auto && !self.fits()? {
            return Ok(None);
        }
        let made = Augmenter::new(&self.augment, device)
            .and_then(|augmenter| Ok((ImageBank::new(self.source.as_ref(), device, BANK_BYTES)?, augmenter)));
        match made {
            Ok(made) => Ok(Some(made)),
            Err(AugmentError::Unsupported { .. } | AugmentError::Tensor(_)) if self.on == AugmentOn::Auto => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What micro-batches are made from.
pub(super) struct Feed {
    /// Loads the images, or only says in which order they come.
    loader: Loader,
    make: Make,
}

enum Make {
    OnCpu(Device),
    OnDevice { bank: ImageBank, augmenter: Augmenter, seed: u64 },
}

impl Feed {
    /// The steps of `epoch` from number `first` on, of so many micro-batches each.
    pub(super) fn steps_from(&self, epoch: u64, first: usize, each: usize) -> Steps<'_> {
        let first = first * each;
        let parts: Box<dyn Iterator<Item = _>> = match &self.make {
            Make::OnCpu(device) => Box::new(self.loader.epoch_from(epoch, first).map(|batch| {
                let (views, _) = batch_to_tensors(batch?, Device::Cpu)?;
                Ok(Part::Made { views, device: *device })
            })),
            Make::OnDevice { bank, augmenter, seed } => {
                let batches = self.loader.batch_indices(epoch).skip(first);
                Box::new(batches.map(move |images| Ok(Part::ToDraw { bank, augmenter, images, epoch, seed: *seed })))
            }
        };
        Steps { parts, each, ahead: None }
    }
}

/// The micro-batches of one step after another.
pub(super) struct Steps<'a> {
    parts: Box<dyn Iterator<Item = Result<Part<'a>, TrainError>> + 'a>,
    each: usize,
    /// Those of the next step, where they were got ahead.
    ahead: Option<Vec<Part<'a>>>,
}

impl<'a> Steps<'a> {
    /// The micro-batches of the next step.
    pub(super) fn take(&mut self) -> Result<Vec<Part<'a>>, TrainError> {
        match self.ahead.take() {
            Some(parts) => Ok(parts),
            None => self.parts.by_ref().take(self.each).collect(),
        }
    }

    /// Gets them while the device computes; the views of a step that has one part go there as well.
    pub(super) fn prepare(&mut self) -> Result<(), TrainError> {
        let mut parts = self.take()?;
        if let [part] = &mut parts[..] {
            let views = part.views()?;
            *part = Part::Made { device: views.device(), views };
        }
        self.ahead = Some(parts);
        Ok(())
    }
}

/// The two views of the images of a micro-batch, off the device until they are asked for: a step that takes two passes holds all
/// of its batch so, and the device one part at a time.
pub(super) enum Part<'a> {
    /// Made already, on the host or on the device.
    Made { views: Tensor, device: Device },
    /// To be made on the device. Draws have keys, so that they are the same each time.
    ToDraw { bank: &'a ImageBank, augmenter: &'a Augmenter, images: Vec<usize>, epoch: u64, seed: u64 },
}

impl Part<'_> {
    /// The views on the device: `[2M, 3, H, W]`, those of an image adjacent; the same values each time.
    pub(super) fn views(&self) -> Result<Tensor, TrainError> {
        match self {
            Self::Made { views, device } => Ok(to_device(views, *device)?),
            Self::ToDraw { bank, augmenter, images, epoch, seed } => {
                Ok(augmenter.views(bank, images, *epoch, 2, *seed)?)
            }
        }
    }
}
