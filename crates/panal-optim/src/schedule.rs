//! How the learning rate moves over a phase: a pure function of the position, so that there is no state to save. Optimizers know nothing of it.
//!
//! With `e` the epoch from 0, `n` the steps of an epoch, `t = e n + step` the step from 0, `T = epochs n`, and `W = warmup_epochs n`, the factor is
//!
//! ```text
//! constant:   1
//! step:       gamma^floor(e / every)                                                     changes between epochs
//! cosine:     (t + 1) / W                                               while t < W      changes at every step
//!             floor + (1 - floor) (1 + cos(pi (t - W) / (T - W))) / 2   from then on
//! ```

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::OptimError;
use crate::error::ensure;

/// A schedule's settings, as in `{ kind = "step", every = 7, gamma = 0.1 }`. An unknown setting is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ScheduleSpec {
    /// The learning rate stays as it is.
    Constant {},
    /// Per epoch: every so many epochs the rate is multiplied by `gamma`. torch's `StepLR`, stepped once after each epoch.
    Step {
        /// Epochs between two changes; at least 1.
        every: usize,
        /// Factor of each change; in `(0, 1]`.
        gamma: f64,
    },
    /// Per step: a linear rise over the first epochs, then half a cosine down to `floor`. torch's
    /// `SequentialLR([LinearLR(1 / W, total_iters=W - 1), CosineAnnealingLR(T - W, eta_min=floor * lr)], milestones=[W])`, stepped after each step.
    Cosine {
        /// Epochs of the rise; fewer than the phase has, 0 by default.
        #[serde(default)]
        warmup_epochs: usize,
        /// Factor that the cosine falls to (one step after the last); in `[0, 1]`, 0 by default.
        #[serde(default)]
        floor: f64,
    },
}

/// A position in a phase of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Epoch within the phase, from 0.
    pub epoch: usize,
    /// Step within the epoch, from 0.
    pub step: usize,
    /// Steps of each epoch.
    pub steps_per_epoch: usize,
    /// Epochs of the phase.
    pub epochs: usize,
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl ScheduleSpec {
    /// Checks every setting by itself.
    ///
    /// # Errors
    /// [`OptimError::Setting`] with the setting, what is allowed and its value.
    pub fn check(&self) -> Result<(), OptimError> {
        match *self {
            Self::Constant {} => Ok(()),
            Self::Step { every, gamma } => {
                ensure(every > 0, "every", "at least 1", every as f64)?;
                ensure(gamma > 0.0 && gamma <= 1.0, "gamma", "in (0, 1]", gamma)
            }
            Self::Cosine { floor, .. } => ensure((0.0..=1.0).contains(&floor), "floor", "in [0, 1]", floor),
        }
    }

    /// Checks every setting, and that a phase of `epochs` epochs does not end within its warm-up.
    ///
    /// # Errors
    /// [`OptimError::Setting`] with the setting, what is allowed and its value.
    pub fn check_for(&self, epochs: usize) -> Result<(), OptimError> {
        self.check()?;
        match *self {
            Self::Cosine { warmup_epochs, .. } => {
                let ok = warmup_epochs == 0 || warmup_epochs < epochs;
                ensure(ok, "warmup_epochs", "fewer than the epochs of the phase", warmup_epochs as f64)
            }
            _ => Ok(()),
        }
    }

    /// The factor of the learning rate for the step at `progress`.
    ///
    /// ```
    /// use panal_optim::{Progress, ScheduleSpec};
    /// let schedule = ScheduleSpec::Step { every: 7, gamma: 0.1 };
    /// let at = |epoch| schedule.factor(Progress { epoch, step: 3, steps_per_epoch: 16, epochs: 8 });
    /// assert_eq!((at(6), at(7)), (1.0, 0.1));
    /// ```
    pub fn factor(&self, progress: Progress) -> f64 {
        let Progress { epoch, step, steps_per_epoch, epochs } = progress;
        match *self {
            Self::Constant {} => 1.0,
            Self::Step { every, gamma } => gamma.powf((epoch / every) as f64),
            Self::Cosine { warmup_epochs, floor } => {
                let at = epoch * steps_per_epoch + step;
                let (warmup, all) = (warmup_epochs * steps_per_epoch, epochs * steps_per_epoch);
                if at < warmup {
                    return (at + 1) as f64 / warmup as f64;
                }
                let share = (at - warmup) as f64 / (all - warmup) as f64;
                floor + (1.0 - floor) * (1.0 + (PI * share).cos()) / 2.0
            }
        }
    }
}
