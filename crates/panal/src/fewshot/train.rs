//! `panal fewshot train`: a learner from episodes, judged at the end.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use panal_data::{DataSource, Episodes};
use panal_trainers::{CheckpointSpec, Episodic, FewShotImages, FewShotNet, MethodSpec, judge};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::learner::{self, Card};
use super::{config, data};
use crate::board::Board;
use crate::cli::{FewshotTrainArgs, Global};
use crate::console::{Console, RunLog};
use crate::reading::Reading;
use crate::run::hex;
use crate::running::{self, Work};
use crate::{device, interrupt, record, unfinished};

pub(crate) fn run(args: &FewshotTrainArgs, global: &Global, console: &Console) -> Result<()> {
    let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let study = config::load(&args.study, args.method, args.lr)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let device = device::choose(global)?;
    let reading = Reading { skip_bad: args.study.skip_bad, ..Reading::new(console) };
    let source = data::open_training(&study.data, reading)?;
    let judging = data::open_test(&study.test, source.as_ref(), None, reading)?;
    study.check_ways(&judging.list.episodes)?;
    let (digest, test_digest) = (source.digest()?, judging.images.digest()?);

    let spec = &study.learner;
    let mut net = FewShotNet::new(spec, device, args.seed)?;
    let load = |source: &dyn DataSource| FewShotImages::load(source, spec.network.side, spec.tone, device);
    let (images, test_images) = (load(source.as_ref())?, load(judging.images.as_ref())?);
    let episodes = Episodes::new(source.as_ref(), study.training.episode.clone(), args.seed)?;
    let versions = record::versions();
    let origin = json!({
        "learner": spec, "training": study.training, "data": { "names": study.data, "digest": digest },
        "seed": args.seed, "device": panal_tensor::device_name(device), "versions": versions,
    });
    let checkpoint = CheckpointSpec {
        path: args.out.join("checkpoint.safetensors"),
        every: Duration::from_secs_f64(args.checkpoint_every),
        fingerprint: hex(&Sha256::digest(origin.to_string())),
        resume: args.resume,
    };
    let name = name_of(&spec.method);
    let work = Work {
        kind: panal_report::RunKind::FewShot,
        title: format!("{}, {name}", study.title),
        data: study.data.join(", "),
        model: "conv4".into(),
        seeds: vec![args.seed],
        device,
    };
    let running = running::begin(&args.out, work)?;
    let training = Episodic {
        images: &images,
        episodes: &episodes,
        spec: &study.training,
        seed: args.seed,
        checkpoint: Some(&checkpoint),
        stop: &interrupt::watch(),
    };
    let board = Board::open(
        args.tensorboard.as_deref(),
        &format!("{}-{}/seed-{}", study.name, name.replace(' ', "-"), args.seed),
    )?;
    let title = format!("{}, {name}, seed {}", study.name, args.seed);
    let mut log = (RunLog::episodes(console, title, study.training.epochs), board);
    let trained = training.run(&mut net, &mut log)?;

    let path = args.out.join("learner.safetensors");
    let card = Card { spec: spec.clone(), name: name.clone(), seed: args.seed, trained_on: digest.clone(), origin };
    learner::write(&path, &net, &card)?;
    let judged = judge(&net, &test_images, &judging.list.episodes, &mut log, &interrupt::watch())?;
    let interval = judged.interval()?;
    log.1.result("test/accuracy", interval.estimate);
    log.1.project(judging.images.as_ref(), &[], |chosen| Ok(net.features(&test_images, chosen)?))?;
    let record = json!({
        "format": 1, "kind": "few-shot training", "title": study.title, "config": study,
        "data": { "digest": digest, "images": source.len(), "classes": source.classes().len() },
        "test": { "digest": test_digest, "episodes": judging.list.episodes.len(), "accuracy": interval.estimate,
                  "lower": interval.lower, "upper": interval.upper, "level": interval.level,
                  "per_episode": judged.accuracy },
        "seed": args.seed, "device": panal_tensor::device_name(device), "versions": versions,
        "command": record::command(), "started_at": started_at,
        "steps": trained.steps, "seconds": trained.seconds, "epochs": trained.epochs,
    });
    unfinished::write(&args.out.join("record.json"), format!("{record:#}\n").as_bytes())?;
    running.finish();
    if global.json {
        let result = json!({
            "learner": path, "accuracy": interval.estimate, "lower": interval.lower, "upper": interval.upper,
            "episodes": judging.list.episodes.len(), "steps": trained.steps, "seconds": trained.seconds,
        });
        println!("{result:#}");
        return Ok(());
    }
    println!(
        "{name}: accuracy {:.1} % [{:.1}, {:.1}] over {} episodes (last epoch), {:.0} s of training",
        100.0 * interval.estimate,
        100.0 * interval.lower,
        100.0 * interval.upper,
        judging.list.episodes.len(),
        trained.seconds
    );
    println!("learner: {}", path.display());
    Ok(())
}

/// A method's name in tables.
fn name_of(method: &MethodSpec) -> String {
    use panal_trainers::{Adapt, Order};
    match method {
        MethodSpec::Prototypical {} => "prototypical".into(),
        MethodSpec::Matching { .. } => "matching".into(),
        MethodSpec::Relation { .. } => "relation".into(),
        MethodSpec::Siamese { .. } => "siamese".into(),
        MethodSpec::Maml { order, adapt, .. } => {
            let name = if *adapt == Adapt::Head { "anil" } else { "maml" };
            if *order == Order::First { format!("first-order {name}") } else { name.into() }
        }
    }
}
