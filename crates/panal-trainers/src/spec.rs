//! What a phase of training is: how long, which parameters, by which optimizer. Checked here once; nothing runs here.

use std::collections::BTreeMap;

use panal_models::Part;
use panal_optim::{OptimizerSpec, ScheduleSpec};
use panal_tensor::Precision;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// One phase of a row, as in `{ epochs = 5, train = "head", lr = 1e-3 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// Passes over the training images; at least 1.
    pub epochs: usize,
    /// `"head"`: the feature extractor is frozen, in evaluation mode, and only the last linear layer learns. `"all"`: everything does.
    pub train: Part,
    /// Learning rate before schedule and scales; > 0.
    pub lr: f64,
    /// The optimizer; made anew at the start of each phase.
    #[serde(default)]
    pub optimizer: OptimizerSpec,
    /// How the learning rate moves over the phase.
    #[serde(default)]
    pub schedule: ScheduleSpec,
    /// Factors of the learning rate by layer group: a prefix of parameter names, or `head` or `backbone`. The longest prefix wins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lr_scale: BTreeMap<String, f64>,
    /// Share of the target's mass that is spread evenly over all classes; in `[0, 1)`.
    #[serde(default)]
    pub label_smoothing: f64,
    /// What the network computes its training steps in, `"f32"` or `"bf16"`; evaluation, and features that are computed once for the
    /// phase, are f32 in either.
    #[serde(default, skip_serializing_if = "is_single")]
    pub precision: Precision,
    /// On a CUDA device, record what is computed of a batch once as a CUDA graph and play that: the passes of training (see
    /// [`Passes`](crate::Passes)), those of a frozen backbone over augmented images, and the evaluation of images that are kept. A graph has
    /// memory of its own, as much as a step takes. Elsewhere this changes nothing.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub cuda_graphs: bool,
}

/// For specs that leave out what is as it always was.
pub(crate) fn is_single(precision: &Precision) -> bool {
    *precision == Precision::F32
}

fn yes() -> bool {
    true
}

impl PhaseSpec {
    /// So many epochs of `train` at learning rate `lr`, with SGD of momentum 0.9 and a rate that stays as it is.
    pub fn new(epochs: usize, train: Part, lr: f64) -> Self {
        Self {
            epochs,
            train,
            lr,
            optimizer: OptimizerSpec::default(),
            schedule: ScheduleSpec::default(),
            lr_scale: BTreeMap::new(),
            label_smoothing: 0.0,
            precision: Precision::F32,
            cuda_graphs: true,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field's path under `at` (such as `phases[1]`), its value and what is allowed.
    pub fn check(&self, at: &str) -> Result<(), TrainError> {
        let wrong = |field: &str, allowed: &str, got: &dyn ToString| {
            Err(TrainError::Spec { field: format!("{at}.{field}"), allowed: allowed.into(), got: got.to_string() })
        };
        if self.epochs == 0 {
            return wrong("epochs", "at least 1", &self.epochs);
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong("lr", "a finite number > 0", &self.lr);
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return wrong("label_smoothing", "in [0, 1)", &self.label_smoothing);
        }
        for (group, scale) in &self.lr_scale {
            if !(*scale > 0.0 && scale.is_finite()) {
                return wrong(
                    &format!("lr_scale.{group}"),
                    "a finite number > 0 (leave a part out with train = \"head\")",
                    scale,
                );
            }
        }
        self.optimizer.check()?;
        self.schedule.check_for(self.epochs)?;
        Ok(())
    }
}
