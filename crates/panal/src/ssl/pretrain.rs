//! `panal ssl pretrain`: an encoder from images without labels.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use panal_data::{DataSource, Subset};
use panal_models::{Classifier, ModelSpec, Projector};
use panal_trainers::{CheckpointSpec, Pretrained, SimClr, Split, Views, Watch};
use serde_json::json;
use sha2::{Digest, Sha256};
use tch::Device;

use super::config::{self, Pretraining};
use super::encoder::{self, Card};
use crate::cli::{Global, PretrainArgs};
use crate::console::{Console, RunLog};
use crate::data::{self, Unlabelled};
use crate::run::hex;
use crate::{device, interrupt, record, unfinished};

/// A part of the images is the same whatever the seed of the run.
const SHARE_SEED: u64 = 0;

/// A backbone has no classes; its unused head has the least that there can be.
const HEADLESS: usize = 2;

/// What does not depend on the settings.
pub(crate) struct Bench<'a> {
    pub(crate) device: Device,
    pub(crate) threads: Option<usize>,
    pub(crate) checkpoint_every: f64,
    pub(crate) resume: bool,
    pub(crate) console: &'a Console,
}

pub(crate) fn run(args: &PretrainArgs, global: &Global, console: &Console) -> Result<()> {
    let data = args.data.clone().map(|data| ("data", toml::Value::String(data)));
    let config = config::load(&args.config, &data.into_iter().collect::<Vec<_>>())?;
    let data = open(&config, args.config.skip_bad, console)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let bench = Bench {
        device: device::choose(global)?,
        threads: device::loader_threads(global),
        checkpoint_every: args.config.checkpoint_every,
        resume: args.config.resume,
        console,
    };
    let pretrained = pretrain(&config, &data, args.seed, &args.out, &bench)?;
    let last = pretrained.epochs.last().context("a pretraining has at least one epoch")?;
    let path = args.out.join("encoder.safetensors");
    if global.json {
        let result = json!({
            "encoder": path, "loss": last.loss, "knn": last.knn, "rank": last.health.rank,
            "images_per_second": last.images_per_second, "seconds": pretrained.seconds,
        });
        println!("{result:#}");
        return Ok(());
    }
    let knn = last.knn.map(|accuracy| format!(", nearest neighbours {accuracy:.3}")).unwrap_or_default();
    println!("loss {:.3}, top-1 {:.3}{knn} (last epoch), {:.0} s", last.loss, last.top1, pretrained.seconds);
    println!("encoder: {}", path.display());
    Ok(())
}

/// The images that a configuration names, or the share of them that it asks for.
pub(crate) fn open(config: &Pretraining, skip_bad: bool, console: &Console) -> Result<Unlabelled> {
    let mut data = data::open_unlabelled(&config.data, skip_bad, console)?;
    if let Some(share) = config.share.filter(|share| *share < 1.0) {
        let part = self::share(data.images, share)?;
        if let Some([train, _]) = &mut data.watch {
            *train = part.clone();
        }
        data.images = part;
    }
    Ok(data)
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
    let mut projector = Projector::new(&config.simclr.projector, encoder.feature_dim(), bench.device, seed)?;

    let evaluation = config.evaluation().check()?;
    let watch = data.watch.as_ref().map(|[train, eval]| {
        let split = |source: &Arc<dyn DataSource>| Split { source: source.clone(), pipeline: evaluation.clone() };
        Watch { train: split(train), eval: split(eval) }
    });
    if watch.is_none() && config.simclr.knn.is_some() {
        tracing::warn!("{}: without `train` and `val` folders of classes, no nearest neighbours are asked", data.title);
    }
    let versions = record::versions();
    let origin = json!({
        "config": config, "data": { "id": data.id, "digest": digest }, "seed": seed,
        "device": panal_tensor::device_name(bench.device), "versions": versions,
    });
    let checkpoint = CheckpointSpec {
        path: out.join("checkpoint.safetensors"),
        every: Duration::from_secs_f64(bench.checkpoint_every),
        fingerprint: hex(&Sha256::digest(origin.to_string())),
        resume: bench.resume,
    };
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
        checkpoint: Some(&checkpoint),
        stop: interrupt::stop(),
    };
    let mut log = RunLog::new(bench.console, format!("{}, seed {seed}", config.name), &[]);
    let pretrained = simclr.run(&mut encoder, &mut projector, &mut log)?;

    let card = Card { model: spec, transform: config.evaluation().clone(), origin };
    encoder::write(&out.join("encoder.safetensors"), &encoder, &card)?;
    let record = json!({
        "format": 1, "kind": "pretraining", "title": config.title, "config": config,
        "data": {
            "id": data.id, "title": data.title, "origin": data.origin, "images": data.images.len(), "digest": digest,
            "excluded": data.excluded,
        },
        "seed": seed, "device": panal_tensor::device_name(bench.device),
        "threads": bench.threads.unwrap_or_else(rayon::current_num_threads), "versions": versions,
        "command": record::command(), "started_at": started_at,
        "seconds": { "total": clock.elapsed().as_secs_f64(), "train": pretrained.seconds },
        "images_seen": pretrained.images, "steps": pretrained.steps, "epochs": pretrained.epochs,
    });
    unfinished::write(&out.join("record.json"), format!("{record:#}\n").as_bytes())?;
    Ok(pretrained)
}
