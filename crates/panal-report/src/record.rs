//! What is kept of one run, which is one row trained with one seed: enough to make every table and plot again without training.
//! Plain data that anyone may fill in; reading and writing it is in `jsonl`, judging it in `table`.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EnergyRecord, ReportError};

/// The format that this release writes. It grows when the meaning of a field changes, not when fields are added.
pub const FORMAT: u32 = 1;

/// One row of a lab, trained with one seed. Unknown fields are ignored, so that older releases read what newer ones add.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this format: [`FORMAT`].
    pub format: u32,
    /// Name of the lab, which heads every table and plot.
    pub lab: String,
    /// Name of the row.
    pub row: String,
    /// Position of the row in its lab, from 0; tables are in this order.
    pub row_index: usize,
    /// What was learnt from, and what it was judged on.
    pub data: DataRecord,
    /// How `predictions` were held out.
    pub evaluation: Evaluation,
    /// What was trained.
    pub model: ModelRecord,
    /// The seed of the run.
    pub seed: u64,
    /// Name of the device, such as `cpu`.
    pub device: String,
    /// Threads that worked on the CPU.
    pub threads: usize,
    /// What ran.
    pub versions: Versions,
    /// The whole configuration of the row, without anything that differs from seed to seed.
    pub config: Value,
    /// A command line that runs this again.
    pub command: String,
    /// Start of the run: UTC, RFC 3339.
    pub started_at: String,
    /// Wall time.
    pub seconds: Seconds,
    /// Images that went through training, each pass counted.
    pub images_seen: u64,
    /// Training images a second of training time.
    #[serde(with = "null_is_nan")]
    pub images_per_second: f64,
    /// What the run took; `None` where it was interrupted, for the part before that is not known, and in records of releases that did not
    /// count it.
    #[serde(default)]
    pub energy: Option<EnergyRecord>,
    /// Names of the phases, such as `head`; may be empty.
    #[serde(default)]
    pub phases: Vec<String>,
    /// Every epoch, in order.
    pub epochs: Vec<EpochRecord>,
    /// What the network of the last epoch says of every evaluated image.
    pub predictions: Vec<Prediction>,
    /// The epoch that did best on the evaluation split itself, which is selection: no estimate for new images.
    #[serde(default)]
    pub best: Option<BestEpoch>,
}

/// The images of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Identifier, such as `hymenoptera_data`.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Where the images come from.
    pub origin: Origin,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// The images that were learnt from.
    pub train: SplitRecord,
    /// The images that `predictions` are about. In cross-validation the same as `train`.
    pub evaluation: SplitRecord,
    /// Files that were left out, and why.
    #[serde(default)]
    pub excluded: Vec<ExcludedFile>,
}

impl DataRecord {
    /// Whether the evaluated images and their labels are the same.
    pub(crate) fn same_evaluation(&self, other: &Self) -> bool {
        self.id == other.id && self.evaluation == other.evaluation && self.classes == other.classes
    }
}

/// One set of labelled images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// sha256 in hex over ids, labels and contents.
    pub digest: String,
    /// Images of each class, in label order.
    pub per_class: Vec<usize>,
}

impl SplitRecord {
    /// Images of all classes.
    pub fn images(&self) -> usize {
        self.per_class.iter().sum()
    }
}

/// Where images come from. Every table, plot and record says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Origin {
    /// Photographs of real things.
    #[serde(rename = "real photographs")]
    RealPhotographs,
    /// Insects drawn by panal.
    #[serde(rename = "synthetic insects")]
    SyntheticInsects,
    /// A folder of which nothing is known.
    #[serde(rename = "origin not stated")]
    NotStated,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RealPhotographs => "real photographs",
            Self::SyntheticInsects => "synthetic insects",
            Self::NotStated => "origin not stated",
        })
    }
}

/// A file that was found among the images and not used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExcludedFile {
    /// Path inside the data set, `/` between folders.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// How the evaluated images were held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Evaluation {
    /// A split that was not trained on.
    #[serde(rename = "validation split")]
    ValidationSplit,
    /// Every image is predicted by the one network of `folds` that was not trained on it.
    #[serde(rename = "k-fold cross-validation")]
    CrossValidation {
        /// Number of folds.
        folds: usize,
    },
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValidationSplit => f.write_str("validation split"),
            Self::CrossValidation { folds } => write!(f, "{folds}-fold cross-validation"),
        }
    }
}

/// The network of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Architecture, such as `mobilenet_v2`.
    pub arch: String,
    /// What the weights began as, such as `imagenet1k` or `random`.
    pub init: String,
    /// The weight file that was loaded, if any.
    #[serde(default)]
    pub weights: Option<WeightsRecord>,
    /// Parameters in all.
    pub parameters_total: u64,
    /// Parameters that some phase trained.
    pub parameters_trained: u64,
}

/// A file of pretrained weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsRecord {
    /// Identifier or file name.
    pub id: String,
    /// sha256 in hex.
    pub digest: String,
}

/// Releases of what ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// panal.
    pub panal: String,
    /// The Rust binding of libtorch.
    pub tch: String,
    /// libtorch.
    pub libtorch: String,
    /// The compiler, where known.
    #[serde(default)]
    pub rustc: Option<String>,
}

/// Wall seconds. `total` also holds what no part does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// From start to end.
    pub total: f64,
    /// Opening the images and decoding each, to see that it can be; before the first run, once for all.
    pub data: f64,
    /// Computing features of the frozen part.
    pub features: f64,
    /// Training.
    pub train: f64,
    /// Of these, waiting for images; at most so many where a GPU had something to compute meanwhile. `None` in older records.
    #[serde(default)]
    pub waiting: Option<f64>,
    /// Evaluating.
    pub evaluate: f64,
}

/// One epoch, or its mean over folds in cross-validation. Numbers that a diverged run no longer has are NaN here and `null` in a file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Phase, from 0.
    pub phase: usize,
    /// Epoch over all phases, from 0.
    pub epoch: usize,
    /// Learning rate at the last step, before the scales of layer groups.
    pub learning_rate: f64,
    /// Mean loss over the training images, in nats.
    #[serde(with = "null_is_nan")]
    pub train_loss: f64,
    /// Share of the training images that were right.
    #[serde(with = "null_is_nan")]
    pub train_accuracy: f64,
    /// Mean loss over the evaluated images, in nats.
    #[serde(with = "null_is_nan")]
    pub eval_loss: f64,
    /// Share of the evaluated images that were right.
    #[serde(with = "null_is_nan")]
    pub eval_accuracy: f64,
    /// Mean over classes of F1 on the evaluated images.
    #[serde(with = "null_is_nan")]
    pub eval_macro_f1: f64,
    /// Wall seconds, evaluation included.
    pub seconds: f64,
}

/// What a network says of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Path of the image inside the data set; names it across runs.
    pub id: String,
    /// The true class.
    pub truth: usize,
    /// The predicted class.
    pub predicted: usize,
    /// Probability of each class; may be empty. NaN here is `null` in a file.
    #[serde(default, with = "null_is_nan_f32s")]
    pub probabilities: Vec<f32>,
}

/// The epoch that scored highest on the evaluation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// Phase, from 0.
    pub phase: usize,
    /// Epoch over all phases, from 0.
    pub epoch: usize,
    /// What it was chosen by, such as `macro F1`.
    pub criterion: String,
    /// Its scores on the evaluation split.
    pub scores: MacroScores,
    /// What it says of every evaluated image, where kept.
    #[serde(default)]
    pub predictions: Option<Vec<Prediction>>,
}

/// Accuracy, and the means over classes of precision, recall and F1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MacroScores {
    /// Mean precision of the classes.
    pub precision: f64,
    /// Mean recall of the classes.
    pub recall: f64,
    /// Mean F1 of the classes.
    pub f1: f64,
    /// Share of images that are right.
    pub accuracy: f64,
}

impl RunRecord {
    /// Checks what tables and plots rely on: that classes, counts and predictions agree.
    ///
    /// # Errors
    /// [`ReportError::Record`] naming the row, the seed and the first field that does not fit.
    pub fn check(&self) -> Result<(), ReportError> {
        let wrong = |field: &str, message: String| {
            Err(ReportError::Record { row: self.row.clone(), seed: self.seed, field: field.to_owned(), message })
        };
        let classes = self.data.classes.len();
        if classes == 0 {
            return wrong("data.classes", "empty, so there is nothing to tell apart".to_owned());
        }
        for (field, split) in [("data.train", &self.data.train), ("data.evaluation", &self.data.evaluation)] {
            if split.per_class.len() != classes {
                let message = format!("{} counts for {classes} classes", split.per_class.len());
                return wrong(&format!("{field}.per_class"), message);
            }
        }
        if self.predictions.is_empty() {
            return wrong("predictions", "empty, so there is nothing to score".to_owned());
        }
        let images = self.data.evaluation.images();
        if self.predictions.len() != images {
            return wrong("predictions", format!("{} of them for {images} evaluated images", self.predictions.len()));
        }
        let mut ids = HashSet::new();
        for (i, prediction) in self.predictions.iter().enumerate() {
            for (name, class) in [("truth", prediction.truth), ("predicted", prediction.predicted)] {
                if class >= classes {
                    let message = format!("class {class} of {classes}, counted from 0");
                    return wrong(&format!("predictions[{i}].{name}"), message);
                }
            }
            if !matches!(prediction.probabilities.len(), n if n == 0 || n == classes) {
                let message = format!("{} of them for {classes} classes", prediction.probabilities.len());
                return wrong(&format!("predictions[{i}].probabilities"), message);
            }
            if !ids.insert(prediction.id.as_str()) {
                return wrong(&format!("predictions[{i}].id"), format!("`{}` came before", prediction.id));
            }
        }
        Ok(())
    }
}

/// A float whose NaN and infinities are `null` in JSON, which has no such numbers, and come back as NaN.
mod null_is_nan {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(value).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// The same for each of several `f32`.
mod null_is_nan_f32s {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| value.is_finite().then_some(value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let values = Vec::<Option<f32>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
    }
}
