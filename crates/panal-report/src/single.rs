//! Records of commands that make one network at a time: a pretraining, or a learner of few-shot tasks. What is read here is what lists
//! and comparisons of runs show; the files hold more. Runs of labs are in `record`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Origin, ReportError, Versions};

/// The latest format of these records that this release reads.
const KNOWN: u32 = 1;

/// A `record.json`.
#[derive(Debug, Clone, PartialEq)]
pub enum SingleRecord {
    /// Of `panal ssl pretrain`.
    Pretraining(PretrainingRecord),
    /// Of `panal fewshot train`.
    FewShot(FewShotRecord),
}

/// A pretraining, without labels or by them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PretrainingRecord {
    /// Title of the configuration.
    pub title: String,
    /// The whole configuration.
    pub config: Value,
    /// What was learnt from.
    pub data: PretrainingData,
    /// Key of every random draw.
    pub seed: u64,
    /// Name of the device.
    pub device: String,
    /// What ran.
    pub versions: Versions,
    /// A command line that runs this again.
    pub command: String,
    /// Start of the run: UTC, RFC 3339.
    pub started_at: String,
    /// Wall time.
    pub seconds: PretrainingSeconds,
    /// Every epoch, in order.
    pub epochs: Vec<PretrainingEpoch>,
}

/// The images of a pretraining.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PretrainingData {
    /// Identifier, or the folder's path.
    pub id: String,
    /// Where the images come from.
    pub origin: Origin,
    /// How many.
    pub images: usize,
    /// sha256 in hex over ids and contents.
    pub digest: String,
}

/// Wall seconds of a pretraining.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct PretrainingSeconds {
    /// From start to end.
    pub total: f64,
}

/// One epoch of a pretraining.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PretrainingEpoch {
    /// Mean loss over the steps, in nats; `None` where it was no number.
    #[serde(alias = "train_loss")]
    pub loss: Option<f64>,
    /// Share of views whose partner was the most similar of the batch; by labels there is none.
    pub top1: Option<f64>,
    /// Accuracy of nearest neighbours on the watched images, where they were asked.
    #[serde(default)]
    pub knn: Option<f64>,
}

/// A learner that was trained by episodes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FewShotRecord {
    /// Title of the configuration.
    pub title: String,
    /// The whole configuration.
    pub config: Value,
    /// What was learnt from.
    pub data: FewShotData,
    /// How it was judged.
    pub test: FewShotTest,
    /// Key of every random draw.
    pub seed: u64,
    /// Name of the device.
    pub device: String,
    /// What ran.
    pub versions: Versions,
    /// A command line that runs this again.
    pub command: String,
    /// Start of the run: UTC, RFC 3339.
    pub started_at: String,
    /// Wall seconds of training.
    pub seconds: f64,
}

/// The images of a learner.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FewShotData {
    /// sha256 in hex over ids, labels and contents.
    pub digest: String,
}

/// What a learner's episodes of evaluation said.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FewShotTest {
    /// sha256 in hex over the images that they were drawn from.
    pub digest: String,
    /// Mean over the episodes of the share of queries that were right.
    pub accuracy: f64,
    /// The same of each episode, in their order.
    pub per_episode: Vec<f64>,
}

impl FewShotRecord {
    /// Whether both were judged on the very same episodes: drawn from the same images by the same rules.
    pub fn same_episodes(&self, other: &Self) -> bool {
        self.test.digest == other.test.digest
            && self.config.get("test") == other.config.get("test")
            && self.test.per_episode.len() == other.test.per_episode.len()
    }

    /// The method's name, as tables give it: `anil` is MAML that adapts the head alone.
    pub fn method(&self) -> String {
        let setting = |name: &str| self.config.pointer(&format!("/learner/method/{name}")).and_then(Value::as_str);
        let name = match (setting("kind"), setting("adapt")) {
            (Some("maml"), Some("head")) => "anil",
            (Some(kind), _) => kind,
            (None, _) => "few-shot",
        };
        if setting("order") == Some("first") { format!("first-order {name}") } else { name.to_owned() }
    }
}

/// Reads a `record.json`; `None` where it is JSON of another kind, which is not panal's.
///
/// # Errors
/// [`ReportError::Read`]; [`ReportError::Single`] naming file and field for what is no JSON, lacks a field, or comes from a later release.
pub fn read_single(path: &Path) -> Result<Option<SingleRecord>, ReportError> {
    let bytes = fs::read(path).map_err(|source| ReportError::Read { path: path.to_owned(), source })?;
    let wrong =
        |field: &str, message: String| ReportError::Single { path: path.to_owned(), field: field.to_owned(), message };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(".", error.to_string()))?;
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !["pretraining", "supervised pretraining", "few-shot training"].contains(&kind.as_str()) {
        return Ok(None);
    }
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format > u64::from(KNOWN) => {
            let message = format!("{format}, but this release reads up to {KNOWN}; update panal");
            return Err(wrong("format", message));
        }
        Some(_) => {}
        None => return Err(wrong("format", "missing".to_owned())),
    }
    let record = if kind == "few-shot training" {
        SingleRecord::FewShot(fields(value).map_err(|(field, message)| wrong(&field, message))?)
    } else {
        SingleRecord::Pretraining(fields(value).map_err(|(field, message)| wrong(&field, message))?)
    };
    Ok(Some(record))
}

/// The record in `value`, or the field that is wrong and what is wrong with it.
pub(crate) fn fields<T: DeserializeOwned>(value: Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| (error.path().to_string(), error.inner().to_string()))
}
