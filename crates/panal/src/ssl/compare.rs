//! `panal ssl compare`: pretrain with several seeds, judge what came of it beside random weights and pixels, one table. The steps
//! are those of `pretrain`, `eval` and `table`; here they only follow each other, and go on where they were stopped.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::config;
use super::eval::{self, Task};
use super::init::Pretraining;
use super::judge::Judge;
use super::pretrain::{self, Bench, ENCODER};
use super::protocol::Settings;
use super::{encoder, init, table};
use crate::cli::{CompareArgs, Global};
use crate::config::{check_shorter_side, largest_side};
use crate::console::Console;
use crate::data::Unlabelled;
use crate::device;

pub(crate) fn run(args: &CompareArgs, global: &Global, console: &Console) -> Result<()> {
    let data = args.data.clone().map(|data| ("data", toml::Value::String(data)));
    let config = config::load(&args.config, &data.into_iter().collect::<Vec<_>>())?;
    let mut kinds = vec![("simclr", config.clone())];
    if args.supervised {
        kinds.push(("supervised", config.by_labels()?));
    }
    let seeds = super::seeds(args.seed, args.seeds)?;
    let judging = Settings::with(&args.judge)?;
    if judging.shorter_side.is_some() {
        bail!("--judge can't set shorter_side, for the images are those of the pretraining: set it by --set");
    }
    let settings = Settings { shorter_side: config.shorter_side, ..judging };
    let images = pretrain::open(&config, args.config.skip_bad, console)?;
    let labelled = pretrain::labelled(&images)?;
    // What is done is never done again.
    let bench = Bench { resume: true, ..Bench::new(global, &args.config, console)? };
    device::mind(bench.device, [config.simclr.precision]);
    eval::check(&args.protocols, &settings, &labelled)?;
    let others = init::read_all(&args.inits, console)?;
    let transforms = others.iter().flatten().map(|init| (&init.name, &init.transform));
    check_shorter_side(config.shorter_side, largest_side(transforms)?)?;
    let digest = images.images.digest()?;
    let mut planned = Vec::new();
    for (kind, config) in &kinds {
        for seed in seeds.clone() {
            let file = args.out.join(format!("{kind}-{seed}")).join(ENCODER);
            planned.push(Planned {
                config,
                seed,
                origin: pretrain::origin(config, &images, &digest, seed, &bench),
                file,
            });
        }
    }
    // What could not share a table is not pretrained for it.
    let encoders: Vec<_> = planned.iter().map(|planned| Pretraining::of(&planned.origin, &planned.file)).collect();
    let known = others.iter().flatten().filter_map(|init| init.pretraining.as_ref());
    init::check_rows(encoders.iter().chain(known))?;

    let mut names = Vec::new();
    for planned in &planned {
        planned.make(&images, &bench)?;
        names.push(planned.file.display().to_string());
    }
    let mut inits = init::read_all(&names, console)?;
    inits.extend(others);
    names.extend(args.inits.iter().cloned());
    let inits = init::complete(&names, inits)?;
    let judge = Judge { settings: &settings, data: &labelled, device: bench.device, threads: bench.threads, console };
    let task = Task { inits: &inits, protocols: &args.protocols, seeds };
    let file = args.out.join("evaluation.json");
    let found = task.run(&judge, Some(&file), true)?;
    table::write(&table::of(&[file])?, &args.out)?;
    eval::show(&found, &labelled, global)?;
    if !global.json {
        println!("which are not significantly worse than the best: {}", args.out.join("table.md").display());
    }
    Ok(())
}

/// An encoder that is to be compared.
struct Planned<'a> {
    config: &'a config::Pretraining,
    seed: u64,
    /// What its file will say of it.
    origin: Value,
    file: PathBuf,
}

impl Planned<'_> {
    /// Pretrains it, unless it is there already.
    fn make(&self, images: &Unlabelled, bench: &Bench<'_>) -> Result<()> {
        if self.file.is_file() && encoder::read(&self.file)?.0.origin == self.origin {
            tracing::info!("{} is known", self.file.display());
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        pretrain::pretrain(self.config, images, self.seed, folder, bench)?;
        Ok(())
    }
}
