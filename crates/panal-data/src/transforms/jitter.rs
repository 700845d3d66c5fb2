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

#[cfg(test)]
mod tests {
    use super::super::color::tests::hsv_to_rgb_of_pillow;
    use super::*;

    /// The arithmetic of Pillow's Convert.c written out, with C's own functions.
    fn turned_by_pillow([r, g, b]: [u8; 3], shift: u8) -> [u8; 3] {
        let (max, min) = (r.max(g).max(b), r.min(g).min(b));
        if max == min {
            return [max; 3];
        }
        let spread = f32::from(max - min);
        let [rc, gc, bc] = [r, g, b].map(|channel: u8| f32::from(max - channel) / spread);
        let sextant = if r == max {
            bc - gc
        } else if g == max {
            (2.0 + f64::from(rc) - f64::from(bc)) as f32
        } else {
            (4.0 + f64::from(gc) - f64::from(rc)) as f32
        };
        let hue = ((f64::from(sextant) / 6.0 + 1.0) % 1.0) as f32;
        let hue = ((f64::from(hue) * 255.0) as u8).wrapping_add(shift);
        let saturation = (f64::from(spread / f32::from(max)) * 255.0) as u8;
        hsv_to_rgb_of_pillow([hue, saturation, max])
    }

    /// Every colour of this red.
    fn with_red(red: u8) -> RgbImage {
        RgbImage::from_fn(256, 256, |green, blue| image::Rgb([red, green as u8, blue as u8]))
    }

    /// A colour in five of each channel.
    fn some_colours() -> RgbImage {
        RgbImage::from_fn(52 * 52, 52, |x, y| image::Rgb([x / 52, x % 52, y].map(|part| part as u8 * 5)))
    }

    #[test]
    fn every_colour_is_saturated_as_blended_with_its_grey() {
        for (factor, red) in (0..=255u8).flat_map(|red| [0.0, 0.3, 1.0, 1.9, f32::INFINITY].map(|factor| (factor, red)))
        {
            let mut image = with_red(red);
            saturate(&mut image, factor);
            for (before, after) in with_red(red).pixels().zip(image.pixels()) {
                let expected = before.0.map(|channel| blend(luma(before.0), channel, factor));
                assert_eq!(after.0, expected, "{before:?} by {factor}");
            }
        }
    }

    fn turns_as_pillow(before: &RgbImage, shift: u8) {
        let mut image = before.clone();
        turn(&mut image, shift);
        for (before, after) in before.pixels().zip(image.pixels()) {
            assert_eq!(after.0, turned_by_pillow(before.0, shift), "{before:?} by {shift}");
        }
    }

    #[test]
    fn the_hue_of_every_colour_is_turned_as_pillows() {
        for red in 0..=255 {
            [0, 1, 25, 127, 230].iter().for_each(|&shift| turns_as_pillow(&with_red(red), shift));
        }
        (0..=255).for_each(|shift| turns_as_pillow(&some_colours(), shift));
    }
}
