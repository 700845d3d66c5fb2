//! Random brightness, contrast, saturation and hue, in random order.

use image::RgbImage;
use multiversion::multiversion;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Amount;
use super::color::{self, blend, luma};
use super::values::{Limits, is_wide, uniform};
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

type Change = fn(f64) -> Adjustment;

impl ColorJitter {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        for (name, amount) in
            [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)]
        {
            // A single number above 1 is cut off at 0, a range below 0 is a mistake.
            let limits = if let Amount::One(_) = amount { Limits::Finite } else { Limits::AtLeast(0.0) };
            amount.check(at, name, 1.0, limits)?;
        }
        self.hue.check(at, "hue", 0.0, Limits::Between(-0.5, 0.5))
    }

    /// Every change whose range is more than its neutral value, with that range.
    fn parts(&self) -> impl Iterator<Item = (Change, [f64; 2])> {
        let factors = |amount: Amount| amount.range(1.0).map(|factor| factor.max(0.0));
        let parts: [(Change, [f64; 2], f64); 4] = [
            (Adjustment::Brightness, factors(self.brightness), 1.0),
            (Adjustment::Contrast, factors(self.contrast), 1.0),
            (Adjustment::Saturation, factors(self.saturation), 1.0),
            (Adjustment::Hue, self.hue.range(0.0), 0.0),
        ];
        parts
            .into_iter()
            .filter(|(_, range, neutral)| *range != [*neutral; 2])
            .map(|(change, range, _)| (change, range))
    }

    /// Whether draws can differ; the order of several changes does.
    pub(crate) fn is_random(&self) -> bool {
        self.parts().count() > 1 || self.parts().any(|(_, range)| is_wide(range))
    }

    /// The changes to make, in the order in which to make them. One whose range is nothing but the neutral value is
    /// left out.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> Vec<Adjustment> {
        let mut adjustments: Vec<_> = self.parts().map(|(change, range)| change(uniform(range, rng))).collect();
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
#[multiversion(targets("x86_64+avx2"))]
fn from_level(image: &mut RgbImage, level: u8, factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(level, value as u8, factor));
    for channel in image.iter_mut() {
        *channel = table[usize::from(*channel)];
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn mean_luma(image: &RgbImage) -> u8 {
    let sum: u64 = image.pixels().map(|pixel| u64::from(luma(pixel.0))).sum();
    let count = u64::from(image.width()) * u64::from(image.height());
    (sum as f64 / count as f64 + 0.5) as u8
}

#[multiversion(targets("x86_64+avx2"))]
fn saturate(image: &mut RgbImage, factor: f32) {
    color::saturate(image.as_chunks_mut().0, factor);
}

#[multiversion(targets("x86_64+avx2"))]
fn turn(image: &mut RgbImage, shift: u8) {
    color::turn_hue(image.as_chunks_mut().0, shift);
}
