//! Erasing a random rectangle of a normalised image.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::PixelBox;
use super::flip::half;
use super::values::{Limits, chance, check_fraction, check_range, log_uniform, uniform};
use crate::DataError;

/// Erases a random rectangle of a normalised image with probability `p`: `torchvision.transforms.RandomErasing`
/// (Random Erasing Data Augmentation, arXiv 1708.04896).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomErasing {
    /// The probability; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
    /// `[min, max]` of the rectangle's part of the image's area; `[0.02, 0.33]` if not given.
    #[serde(default = "default_scale")]
    pub scale: [f64; 2],
    /// `[min, max]` of the rectangle's height over its width; `[0.3, 3.3]` if not given.
    #[serde(default = "default_ratio")]
    pub ratio: [f64; 2],
    /// What stands in the rectangle, after normalisation; 0 if not given.
    #[serde(default)]
    pub value: EraseValue,
}

fn default_scale() -> [f64; 2] {
    [0.02, 0.33]
}

fn default_ratio() -> [f64; 2] {
    [0.3, 3.3]
}

/// What stands in an erased rectangle, after normalisation: one number, `[red, green, blue]`, or `"random"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected one number, [red, green, blue] or \"random\"")]
pub enum EraseValue {
    /// The same in every channel.
    Grey(f32),
    /// `[red, green, blue]`.
    Rgb([f32; 3]),
    /// A standard normal draw in every channel of every pixel.
    Noise(Random),
}

/// The word `"random"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Random {
    /// The word `"random"`.
    Random,
}

impl Default for EraseValue {
    fn default() -> Self {
        Self::Grey(0.0)
    }
}

/// A rectangle to erase, and what to put there.
#[derive(Clone, Debug, PartialEq)]
pub struct EraseParams {
    /// The rectangle.
    pub area: PixelBox,
    /// Repeated over the rectangle, row by row, channel by channel: three values for one colour, or one for every
    /// channel of every pixel.
    pub values: Vec<f32>,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self { p: half(), scale: default_scale(), ratio: default_ratio(), value: EraseValue::default() }
    }
}

impl RandomErasing {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        check_fraction(at, "p", self.p)?;
        check_range(at, "scale", self.scale, Limits::Between(0.0, 1.0))?;
        check_range(at, "ratio", self.ratio, Limits::Positive)?;
        let values = match self.value {
            EraseValue::Grey(value) => [value; 3],
            EraseValue::Rgb(values) => values,
            EraseValue::Noise(_) => return Ok(()),
        };
        match values.into_iter().find(|value| !value.is_finite()) {
            Some(value) => Err(DataError::field(format!("{at}.value"), "finite", value)),
            None => Ok(()),
        }
    }

    /// What to erase of a `height` x `width` image, if anything. The area is drawn uniformly, the aspect ratio
    /// uniformly in its logarithm, the place uniformly; nothing is erased where ten tries give no rectangle that is
    /// smaller than the image on both axes.
    pub fn params(&self, height: u32, width: u32, rng: &mut ChaCha8Rng) -> Option<EraseParams> {
        if !chance(self.p, rng) {
            return None;
        }
        let whole = f64::from(height) * f64::from(width);
        for _ in 0..10 {
            let target = whole * uniform(self.scale, rng);
            let ratio = log_uniform(self.ratio, rng);
            let rows = (target * ratio).sqrt().round_ties_even() as u32;
            let columns = (target / ratio).sqrt().round_ties_even() as u32;
            if rows < height && columns < width {
                let values = match self.value {
                    EraseValue::Grey(value) => vec![value; 3],
                    EraseValue::Rgb(values) => values.to_vec(),
                    EraseValue::Noise(_) => {
                        (0..rows as usize * columns as usize * 3).map(|_| rng.sample(StandardNormal)).collect()
                    }
                };
                let top = rng.random_range(0..=height - rows);
                let left = rng.random_range(0..=width - columns);
                return Some(EraseParams { area: PixelBox { top, left, height: rows, width: columns }, values });
            }
        }
        None
    }

    /// Puts the values into the rectangle of `pixels`, which are rows of `width` pixels of three channels (NHWC).
    pub fn apply(&self, pixels: &mut [f32], width: u32, params: &EraseParams) {
        let PixelBox { top, left, height, width: columns } = params.area;
        let row_length = width as usize * 3;
        let mut values = params.values.iter().copied().cycle();
        for row in pixels.chunks_exact_mut(row_length.max(1)).skip(top as usize).take(height as usize) {
            row[left as usize * 3..][..columns as usize * 3]
                .iter_mut()
                .zip(&mut values)
                .for_each(|(to, value)| *to = value);
        }
    }
}
