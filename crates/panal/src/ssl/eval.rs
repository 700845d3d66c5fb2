//! `panal ssl eval`: what features are worth, by several protocols, over several seeds, in one table. What is found is kept as it is found.

use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Result, bail};
use panal_metrics::Summary;
use serde_json::json;

use super::init::{self, Init};
use super::judge::{Judge, augmented};
use super::judgements::{FORMAT, Judgements};
use super::pretrain;
use super::protocol::{Protocol, Settings};
use crate::cli::{Global, SslEvalArgs};
use crate::config::{check_shorter_side, largest_side};
use crate::console::Console;
use crate::data::{self, Data};
use crate::reading::{Reading, Transforms};
use crate::{device, record};

pub(crate) fn run(args: &SslEvalArgs, global: &Global, console: &Console) -> Result<()> {
    let settings = Settings::load(&args.config)?;
    if args.config.resume && args.out.is_none() {
        bail!("--resume goes on with a file that an earlier run wrote: name it by --out");
    }
    let inits = init::resolve(&args.inits, console)?;
    let needed = largest_side(inits.iter().map(|init| (&init.name, &init.transform)))?;
    check_shorter_side(settings.shorter_side, needed)?;
    let plain = inits.iter().map(|init| Ok(init.transform.check()?)).collect::<Result<Vec<_>>>()?;
    let mut transforms = Transforms { train: Vec::new(), eval: plain.clone() };
    if args.protocols.iter().any(|protocol| protocol.is_on_features()) {
        transforms.train = plain;
    }
    if !args.protocols.iter().all(|protocol| protocol.is_on_features()) {
        for init in &inits {
            transforms.train.push(augmented(&init.transform)?.check()?);
        }
    }
    let reading = Reading {
        skip_bad: args.config.skip_bad,
        shorter_side: settings.shorter_side,
        keep_all: args.share == 1.0,
        views: &transforms.of_both(),
        ..Reading::new(console)
    };
    let mut data = data::open_any(&args.data, args.val_fraction, args.seed, reading)?;
    if args.share != 1.0 {
        data.train = pretrain::share(data.train, args.share)?;
        data.train_record = panal_trainers::split_record(data.train.as_ref())?;
    }
    data.mind_memory(needed, &transforms)?;
    if let Some(protocol) = args.protocols.iter().find(|protocol| !protocol.is_on_features())
        && let Some(init) = inits.iter().find(|init| init.is_pixels())
    {
        bail!("--init {}: pixels have no backbone, so `{protocol}` is not for them", init.name);
    }
    check(&args.protocols, &settings, &data)?;
    let task = Task { inits: &inits, protocols: &args.protocols, seeds: super::seeds(args.seed, args.seeds)? };
    warn_of_known_images(&inits, &data);
    let judge = Judge {
        settings: &settings,
        data: &data,
        device: device::choose(global)?,
        threads: device::loader_threads(global),
        console,
    };
    let result = task.run(&judge, args.out.as_deref(), args.config.resume)?;
    show(&result, &data, global)
}

/// What can be refused before anything is judged.
pub(super) fn check(protocols: &[Protocol], settings: &Settings, data: &Data) -> Result<()> {
    if protocols.contains(&Protocol::Knn) {
        settings.knn.check_for(data.train.len())?;
    }
    if protocols.contains(&Protocol::Linear) {
        let mut images = vec![0_usize; data.train.classes().len()];
        (0..data.train.len()).for_each(|index| images[data.train.label(index)] += 1);
        if let Some((class, count)) = data.train.classes().iter().zip(images).find(|(_, count)| *count < 2) {
            bail!(
                "{}: class `{class}` has {count} training image{}, and `{}` needs 2 images of every class, one of them to choose the penalty by: \
                 add images, use a larger share, or choose another --protocol",
                data.title,
                if count == 1 { "" } else { "s" },
                Protocol::Linear
            );
        }
    }
    Ok(())
}

/// What is to be judged, and how. Pixels are judged by the protocols that ask for features alone.
pub(super) struct Task<'a> {
    pub(super) inits: &'a [Init],
    pub(super) protocols: &'a [Protocol],
    /// Seeds of what has none of its own.
    pub(super) seeds: std::ops::Range<u64>,
}

impl Task<'_> {
    /// Every judgement. Where there is a file, it is written after each of them; with `resume`, those that stand in it are not
    /// made again.
    pub(super) fn run(&self, judge: &Judge<'_>, file: Option<&Path>, resume: bool) -> Result<Judgements> {
        let clock = Instant::now();
        let data = judge.data;
        let mut found = Judgements {
            format: FORMAT,
            kind: Judgements::kind(),
            data: json!({ "id": data.id, "origin": data.origin, "classes": data.train.classes(), "train": data.train_record,
                          "evaluation": data.eval_record, "excluded": data.excluded }),
            title: data.title.clone(),
            settings: judge.settings.clone(),
            inits: self.inits.iter().map(|init| json!({ "name": init.name, "origin": init.origin })).collect(),
            judgements: Vec::new(),
            missing: 0,
            device: panal_tensor::device_name(judge.device),
            versions: serde_json::to_value(record::versions())?,
            command: record::command(),
            started_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            seconds: 0.0,
        };
        if let Some(file) = file.filter(|file| resume && file.exists()) {
            found.take_over(Judgements::read(file)?, file)?;
            tracing::info!("{}: {} judgements are known", file.display(), found.judgements.len());
        }
        let (work, before) = (self.work(&found), found.seconds);
        found.missing = work.iter().map(|(_, _, protocols)| protocols.len()).sum();
        for (init, seed, protocols) in work {
            judge.all(init, &protocols, seed, &mut |judgement| {
                found.judgements.push(judgement);
                found.missing -= 1;
                found.seconds = before + clock.elapsed().as_secs_f64();
                file.map_or(Ok(()), |file| found.write(file))
            })?;
        }
        // Known ones alone leave the file to be told that nothing is missing.
        file.map_or(Ok(()), |file| found.write(file))?;
        Ok(found)
    }

    /// Inits, seeds and protocols that were not judged yet.
    fn work(&self, found: &Judgements) -> Vec<(&Init, u64, Vec<Protocol>)> {
        let mut protocols = self.protocols.to_vec();
        protocols.sort_unstable();
        protocols.dedup();
        let mut work = Vec::new();
        for init in self.inits {
            // An encoder's seed is that of its pretraining.
            let seeds = init.seed.map_or_else(|| self.seeds.clone().collect(), |seed| vec![seed]);
            for &seed in &seeds {
                // Features that no seed decides are judged once; pixels have nothing to train.
                let is_for = |protocol: &Protocol| match protocol.is_on_features() {
                    true => init.is_random() || seed == seeds[0],
                    false => !init.is_pixels(),
                };
                let is_new = |protocol: &Protocol| !found.has(&init.name, *protocol, seed);
                let new: Vec<_> = protocols.iter().copied().filter(is_for).filter(is_new).collect();
                if !new.is_empty() {
                    work.push((init, seed, new));
                }
            }
        }
        work
    }
}

/// Says so where an encoder was pretrained on all images of which some are held out here.
fn warn_of_known_images(inits: &[Init], data: &Data) {
    let known = |init: &&Init| init.pretraining.as_ref().is_some_and(|pretraining| pretraining.data() == data.id);
    for init in inits.iter().filter(known).filter(|_| data.held_out) {
        let labels = if init.is_supervised() { "with" } else { "without" };
        tracing::warn!(
            "{}: the evaluated images were among those it was pretrained on, {labels} their labels",
            init.name
        );
    }
}

/// Prints a line for each init and protocol: the mean over the seeds with their spread.
pub(super) fn show(result: &Judgements, data: &Data, global: &Global) -> Result<()> {
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
