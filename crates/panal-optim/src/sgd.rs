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
use tch::{Device, Kind, TchError, Tensor};

use crate::OptimError;
use crate::error::{ensure, ensure_non_negative};
use crate::operator;
use crate::optimizer::{Moving, Step};

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

    /// One operation for all of them.
    pub(crate) fn update(&self, step: &Step, moving: &mut [Moving<'_>]) -> Result<(), TchError> {
        // On a CPU libtorch's operator passes over most elements of half precision (its issue 191763).
        let is_half = |tensor: &Tensor| matches!(tensor.kind(), Kind::Half | Kind::BFloat16);
        if moving.iter().any(|moving| moving.parameter.device() == Device::Cpu && is_half(moving.parameter)) {
            return moving.iter_mut().try_for_each(|moving| self.update_half(step, moving));
        }
        let parameters: Vec<&Tensor> = moving.iter().map(|moving| &*moving.parameter).collect();
        let gradients: Vec<&Tensor> = moving.iter().map(|moving| &moving.gradient).collect();
        let buffers: Vec<&Tensor> = moving.iter().filter_map(|moving| moving.memory.first()).collect();
        operator::fused_sgd([&parameters, &gradients, &buffers], step.decay, self.momentum, step.lr, self.nesterov)
    }

    /// The same in single precision, rounded at the end.
    fn update_half(&self, step: &Step, moving: &mut Moving<'_>) -> Result<(), TchError> {
        let wide = |tensor: &Tensor| tensor.f_to_kind(Kind::Float);
        let (mut parameter, gradient) = (wide(moving.parameter)?, wide(&moving.gradient)?);
        let mut memory = moving.memory.iter().map(wide).collect::<Result<Vec<_>, _>>()?;
        self.update(step, &mut [Moving { parameter: &mut parameter, gradient, memory: &mut memory }])?;
        moving.parameter.f_copy_(&parameter)?;
        moving.memory.iter_mut().zip(&memory).try_for_each(|(half, wide)| half.f_copy_(wide))
    }
}
