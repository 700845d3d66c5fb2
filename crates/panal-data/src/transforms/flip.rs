//! Mirroring at random.

use image::{RgbImage, imageops};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::values::chance;

/// Swaps left and right with probability `p`: `torchvision.transforms.RandomHorizontalFlip`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomHorizontalFlip {
    /// The probability; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
}

/// Swaps top and bottom with probability `p`: `torchvision.transforms.RandomVerticalFlip`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomVerticalFlip {
    /// The probability; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
}

pub(crate) fn half() -> f64 {
    0.5
}

impl RandomHorizontalFlip {
    /// Whether to flip.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> bool {
        chance(self.p, rng)
    }

    /// Swaps left and right if `flip`.
    pub fn apply(&self, image: &mut RgbImage, flip: bool) {
        if flip {
            imageops::flip_horizontal_in_place(image);
        }
    }
}

impl RandomVerticalFlip {
    /// Whether to flip.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> bool {
        chance(self.p, rng)
    }

    /// Swaps top and bottom if `flip`.
    pub fn apply(&self, image: &mut RgbImage, flip: bool) {
        if flip {
            imageops::flip_vertical_in_place(image);
        }
    }
}
