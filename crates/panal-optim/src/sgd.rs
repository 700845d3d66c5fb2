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
use tch::TchError;

use crate::OptimError;
use crate::error::{ensure, ensure_non_negative};
use crate::operator::{self, Argument::*};
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
    pub(crate) fn update(&self, step: &Step, moving: &[Moving<'_>]) -> Result<(), TchError> {
        let buffers = moving.iter().filter_map(|moving| moving.memory.first());
        operator::call(
            c"aten::_fused_sgd_",
            &[
                Tensors(moving.iter().map(|moving| &*moving.parameter).collect()),
                Tensors(moving.iter().map(|moving| &moving.gradient).collect()),
                Tensors(buffers.collect()),
                Float(step.decay),
                Float(self.momentum),
                Float(step.lr),
                // Dampening.
                Float(0.0),
                Bool(self.nesterov),
                // Whether to maximize, and whether the buffers are yet to be filled: they are 0.
                Bool(false),
                Bool(false),
                // What gradients were scaled by, and whether that overflowed.
                Absent,
                Absent,
            ],
        )
    }
}
