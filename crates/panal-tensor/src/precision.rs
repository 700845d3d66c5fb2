//! The element type that a network computes in while it learns. Which steps take it is the trainers' business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Doing, TensorError};

/// The element type of images and activations; parameters, running statistics, features and losses are f32 in either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision. On a GPU since Ampere, cuDNN's convolutions round what they multiply to TF32 (10 bits of mantissa),
    /// as libtorch has it by default; the environment variable `NVIDIA_TF32_OVERRIDE=0` forbids that.
    #[default]
    F32,
    /// Mixed precision: convolutions in bfloat16, which has the exponent of f32 (so no loss needs scaling) and 7 bits of
    /// mantissa. Pays where the processor multiplies in it: a GPU since Ampere and, for ResNets and frozen networks, a CPU with AMX or AVX-512 BF16.
    Bf16,
}

impl Precision {
    /// libtorch's name of it.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }

    /// Images as a network of this precision takes them; gradients flow through it, and f32 ones come back as they are.
    ///
    /// # Errors
    /// [`TensorError::Torch`] where the device fails.
    pub fn of(self, images: &Tensor) -> Result<Tensor, TensorError> {
        images.f_to_kind(self.kind()).doing(format_args!("make images {self}"))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self, TensorError> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(TensorError::PrecisionName(text.to_owned())),
        }
    }
}
