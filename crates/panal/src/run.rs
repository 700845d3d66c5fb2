//! One row with one seed: from initial weights to a trained network and its record. What is done with them is the caller's.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use panal_data::{DataSource, Subset, stratified_folds};
use panal_energy::{Energy, Meter};
use panal_models::{Classifier, ModelSpec};
use panal_report::{DataRecord, Evaluation, FORMAT, RunRecord, Seconds, WeightsRecord};
use panal_tensor::Weights;
use panal_trainers::{CheckpointSpec, Outcome, PhaseSpec, Split, Transfer, model_record};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tch::Device;

use crate::board::{self, Board};
use crate::cli::ConfigArgs;
use crate::config::{Lab, Row, is_default};
use crate::console::{Console, RunLog};
use crate::data::Data;
use crate::energy::Metering;
use crate::looks::Look;
use crate::ssl::encoder;
use crate::{interrupt, memory, models, record};

/// Labelled images, shared.
type Images = Arc<dyn DataSource>;

/// What all runs of a command share.
pub(crate) struct Runner<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) data: &'a Data,
    /// Evaluate by so many folds of the training images, in place of the evaluation images.
    pub(crate) folds: Option<usize>,
    pub(crate) device: Device,
    pub(crate) threads: Option<usize>,
    pub(crate) checkpoint_every: Duration,
    pub(crate) resume: bool,
    /// Look at the trained network, for a page: at its mistakes, and with this seed at its features too.
    pub(crate) features_of: Option<u64>,
    pub(crate) metering: Metering,
    pub(crate) console: &'a Console,
    /// Where TensorBoard is told of every run.
    pub(crate) tensorboard: Option<&'a Path>,
    initial: HashMap<String, Initial>,
}

/// Weights that a row begins with.
#[derive(Clone)]
pub(crate) struct Initial {
    pub(crate) id: String,
    pub(crate) digest: String,
    pub(crate) weights: Rc<Weights>,
}

/// A network that was trained, and how that went.
pub(crate) struct Trained {
    /// The network after the last epoch; with folds, that of the last fold.
    pub(crate) model: Classifier,
    pub(crate) record: RunRecord,
    /// What was seen of it, where that was asked for.
    pub(crate) look: Option<Look>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        lab: &'a Lab,
        data: &'a Data,
        args: &ConfigArgs,
        device: Device,
        metering: Metering,
        console: &'a Console,
    ) -> Self {
        let (folds, threads, initial) = (None, None, HashMap::new());
        let (features_of, tensorboard) = (None, None);
        Self {
            lab,
            data,
            folds,
            device,
            threads,
            checkpoint_every: args.checkpoint_every(),
            resume: args.resume,
            features_of,
            metering,
            console,
            tensorboard,
            initial,
        }
    }

    /// Everything that decides a row's numbers, but its seed and the weights that it begins with.
    pub(crate) fn config(&self, row: &Row) -> Value {
        let mut config = json!({
            "row": row,
            "augment": self.lab.train_augment(row),
            "evaluation": self.lab.eval_augment(),
            "model": self.lab.model,
            "batch": self.lab.batch,
            "eval_batch": self.lab.eval_batch,
            "data": { "id": self.data.id, "train": self.data.train_record.digest, "evaluation": self.data.eval_record.digest },
            "folds": self.folds,
        });
        // Not said where it is as it always was, so that earlier runs stay comparable.
        if !is_default(&self.lab.stem) {
            config["stem"] = json!(self.lab.stem);
        }
        if let Some(side) = self.lab.shorter_side {
            config["shorter_side"] = json!(side);
        }
        config
    }

    /// Trains `row` with `seed`, keeping checkpoints in `folder` while it runs.
    pub(crate) fn run(
        &mut self,
        index: usize,
        row: &Row,
        seed: u64,
        folder: &Path,
        command: String,
    ) -> Result<Trained> {
        let initial = self.initial(row)?;
        let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let clock = Instant::now();
        let (mut energy, mut aside) = (Energy::default(), Duration::ZERO);
        let splits = self.splits(seed)?;
        let (mut outcomes, mut last) = (Vec::new(), None);
        let mut look: Option<Look> = None;
        for (fold, [train, eval]) in splits.iter().enumerate() {
            let meter = Meter::start(&self.metering.spec)?;
            let title = if splits.len() > 1 {
                format!("{}, seed {seed}, fold {}/{}", row.name, fold + 1, splits.len())
            } else {
                format!("{}, seed {seed}", row.name)
            };
            let augment = self.lab.train_augment(row).check()?;
            memory::expect(self.lab.batch, augment.size());
            let mut network = self.network(row, seed, initial.as_ref())?;
            let checkpoint = CheckpointSpec {
                path: folder.join(format!("checkpoint-{fold}.safetensors")),
                every: self.checkpoint_every,
                fingerprint: self.fingerprint(row, seed, fold, initial.as_ref()),
                resume: self.resume,
            };
            let transfer = Transfer {
                train: Split { source: train.clone(), pipeline: augment },
                eval: Split { source: eval.clone(), pipeline: self.lab.eval_augment().check()? },
                phases: &row.phases,
                batch: self.lab.batch,
                eval_batch: self.lab.eval_batch,
                seed,
                threads: self.threads,
                checkpoint: Some(&checkpoint),
                stop: &interrupt::watch(),
            };
            let mut name = format!("{}/seed-{seed}", board::folder_of(index, &row.name));
            if splits.len() > 1 {
                name += &format!("-fold-{}", fold + 1);
            }
            let mut board = Board::open(self.tensorboard, &name)?;
            board.show_views(train.as_ref(), &[self.lab.train_augment(row)], seed)?;
            let mut log = (RunLog::new(self.console, title, &row.phases), board);
            let outcome = transfer.run(&mut network, &mut log)?;
            energy.add(meter.stop());
            // Looking is for the page alone: it is no part of the run's time and energy.
            let looking = Instant::now();
            if let Some(of) = self.features_of {
                let seen = Look::at(&network, &transfer.eval, &outcome.last, of == seed, self.threads)?;
                match &mut look {
                    Some(look) => look.join(seen),
                    None => look = Some(seen),
                }
            }
            aside += looking.elapsed();
            outcomes.push((outcome, eval.clone()));
            last = Some((network, transfer.eval, log.1));
        }
        let (model, judged, mut board) = last.context("a run needs at least one fold")?;

        let earlier: Vec<f64> = outcomes.iter().filter_map(|(outcome, _)| outcome.earlier).collect();
        let mut record = RunRecord {
            format: FORMAT,
            lab: self.lab.title.clone(),
            row: row.name.clone(),
            row_index: index,
            data: DataRecord {
                id: self.data.id.clone(),
                title: self.data.title.clone(),
                origin: self.data.origin,
                classes: self.data.train.classes().to_vec(),
                train: self.data.train_record.clone(),
                evaluation: if self.folds.is_some() { &self.data.train_record } else { &self.data.eval_record }.clone(),
                excluded: self.data.excluded.clone(),
            },
            evaluation: self.folds.map_or(Evaluation::ValidationSplit, |folds| Evaluation::CrossValidation { folds }),
            model: model_record(
                &model,
                &row.init,
                initial.map(|initial| WeightsRecord { id: initial.id, digest: initial.digest }),
                &row.phases,
            ),
            seed,
            device: panal_tensor::device_name(self.device),
            threads: self.threads.unwrap_or_else(rayon::current_num_threads),
            versions: record::versions(),
            config: self.config(row),
            command,
            started_at,
            seconds: Seconds {
                total: (clock.elapsed() - aside).as_secs_f64() + earlier.iter().sum::<f64>(),
                data: self.data.seconds,
                ..Seconds::default()
            },
            images_seen: 0,
            images_per_second: 0.0,
            // What was taken before an interruption is not known.
            energy: earlier.is_empty().then(|| self.metering.record(&energy)),
            phases: row.phases.iter().map(PhaseSpec::title).collect(),
            epochs: Vec::new(),
            predictions: Vec::new(),
            best: None,
        };
        add_outcomes(&mut record, &outcomes)?;
        record.check()?;
        // With folds, no network has seen all of the images.
        if self.folds.is_none() {
            board.end(&record, &model, &judged, self.threads)?;
        }
        let look = look.map(|look| look.of_run(&record));
        Ok(Trained { model, record, look })
    }

    /// Training and evaluation images of every fold, or of the one split.
    fn splits(&self, seed: u64) -> Result<Vec<[Images; 2]>> {
        let train = &self.data.train;
        let Some(folds) = self.folds else { return Ok(vec![[train.clone(), self.data.eval.clone()]]) };
        let labels: Vec<usize> = (0..train.len()).map(|index| train.label(index)).collect();
        let part = |indices| -> Result<Images> { Ok(Arc::new(Subset::new(train.clone(), indices)?)) };
        stratified_folds(&labels, folds, seed)?
            .into_iter()
            .map(|fold| Ok([part(fold.train)?, part(fold.held_out)?]))
            .collect()
    }

    fn network(&self, row: &Row, seed: u64, initial: Option<&Initial>) -> Result<Classifier> {
        let spec = ModelSpec::new(self.lab.model, self.data.train.classes().len()).with_stem(self.lab.stem);
        let Some(initial) = initial else { return Ok(Classifier::new(&spec, self.device, seed)?) };
        encoder::check_stem(&initial.weights, self.lab.stem).with_context(|| format!("row `{}`", row.name))?;
        let (network, report) = Classifier::pretrained(&spec, self.device, seed, &initial.weights)
            .with_context(|| format!("row `{}`", row.name))?;
        tracing::debug!(
            "{}: {} tensors loaded, head left fresh: {:?}",
            initial.id,
            report.matched.len(),
            report.missing
        );
        Ok(network)
    }

    /// The weights that a row begins with, read once a command.
    fn initial(&mut self, row: &Row) -> Result<Option<Initial>> {
        if row.init == "random" {
            return Ok(None);
        }
        if !self.initial.contains_key(&row.init) {
            let initial = models::initial(self.lab.model, &row.init, self.console)
                .with_context(|| format!("row `{}`", row.name))?;
            self.initial.insert(row.init.clone(), initial);
        }
        Ok(self.initial.get(&row.init).cloned())
    }

    fn fingerprint(&self, row: &Row, seed: u64, fold: usize, initial: Option<&Initial>) -> String {
        let versions = record::versions();
        let run = json!({
            "config": self.config(row), "seed": seed, "fold": fold, "initial": initial.map(|initial| &initial.digest),
            "panal": versions.panal, "libtorch": versions.libtorch, "device": format!("{:?}", self.device),
        });
        hex(&Sha256::digest(run.to_string()))
    }
}

/// Joins the folds of a run: every image is predicted once, epochs are means over the folds.
fn add_outcomes(record: &mut RunRecord, outcomes: &[(Outcome, Images)]) -> Result<()> {
    for (outcome, source) in outcomes {
        record.seconds.features += outcome.seconds.features;
        record.seconds.train += outcome.seconds.train;
        *record.seconds.waiting.get_or_insert_default() += outcome.seconds.waiting;
        record.seconds.evaluate += outcome.seconds.evaluate;
        record.images_seen += outcome.images;
        record.predictions.extend(outcome.last.records(source.as_ref())?);
    }
    record.images_per_second = record.images_seen as f64 / (record.seconds.features + record.seconds.train);
    match outcomes {
        [(outcome, source)] => {
            record.epochs = outcome.epoch_records();
            record.best = Some(outcome.best_record(source.as_ref())?);
        }
        // Each fold has a best epoch of its own; joining them would select twice.
        folds => {
            let epochs: Vec<_> = folds.iter().map(|(outcome, _)| outcome.epoch_records()).collect();
            record.epochs = record::mean_epochs(&epochs);
        }
    }
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
