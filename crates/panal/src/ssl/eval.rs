//! `panal ssl eval`: what features are worth, by several protocols, over several seeds, in one table.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use panal_data::augment::Op;
use panal_data::transforms::{RandomHorizontalFlip, RandomResizedCrop, Size};
use panal_data::{AugmentSpec, DataSource, Loader, LoaderSpec, Subset};
use panal_metrics::Summary;
use panal_models::Classifier;
use panal_trainers::{Bank, PhaseSpec, Predictions, Split, Transfer, knn, linear_probe, untouched};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::init::{self, Init};
use super::pretrain;
use super::protocol::{Protocol, Settings};
use crate::cli::{Global, SslEvalArgs};
use crate::console::{Console, RunLog};
use crate::data::{self, Data};
use crate::{device, interrupt, record, unfinished};

/// One evaluation: one row's features, one protocol, one seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judgement {
    /// What was judged.
    pub(crate) init: String,
    pub(crate) protocol: Protocol,
    pub(crate) seed: u64,
    /// Share of the evaluated images that are right.
    pub(crate) accuracy: f64,
    /// Whether each evaluated image is right, in their order.
    pub(crate) correct: Vec<bool>,
    /// The penalty that a linear evaluation chose on its own validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) l2: Option<f64>,
    pub(crate) seconds: f64,
}

/// All that `panal ssl eval` found on one data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judgements {
    pub(crate) format: u32,
    pub(crate) kind: String,
    pub(crate) data: Value,
    /// Title of the data, for tables.
    pub(crate) title: String,
    pub(crate) settings: Settings,
    pub(crate) inits: Vec<Value>,
    pub(crate) judgements: Vec<Judgement>,
    pub(crate) device: String,
    pub(crate) versions: Value,
    pub(crate) command: String,
    pub(crate) started_at: String,
    pub(crate) seconds: f64,
}

/// What `kind` is in the file.
pub(crate) const KIND: &str = "evaluation of features";

pub(crate) fn run(args: &SslEvalArgs, global: &Global, console: &Console) -> Result<()> {
    let (clock, started_at) = (Instant::now(), humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
    let settings = Settings::load(&args.config)?;
    let inits = init::resolve(&args.inits, console)?;
    let mut data = data::open_any(&args.data, args.val_fraction, args.seed, args.config.skip_bad, console)?;
    if args.share != 1.0 {
        data.train = pretrain::share(data.train, args.share)?;
        data.train_record = panal_trainers::split_record(data.train.as_ref())?;
    }
    for protocol in &args.protocols {
        if !matches!(protocol, Protocol::Knn | Protocol::Linear)
            && let Some(init) = inits.iter().find(|init| matches!(init.features, init::Features::Pixels))
        {
            bail!("--init {}: pixels have no backbone, so `{protocol}` is not for them", init.name);
        }
    }
    if args.protocols.contains(&Protocol::Knn) {
        settings.knn.check_for(data.train.len())?;
    }
    warn_of_known_images(&inits, &data);
    let drawn = super::seeds(args.seed, args.seeds)?;
    let judge = Judge {
        settings: &settings,
        data: &data,
        device: device::choose(global)?,
        threads: device::loader_threads(global),
        console,
    };
    let mut protocols = args.protocols.clone();
    protocols.sort_unstable();
    protocols.dedup();
    let mut judgements = Vec::new();
    for init in &inits {
        // An encoder's seed is that of its pretraining; pixels have none.
        let seeds = match (init.seed, &init.features) {
            (Some(seed), _) => vec![seed],
            (None, init::Features::Pixels) => vec![args.seed],
            (None, init::Features::Network { .. }) => drawn.clone().collect(),
        };
        for seed in seeds {
            judgements.extend(judge.all(init, &protocols, seed)?);
        }
    }
    let result = Judgements {
        format: 1,
        kind: KIND.into(),
        data: json!({ "id": data.id, "origin": data.origin, "classes": data.train.classes(), "train": data.train_record,
                      "evaluation": data.eval_record, "excluded": data.excluded }),
        title: data.title.clone(),
        inits: inits.iter().map(|init| json!({ "name": init.name, "origin": init.origin })).collect(),
        device: panal_tensor::device_name(judge.device),
        versions: serde_json::to_value(record::versions())?,
        command: record::command(),
        started_at,
        seconds: clock.elapsed().as_secs_f64(),
        settings: settings.clone(),
        judgements,
    };
    if let Some(out) = &args.out {
        unfinished::write(out, format!("{}\n", serde_json::to_string(&result)?).as_bytes())?;
    }
    show(&result, &data, global)
}

/// Says so where an encoder was pretrained on all images of which some are held out here.
fn warn_of_known_images(inits: &[Init], data: &Data) {
    let known = |init: &&Init| init.pretraining.as_ref().is_some_and(|pretraining| pretraining.data() == data.id);
    for init in inits.iter().filter(known).filter(|_| data.held_out) {
        tracing::warn!(
            "{}: the evaluated images were among those it was pretrained on, without their labels",
            init.name
        );
    }
}

/// Prints a line for each init and protocol: the mean over the seeds with their spread.
fn show(result: &Judgements, data: &Data, global: &Global) -> Result<()> {
    let mut rows: Vec<(Protocol, &str, Vec<f64>)> = Vec::new();
    for judgement in &result.judgements {
        let known =
            rows.iter_mut().find(|(protocol, init, _)| (*protocol, *init) == (judgement.protocol, &judgement.init));
        match known {
            Some((.., accuracies)) => accuracies.push(judgement.accuracy),
            None => rows.push((judgement.protocol, &judgement.init, vec![judgement.accuracy])),
        }
    }
    rows.sort_by_key(|(protocol, ..)| *protocol);
    if global.json {
        let rows = rows.iter().map(|(protocol, init, accuracies)| {
            json!({ "protocol": protocol, "init": init, "accuracy": accuracies, "images": data.eval.len() })
        });
        println!("{:#}", json!(rows.collect::<Vec<_>>()));
        return Ok(());
    }
    println!("{}: accuracy on {} images, mean and standard deviation over seeds", result.title, data.eval.len());
    for (protocol, init, accuracies) in rows {
        let seeds = accuracies.len();
        let spread = Summary::of(&accuracies)?;
        let deviation = spread.standard_deviation.map(|deviation| format!(" ± {deviation:.3}")).unwrap_or_default();
        let seeds = if seeds == 1 { "1 seed".to_owned() } else { format!("{seeds} seeds") };
        println!("{protocol:28} {init:28} {:.3}{deviation}  ({seeds})", spread.mean);
    }
    Ok(())
}

/// What every evaluation shares.
pub(super) struct Judge<'a> {
    pub(super) settings: &'a Settings,
    pub(super) data: &'a Data,
    pub(super) device: Device,
    pub(super) threads: Option<usize>,
    pub(super) console: &'a Console,
}

impl Judge<'_> {
    /// Every protocol on one init with one seed. Features are computed once for those that need them, and the backbone is
    /// proven not to have moved under those that may not touch it.
    pub(super) fn all(&self, init: &Init, protocols: &[Protocol], seed: u64) -> Result<Vec<Judgement>> {
        let (on_features, by_training): (Vec<_>, Vec<_>) =
            protocols.iter().copied().partition(|protocol| matches!(protocol, Protocol::Knn | Protocol::Linear));
        let mut judgements = Vec::new();
        if !on_features.is_empty() {
            let [train, eval] = self.banks(init, seed)?;
            for protocol in on_features {
                let clock = Instant::now();
                let (predictions, l2) = match protocol {
                    Protocol::Knn => (knn(&train, &eval, &self.settings.knn)?, None),
                    _ => {
                        let outcome = linear_probe(&train, &eval, &self.settings.linear)?;
                        (outcome.predictions, Some(outcome.l2))
                    }
                };
                judgements.push(self.judged(init, protocol, seed, &predictions, l2, clock)?);
            }
        }
        for protocol in by_training {
            let clock = Instant::now();
            let predictions = self.trained(init, protocol, seed)?;
            judgements.push(self.judged(init, protocol, seed, &predictions, None, clock)?);
        }
        Ok(judgements)
    }

    /// What came of one evaluation, once every image is known to have been counted.
    fn judged(
        &self,
        init: &Init,
        protocol: Protocol,
        seed: u64,
        predictions: &Predictions,
        l2: Option<f64>,
        clock: Instant,
    ) -> Result<Judgement> {
        let predicted = predictions.predicted()?;
        let images = self.data.eval.len();
        ensure!(
            predicted.len() == images && predictions.truth.len() == images,
            "{} predictions for {images} images: this is a mistake in panal",
            predicted.len()
        );
        let correct: Vec<bool> = predicted.iter().zip(&predictions.truth).map(|(said, truth)| said == truth).collect();
        let accuracy = correct.iter().filter(|right| **right).count() as f64 / images as f64;
        tracing::info!("{}, seed {seed}: {protocol} {accuracy:.3}", init.name);
        let seconds = clock.elapsed().as_secs_f64();
        Ok(Judgement { init: init.name.clone(), protocol, seed, accuracy, correct, l2, seconds })
    }

    /// Features of the training and of the evaluated images.
    fn banks(&self, init: &Init, seed: u64) -> Result<[Bank; 2]> {
        let [train, eval] = [&self.data.train, &self.data.eval];
        let split = |source: &Arc<dyn DataSource>| -> Result<Split> {
            Ok(Split { source: source.clone(), pipeline: init.transform.check()? })
        };
        let splits = [split(train)?, split(eval)?];
        let Some(mut network) = init.network(train.classes().len(), self.device, seed)? else {
            let [train, eval] = &splits;
            return Ok([self.pixels(train)?, self.pixels(eval)?]);
        };
        let mut log = self.log(init, seed, &[]);
        let batch = self.settings.eval_batch;
        Ok(untouched(&mut network, |network| {
            let [train, eval] = &splits;
            Ok([
                Bank::of(network, train, batch, self.threads, &mut log)?,
                Bank::of(network, eval, batch, self.threads, &mut log)?,
            ])
        })?)
    }

    /// Normalised pixels as features.
    fn pixels(&self, split: &Split) -> Result<Bank> {
        let batch = self.settings.eval_batch.min(split.source.len());
        let spec = LoaderSpec { batch, threads: self.threads, ..LoaderSpec::default() };
        let loader = Loader::new(split.source.clone(), split.pipeline.clone(), spec)?;
        let mut rows = Vec::new();
        for batch in loader.epoch(0) {
            let (images, _) = panal_tensor::batch_to_tensors(batch?, Device::Cpu)?;
            rows.push(images.f_flatten(1, -1)?.f_to_kind(Kind::Float)?);
        }
        let classes = split.source.classes().len();
        Ok(Bank::new(Tensor::f_cat(&rows, 0)?, split.labels(), classes)?)
    }

    /// Predictions of a network that was trained by the protocol's phase.
    fn trained(&self, init: &Init, protocol: Protocol, seed: u64) -> Result<Predictions> {
        let phase = match protocol {
            Protocol::LinearSgd => &self.settings.linear_sgd,
            _ => &self.settings.finetune,
        };
        let Some(mut network) = init.network(self.data.train.classes().len(), self.device, seed)? else {
            bail!("{}: pixels have no backbone, so `{protocol}` is not for them", init.name);
        };
        let train = self.labelled(protocol.labels(), seed)?;
        let transfer = Transfer {
            train: Split { source: train.clone(), pipeline: augmented(&init.transform)?.check()? },
            eval: Split { source: self.data.eval.clone(), pipeline: init.transform.check()? },
            phases: std::slice::from_ref(phase),
            batch: self.settings.batch.min(train.len()),
            eval_batch: self.settings.eval_batch,
            seed,
            threads: self.threads,
            checkpoint: None,
            stop: interrupt::stop(),
        };
        let mut log = self.log(init, seed, std::slice::from_ref(phase));
        let mut run = |network: &mut Classifier| transfer.run(network, &mut log);
        let outcome = if protocol.is_frozen() { untouched(&mut network, run)? } else { run(&mut network)? };
        Ok(outcome.last)
    }

    /// The training images whose labels may be used.
    fn labelled(&self, share: f64, seed: u64) -> Result<Arc<dyn DataSource>> {
        let train = &self.data.train;
        if share >= 1.0 {
            return Ok(train.clone());
        }
        let labels: Vec<usize> = (0..train.len()).map(|index| train.label(index)).collect();
        let part = panal_data::stratified_share(&labels, train.classes(), share, seed)?;
        Ok(Arc::new(Subset::new(train.clone(), part)?))
    }

    fn log<'a>(&'a self, init: &Init, seed: u64, phases: &'a [PhaseSpec]) -> RunLog<'a> {
        RunLog::new(self.console, format!("{}, seed {seed}", init.name), phases)
    }
}

/// Random crops of the size that `transform` ends in, and flips; what SimCLR fine-tunes with.
fn augmented(transform: &AugmentSpec) -> Result<AugmentSpec> {
    let (height, width) = transform.check().context("the transform of an encoder")?.size();
    let crop = RandomResizedCrop::new(Size::Both([height, width]));
    let ops = vec![Op::RandomResizedCrop(crop), Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 0.5 })];
    Ok(AugmentSpec { ops, ..transform.clone() })
}
