//! Turning an image by a random number of right angles. Any other angle is `rotation`'s.

use image::{RgbImage, imageops};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::values::chance;

/// Turns an image by 90, 180 or 270 degrees, each as likely as the others, with probability `p`, as one of the
/// augmentations that SimCLR compares (arXiv 2002.05709, figure 4). No pixel is lost or mixed; height and width may change
/// places.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomRotate90 {
    /// The probability; 0.75 if not given, so that all four ways up are equally likely.
    #[serde(default = "three_quarters")]
    pub p: f64,
}

fn three_quarters() -> f64 {
    0.75
}

impl RandomRotate90 {
    /// How many right angles to turn by, counter-clockwise: 0 to 3.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> u8 {
        if chance(self.p, rng) { rng.random_range(1..=3) } else { 0 }
    }

    /// The image turned by so many right angles counter-clockwise.
    pub fn apply(&self, image: &RgbImage, turns: u8) -> RgbImage {
        // The crate `image` turns clockwise.
        match turns % 4 {
            1 => imageops::rotate270(image),
            2 => imageops::rotate180(image),
            3 => imageops::rotate90(image),
            _ => image.clone(),
        }
    }
}
