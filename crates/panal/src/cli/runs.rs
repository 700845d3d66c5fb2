//! `panal runs`: what can be typed after it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// Where runs are looked for by those who name no folder.
pub(crate) const DEFAULT_FOLDER: &str = "results";

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<Runs>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List past runs: labs, trainings, pretrainings and few-shot learners (what `panal runs` alone does)
    List(RunsListArgs),
    /// Show in what settings runs differ, and by how much in what came out
    Compare(RunsCompareArgs),
    /// Say what could be removed, and remove it with --yes
    Clean(RunsCleanArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunsListArgs {
    /// The folder to look in, and in the folders below it
    #[arg(value_name = "DIR", default_value = DEFAULT_FOLDER)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunsCompareArgs {
    /// Folders of runs; of a lab one row by its name or number, as in results/tutorial-mobilenet_v2#3. Differences are from the first
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    pub(crate) runs: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunsCleanArgs {
    /// The folder to clean, with the folders below it
    #[arg(value_name = "DIR", default_value = DEFAULT_FOLDER)]
    pub(crate) folder: PathBuf,

    /// Remove the models that were kept, too
    #[arg(long, conflicts_with_all = ["runs", "older_than"])]
    pub(crate) models: bool,

    /// Remove this run as a whole, by its path in the folder, and nothing of others; may be said several times
    #[arg(long = "run", value_name = "NAME", conflicts_with = "older_than")]
    pub(crate) runs: Vec<String>,

    /// Remove runs as a whole that began longer ago than this, as in 30d, and nothing of others
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,

    /// Remove it
    #[arg(long)]
    pub(crate) yes: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; say it as in 30d, 12h or 2weeks"))
}
