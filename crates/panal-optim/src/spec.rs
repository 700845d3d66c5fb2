//! Which optimizer, and with which settings: the serde type that a phase of training holds. The arithmetic is in `sgd`, `adamw` and `lars`.

use serde::{Deserialize, Serialize};
use tch::TchError;

use crate::optimizer::{Moving, Step};
use crate::{AdamW, Lars, OptimError, Sgd};

/// An optimizer's settings, as in `{ kind = "sgd", momentum = 0.9 }`. Settings left out have their defaults; an unknown one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OptimizerSpec {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Layer-wise adaptive rate scaling, for large batches.
    Lars(Lars),
}

impl Default for OptimizerSpec {
    /// SGD with momentum 0.9 and no weight decay.
    fn default() -> Self {
        Self::Sgd(Sgd::default())
    }
}

impl OptimizerSpec {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`OptimError::Setting`] with the setting, what is allowed and its value; [`OptimError::Nesterov`].
    pub fn check(&self) -> Result<(), OptimError> {
        match self {
            Self::Sgd(sgd) => sgd.check(),
            Self::AdamW(adamw) => adamw.check(),
            Self::Lars(lars) => lars.check(),
        }
    }

    /// The weight decay of a parameter with `dimensions` dimensions: biases and the parameters of normalisation layers have one.
    pub(crate) fn decay(&self, dimensions: usize) -> f64 {
        let (weight_decay, everywhere) = match self {
            Self::Sgd(sgd) => (sgd.weight_decay, sgd.decay_bias_and_norm),
            Self::AdamW(adamw) => (adamw.weight_decay, adamw.decay_bias_and_norm),
            Self::Lars(lars) => (lars.weight_decay, !lars.exclude_bias_and_norm),
        };
        if everywhere || dimensions > 1 { weight_decay } else { 0.0 }
    }

    /// Names of the tensors, each of a parameter's shape and 0 at first, that are remembered of it.
    pub(crate) fn remembered(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(sgd) => sgd.remembered(),
            Self::AdamW(_) => AdamW::REMEMBERED,
            Self::Lars(lars) => lars.remembered(),
        }
    }

    /// Moves parameters that share a step, an element type and a device.
    pub(crate) fn update(&self, step: &Step, moving: &mut [Moving<'_>]) -> Result<(), TchError> {
        match self {
            Self::Sgd(sgd) => sgd.update(step, moving),
            Self::AdamW(adamw) => adamw.update(step, moving),
            Self::Lars(lars) => lars.update(step, moving),
        }
    }
}
