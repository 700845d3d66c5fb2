//! `panal runs`: past runs listed, compared and cleaned, from what they left in their folders. Nothing is trained here.

mod clean;
mod compare;
mod list;

use std::path::Path;

use anyhow::{Context, Result, bail};
use panal_report::{RunFolder, find_runs};

use crate::cli::{DEFAULT_FOLDER, Global, Runs, RunsArgs, RunsListArgs};

pub(crate) fn run(args: &RunsArgs, global: &Global) -> Result<()> {
    match &args.command {
        None => list::run(&RunsListArgs { folder: DEFAULT_FOLDER.into() }, global),
        Some(Runs::List(args)) => list::run(args, global),
        Some(Runs::Compare(args)) => compare::run(args, global),
        Some(Runs::Clean(args)) => clean::run(args, global),
    }
}

/// The runs under `folder`, of which there is at least one.
fn find(folder: &Path) -> Result<Vec<RunFolder>> {
    let metadata = std::fs::metadata(folder)
        .with_context(|| format!("no such folder: {}; name the one that runs were written into", folder.display()))?;
    if !metadata.is_dir() {
        bail!("{} is no folder: name the one that runs were written into", folder.display());
    }
    let found = find_runs(folder)?;
    for (path, error) in &found.unreadable {
        tracing::warn!("cannot look into {}: {error}", path.display());
    }
    if found.runs.is_empty() {
        bail!(
            "there are no runs under {}: name the folder that was given as --results or --out, or run `panal lab` first",
            folder.display()
        );
    }
    Ok(found.runs)
}

/// A run's path below `root`, or `root` itself.
fn name<'a>(run: &'a RunFolder, root: &'a Path) -> &'a Path {
    match run.path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below,
        _ => &run.path,
    }
}
