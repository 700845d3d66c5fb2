//! The augmentation that a user writes down (`AugmentSpec`) and its check. Running it lives in `pipeline`, the single
//! steps in `transforms`.

mod draw;
mod op;
mod pipeline;

use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::transforms::{
    Amount, CenterCrop, ColorJitter, GaussianBlur, IMAGENET_MEAN, IMAGENET_STD, KernelSize, RandomGrayscale,
    RandomHorizontalFlip, RandomResizedCrop, Resize, Size,
};

pub use draw::Drawn;
pub use op::{Op, RandomApply};
pub use pipeline::Pipeline;

/// How an image of any size becomes a normalised one of a fixed size. As TOML:
///
/// ```toml
/// ops = [
///     { op = "random_resized_crop", size = 224, scale = [0.08, 1.0] },
///     { op = "horizontal_flip", p = 0.5 },
///     { op = "color_jitter", brightness = 0.2, contrast = 0.2, saturation = 0.2 },
/// ]
/// mean = [0.485, 0.456, 0.406]
/// std = [0.229, 0.224, 0.225]
/// ```
///
/// What each `op` can be, and the fields that it takes, is listed under [`Op`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSpec {
    /// The steps, in order. They must end in a fixed size, whatever the image's was.
    pub ops: Vec<Op>,
    /// The mean of each channel, red first, of pixels in `[0, 1]`; ImageNet's if not given.
    #[serde(default = "imagenet_mean")]
    pub mean: [f64; 3],
    /// The standard deviation of each channel, red first, of pixels in `[0, 1]`; ImageNet's if not given.
    #[serde(default = "imagenet_std")]
    pub std: [f64; 3],
}

fn imagenet_mean() -> [f64; 3] {
    IMAGENET_MEAN
}

fn imagenet_std() -> [f64; 3] {
    IMAGENET_STD
}

impl AugmentSpec {
    /// The given steps, and ImageNet's mean and standard deviation.
    pub fn new(ops: Vec<Op>) -> Self {
        Self { ops, mean: IMAGENET_MEAN, std: IMAGENET_STD }
    }

    /// No augmentation: the shorter side becomes `resize` pixels and the middle `crop` x `crop` are cut out.
    /// ImageNet models are evaluated with 256 and 224.
    pub fn plain(resize: u32, crop: u32) -> Self {
        Self::new(vec![
            Op::Resize(Resize { size: Size::Side(resize), interpolation: Default::default() }),
            Op::CenterCrop(CenterCrop { size: Size::Side(crop) }),
        ])
    }

    /// The usual augmentation of supervised training, three transforms: a random crop resized to `crop` x `crop`,
    /// a horizontal flip every other time, and brightness, contrast and saturation jittered by up to 0.2.
    pub fn supervised(crop: u32) -> Self {
        let amount = Amount::One(0.2);
        Self::new(vec![
            Op::RandomResizedCrop(RandomResizedCrop::new(Size::Side(crop))),
            Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 0.5 }),
            Op::ColorJitter(ColorJitter {
                brightness: amount,
                contrast: amount,
                saturation: amount,
                ..ColorJitter::default()
            }),
        ])
    }

    /// The augmentations of SimCLR (arXiv 2002.05709, appendix A): a random crop resized to `crop` x `crop`, a horizontal
    /// flip every other time, colours jittered with probability 0.8 (brightness, contrast and saturation by up to
    /// `0.8 * strength`, hue by up to `0.2 * strength`), no colours with probability 0.2, and with probability 0.5 a
    /// Gaussian blur whose kernel is a tenth of the side.
    pub fn simclr(crop: u32, strength: f64) -> Self {
        let amount = Amount::One(0.8 * strength);
        let jitter =
            ColorJitter { brightness: amount, contrast: amount, saturation: amount, hue: Amount::One(0.2 * strength) };
        // Odd, since a kernel has a middle.
        let kernel_size = KernelSize::Square(crop / 10 / 2 * 2 + 1);
        let sometimes = |p, op| Op::RandomApply(RandomApply { p, ops: vec![op] });
        Self::new(vec![
            Op::RandomResizedCrop(RandomResizedCrop::new(Size::Side(crop))),
            Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 0.5 }),
            sometimes(0.8, Op::ColorJitter(jitter)),
            Op::RandomGrayscale(RandomGrayscale { p: 0.2 }),
            sometimes(0.5, Op::GaussianBlur(GaussianBlur { kernel_size, sigma: Amount::Between([0.1, 2.0]) })),
        ])
    }

    /// The pipeline that does this.
    ///
    /// # Errors
    /// [`DataError::Field`] naming the first field that is out of range, for example
    /// `ops[1].p must be in [0, 1], got 1.5`, or saying that the steps don't end in a fixed size or stand in an
    /// impossible order.
    pub fn check(&self) -> Result<Pipeline, DataError> {
        let mut size = None;
        let mut erasing = false;
        for (i, op) in self.ops.iter().enumerate() {
            let at = format!("ops[{i}]");
            op.check(&at)?;
            if erasing && !op.is_erasing() {
                return Err(DataError::field(
                    at,
                    "random_erasing, for nothing else can follow random_erasing",
                    op.name(),
                ));
            }
            erasing |= op.is_erasing();
            size = op.size_after(size);
        }
        let Some(size) = size else {
            let last = self.ops.iter().enumerate().rfind(|(_, op)| op.changes_size());
            return Err(DataError::field(
                "ops",
                "steps that end in one size for every image (add center_crop, random_resized_crop or a resize to [height, width])",
                match last {
                    Some((i, op)) => format!("ops[{i}] `{op}` as the last that changes the size"),
                    None => "no step that sets the size".to_owned(),
                },
            ));
        };
        if let Some(wrong) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(DataError::field("mean", "three finite numbers", wrong));
        }
        if let Some(wrong) = self.std.iter().find(|std| !(**std > 0.0 && std.is_finite())) {
            return Err(DataError::field("std", "three numbers > 0", wrong));
        }
        Ok(Pipeline::new(self, size))
    }
}
