//! What SimCLR pretraining is: how long, how large a batch, which loss, head and optimizer. Checked here once; nothing runs here.

use panal_losses::{Negatives, Similarity};
use panal_models::ProjectorSpec;
use panal_optim::{Lars, LrScaling, OptimizerSpec, ScheduleSpec};
use panal_tensor::Precision;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::TrainError;
use crate::frozen::KnnSpec;
use crate::spec::is_single;

/// From so many rows on, NT-Xent is computed in blocks: the matrix of similarities would take 256 MB.
const TILED_ROWS: i64 = 8192;
/// Similarities held at a time then.
const TILE: usize = 1 << 24;

/// The settings of SimCLR (arXiv 2002.05709). What is left out is as in the paper's default (section 2.2 and appendix B.6):
/// NT-Xent, a head of two dense layers to 128 values, LARS at `0.3 * batch / 256`, 10 epochs of warm-up, a cosine after them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimClrSpec {
    /// Passes over the images; at least 1.
    pub epochs: usize,
    /// Images a step, N in the paper; each has two views. At least 2.
    pub batch: usize,
    /// Images that go through the network at once; a divisor of `batch`, at least 2. If given and smaller than `batch`, each
    /// step takes two passes, and the device's memory for pixels and activations is that of so many images; the pixels of the whole
    /// batch are on the host. Batch norm then sees so many as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The loss.
    #[serde(default)]
    pub loss: ContrastiveLoss,
    /// The projection head.
    #[serde(default)]
    pub projector: ProjectorSpec,
    /// The optimizer.
    #[serde(default = "lars")]
    pub optimizer: OptimizerSpec,
    /// Base learning rate, before scaling by the batch and before the schedule; > 0. 0.3 if not given.
    #[serde(default = "default_lr")]
    pub lr: f64,
    /// How the batch scales the learning rate.
    #[serde(default = "linear")]
    pub lr_scaling: LrScaling,
    /// How the learning rate moves.
    #[serde(default = "warm_cosine")]
    pub schedule: ScheduleSpec,
    /// What the encoder computes in, `"f32"` or `"bf16"`; projection head, loss and what nearest neighbours are asked of are f32 in either.
    #[serde(default, skip_serializing_if = "is_single")]
    pub precision: Precision,
    /// How often nearest neighbours are asked what the features are worth; never if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<KnnWatch>,
}

fn lars() -> OptimizerSpec {
    OptimizerSpec::Lars(Lars::default())
}

fn default_lr() -> f64 {
    0.3
}

fn linear() -> LrScaling {
    LrScaling::Linear
}

fn warm_cosine() -> ScheduleSpec {
    ScheduleSpec::Cosine { warmup_epochs: 10, floor: 0.0 }
}

/// A look at the features while they are learnt, by weighted nearest neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnnWatch {
    /// Epochs between two looks; at least 1. The last epoch always has one.
    pub every: usize,
    /// The neighbours asked.
    #[serde(default = "default_k")]
    pub k: usize,
    /// The temperature of their votes.
    #[serde(default = "default_knn_temperature")]
    pub temperature: f64,
}

fn default_k() -> usize {
    KnnSpec::default().k
}

fn default_knn_temperature() -> f64 {
    KnnSpec::default().temperature
}

impl KnnWatch {
    pub(super) fn spec(&self) -> KnnSpec {
        KnnSpec { k: self.k, temperature: self.temperature }
    }
}

/// A loss over the two views of every image of a batch, as in `{ kind = "nt_xent", temperature = 0.5 }` (SimCLR's Table 2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ContrastiveLoss {
    /// Normalised temperature-scaled cross entropy.
    NtXent {
        /// > 0; 0.5 if not given.
        #[serde(default = "half")]
        temperature: f64,
        /// What is compared: `cosine`, or the `dot` product of embeddings as they are (Table 5). Cosine if not given.
        #[serde(default)]
        similarity: Similarity,
    },
    /// Logistic loss of each pair.
    NtLogistic {
        /// > 0; 0.5 if not given.
        #[serde(default = "half")]
        temperature: f64,
        /// `all`, or `semi_hard` ones alone.
        #[serde(default)]
        negatives: Negatives,
    },
    /// Margin triplet loss.
    MarginTriplet {
        /// > 0; 0.5 if not given.
        #[serde(default = "half")]
        margin: f64,
        /// `all`, or `semi_hard` ones alone.
        #[serde(default)]
        negatives: Negatives,
    },
}

fn half() -> f64 {
    0.5
}

impl Default for ContrastiveLoss {
    /// NT-Xent at temperature 0.5.
    fn default() -> Self {
        Self::NtXent { temperature: half(), similarity: Similarity::default() }
    }
}

impl ContrastiveLoss {
    /// The loss of embeddings, two adjacent rows an image.
    ///
    /// # Shapes
    /// - `z`: `[2N, d]`
    /// - returns: a scalar, in nats
    ///
    /// # Errors
    /// [`TrainError::Loss`] for settings or embeddings that it cannot be computed from.
    pub fn of(&self, z: &Tensor) -> Result<Tensor, TrainError> {
        Ok(match *self {
            Self::NtXent { temperature, similarity } if z.size()[0] >= TILED_ROWS => {
                panal_losses::nt_xent_tiled_with(z, similarity, temperature, TILE)?
            }
            Self::NtXent { temperature, similarity } => panal_losses::nt_xent_with(z, similarity, temperature)?,
            Self::NtLogistic { temperature, negatives } => panal_losses::nt_logistic(z, negatives, temperature)?,
            Self::MarginTriplet { margin, negatives } => panal_losses::margin_triplet(z, negatives, margin)?,
        })
    }

    /// What is compared.
    pub(super) fn similarity(&self) -> Similarity {
        match *self {
            Self::NtXent { similarity, .. } => similarity,
            Self::NtLogistic { .. } | Self::MarginTriplet { .. } => Similarity::Cosine,
        }
    }

    /// Field, value: what must be > 0.
    fn positive(&self) -> (&'static str, f64) {
        match *self {
            Self::NtXent { temperature, .. } | Self::NtLogistic { temperature, .. } => {
                ("loss.temperature", temperature)
            }
            Self::MarginTriplet { margin, .. } => ("loss.margin", margin),
        }
    }
}

impl SimClrSpec {
    /// The paper's settings for so many epochs and images a step.
    pub fn new(epochs: usize, batch: usize) -> Self {
        Self {
            epochs,
            batch,
            micro_batch: None,
            loss: ContrastiveLoss::default(),
            projector: ProjectorSpec::default(),
            optimizer: lars(),
            lr: default_lr(),
            lr_scaling: linear(),
            schedule: warm_cosine(),
            precision: Precision::F32,
            knn: None,
        }
    }

    /// Images that go through the network at once.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch.unwrap_or(self.batch)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field, its value and what is allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        let wrong = |field: &str, allowed: &str, got: &dyn ToString| {
            Err(TrainError::Spec { field: field.into(), allowed: allowed.into(), got: got.to_string() })
        };
        if self.epochs == 0 {
            return wrong("epochs", "at least 1", &self.epochs);
        }
        if self.batch < 2 {
            return wrong("batch", "at least 2: an image has no others to be told from", &self.batch);
        }
        if let Some(micro) = self.micro_batch
            && (micro < 2 || !self.batch.is_multiple_of(micro))
        {
            return wrong("micro_batch", &format!("a divisor of batch = {}, at least 2", self.batch), &micro);
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong("lr", "a finite number > 0", &self.lr);
        }
        let (field, value) = self.loss.positive();
        if !(value > 0.0 && value.is_finite()) {
            return wrong(field, "a finite number > 0", &value);
        }
        if let Some(knn) = &self.knn {
            if knn.every == 0 {
                return wrong("knn.every", "at least 1", &knn.every);
            }
            if knn.k == 0 {
                return wrong("knn.k", "at least 1", &knn.k);
            }
            if !(knn.temperature > 0.0 && knn.temperature.is_finite()) {
                return wrong("knn.temperature", "a finite number > 0", &knn.temperature);
            }
        }
        self.projector.check()?;
        self.optimizer.check()?;
        self.schedule.check_for(self.epochs)?;
        Ok(())
    }
}
