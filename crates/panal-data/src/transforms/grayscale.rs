//! Taking the colours away at random.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::color::luma;
use super::values::chance;

/// Replaces every pixel by its luminance with probability `p`: `torchvision.transforms.RandomGrayscale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomGrayscale {
    /// The probability; 0.1 if not given.
    #[serde(default = "tenth")]
    pub p: f64,
}

fn tenth() -> f64 {
    0.1
}

impl RandomGrayscale {
    /// Whether to take the colours away.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> bool {
        chance(self.p, rng)
    }

    /// Takes the colours away if `grey`; the image keeps its three channels.
    pub fn apply(&self, image: &mut RgbImage, grey: bool) {
        if grey {
            for pixel in image.pixels_mut() {
                pixel.0 = [luma(pixel.0); 3];
            }
        }
    }
}
