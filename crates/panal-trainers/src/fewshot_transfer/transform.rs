//! What is done to features before a method sees them. What the methods do is theirs to say.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::tasks::{check_features, unit_length, wrong};
use crate::{Bank, TrainError};

/// The three ways of SimpleShot (Wang et al., arXiv 1911.04623): UN, L2N and CL2N.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// Features as they are.
    #[default]
    None,
    /// `x / ||x||`.
    L2,
    /// `(x - mean) / ||x - mean||`.
    CentredL2 {
        /// The mean of the features of the base set: images of other classes than those asked for.
        mean: Vec<f32>,
    },
}

impl Transform {
    /// [`CentredL2`](Self::CentredL2) by the mean of `base`.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn centred_by(base: &Bank) -> Result<Self, TrainError> {
        let mean = base.features().f_mean_dim(0i64, false, Kind::Double)?.f_to_kind(Kind::Float)?;
        Ok(Self::CentredL2 { mean: Vec::<f32>::try_from(mean)? })
    }

    /// Short name for tables, as in the paper: `UN`, `L2N` or `CL2N`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "UN",
            Self::L2 => "L2N",
            Self::CentredL2 { .. } => "CL2N",
        }
    }

    /// The features, transformed; a vector of length 0 stays.
    ///
    /// # Shapes
    /// - `features`: `[N, d]` f32 on the CPU, every value finite
    /// - returns: `[N, d]` f32
    ///
    /// # Errors
    /// [`TrainError::Spec`] for features of another shape or kind, and for a mean of another dimension.
    pub fn apply(&self, features: &Tensor) -> Result<Tensor, TrainError> {
        let dim = check_features("features", features, None)?;
        match self {
            Self::None => Ok(features.shallow_clone()),
            Self::L2 => unit_length(features),
            Self::CentredL2 { mean } => {
                if mean.len() as i64 != dim {
                    return Err(wrong("transform.mean", &format!("{dim} numbers, as the features"), &mean.len()));
                }
                unit_length(&features.f_sub(&Tensor::f_from_slice(mean)?)?)
            }
        }
    }
}
