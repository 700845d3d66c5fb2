//! `panal ssl compare`: pretrain with several seeds, judge what came of it beside random weights and pixels, one table. The steps
//! are those of `pretrain`, `eval` and `table`; here they only follow each other, and go on where they were stopped.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::config::{self, Pretraining};
use super::eval::{self, Task};
use super::judge::Judge;
use super::pretrain::{self, Bench, ENCODER};
use super::protocol::Settings;
use super::{encoder, init, table};
use crate::cli::{CompareArgs, Global};
use crate::console::Console;
use crate::data::Unlabelled;

pub(crate) fn run(args: &CompareArgs, global: &Global, console: &Console) -> Result<()> {
    let data = args.data.clone().map(|data| ("data", toml::Value::String(data)));
    let config = config::load(&args.config, &data.into_iter().collect::<Vec<_>>())?;
    let mut kinds = vec![("simclr", config.clone())];
    if args.supervised {
        kinds.push(("supervised", config.by_labels()?));
    }
    let seeds = super::seeds(args.seed, args.seeds)?;
    let settings = Settings::with(&args.judge)?;
    let images = pretrain::open(&config, args.config.skip_bad, console)?;
    let labelled = pretrain::labelled(&images)?;
    // What is done is never done again.
    let bench = Bench { resume: true, ..Bench::new(global, &args.config, console)? };
    eval::check(&args.protocols, &settings, &labelled)?;
    let others = init::read_all(&args.inits, console)?;

    let mut names = Vec::new();
    for (kind, config) in &kinds {
        for seed in seeds.clone() {
            let file = encoder_of(config, &images, seed, &args.out.join(format!("{kind}-{seed}")), &bench)?;
            names.push(file.display().to_string());
        }
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

/// The encoder of one seed in `folder`: the one that is there already, or else a new one.
fn encoder_of(
    config: &Pretraining,
    images: &Unlabelled,
    seed: u64,
    folder: &Path,
    bench: &Bench<'_>,
) -> Result<PathBuf> {
    let file = folder.join(ENCODER);
    if file.is_file() {
        let (card, _) = encoder::read(&file)?;
        if card.origin == pretrain::origin(config, images, &images.images.digest()?, seed, bench) {
            tracing::info!("{} is known", file.display());
            return Ok(file);
        }
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    pretrain::pretrain(config, images, seed, folder, bench)?;
    Ok(file)
}
