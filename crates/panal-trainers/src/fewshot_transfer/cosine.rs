//! The class mean of highest cosine. Distances live in `nearest_mean`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::tasks::{Tasks, check_positive, unit_length};
use crate::TrainError;

/// How cosines become logits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosineSpec {
    /// What cosines are multiplied by; changes the confidence and not the class; > 0.
    pub scale: f64,
}

impl Default for CosineSpec {
    /// 10.
    fn default() -> Self {
        Self { scale: 10.0 }
    }
}

impl CosineSpec {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        check_positive("cosine.scale", self.scale)
    }
}

/// Logits `[B, Q, ways]`: `scale * cos(x, m_c)`, with `m_c` the mean of a class's support features as they are
/// (Classifier-Baseline of Chen et al., Meta-Baseline, arXiv 2003.04390).
pub(crate) fn logits(tasks: &Tasks, spec: &CosineSpec) -> Result<Tensor, TrainError> {
    let means = unit_length(&tasks.class_means(&tasks.support)?)?;
    Ok(unit_length(&tasks.query)?.f_bmm(&means.f_transpose(1, 2)?)?.f_mul_scalar(spec.scale)?)
}
