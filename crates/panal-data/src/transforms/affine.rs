//! Turning, moving, scaling and shearing an image at random, all at once.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::rotation::check_center;
use super::values::{Limits, check_fraction, check_range, is_wide, uniform};
use super::warp::{Matrix, warp};
use super::{Amount, Fill, Interpolation};
use crate::DataError;

/// Maps an image affinely, its size unchanged: `torchvision.transforms.RandomAffine`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomAffine {
    /// Degrees clockwise: one number for as much to either side, or `[min, max]`.
    pub degrees: Amount,
    /// The furthest moves `[across, down]` as parts of the width and of the height; no move if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translate: Option<[f64; 2]>,
    /// `[min, max]` of the factor; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
    /// Degrees of shear; no shear if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shear: Option<Shear>,
    /// How pixels are mixed; `nearest` if not given.
    #[serde(default = "Interpolation::nearest")]
    pub interpolation: Interpolation,
    /// What stands where the image has moved away; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// `[x, y]` of the fixed point of turning, scaling and shearing, from the top left corner; the image's centre if
    /// not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<[f64; 2]>,
}

/// Ranges of the shear in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a shear in degrees: one number, [min, max] or [min x, max x, min y, max y]")]
pub enum Shear {
    /// Along x, as much to either side.
    Around(f64),
    /// Along x: `[min, max]`.
    X([f64; 2]),
    /// Along x and y: `[min x, max x, min y, max y]`.
    XY([f64; 4]),
}

impl Shear {
    /// `[min, max]` along x, and along y.
    pub fn ranges(self) -> [[f64; 2]; 2] {
        match self {
            Self::Around(x) => [[-x, x], [0.0, 0.0]],
            Self::X(x) => [x, [0.0, 0.0]],
            Self::XY([min_x, max_x, min_y, max_y]) => [[min_x, max_x], [min_y, max_y]],
        }
    }
}

/// One affine map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineParams {
    /// Degrees, clockwise.
    pub degrees: f64,
    /// Pixels to the right, and down.
    pub translate: [i32; 2],
    /// The factor.
    pub scale: f64,
    /// Degrees along x, and along y.
    pub shear: [f64; 2],
}

impl RandomAffine {
    /// With torchvision's defaults for everything but the angle.
    pub fn new(degrees: Amount) -> Self {
        Self {
            degrees,
            translate: None,
            scale: None,
            shear: None,
            interpolation: Interpolation::Nearest,
            fill: Fill::default(),
            center: None,
        }
    }

    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        self.degrees.check(at, "degrees", 0.0, Limits::Finite)?;
        for part in self.translate.into_iter().flatten() {
            check_fraction(at, "translate", part)?;
        }
        if let Some(scale) = self.scale {
            check_range(at, "scale", scale, Limits::Positive)?;
        }
        if let Some(shear) = self.shear {
            if let Shear::Around(x) = shear {
                Amount::One(x).check(at, "shear", 0.0, Limits::Finite)?;
            }
            for range in shear.ranges() {
                check_range(at, "shear", range, Limits::Finite)?;
            }
        }
        check_center(at, self.center)
    }

    /// Whether draws can differ.
    pub(crate) fn is_random(&self) -> bool {
        let shears = self.shear.map(Shear::ranges).into_iter().flatten();
        let moves = self.translate.is_some_and(|parts| parts != [0.0, 0.0]);
        moves || shears.chain(self.scale).chain([self.degrees.range(0.0)]).any(is_wide)
    }

    /// A map for an image of `height` x `width`: everything uniform in its range, moves rounded to whole pixels.
    pub fn params(&self, height: u32, width: u32, rng: &mut ChaCha8Rng) -> AffineParams {
        let degrees = uniform(self.degrees.range(0.0), rng);
        let translate = self.translate.map_or([0, 0], |[across, down]| {
            [across * f64::from(width), down * f64::from(height)]
                .map(|most| uniform([-most, most], rng).round_ties_even() as i32)
        });
        let scale = self.scale.map_or(1.0, |range| uniform(range, rng));
        let shear = self.shear.map_or([0.0, 0.0], |shear| shear.ranges().map(|range| uniform(range, rng)));
        AffineParams { degrees, translate, scale, shear }
    }

    /// The mapped image.
    pub fn apply(&self, image: &RgbImage, params: &AffineParams) -> RgbImage {
        let (width, height) = image.dimensions();
        let center = self.center.unwrap_or([f64::from(width) * 0.5, f64::from(height) * 0.5]);
        warp(image, params.inverse(center), (height, width), self.interpolation, self.fill.rgb())
    }
}

impl AffineParams {
    /// From the mapped image's points to those of the image: the inverse of "shear along x, shear along y, scale and
    /// turn about `center`, then move".
    fn inverse(&self, [center_x, center_y]: [f64; 2]) -> Matrix {
        let turn = self.degrees.to_radians();
        let [shear_x, shear_y] = self.shear.map(f64::to_radians);
        let (tan_x, cos_y) = (shear_x.tan(), shear_y.cos());
        // The map without scale and moves is [[a, b], [c, d]], of determinant 1.
        let a = (turn - shear_y).cos() / cos_y;
        let b = -(turn - shear_y).cos() * tan_x / cos_y - turn.sin();
        let c = (turn - shear_y).sin() / cos_y;
        let d = -(turn - shear_y).sin() * tan_x / cos_y + turn.cos();
        let [a, b, c, d] = [d, -b, -c, a].map(|entry| entry / self.scale);
        let [to_x, to_y] = [-center_x - f64::from(self.translate[0]), -center_y - f64::from(self.translate[1])];
        [a, b, a * to_x + b * to_y + center_x, c, d, c * to_x + d * to_y + center_y]
    }
}
