//! Adam with decoupled weight decay: `torch.optim.AdamW` without AMSGrad
//! (Loshchilov and Hutter, Decoupled Weight Decay Regularization, arXiv 1711.05101).
//!
//! With parameter `p`, gradient `g`, learning rate `lr`, weight decay `w`, moments `m` and `v` (0 at first), in a parameter's `t`-th step, from 1:
//!
//! ```text
//! p <- p (1 - lr w)
//! m <- beta1 m + (1 - beta1) g
//! v <- beta2 v + (1 - beta2) g^2
//! p <- p - lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps)
//! ```

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use crate::OptimError;
use crate::error::{ensure, ensure_non_negative};
use crate::operator;
use crate::optimizer::{Moving, Step};

/// Settings of AdamW; the defaults are torch's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Share of the first moment kept from step to step, in `[0, 1)`; 0.9 by default.
    pub beta1: f64,
    /// Share of the second moment kept from step to step, in `[0, 1)`; 0.999 by default.
    pub beta2: f64,
    /// Added to the root of the second moment, so that nothing is divided by 0; > 0, 1e-8 by default.
    pub eps: f64,
    /// Weight decay, in units of the learning rate; >= 0, 0.01 by default.
    pub weight_decay: f64,
    /// Whether parameters of at most one dimension (biases, the parameters of normalisation layers) decay too; they do by default, as in torch.
    pub decay_bias_and_norm: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, decay_bias_and_norm: true }
    }
}

impl AdamW {
    pub(crate) const REMEMBERED: &[&str] = &["exp_avg", "exp_avg_sq"];

    pub(crate) fn check(&self) -> Result<(), OptimError> {
        ensure((0.0..1.0).contains(&self.beta1), "beta1", "in [0, 1)", self.beta1)?;
        ensure((0.0..1.0).contains(&self.beta2), "beta2", "in [0, 1)", self.beta2)?;
        ensure(self.eps > 0.0 && self.eps.is_finite(), "eps", "a finite number > 0", self.eps)?;
        ensure_non_negative("weight_decay", self.weight_decay)
    }

    /// One operation for all of them.
    pub(crate) fn update(&self, step: &Step, moving: &[Moving<'_>]) -> Result<(), TchError> {
        let Some(first) = moving.first() else { return Ok(()) };
        let count = Tensor::f_full([0_i64; 0], step.count as f64, (Kind::Float, first.parameter.device()))?;
        let parameters: Vec<&Tensor> = moving.iter().map(|moving| &*moving.parameter).collect();
        let gradients: Vec<&Tensor> = moving.iter().map(|moving| &moving.gradient).collect();
        let [first, second] = [0, 1].map(|at| moving.iter().map(|moving| &moving.memory[at]).collect::<Vec<_>>());
        let counts = vec![&count; moving.len()];
        let betas = [self.beta1, self.beta2];
        operator::fused_adamw([&parameters, &gradients, &first, &second, &counts], step.lr, betas, step.decay, self.eps)
    }
}
