//! Putting a border around an image, and where a border's pixels come from.

use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use super::Fill;
use super::values::MAX_SIDE;
use crate::DataError;

/// Puts a border around an image: `torchvision.transforms.Pad`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// How wide the border is.
    pub padding: Padding,
    /// What the border shows in mode `constant`; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// Where the border's pixels come from; `constant` if not given.
    #[serde(default)]
    pub mode: PadMode,
}

/// The width of a border in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a padding in pixels: one whole number, [left and right, top and bottom] or [left, top, right, bottom]"
)]
pub enum Padding {
    /// The same on every side.
    All(u32),
    /// `[left and right, top and bottom]`.
    Axes([u32; 2]),
    /// `[left, top, right, bottom]`.
    Sides([u32; 4]),
}

impl Padding {
    /// `[left, top, right, bottom]`.
    pub fn sides(self) -> [u32; 4] {
        match self {
            Self::All(all) => [all; 4],
            Self::Axes([across, down]) => [across, down, across, down],
            Self::Sides(sides) => sides,
        }
    }
}

/// Where a border's pixels come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// One colour.
    #[default]
    Constant,
    /// The outermost pixels, repeated: `aaa|abc|ccc`.
    Edge,
    /// Mirrored at the centre of the outermost pixels: `cb|abc|ba`.
    Reflect,
    /// Mirrored at the outermost pixels' outer edge: `ba|abc|cb`.
    Symmetric,
}

impl PadMode {
    /// The pixel that stands at `place` of an axis of `length` pixels, of which those before 0 and from `length` on are
    /// border. `None` for the fill.
    pub fn source(self, place: i64, length: u32) -> Option<u32> {
        let length = i64::from(length);
        let source = match self {
            Self::Constant => place,
            Self::Edge => place.clamp(0, (length - 1).max(0)),
            Self::Reflect => {
                let period = (2 * (length - 1)).max(1);
                let place = place.rem_euclid(period);
                place.min(period - place)
            }
            Self::Symmetric => {
                let period = (2 * length).max(1);
                let place = place.rem_euclid(period);
                place.min(period - 1 - place)
            }
        };
        (0..length).contains(&source).then_some(source as u32)
    }
}

impl Pad {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        match self.padding.sides().into_iter().find(|&side| side > MAX_SIDE) {
            Some(side) => Err(DataError::field(format!("{at}.padding"), format!("in [0, {MAX_SIDE}]"), side)),
            None => Ok(()),
        }
    }

    /// The `(height, width)` that an image of `height` x `width` gets.
    pub fn target(&self, height: u32, width: u32) -> (u32, u32) {
        let [left, top, right, bottom] = self.padding.sides();
        (height + top + bottom, width + left + right)
    }

    /// The image with its border.
    pub fn apply(&self, image: &RgbImage) -> RgbImage {
        let (height, width) = self.target(image.height(), image.width());
        let [left, top, ..] = self.padding.sides();
        let sources = |count: u32, border: u32, length: u32| -> Vec<Option<u32>> {
            (0..count).map(|place| self.mode.source(i64::from(place) - i64::from(border), length)).collect()
        };
        let (columns, rows) = (sources(width, left, image.width()), sources(height, top, image.height()));
        let fill: Rgb<u8> = self.fill.rgb();
        RgbImage::from_fn(width, height, |x, y| match (columns[x as usize], rows[y as usize]) {
            (Some(x), Some(y)) => *image.get_pixel(x, y),
            _ => fill,
        })
    }
}
