//! Stochastic gradient descent with momentum, Nesterov's form and weight decay: `torch.optim.SGD` without dampening.
//!
//! With parameter `p`, gradient `g`, learning rate `lr`, weight decay `w`, momentum `m` and buffer `b`, one step is
//!
//! ```text
//! g <- g + w p
//! b <- m b + g          (b is 0 at first; without momentum there is no buffer, and d = g)
//! d  = g + m b          (Nesterov)
//! d  = b                (otherwise)
//! p <- p - lr d
//! ```

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use crate::OptimError;
use crate::error::{ensure, ensure_non_negative};
use crate::optimizer::Step;

/// Settings of stochastic gradient descent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Share of the buffer kept from step to step, in `[0, 1)`; 0.9 by default, 0 for none.
    pub momentum: f64,
    /// Nesterov's form, which looks one step ahead; needs momentum. Off by default.
    pub nesterov: bool,
    /// Weight decay, added to the gradient; >= 0, 0 by default.
    pub weight_decay: f64,
    /// Whether parameters of at most one dimension (biases, the parameters of normalisation layers) decay too; they do by default, as in torch.
    pub decay_bias_and_norm: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: false, weight_decay: 0.0, decay_bias_and_norm: true }
    }
}

impl Sgd {
    pub(crate) fn check(&self) -> Result<(), OptimError> {
        ensure((0.0..1.0).contains(&self.momentum), "momentum", "in [0, 1)", self.momentum)?;
        ensure_non_negative("weight_decay", self.weight_decay)?;
        if self.nesterov && self.momentum == 0.0 { Err(OptimError::Nesterov) } else { Ok(()) }
    }

    pub(crate) fn remembered(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    /// As above, `g` and `d` written out, so that all is done in place and no tensor of the parameter's size is made.
    pub(crate) fn update(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        &Step { lr, decay, factors, .. }: &Step<'_>,
        memory: &mut [Tensor],
    ) -> Result<(), TchError> {
        if let Some(buffer) = memory.first_mut() {
            let _ = buffer.f_mul_scalar_(self.momentum)?.f_add_(gradient)?;
            if decay != 0.0 {
                factors.add_scaled(buffer, decay, parameter)?;
            }
            if !self.nesterov {
                return factors.add_scaled(parameter, -lr, buffer);
            }
        }
        if decay != 0.0 {
            let _ = parameter.f_mul_scalar_(1.0 - lr * decay)?;
        }
        if let Some(buffer) = memory.first() {
            factors.add_scaled(parameter, -lr * self.momentum, buffer)?;
        }
        factors.add_scaled(parameter, -lr, gradient)
    }
}
