//! Hiding a random square of an image.

use image::RgbImage;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Fill, PixelBox};
use crate::DataError;

/// Puts one colour into a square at a random place (Improved Regularization of Convolutional Neural Networks with Cutout,
/// arXiv 1708.04552, section 3). As there, the middle of the square may be any pixel, so that part of the square may lie
/// outside the image.
///
/// Unlike [`RandomErasing`](super::RandomErasing) it works on 8-bit pixels, so that other steps may follow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutout {
    /// The square's side as a part of the image's shorter side, in `(0, 1]`; 0.5 if not given, the paper's 16 of 32 pixels
    /// for CIFAR-10. A part and not pixels, so that it means the same before and after a resize.
    #[serde(default = "half")]
    pub size: f64,
    /// What the square shows; `[124, 116, 104]` if not given, ImageNet's mean colour, which is almost 0 once normalised.
    #[serde(default = "mean_colour")]
    pub fill: Fill,
}

fn half() -> f64 {
    0.5
}

fn mean_colour() -> Fill {
    Fill::Rgb([124, 116, 104])
}

impl Default for Cutout {
    fn default() -> Self {
        Self { size: half(), fill: mean_colour() }
    }
}

impl Cutout {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        if self.size > 0.0 && self.size <= 1.0 {
            return Ok(());
        }
        Err(DataError::field(format!("{at}.size"), "in (0, 1]", self.size))
    }

    /// The part of the square that lies in a `height` x `width` image. The side is rounded to whole pixels, of which there
    /// is at least one; the pixel in the middle (the one after it where the side is even) is drawn uniformly.
    pub fn params(&self, height: u32, width: u32, rng: &mut ChaCha8Rng) -> PixelBox {
        let side = ((self.size * f64::from(height.min(width))).round() as u32).clamp(1, height.min(width).max(1));
        let mut axis = |length: u32| {
            let middle = rng.random_range(0..length.max(1));
            let start = middle.saturating_sub(side / 2);
            (start, (middle + side - side / 2).min(length) - start)
        };
        let ((top, rows), (left, columns)) = (axis(height), axis(width));
        PixelBox { top, left, height: rows, width: columns }
    }

    /// Fills `area`, or what of it lies inside the image.
    pub fn apply(&self, image: &mut RgbImage, area: &PixelBox) {
        let row_length = (image.width() as usize * 3).max(1);
        let fill = self.fill.rgb();
        for row in image.chunks_exact_mut(row_length).skip(area.top as usize).take(area.height as usize) {
            let pixels = row.chunks_exact_mut(3).skip(area.left as usize).take(area.width as usize);
            pixels.for_each(|pixel| pixel.copy_from_slice(&fill.0));
        }
    }
}
