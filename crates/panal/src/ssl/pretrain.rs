//! `panal ssl pretrain`: an encoder from images without labels, or by their labels to be held against it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use panal_data::{DataSource, Subset};
use panal_models::{Classifier, ModelSpec, Projector};
use panal_trainers::{CheckpointSpec, Part, PhaseSpec, SimClr, Split, Transfer, Views, Watch};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tch::Device;

use super::config::{self, Pretraining};
use super::encoder::{self, Card};
use crate::board::Board;
use crate::cli::{ConfigArgs, Global, PretrainArgs};
use crate::config::largest_side;
use crate::console::{Console, RunLog};
use crate::data::{self, Data, Unlabelled};
use crate::reading::{Reading, Together, mind_memory};
use crate::run::hex;
use crate::running::{self, Work};
use crate::{device, interrupt, memory, record, unfinished};

/// A part of the images is the same whatever the seed of the run.
const SHARE_SEED: u64 = 0;

/// A backbone has no classes; its unused head has the least that there can be.
const HEADLESS: usize = 2;

/// Images that a supervised pretraining is watched by at most, after every epoch.
const WATCHED: usize = 1_000;

/// The file of an encoder in the folder of its pretraining.
pub(crate) const ENCODER: &str = "encoder.safetensors";

/// How a pretraining went.
pub(crate) struct Pretrained {
    /// The last epoch in words.
    words: String,
    /// The last epoch in numbers.
    summary: Value,
    /// Every epoch, for the record.
    epochs: Value,
    images: u64,
    steps: Option<u64>,
    pub(crate) seconds: f64,
    /// Seconds of what was done before an interruption.
    earlier: f64,
}

/// What does not depend on the settings.
pub(crate) struct Bench<'a> {
    pub(crate) device: Device,
    pub(crate) threads: Option<usize>,
    pub(crate) checkpoint_every: Duration,
    pub(crate) resume: bool,
    pub(crate) console: &'a Console,
    /// Where TensorBoard is told of the run.
    pub(crate) tensorboard: Option<&'a Path>,
}

impl<'a> Bench<'a> {
    /// As the command line has it, with nothing for TensorBoard.
    pub(crate) fn new(global: &Global, args: &ConfigArgs, console: &'a Console) -> Result<Self> {
        Ok(Self {
            device: device::choose(global)?,
            threads: device::loader_threads(global),
            checkpoint_every: args.checkpoint_every(),
            resume: args.resume,
            console,
            tensorboard: None,
        })
    }
}

pub(crate) fn run(args: &PretrainArgs, global: &Global, console: &Console) -> Result<()> {
    let data = args.data.clone().map(|data| ("data", toml::Value::String(data)));
    let supervised = args.supervised.then_some(("supervised", toml::Value::Boolean(true)));
    let config = config::load(&args.config, &data.into_iter().chain(supervised).collect::<Vec<_>>())?;
    let data = open(&config, args.config.skip_bad, console)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let mut bench = Bench::new(global, &args.config, console)?;
    bench.tensorboard = args.tensorboard.as_deref();
    device::mind(bench.device, [config.simclr.precision]);
    let pretrained = pretrain(&config, &data, args.seed, &args.out, &bench)?;
    let path = args.out.join(ENCODER);
    if global.json {
        let mut result = pretrained.summary;
        result["encoder"] = json!(path);
        result["seconds"] = json!(pretrained.seconds);
        println!("{result:#}");
        return Ok(());
    }
    println!("{} (last epoch), {:.0} s", pretrained.words, pretrained.seconds);
    println!("encoder: {}", path.display());
    Ok(())
}

/// The images that a configuration names, or the share of them that it asks for.
pub(crate) fn open(config: &Pretraining, skip_bad: bool, console: &Console) -> Result<Unlabelled> {
    let share = config.share.filter(|share| *share < 1.0);
    let reading =
        Reading { skip_bad, shorter_side: config.shorter_side, keep_all: share.is_none(), ..Reading::new(console) };
    let mut data = data::open_unlabelled(&config.data, reading)?;
    if let Some(share) = share {
        let part = self::share(data.images, share)?;
        if let Some([train, _]) = &mut data.watch {
            *train = part.clone();
        }
        data.images = part;
    }
    let mut parts = vec![Together { images: vec![data.images.as_ref()], through: vec![config.views().check()?] }];
    if let Some([_, eval]) = &data.watch {
        parts.push(Together { images: vec![eval.as_ref()], through: vec![config.evaluation().check()?] });
    }
    mind_memory(&parts, largest_side(&config.augment)?)?;
    Ok(data)
}

/// The same images, as what features are judged on.
pub(crate) fn labelled(images: &Unlabelled) -> Result<Data> {
    let Some([train, eval]) = images.watch.clone() else {
        bail!(
            "{}: features are judged by labels, so the data must have `train` and `val` (or `test`) folders of classes",
            images.title
        );
    };
    Ok(Data {
        id: images.id.clone(),
        title: images.title.clone(),
        origin: images.origin,
        train_record: panal_trainers::split_record(train.as_ref())?,
        eval_record: panal_trainers::split_record(eval.as_ref())?,
        train,
        eval,
        excluded: images.excluded.clone(),
        held_out: false,
        seconds: 0.0,
    })
}

/// A share of the images of every class, always the same ones.
pub(crate) fn share(images: Arc<dyn DataSource>, share: f64) -> Result<Arc<dyn DataSource>> {
    let labels: Vec<usize> = (0..images.len()).map(|index| images.label(index)).collect();
    let part = panal_data::stratified_share(&labels, images.classes(), share, SHARE_SEED)?;
    tracing::info!("a share of {share} of the training images: {}", part.len());
    Ok(Arc::new(Subset::new(images, part)?))
}

/// Trains an encoder and writes it with its record to `out`; the checkpoint, with the projection head, stays beside them.
pub(crate) fn pretrain(
    config: &Pretraining,
    data: &Unlabelled,
    seed: u64,
    out: &Path,
    bench: &Bench<'_>,
) -> Result<Pretrained> {
    let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let clock = Instant::now();
    let digest = data.images.digest()?;
    let classes = data.watch.as_ref().map_or(HEADLESS, |[train, _]| train.classes().len().max(HEADLESS));
    let spec = ModelSpec::new(config.model, classes).with_stem(config.stem);
    let mut encoder = Classifier::new(&spec, bench.device, seed)?;

    let versions = record::versions();
    let origin = origin(config, data, &digest, seed, bench);
    let checkpoint = CheckpointSpec {
        path: out.join("checkpoint.safetensors"),
        every: bench.checkpoint_every,
        fingerprint: hex(&Sha256::digest(origin.to_string())),
        resume: bench.resume,
    };
    let work = Work {
        kind: panal_report::RunKind::Pretraining,
        title: config.title.clone(),
        data: data.id.clone(),
        model: config.model.to_string(),
        seeds: vec![seed],
        device: bench.device,
    };
    let running = running::begin(out, work)?;
    let run = Run { config, data, seed, bench, checkpoint: &checkpoint };
    let pretrained = if config.supervised { run.supervised(&mut encoder)? } else { run.simclr(&mut encoder)? };

    let card = Card { model: spec, transform: config.evaluation().clone(), origin };
    encoder::write(&out.join(ENCODER), &encoder, &card)?;
    let record = json!({
        "format": 1, "kind": if config.supervised { "supervised pretraining" } else { "pretraining" }, "title": config.title, "config": config,
        "data": {
            "id": data.id, "title": data.title, "origin": data.origin, "images": data.images.len(), "digest": digest,
            "excluded": data.excluded,
        },
        "seed": seed, "device": panal_tensor::device_name(bench.device),
        "threads": bench.threads.unwrap_or_else(rayon::current_num_threads), "versions": versions,
        "command": record::command(), "started_at": started_at,
        "seconds": { "total": clock.elapsed().as_secs_f64() + pretrained.earlier, "train": pretrained.seconds },
        "images_seen": pretrained.images, "steps": pretrained.steps, "epochs": pretrained.epochs,
    });
    unfinished::write(&out.join("record.json"), format!("{record:#}\n").as_bytes())?;
    running.finish();
    Ok(pretrained)
}

/// Where an encoder came from, for its card: everything that decides its weights.
pub(crate) fn origin(config: &Pretraining, data: &Unlabelled, digest: &str, seed: u64, bench: &Bench<'_>) -> Value {
    json!({
        "config": config, "data": { "id": data.id, "digest": digest }, "seed": seed,
        "device": panal_tensor::device_name(bench.device), "versions": record::versions(),
    })
}

/// One pretraining, by whichever way.
struct Run<'a> {
    config: &'a Pretraining,
    data: &'a Unlabelled,
    seed: u64,
    bench: &'a Bench<'a>,
    checkpoint: &'a CheckpointSpec,
}

impl Run<'_> {
    /// Without labels. The projection head stays in the checkpoint.
    fn simclr(&self, encoder: &mut Classifier) -> Result<Pretrained> {
        let Self { config, data, seed, bench, checkpoint } = *self;
        memory::expect(2 * config.simclr.micro_batch(), config.views().check()?.size());
        let mut projector = Projector::new(&config.simclr.projector, encoder.feature_dim(), bench.device, seed)?;
        let evaluation = config.evaluation().check()?;
        let watch = data.watch.as_ref().map(|[train, eval]| {
            let split = |source: &Arc<dyn DataSource>| Split { source: source.clone(), pipeline: evaluation.clone() };
            Watch { train: split(train), eval: split(eval) }
        });
        if watch.is_none() && config.simclr.knn.is_some() {
            tracing::warn!(
                "{}: without `train` and `val` folders of classes, no nearest neighbours are asked",
                data.title
            );
        }
        let simclr = SimClr {
            views: Views {
                source: data.images.clone(),
                augment: config.views().clone(),
                second: config.second().cloned(),
                on: config.augment_on,
            },
            spec: &config.simclr,
            watch: watch.as_ref(),
            eval_batch: config.eval_batch,
            seed,
            threads: bench.threads,
            checkpoint: Some(checkpoint),
            stop: &interrupt::watch(),
        };
        let mut board = Board::open(bench.tensorboard, &format!("{}/seed-{seed}", config.name))?;
        let views = [config.views(), config.second().unwrap_or(config.views())];
        board.show_views(data.images.as_ref(), &views, seed)?;
        let mut log = (RunLog::new(bench.console, format!("{}, seed {seed}", config.name), &[]), board);
        let done = simclr.run(encoder, &mut projector, &mut log)?;
        let images = data.watch.as_ref().map_or(&data.images, |[_, eval]| eval);
        let shown = Split { source: images.clone(), pipeline: evaluation };
        log.1.show_features(encoder, &shown, bench.threads, &[])?;
        let last = done.epochs.last().context("a pretraining has at least one epoch")?;
        let knn = last.knn.map(|accuracy| format!(", nearest neighbours {accuracy:.3}")).unwrap_or_default();
        Ok(Pretrained {
            words: format!("loss {:.3}, top-1 {:.3}{knn}", last.loss, last.top1),
            summary: json!({
                "loss": last.loss, "knn": last.knn, "rank": last.health.rank, "images_per_second": last.images_per_second,
            }),
            epochs: json!(done.epochs),
            images: done.images,
            steps: Some(done.steps),
            seconds: done.seconds,
            earlier: done.earlier.unwrap_or_default(),
        })
    }

    /// By their labels, with cross-entropy: the images, the network, the augmentation, the epochs and the optimizer are those of the
    /// contrastive pretraining that it is held against (SimCLR, appendix B.8, supervised baselines). Each image has one view.
    fn supervised(&self, encoder: &mut Classifier) -> Result<Pretrained> {
        let Self { config, data, seed, bench, checkpoint } = *self;
        let Some([train, eval]) = &data.watch else {
            bail!(
                "{}: pretraining by labels needs `train` and `val` (or `test`) folders of classes, and leaves the second alone",
                data.title
            );
        };
        let simclr = &config.simclr;
        let lr = simclr.lr_scaling.scale(simclr.lr, simclr.batch);
        let phase = PhaseSpec {
            optimizer: simclr.optimizer,
            schedule: simclr.schedule,
            precision: simclr.precision,
            ..PhaseSpec::new(simclr.epochs, Part::All, lr)
        };
        let phases = [phase];
        let transfer = Transfer {
            train: Split { source: train.clone(), pipeline: config.views().check()? },
            eval: Split { source: watched(eval)?, pipeline: config.evaluation().check()? },
            phases: &phases,
            batch: simclr.batch,
            eval_batch: config.eval_batch,
            seed,
            threads: bench.threads,
            checkpoint: Some(checkpoint),
            stop: &interrupt::watch(),
        };
        let mut board = Board::open(bench.tensorboard, &format!("{}-supervised/seed-{seed}", config.name))?;
        board.show_views(train.as_ref(), &[config.views()], seed)?;
        let title = format!("{}, supervised, seed {seed}", config.name);
        let mut log = (RunLog::new(bench.console, title, &phases), board);
        let done = transfer.run(encoder, &mut log)?;
        let shown = Split { source: eval.clone(), pipeline: transfer.eval.pipeline.clone() };
        log.1.show_features(encoder, &shown, bench.threads, &[])?;
        let last = done.epochs.last().context("a pretraining has at least one epoch")?;
        Ok(Pretrained {
            words: format!(
                "supervised: loss {:.3}, accuracy {:.3} on the images it learns from, {:.3} on {} others",
                last.train_loss,
                last.train_accuracy,
                last.eval.accuracy,
                transfer.eval.source.len(),
            ),
            summary: json!({ "loss": last.train_loss, "accuracy": last.train_accuracy, "others": last.eval.accuracy }),
            epochs: json!(done.epoch_records()),
            images: done.images,
            steps: None,
            seconds: done.seconds.train,
            earlier: done.earlier.unwrap_or_default(),
        })
    }
}

/// Some of the images that are looked at while an encoder learns by labels; nothing is chosen by what is seen.
fn watched(eval: &Arc<dyn DataSource>) -> Result<Arc<dyn DataSource>> {
    if eval.len() <= WATCHED {
        return Ok(eval.clone());
    }
    let labels: Vec<usize> = (0..eval.len()).map(|index| eval.label(index)).collect();
    let part = panal_data::stratified_share(&labels, eval.classes(), WATCHED as f64 / eval.len() as f64, SHARE_SEED)?;
    Ok(Arc::new(Subset::new(eval.clone(), part)?))
}
