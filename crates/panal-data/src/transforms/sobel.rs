//! Leaving only an image's edges, at random.

use image::RgbImage;
use multiversion::multiversion;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::color::luma;
use super::flip::half;
use super::values::chance;

/// Replaces an image by the magnitude of its luminance's gradient with probability `p`, as one of the augmentations that
/// SimCLR compares (arXiv 2002.05709, figure 4).
///
/// With `L` the luminance in `0..=255`, as [`RandomGrayscale`](super::RandomGrayscale) has it, in all three channels:
///
/// ```text
///      |-1 0 1|             |-1 -2 -1|
/// gx = |-2 0 2| * L    gy = | 0  0  0| * L    out = min(255, sqrt(gx^2 + gy^2) / 4), to the nearest, a half upwards
///      |-1 0 1|             | 1  2  1|
/// ```
///
/// The division by 4 gives an upright or level edge between two levels their difference. Slanted edges reach 1.12 times
/// that; what is beyond 255 is cut off. Beyond the border the outermost pixels are repeated, so that it is no edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sobel {
    /// The probability; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
}

impl Sobel {
    /// Whether to filter.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> bool {
        chance(self.p, rng)
    }

    /// Leaves only the edges if `filter`; the image keeps its three channels.
    pub fn apply(&self, image: &mut RgbImage, filter: bool) {
        if filter && !image.is_empty() {
            magnitude(image);
        }
    }
}

/// Whole numbers up to the root, whose nearest single-precision number decides no rounding wrongly: the squares are below
/// 2^21, so that two roots are further apart than its last digit.
#[multiversion(targets("x86_64+avx2"))]
fn magnitude(image: &mut RgbImage) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    // With a column before the first and one after the last.
    let bordered = width + 2;
    let mut levels = vec![0i32; bordered * height];
    for (row, pixels) in levels.chunks_exact_mut(bordered).zip(image.chunks_exact(width * 3)) {
        for (level, pixel) in row[1..].iter_mut().zip(pixels.chunks_exact(3)) {
            *level = i32::from(luma([pixel[0], pixel[1], pixel[2]]));
        }
        row[0] = row[1];
        row[width + 1] = row[width];
    }
    let row = |y: usize| &levels[y * bordered..][..bordered];
    for (y, out) in image.chunks_exact_mut(width * 3).enumerate() {
        let (above, here, below) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(height - 1)));
        for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
            let across = |row: &[i32]| row[x + 2] - row[x];
            let down = |x: usize| below[x] - above[x];
            let gx = across(above) + 2 * across(here) + across(below);
            let gy = down(x) + 2 * down(x + 1) + down(x + 2);
            let root = ((gx * gx + gy * gy) as f32).sqrt();
            // A cast from a float stays inside 0..=255 by itself.
            pixel.fill((root * 0.25 + 0.5) as u8);
        }
    }
}
