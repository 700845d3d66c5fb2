//! Layer-wise adaptive rate scaling: each tensor's learning rate in proportion to its norm over its gradient's
//! (You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks, arXiv 1708.03888), in the form that SimCLR trains with
//! (arXiv 2002.05709, section 2.2; `lars_optimizer.py` of its reference implementation, with the classic momentum that is the default there).
//!
//! With parameter `p`, gradient `g`, learning rate `lr`, weight decay `w`, momentum `m`, trust coefficient `eta` and buffer `b` (0 at first), one step is
//!
//! ```text
//! g <- g + w p
//! r  = eta |p| / |g|              (1 where |p| or |g| is 0; Euclidean norms over the whole tensor)
//! b <- m b + lr r g               (without momentum there is no buffer, and d = lr r g)
//! d  = lr r g + m b               (Nesterov)
//! d  = b                          (otherwise)
//! p <- p - d
//! ```
//!
//! Tensors of at most one dimension (biases, the parameters of normalisation layers) have `w = 0` and `r = 1` unless asked otherwise.
//!
//! The learning rate is inside the buffer, as in algorithm 1 of LARS; in torch's form, that of `sgd`, it stands outside. Where rate and ratio are
//! constant the two are the same. Where they change, here every gradient keeps the rate and the ratio of its own step, while there a new rate also applies
//! to all that is remembered. Since `r` is another in each step, the second form would rescale the whole past by it; and a step with `lr = 0` moves nothing
//! there, but here by what is remembered.
//!
//! One thing differs from LARS's paper: its equation 6 divides by `|g| + w |p|`, the sum of two norms, where SimCLR takes the norm of the sum.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use crate::OptimError;
use crate::error::{ensure, ensure_non_negative};
use crate::optimizer::{Moving, Step};

/// Settings of LARS; the defaults are those with which SimCLR pretrains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lars {
    /// Share of the buffer kept from step to step, in `[0, 1)`; 0.9 by default, 0 for none. The learning rate is inside the buffer: a step moves
    /// a parameter by what earlier steps left there at their own rates, whatever the rate is now.
    pub momentum: f64,
    /// Nesterov's form, which looks one step ahead; needs momentum. Off by default.
    pub nesterov: bool,
    /// Weight decay, added to the gradient before the norms are taken; >= 0, 1e-6 by default.
    pub weight_decay: f64,
    /// How far a step may go: without momentum it has this share of the parameter's norm, times the learning rate; > 0, 0.001 by default.
    pub trust_coefficient: f64,
    /// Whether parameters of at most one dimension (biases, the parameters of normalisation layers) neither decay nor have their rate adapted;
    /// they don't by default.
    pub exclude_bias_and_norm: bool,
}

impl Default for Lars {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-6,
            trust_coefficient: 0.001,
            exclude_bias_and_norm: true,
        }
    }
}

impl Lars {
    pub(crate) fn check(&self) -> Result<(), OptimError> {
        ensure((0.0..1.0).contains(&self.momentum), "momentum", "in [0, 1)", self.momentum)?;
        ensure_non_negative("weight_decay", self.weight_decay)?;
        let trust = self.trust_coefficient;
        ensure(trust > 0.0 && trust.is_finite(), "trust_coefficient", "a finite number > 0", trust)?;
        if self.nesterov && self.momentum == 0.0 { Err(OptimError::Nesterov) } else { Ok(()) }
    }

    pub(crate) fn remembered(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    pub(crate) fn update(&self, step: &Step, moving: &mut [Moving<'_>]) -> Result<(), TchError> {
        let Some(first) = moving.first() else { return Ok(()) };
        let kind_and_device = (first.parameter.kind(), first.parameter.device());
        let scalar = |value: f64| Tensor::f_full([0_i64; 0], value, kind_and_device);
        // The factors stay on the device, so that no step waits for it; tch's `add_` takes none, its `addcmul_` tensors alone.
        let (lr, ahead) = (scalar(step.lr)?, scalar(-self.momentum)?);
        moving.iter_mut().try_for_each(|moving| self.update_one(step, moving, &lr, &ahead))
    }

    /// At most one tensor of the parameter's size is made: the decayed gradient, whose norm is asked for.
    fn update_one(
        &self,
        &Step { lr, decay, .. }: &Step,
        Moving { parameter, gradient, memory }: &mut Moving<'_>,
        unadapted: &Tensor,
        ahead: &Tensor,
    ) -> Result<(), TchError> {
        let gradient = match decay {
            0.0 => gradient.shallow_clone(),
            _ => parameter.f_mul_scalar(decay)?.f_add_(gradient)?,
        };
        let rate = match self.exclude_bias_and_norm && parameter.dim() <= 1 {
            true => unadapted.shallow_clone(),
            false => self.ratio(parameter, &gradient)?.f_mul_scalar_(lr)?,
        };
        if let Some(buffer) = memory.first_mut() {
            let _ = buffer.f_mul_scalar_(self.momentum)?.f_addcmul_(&gradient, &rate)?;
            if !self.nesterov {
                let _ = parameter.f_sub_(buffer)?;
                return Ok(());
            }
            let _ = parameter.f_addcmul_(buffer, ahead)?;
        }
        let _ = parameter.f_addcmul_(&gradient, &rate.f_neg()?)?;
        Ok(())
    }

    /// `r`, a scalar on the parameter's device.
    fn ratio(&self, parameter: &Tensor, gradient: &Tensor) -> Result<Tensor, TchError> {
        let (of_weights, of_gradient) = (parameter.f_norm()?, gradient.f_norm()?);
        let positive = of_weights.f_minimum(&of_gradient)?.f_gt(0.0)?;
        let ratio = of_weights.f_mul_scalar(self.trust_coefficient)?.f_div(&of_gradient)?;
        ratio.f_where_scalarother(&positive, 1.0)
    }
}
