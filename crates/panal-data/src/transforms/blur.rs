//! Gaussian blur of random strength.

use image::RgbImage;
use multiversion::multiversion;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::values::{Limits, MAX_SIDE, check_range, is_wide, uniform};
use super::{Amount, PadMode};
use crate::DataError;

/// Blurs an image with a Gaussian of random width: `torchvision.transforms.GaussianBlur`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {
    /// How many pixels are mixed: one odd number, or two, `[across, down]`.
    pub kernel_size: KernelSize,
    /// The standard deviation in pixels: one number, or `[min, max]`; `[0.1, 2.0]` if not given.
    #[serde(default = "default_sigma")]
    pub sigma: Amount,
}

fn default_sigma() -> Amount {
    Amount::Between([0.1, 2.0])
}

/// The width and the height of the blurring kernel in pixels, both odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a kernel size in pixels: one odd number or [across, down]")]
pub enum KernelSize {
    /// The same in both directions.
    Square(u32),
    /// `[across, down]`.
    Both([u32; 2]),
}

impl KernelSize {
    /// `[across, down]`.
    pub fn across_down(self) -> [u32; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Both(both) => both,
        }
    }
}

impl GaussianBlur {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        let odd = |side: &u32| side % 2 == 1 && *side < MAX_SIDE;
        if let Some(wrong) = self.kernel_size.across_down().iter().find(|side| !odd(side)) {
            return Err(DataError::field(format!("{at}.kernel_size"), format!("odd and below {MAX_SIDE}"), wrong));
        }
        match self.sigma {
            Amount::One(sigma) if !(sigma > 0.0 && sigma.is_finite()) => {
                Err(DataError::field(format!("{at}.sigma"), "> 0", sigma))
            }
            _ => check_range(at, "sigma", self.sigmas(), Limits::Positive),
        }
    }

    fn sigmas(&self) -> [f64; 2] {
        match self.sigma {
            Amount::One(sigma) => [sigma; 2],
            Amount::Between(range) => range,
        }
    }

    /// Whether draws can differ.
    pub(crate) fn is_random(&self) -> bool {
        is_wide(self.sigmas())
    }

    /// The standard deviation in pixels.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> f64 {
        uniform(self.sigmas(), rng)
    }

    /// The image blurred with standard deviation `sigma`. Beyond its border the image is mirrored at the centre of the
    /// outermost pixels, again and again where it is smaller than the kernel (torchvision refuses such an image).
    pub fn apply(&self, image: &RgbImage, sigma: f64) -> RgbImage {
        let [across, down] = self.kernel_size.across_down().map(|size| kernel(size, sigma as f32));
        convolve(image, &across, &down)
    }
}

/// Rows by `across`, then columns by `down`. The sums are the same whatever instructions the processor has.
#[multiversion(targets("x86_64+avx2"))]
fn convolve(image: &RgbImage, across: &[f32], down: &[f32]) -> RgbImage {
    let (width, height) = image.dimensions();
    let row_length = width as usize * 3;

    // Across: every row, with as much border as the kernel needs, into a row of floats.
    let columns = sources(width, across.len());
    let mut rows = vec![0.0f32; row_length * height as usize];
    let mut bordered = vec![0.0f32; columns.len() * 3];
    for (row, blurred) in image.as_raw().chunks_exact(row_length.max(1)).zip(rows.chunks_exact_mut(row_length.max(1))) {
        for (target, &column) in bordered.chunks_exact_mut(3).zip(&columns) {
            let pixel = &row[column as usize * 3..][..3];
            target.iter_mut().zip(pixel).for_each(|(to, &channel)| *to = f32::from(channel));
        }
        weigh(blurred, across, |i| &bordered[i * 3..][..row_length]);
    }

    // Down: every row of the result is a sum of rows.
    let lines = sources(height, down.len());
    let mut out = RgbImage::new(width, height);
    let mut sum = vec![0.0f32; row_length];
    for (y, target) in out.chunks_exact_mut(row_length.max(1)).enumerate() {
        weigh(&mut sum, down, |i| &rows[lines[y + i] as usize * row_length..][..row_length]);
        target.iter_mut().zip(&sum).for_each(|(to, &value)| *to = to_nearest(value));
    }
    out
}

/// The weights of `size` neighbours, which sum to one, without those at both ends that are too small to show in 8 bits.
fn kernel(size: u32, sigma: f32) -> Vec<f32> {
    const INVISIBLE: f32 = 1e-8;
    let middle = (size as f32 - 1.0) * 0.5;
    let weights: Vec<f32> = (0..size).map(|i| (-0.5 * ((i as f32 - middle) / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let weights: Vec<f32> = weights.into_iter().map(|weight| weight / sum).collect();
    let small = weights.iter().take_while(|weight| **weight < INVISIBLE).count().min(weights.len() / 2);
    weights[small..weights.len() - small].to_vec()
}

/// The nearest whole number, a half to the even one. Adding and taking away 1.5 * 2^23 leaves no place for a fraction.
#[inline(always)]
fn to_nearest(value: f32) -> u8 {
    const NO_FRACTION: f32 = 12_582_912.0;
    ((value + NO_FRACTION) - NO_FRACTION) as u8
}

/// The pixels of an axis together with the mirrored border that a kernel of `size` weights needs.
fn sources(length: u32, size: usize) -> Vec<u32> {
    let border = (size / 2) as i64;
    (-border..i64::from(length) + border).filter_map(|place| PadMode::Reflect.source(place, length)).collect()
}

/// The sum over all weights `i` of `weight * row(i)`, with a few columns at a time so that the sum stays in registers.
#[inline(always)]
fn weigh<'a>(sum: &mut [f32], weights: &[f32], row: impl Fn(usize) -> &'a [f32]) {
    const WIDTH: usize = 32;
    let whole = sum.len() / WIDTH * WIDTH;
    let (blocks, rest) = sum.split_at_mut(whole);
    for (block, sum) in blocks.chunks_exact_mut(WIDTH).enumerate() {
        let mut total = [0.0f32; WIDTH];
        for (i, weight) in weights.iter().enumerate() {
            let values = &row(i)[block * WIDTH..][..WIDTH];
            total.iter_mut().zip(values).for_each(|(total, value)| *total += value * weight);
        }
        sum.copy_from_slice(&total);
    }
    rest.fill(0.0);
    for (i, weight) in weights.iter().enumerate() {
        rest.iter_mut().zip(&row(i)[whole..]).for_each(|(total, value)| *total += value * weight);
    }
}
