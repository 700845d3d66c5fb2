//! A lab in a program of one's own or in a notebook: what all of its rows share, and one row with one seed, from initial weights to
//! a trained network and its record. Presets, checkpoints, folds and folders are the binary's.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime};

use panal_data::{AugmentSpec, DataSource};
use panal_models::{Arch, Classifier, ModelSpec};
use panal_report::{DataRecord, Evaluation, FORMAT, Origin, RunRecord, Seconds, WeightsRecord};
use panal_tensor::Weights;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::Device;

use crate::record::{model_record, split_record, versions};
use crate::{Log, PhaseSpec, Split, TrainError, Transfer};

/// Images at a time where nothing is learnt.
const EVAL_BATCH: usize = 32;

/// Labelled images to learn from and others to judge by, with what a record says of them.
#[derive(Clone)]
pub struct LabImages {
    /// Images to learn from.
    pub train: Arc<dyn DataSource>,
    /// Images to evaluate on; never learnt from.
    pub eval: Arc<dyn DataSource>,
    /// Names, counts and digests.
    pub record: DataRecord,
}

impl LabImages {
    /// Two splits of the data set `id`. Every image is read once, for its digest.
    ///
    /// # Errors
    /// [`TrainError::Classes`] where the two don't have the same classes; the first image that cannot be read.
    pub fn new(
        id: &str,
        origin: Origin,
        train: Arc<dyn DataSource>,
        eval: Arc<dyn DataSource>,
    ) -> Result<Self, TrainError> {
        if train.classes() != eval.classes() {
            return Err(TrainError::Classes { train: train.classes().join(", "), eval: eval.classes().join(", ") });
        }
        let record = DataRecord {
            id: id.to_owned(),
            title: id.to_owned(),
            origin,
            classes: train.classes().to_vec(),
            train: split_record(train.as_ref())?,
            evaluation: split_record(eval.as_ref())?,
            excluded: Vec::new(),
        };
        Ok(Self { train, eval, record })
    }
}

impl fmt::Debug for LabImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabImages").field("record", &self.record).finish_non_exhaustive()
    }
}

/// What all rows of a lab share.
#[derive(Debug)]
pub struct Lab {
    /// What stands above the table.
    pub title: String,
    /// The images.
    pub images: LabImages,
    /// How an image is prepared where nothing is learnt.
    pub evaluation: AugmentSpec,
    /// Architecture of every row.
    pub arch: Arch,
    /// Pretrained weights of that architecture, for the rows that begin with them.
    pub pretrained: Weights,
    /// What these weights were made from, such as `imagenet1k`.
    pub pretrained_on: String,
    /// Images a training step.
    pub batch: usize,
    /// Key of every random draw.
    pub seed: u64,
    /// Where the network computes.
    pub device: Device,
    /// How to run this again, for the records.
    pub command: String,
}

/// One row of the lab's table: how a network comes to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabRow {
    /// Position in the table, from 0.
    pub index: usize,
    /// Name, unique in the lab.
    pub name: String,
    /// What the weights begin as.
    pub start: Start,
    /// What is done to training images.
    pub augment: AugmentSpec,
    /// What is trained, in order.
    pub phases: Vec<PhaseSpec>,
}

/// What the weights of a network begin as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The lab's pretrained weights, with a new head.
    Pretrained,
    /// Fresh parameters, drawn from the seed.
    Random,
}

/// A row that was trained.
#[derive(Debug)]
pub struct LabRun {
    /// The network after the last epoch.
    pub model: Classifier,
    /// How that went, with every prediction: what tables and plots are made of.
    pub record: RunRecord,
}

impl Lab {
    /// Trains a network as `row` says, and evaluates it after every epoch.
    ///
    /// # Errors
    /// What [`Transfer::run`] refuses; weights of another architecture.
    pub fn run(&self, row: &LabRow, log: &mut dyn Log) -> Result<LabRun, TrainError> {
        let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let clock = Instant::now();
        let LabImages { train, eval, record: data } = &self.images;
        let spec = ModelSpec::new(self.arch, data.classes.len());
        let (mut model, init, weights) = match row.start {
            Start::Random => (Classifier::new(&spec, self.device, self.seed)?, "random", None),
            Start::Pretrained => {
                let (model, _) = Classifier::pretrained(&spec, self.device, self.seed, &self.pretrained)?;
                let id = self.pretrained.source.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let weights = WeightsRecord { id, digest: self.pretrained.digest()? };
                (model, self.pretrained_on.as_str(), Some(weights))
            }
        };
        let outcome = Transfer {
            train: Split { source: train.clone(), pipeline: row.augment.check()? },
            eval: Split { source: eval.clone(), pipeline: self.evaluation.check()? },
            phases: &row.phases,
            batch: self.batch,
            eval_batch: EVAL_BATCH,
            seed: self.seed,
            threads: None,
            checkpoint: None,
            stop: &AtomicBool::new(false),
        }
        .run(&mut model, log)?;

        let seconds = outcome.seconds;
        let record = RunRecord {
            format: FORMAT,
            lab: self.title.clone(),
            row: row.name.clone(),
            row_index: row.index,
            data: data.clone(),
            evaluation: Evaluation::ValidationSplit,
            model: model_record(&model, init, weights, &row.phases),
            seed: self.seed,
            device: panal_tensor::device_name(self.device),
            threads: rayon::current_num_threads(),
            versions: versions(),
            config: json!({
                "row": row, "evaluation": self.evaluation, "model": self.arch, "batch": self.batch, "eval_batch": EVAL_BATCH,
                "data": { "id": data.id, "train": data.train.digest, "evaluation": data.evaluation.digest },
            }),
            command: self.command.clone(),
            started_at,
            seconds: Seconds {
                total: clock.elapsed().as_secs_f64(),
                data: 0.0,
                features: seconds.features,
                train: seconds.train,
                waiting: Some(seconds.waiting),
                evaluate: seconds.evaluate,
            },
            images_seen: outcome.images,
            images_per_second: outcome.images as f64 / (seconds.features + seconds.train),
            energy: None,
            phases: row.phases.iter().map(PhaseSpec::title).collect(),
            epochs: outcome.epoch_records(),
            predictions: outcome.last.records(eval.as_ref())?,
            best: Some(outcome.best_record(eval.as_ref())?),
        };
        record.check()?;
        Ok(LabRun { model, record })
    }
}
