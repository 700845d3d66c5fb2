//! Random brightness, contrast, saturation and hue, in random order.

use image::RgbImage;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Amount;
use super::color::{blend, hsv_to_rgb, luma, rgb_to_hsv};
use super::values::uniform;
use crate::DataError;

/// Changes the colours of an image at random: `torchvision.transforms.ColorJitter`.
///
/// A single number `x` stands for factors from `max(0, 1 - x)` to `1 + x`; for `hue`, from `-x` to `x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Factors of the brightness; unchanged if not given.
    #[serde(default)]
    pub brightness: Amount,
    /// Factors of the contrast; unchanged if not given.
    #[serde(default)]
    pub contrast: Amount,
    /// Factors of the saturation; unchanged if not given.
    #[serde(default)]
    pub saturation: Amount,
    /// Shifts of the hue, within `[-0.5, 0.5]`, where 1 is once around the colour circle; unchanged if not given.
    #[serde(default)]
    pub hue: Amount,
}

/// One change of the colours; `apply` makes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjustment {
    /// 0 is black, 1 changes nothing.
    Brightness(f64),
    /// 0 is the mean grey level everywhere, 1 changes nothing.
    Contrast(f64),
    /// 0 is a grey image, 1 changes nothing.
    Saturation(f64),
    /// A shift along the colour circle, once around being 1; 0 changes nothing but what 8-bit HSV rounds.
    Hue(f64),
}

impl ColorJitter {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        for (name, amount) in
            [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)]
        {
            match amount {
                Amount::One(x) => Amount::One(x).check(at, name, 1.0, [f64::MIN, f64::MAX])?,
                amount => amount.check(at, name, 1.0, [0.0, f64::MAX])?,
            }
        }
        self.hue.check(at, "hue", 0.0, [-0.5, 0.5])
    }

    /// The changes to make, in the order in which to make them. One whose range is nothing but the neutral value is
    /// left out.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> Vec<Adjustment> {
        let factor = |amount: Amount, rng: &mut ChaCha8Rng| {
            let [min, max] = amount.range(1.0);
            let range = [min.max(0.0), max];
            (range != [1.0, 1.0]).then(|| uniform(range, rng))
        };
        let shift = |amount: Amount, rng: &mut ChaCha8Rng| {
            let range = amount.range(0.0);
            (range != [0.0, 0.0]).then(|| uniform(range, rng))
        };
        let mut adjustments: Vec<_> = [
            factor(self.brightness, rng).map(Adjustment::Brightness),
            factor(self.contrast, rng).map(Adjustment::Contrast),
            factor(self.saturation, rng).map(Adjustment::Saturation),
            shift(self.hue, rng).map(Adjustment::Hue),
        ]
        .into_iter()
        .flatten()
        .collect();
        adjustments.shuffle(rng);
        adjustments
    }

    /// Makes the changes one after the other.
    pub fn apply(&self, image: &mut RgbImage, adjustments: &[Adjustment]) {
        for adjustment in adjustments {
            adjustment.apply(image);
        }
    }
}

impl Adjustment {
    /// Makes the change, as `adjust_brightness`, `adjust_contrast`, `adjust_saturation` and `adjust_hue` of
    /// `torchvision.transforms.functional` on a PIL image.
    pub fn apply(self, image: &mut RgbImage) {
        match self {
            Self::Brightness(factor) => from_level(image, 0, factor as f32),
            Self::Contrast(factor) => from_level(image, mean_luma(image), factor as f32),
            Self::Saturation(factor) => saturate(image, factor as f32),
            Self::Hue(shift) => turn(image, (shift * 255.0) as i32 as u8),
        }
    }
}

/// Moves every channel towards one grey level, or away from it.
fn from_level(image: &mut RgbImage, level: u8, factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(level, value as u8, factor));
    for channel in image.iter_mut() {
        *channel = table[usize::from(*channel)];
    }
}

fn mean_luma(image: &RgbImage) -> u8 {
    let sum: u64 = image.pixels().map(|pixel| u64::from(luma(pixel.0))).sum();
    let count = u64::from(image.width()) * u64::from(image.height());
    (sum as f64 / count as f64 + 0.5) as u8
}

fn saturate(image: &mut RgbImage, factor: f32) {
    for pixel in image.pixels_mut() {
        let grey = luma(pixel.0);
        pixel.0 = pixel.0.map(|channel| blend(grey, channel, factor));
    }
}

fn turn(image: &mut RgbImage, shift: u8) {
    for pixel in image.pixels_mut() {
        let [hue, saturation, value] = rgb_to_hsv(pixel.0);
        pixel.0 = hsv_to_rgb([hue.wrapping_add(shift), saturation, value]);
    }
}
