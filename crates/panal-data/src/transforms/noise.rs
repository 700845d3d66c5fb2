//! Gaussian noise of random strength.

use image::RgbImage;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::Amount;
use super::values::{Limits, check_range, uniform};
use crate::DataError;

/// Adds a normal draw to every channel of every pixel: `torchvision.transforms.v2.GaussianNoise` with mean 0 and with
/// clipping, but for a strength that may be drawn too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianNoise {
    /// The standard deviation of the noise, in `[0, 1]`, where 1 is the whole range of a channel: one number, or
    /// `[min, max]` to draw from uniformly, once for an image; 0.1 if not given.
    #[serde(default = "default_sigma")]
    pub sigma: Amount,
}

fn default_sigma() -> Amount {
    Amount::One(0.1)
}

/// Noise for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseParams {
    /// The standard deviation, where 1 is the whole range of a channel.
    pub sigma: f64,
    /// Standard normal draws, row by row, pixel by pixel, channel by channel.
    pub values: Vec<f32>,
}

impl Default for GaussianNoise {
    fn default() -> Self {
        Self { sigma: default_sigma() }
    }
}

impl GaussianNoise {
    pub(crate) fn check(&self, at: &str) -> Result<(), DataError> {
        match self.sigma {
            Amount::One(sigma) if !(0.0..=1.0).contains(&sigma) => {
                Err(DataError::field(format!("{at}.sigma"), "in [0, 1]", sigma))
            }
            _ => check_range(at, "sigma", self.sigmas(), Limits::Between(0.0, 1.0)),
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
        self.sigmas() != [0.0; 2]
    }

    /// The noise of a `height` x `width` image.
    pub fn params(&self, height: u32, width: u32, rng: &mut ChaCha8Rng) -> NoiseParams {
        let sigma = uniform(self.sigmas(), rng);
        let count = height as usize * width as usize * 3;
        NoiseParams { sigma, values: (0..count).map(|_| rng.sample(StandardNormal)).collect() }
    }

    /// Adds the noise, rounds to the nearest level and cuts off what is outside `0..=255`.
    pub fn apply(&self, image: &mut RgbImage, params: &NoiseParams) {
        let levels = (params.sigma * 255.0) as f32;
        for (channel, value) in image.iter_mut().zip(&params.values) {
            // A cast from a float stays inside 0..=255 by itself, and cuts off the fraction.
            *channel = (f32::from(*channel) + value * levels + 0.5) as u8;
        }
    }
}
