//! The random crop that is resized to a fixed size.

use image::RgbImage;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::resize::resize_part;
use super::values::{Limits, check_range, log_uniform, uniform};
use super::{Interpolation, PixelBox, Size};
use crate::DataError;

/// Crops a random part of random area and aspect ratio and resizes it: `torchvision.transforms.RandomResizedCrop`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// The size that comes out: one number for a square, or `[height, width]`.
    pub size: Size,
    /// `[min, max]` of the crop's part of the image's area; `[0.08, 1.0]` if not given.
    #[serde(default = "default_scale")]
    pub scale: [f64; 2],
    /// `[min, max]` of the crop's width over its height; `[3/4, 4/3]` if not given.
    #[serde(default = "default_ratio")]
    pub ratio: [f64; 2],
    /// How pixels are mixed; `bilinear` if not given.
    #[serde(default)]
    pub interpolation: Interpolation,
}

fn default_scale() -> [f64; 2] {
    [0.08, 1.0]
}

fn default_ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

impl RandomResizedCrop {
    /// With torchvision's defaults for everything but the size.
    pub fn new(size: Size) -> Self {
        Self { size, scale: default_scale(), ratio: default_ratio(), interpolation: Interpolation::default() }
    }

    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        self.size.check(at)?;
        check_range(at, "scale", self.scale, Limits::PositiveUpTo(1.0))?;
        check_range(at, "ratio", self.ratio, Limits::Positive)
    }

    /// The part of a `height` x `width` image to crop. The area is drawn uniformly, the aspect ratio uniformly in its
    /// logarithm, the place uniformly. A crop that doesn't fit is drawn again; after ten tries it is the largest
    /// central one whose ratio is within bounds.
    pub fn params(&self, height: u32, width: u32, rng: &mut ChaCha8Rng) -> PixelBox {
        let area = f64::from(height) * f64::from(width);
        for _ in 0..10 {
            let target = area * uniform(self.scale, rng);
            let ratio = log_uniform(self.ratio, rng);
            let crop_width = (target * ratio).sqrt().round_ties_even() as u32;
            let crop_height = (target / ratio).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&crop_width) && (1..=height).contains(&crop_height) {
                let top = rng.random_range(0..=height - crop_height);
                let left = rng.random_range(0..=width - crop_width);
                return PixelBox { top, left, height: crop_height, width: crop_width };
            }
        }
        self.central(height, width)
    }

    fn central(&self, height: u32, width: u32) -> PixelBox {
        let [narrowest, widest] = self.ratio;
        let ratio = f64::from(width) / f64::from(height);
        let crop_height = if ratio < narrowest { f64::from(width) / narrowest } else { f64::from(height) };
        let crop_width = if ratio > widest { f64::from(height) * widest } else { f64::from(width) };
        // torchvision fails where this would round to nothing; one pixel is left here.
        let [crop_height, crop_width] = [(crop_height, height), (crop_width, width)]
            .map(|(side, limit)| (side.round_ties_even() as u32).clamp(1.min(limit), limit));
        PixelBox {
            top: (height - crop_height) / 2,
            left: (width - crop_width) / 2,
            height: crop_height,
            width: crop_width,
        }
    }

    /// The part `crop`, which lies inside the image, resized.
    pub fn apply(&self, image: &RgbImage, crop: &PixelBox) -> RgbImage {
        resize_part(image, *crop, self.size.square(), self.interpolation)
    }
}
