//! Turning an image by a random angle.

use image::{RgbImage, imageops};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::values::{Limits, is_wide, uniform};
use super::warp::{Matrix, warp};
use super::{Amount, Fill, Interpolation};
use crate::DataError;

/// Turns an image by a random angle: `torchvision.transforms.RandomRotation`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomRotation {
    /// Degrees counter-clockwise: one number for as much to either side, or `[min, max]`.
    pub degrees: Amount,
    /// How pixels are mixed; `nearest` if not given.
    #[serde(default = "Interpolation::nearest")]
    pub interpolation: Interpolation,
    /// Whether the image grows to show all that was turned; `false` if not given.
    #[serde(default)]
    pub expand: bool,
    /// What the corners show; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// `[x, y]` of the point that stays where it is, from the top left corner; the image's centre if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<[f64; 2]>,
}

impl RandomRotation {
    /// With torchvision's defaults for everything but the angle.
    pub fn new(degrees: Amount) -> Self {
        Self { degrees, interpolation: Interpolation::Nearest, expand: false, fill: Fill::default(), center: None }
    }

    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        self.degrees.check(at, "degrees", 0.0, Limits::Finite)?;
        check_center(at, self.center)
    }

    /// Whether draws can differ.
    pub(crate) fn is_random(&self) -> bool {
        is_wide(self.degrees.range(0.0))
    }

    /// The angle in degrees, counter-clockwise.
    pub fn params(&self, rng: &mut ChaCha8Rng) -> f64 {
        uniform(self.degrees.range(0.0), rng)
    }

    /// The `(height, width)` that an image of `height` x `width` gets when it is turned by `degrees`.
    pub fn target(&self, height: u32, width: u32, degrees: f64) -> (u32, u32) {
        if !self.expand {
            return (height, width);
        }
        match degrees.rem_euclid(360.0) {
            0.0 | 180.0 if self.center.is_none() => (height, width),
            90.0 | 270.0 if self.center.is_none() => (width, height),
            degrees => self.map(f64::from(height), f64::from(width), degrees).1,
        }
    }

    /// The image turned by `degrees` counter-clockwise.
    pub fn apply(&self, image: &RgbImage, degrees: f64) -> RgbImage {
        let (width, height) = image.dimensions();
        let degrees = degrees.rem_euclid(360.0);
        // Right angles about the centre move pixels without mixing any.
        if self.center.is_none() {
            if degrees == 0.0 {
                return image.clone();
            }
            if degrees == 180.0 {
                return imageops::rotate180(image);
            }
            if self.expand || width == height {
                // The crate `image` turns clockwise.
                if degrees == 90.0 {
                    return imageops::rotate270(image);
                }
                if degrees == 270.0 {
                    return imageops::rotate90(image);
                }
            }
        }
        let (matrix, size) = self.map(f64::from(height), f64::from(width), degrees);
        warp(image, matrix, size, self.interpolation, self.fill.rgb())
    }

    /// From the turned image's points to those of the image that it shows, and the turned image's `(height, width)`.
    fn map(&self, height: f64, width: f64, degrees: f64) -> (Matrix, (u32, u32)) {
        let [center_x, center_y] = self.center.unwrap_or([width / 2.0, height / 2.0]);
        // Rounded so that right angles give whole numbers, as PIL does.
        let [cos, sin] =
            [(-degrees).to_radians().cos(), (-degrees).to_radians().sin()].map(|v| (v * 1e15).round() / 1e15);
        let turn = |x: f64, y: f64| (cos * x + sin * y, -sin * x + cos * y);
        let (x, y) = turn(-center_x, -center_y);
        let (mut x, mut y) = (x + center_x, y + center_y);
        let mut size = (height, width);
        if self.expand {
            let corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)].map(|(u, v)| {
                let (turned_x, turned_y) = turn(u, v);
                (turned_x + x, turned_y + y)
            });
            let extent = |values: [f64; 4]| {
                let max = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
                let min = values.into_iter().fold(f64::INFINITY, f64::min);
                max.ceil() - min.floor()
            };
            size = (extent(corners.map(|corner| corner.1)), extent(corners.map(|corner| corner.0)));
            let (shift_x, shift_y) = turn(-(size.1 - width) / 2.0, -(size.0 - height) / 2.0);
            (x, y) = (x + shift_x, y + shift_y);
        }
        ([cos, sin, x, -sin, cos, y], (size.0 as u32, size.1 as u32))
    }
}

/// How far from the image its centre of rotation may be, in pixels.
const FURTHEST: f64 = 1e6;

pub(crate) fn check_center(at: &str, center: Option<[f64; 2]>) -> Result<(), DataError> {
    match center {
        Some([x, y]) if !(x.abs() <= FURTHEST && y.abs() <= FURTHEST) => {
            let allowed = format!("two numbers in [-{FURTHEST}, {FURTHEST}]");
            Err(DataError::field(format!("{at}.center"), allowed, format!("[{x}, {y}]")))
        }
        _ => Ok(()),
    }
}
