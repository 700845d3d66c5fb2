//! Initial values of parameters, drawn from a generator of their own. Which layer takes which is the models' business.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

use crate::error::TensorError;

/// How a parameter begins.
///
/// The values depend on the seed, the parameter's name, its shape and this choice, and on nothing else: not on the order
/// in which parameters are declared, not on torch's global generator, not on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same.
    Constant(f64),
    /// Normal with mean 0 and standard deviation `sqrt(2 / fan_out)`, where `fan_out = shape[0] * shape[2] * shape[3]`,
    /// for the convolutions of torchvision's ResNet, MobileNetV2 and EfficientNet
    /// (`torch.nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")`). As there, groups are not counted.
    /// Needs two dimensions or more.
    KaimingNormalFanOut,
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// The largest magnitude, 0 or more.
        bound: f64,
    },
    /// Normal with mean 0; with 0.01 for the classifier of torchvision's MobileNetV2.
    Normal {
        /// The standard deviation, 0 or more.
        std: f64,
    },
}

impl Init {
    /// The default of `torch.nn.Linear`, for its weight and its bias alike: uniform in `±1 / sqrt(fan_in)`.
    ///
    /// torchvision's EfficientNet draws its classifier's weight with the number of outputs in the place of `fan_in`.
    #[must_use]
    pub fn linear(fan: i64) -> Self {
        Self::Uniform { bound: 1.0 / (fan.max(1) as f64).sqrt() }
    }

    /// `count` values for the parameter `name` of `shape`, row-major.
    pub(crate) fn draw(self, seed: u64, name: &str, shape: &[i64], count: usize) -> Result<Vec<f32>, TensorError> {
        let refuse = |reason: String| TensorError::Init { name: name.to_owned(), reason };
        let scale = |what: &str, value: f64| {
            if value.is_finite() && value >= 0.0 {
                Ok(value)
            } else {
                Err(refuse(format!("{what} must be finite and >= 0, got {value}")))
            }
        };
        let mut rng = generator(seed, name);
        let normal = |std: f64| {
            let value = move |rng: &mut ChaCha8Rng| (std * rng.sample::<f64, _>(StandardNormal)) as f32;
            std::iter::repeat_with(move || value(&mut rng)).take(count).collect()
        };
        Ok(match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::Constant(value) if !value.is_finite() => {
                return Err(refuse(format!("the constant must be finite, got {value}")));
            }
            Self::Constant(value) => vec![value as f32; count],
            Self::KaimingNormalFanOut => {
                let (Some(outputs), Some(receptive)) = (shape.first(), shape.get(2..)) else {
                    return Err(refuse(format!("Kaiming needs two dimensions or more, got shape {shape:?}")));
                };
                let fan_out = outputs * receptive.iter().product::<i64>();
                normal((2.0 / fan_out.max(1) as f64).sqrt())
            }
            Self::Normal { std } => normal(scale("std", std)?),
            Self::Uniform { bound } => {
                let bound = scale("bound", bound)?;
                let mut rng = generator(seed, name);
                std::iter::repeat_with(|| (bound * (2.0 * rng.random::<f64>() - 1.0)) as f32).take(count).collect()
            }
        })
    }
}

/// A generator keyed by the seed and the name.
fn generator(seed: u64, name: &str) -> ChaCha8Rng {
    let key = Sha256::new().chain_update(b"panal init ").chain_update(seed.to_le_bytes()).chain_update(name).finalize();
    ChaCha8Rng::from_seed(key.into())
}
