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
use tch::{TchError, Tensor};

use crate::OptimError;
use crate::error::{ensure, ensure_non_negative};
use crate::optimizer::Step;

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

    pub(crate) fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        step: &Step<'_>,
        memory: &mut [Tensor],
    ) -> Result<(), TchError> {
        let [first, second] = memory else { unreachable!("memory holds the two tensors of REMEMBERED") };
        let _ = first.f_lerp_(gradient, 1.0 - self.beta1)?;
        let scratch = gradient.f_mul_scalar(1.0 - self.beta2)?;
        let _ = second.f_mul_scalar_(self.beta2)?.f_addcmul_(&scratch, gradient)?;
        if step.lr == 0.0 {
            return Ok(());
        }
        if step.decay != 0.0 {
            let _ = parameter.f_mul_scalar_(1.0 - step.lr * step.decay)?;
        }
        // `f_addcdiv_` takes no factor, so that of the step is divided into the denominator, as torch does under CUDA graphs.
        let t = step.count as f64;
        let factor = -step.lr / (1.0 - self.beta1.powf(t));
        let root = (1.0 - self.beta2.powf(t)).sqrt();
        let denominator =
            second.f_sqrt_out(&scratch)?.f_mul_scalar_(1.0 / (root * factor))?.f_add_scalar_(self.eps / factor)?;
        let _ = parameter.f_addcdiv_(first, &denominator)?;
        Ok(())
    }
}
