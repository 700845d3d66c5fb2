//! The values that several transforms take: sizes, boxes, fills, ranges, and how each is checked and drawn from.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::DataError;

/// The largest height or width that a transform may be asked for, in pixels.
pub(crate) const MAX_SIDE: u32 = 16_384;

/// How a pixel is made from its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The pixel that the point falls into.
    Nearest,
    /// Linear between neighbours; antialiased when a resize shrinks.
    #[default]
    Bilinear,
    /// Cubic between neighbours; antialiased when a resize shrinks.
    Bicubic,
}

impl Interpolation {
    /// The default of rotations and affine maps, as in torchvision.
    pub(crate) fn nearest() -> Self {
        Self::Nearest
    }
}

/// One number, or `[height, width]`, in pixels. What one number means is said by the transform that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a size in pixels: one whole number or [height, width]")]
pub enum Size {
    /// The shorter side of a resize, both sides of a crop.
    Side(u32),
    /// `[height, width]`.
    Both([u32; 2]),
}

impl Size {
    /// `(height, width)`, one number standing for a square.
    pub fn square(self) -> (u32, u32) {
        match self {
            Self::Side(side) => (side, side),
            Self::Both([height, width]) => (height, width),
        }
    }

    pub(crate) fn check(self, at: &str) -> Result<(), DataError> {
        let (height, width) = self.square();
        if [height, width].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            return Ok(());
        }
        Err(DataError::field(format!("{at}.size"), format!("in [1, {MAX_SIDE}]"), self))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side(side) => write!(f, "{side}"),
            Self::Both([height, width]) => write!(f, "[{height}, {width}]"),
        }
    }
}

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelBox {
    /// The first row.
    pub top: u32,
    /// The first column.
    pub left: u32,
    /// The number of rows.
    pub height: u32,
    /// The number of columns.
    pub width: u32,
}

/// What stands where an image has no pixels: one grey level, or `[red, green, blue]`, each in `0..=255`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a fill in 0..=255: one whole number or [red, green, blue]")]
pub enum Fill {
    /// The same in every channel.
    Grey(u8),
    /// `[red, green, blue]`.
    Rgb([u8; 3]),
}

impl Default for Fill {
    fn default() -> Self {
        Self::Grey(0)
    }
}

impl Fill {
    /// The pixel.
    pub fn rgb(self) -> image::Rgb<u8> {
        match self {
            Self::Grey(level) => image::Rgb([level; 3]),
            Self::Rgb(rgb) => image::Rgb(rgb),
        }
    }
}

/// A range to draw from uniformly: `[min, max]`, or one number, whose meaning the transform says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected one number or [min, max]")]
pub enum Amount {
    /// In most transforms, from `neutral - x` to `neutral + x`.
    One(f64),
    /// `[min, max]`.
    Between([f64; 2]),
}

impl Default for Amount {
    fn default() -> Self {
        Self::One(0.0)
    }
}

impl Amount {
    /// `[min, max]`, a single number reaching as far to either side of `neutral`.
    pub fn range(self, neutral: f64) -> [f64; 2] {
        match self {
            Self::One(x) => [neutral - x, neutral + x],
            Self::Between(range) => range,
        }
    }

    /// A single number must not be negative; the range must be ordered and lie within `limits`.
    pub(crate) fn check(self, at: &str, name: &str, neutral: f64, limits: Limits) -> Result<(), DataError> {
        match self {
            Self::One(x) if !(x >= 0.0 && x.is_finite()) => {
                Err(DataError::field(format!("{at}.{name}"), ">= 0 where it is a single number", x))
            }
            amount => check_range(at, name, amount.range(neutral), limits),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(x) => write!(f, "{x}"),
            Self::Between([min, max]) => write!(f, "[{min}, {max}]"),
        }
    }
}

/// Where a range must lie.
#[derive(Clone, Copy)]
pub(crate) enum Limits {
    Finite,
    Positive,
    /// Positive, and at most this.
    PositiveUpTo(f64),
    AtLeast(f64),
    Between(f64, f64),
}

/// `[min, max]` must be ordered and lie within `limits`.
pub(crate) fn check_range(at: &str, name: &str, [min, max]: [f64; 2], limits: Limits) -> Result<(), DataError> {
    let (inside, allowed) = match limits {
        Limits::Finite => (true, "min <= max, both finite".to_owned()),
        Limits::Positive => (min > 0.0, "0 < min <= max".to_owned()),
        Limits::PositiveUpTo(most) => (min > 0.0 && max <= most, format!("0 < min <= max <= {most}")),
        Limits::AtLeast(least) => (min >= least, format!("{least} <= min <= max")),
        Limits::Between(least, most) => (min >= least && max <= most, format!("{least} <= min <= max <= {most}")),
    };
    if inside && min.is_finite() && max.is_finite() && min <= max {
        return Ok(());
    }
    Err(DataError::field(format!("{at}.{name}"), format!("[min, max] with {allowed}"), format!("[{min}, {max}]")))
}

/// A probability or another part of a whole.
pub(crate) fn check_fraction(at: &str, name: &str, value: f64) -> Result<(), DataError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(DataError::field(format!("{at}.{name}"), "in [0, 1]", value))
}

/// Whether draws from `[min, max]` can differ.
pub(crate) fn is_wide([min, max]: [f64; 2]) -> bool {
    min < max
}

/// Uniform on `[min, max)`; `min` where the two are equal.
pub(crate) fn uniform([min, max]: [f64; 2], rng: &mut impl Rng) -> f64 {
    min + (max - min) * rng.random::<f64>()
}

/// Uniform in the logarithm, as aspect ratios are drawn.
pub(crate) fn log_uniform([min, max]: [f64; 2], rng: &mut impl Rng) -> f64 {
    uniform([min.ln(), max.ln()], rng).exp()
}

/// True with probability `p`; one draw whatever `p` is.
pub(crate) fn chance(p: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < p
}
