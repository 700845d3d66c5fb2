//! The command line: what can be typed, and what each word means. Nothing is done here.

mod bench;
mod energy;
mod fewshot;
mod runs;
mod ssl;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use panal_tensor::{DeviceChoice, Precision};

pub(crate) use self::bench::*;
pub(crate) use self::energy::*;
pub(crate) use self::fewshot::*;
pub(crate) use self::runs::*;
pub(crate) use self::ssl::*;

/// Learn image classification from few labels, and see honestly what works best.
#[derive(Debug, Parser)]
#[command(name = "panal", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Where tensors live: auto, cpu, cuda, cuda:N or mps
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub(crate) device: DeviceChoice,

    /// Threads for loading images and for libtorch [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Print the result as JSON on standard output; everything else goes to standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say less: warnings and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Say more (-v, -vv); PANAL_LOG takes a full tracing filter
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every row of a lab over several seeds and write the table
    Lab(LabArgs),
    /// Train one row on a folder of images and keep the model
    Train(TrainArgs),
    /// Score a kept model on a folder of labelled images
    Eval(EvalArgs),
    /// Say what is on images, with probabilities
    Predict(PredictArgs),
    /// Draw where in images the evidence for a class lies (Grad-CAM)
    Explain(ExplainArgs),
    /// List the architectures and the weights that are known for them
    Models,
    /// List the known data sets, fetch one, or describe a folder of images
    Data(DataArgs),
    /// Say which devices work: a tensor is multiplied on each
    Device,
    /// Learn features from images without labels (SimCLR), and see what they are worth
    #[command(subcommand)]
    Ssl(Ssl),
    /// Learn to tell new classes apart from few images of each
    #[command(subcommand)]
    Fewshot(Fewshot),
    /// List, compare and clean past runs
    Runs(RunsArgs),
    /// Measure this machine: how fast images are loaded, how fast a network computes
    #[command(subcommand)]
    Bench(Bench),
}

/// Where a configuration comes from and what is changed in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// A built-in configuration, by name: tutorial, tuned, insects or backbone [default: tutorial; for a lab of the built-in insects, insects]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) preset: Option<String>,

    /// A configuration file in TOML, in place of a preset
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Architecture, by name (see `panal models`)
    #[arg(long, value_name = "ARCH")]
    pub(crate) model: Option<String>,

    /// Images a step
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<i64>,

    /// Learning rate of every phase that has none of its own
    #[arg(long, value_name = "LR", allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,

    /// What training steps of every phase that does not say compute in: f32, or bf16 (mixed precision, for GPUs that multiply in it);
    /// evaluation and features that are computed once are f32
    #[arg(long, value_name = "f32|bf16")]
    pub(crate) precision: Option<Precision>,

    /// Change any other setting, as in `--set row.0.phases.0.epochs=3`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,

    /// Keep a checkpoint at least so often, in seconds; the end of an epoch too, unless that takes over a tenth of the time [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) checkpoint_every: Option<f64>,

    /// Go on where an interrupted run stopped
    #[arg(long)]
    pub(crate) resume: bool,
}

impl ConfigArgs {
    /// The longest time from one checkpoint to the next.
    pub(crate) fn checkpoint_every(&self) -> Duration {
        Duration::from_secs_f64(self.checkpoint_every.unwrap_or(30.0))
    }
}

#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// hymenoptera (photographs), insects (drawn by panal), or a folder with `train` and `val` folders of one folder a class
    /// (./NAME for a folder called like one of these) [default: hymenoptera with ImageNet weights where both can be had, else insects]
    #[arg(long, value_name = "ID|DIR")]
    pub(crate) data: Option<String>,

    /// The built-in insects with one seed, in under a minute of training
    #[arg(long, conflicts_with_all = ["data", "preset", "config", "model", "seeds", "folds"])]
    pub(crate) quick: bool,

    /// Run only this row, by name or number; may be said several times
    #[arg(long = "row", value_name = "NAME|N")]
    pub(crate) rows: Vec<String>,

    /// Runs of every row, each with a seed of its own
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<i64>,

    /// The first seed
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<i64>,

    /// Evaluate by K-fold cross-validation within the training split; the evaluation split is not looked at
    #[arg(long, value_name = "K")]
    pub(crate) folds: Option<usize>,

    /// Where results go: a folder of this lab is made in it
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,

    /// Keep the trained model of every run beside its results
    #[arg(long)]
    pub(crate) keep_models: bool,

    /// Write event files for TensorBoard below this folder, a folder a run
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// A folder of one folder a class, or one with `train` and `val` folders of such, or a data set by name (see `panal data`)
    pub(crate) data: String,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The row of the configuration to train, by name or number
    #[arg(long, value_name = "NAME|N", default_value = "5")]
    pub(crate) row: String,

    /// Share of each class held out to evaluate on, where the data has no `val` folder
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub(crate) val_fraction: f64,

    /// Key of every random draw
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where the model goes: model.safetensors and record.jsonl
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Write event files for TensorBoard below this folder, a folder a run
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A model that `panal train` kept
    pub(crate) model: PathBuf,

    /// A folder of one folder a class, the classes the model was trained for
    pub(crate) data: PathBuf,

    /// Images at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub(crate) batch: usize,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// A model that `panal train` kept
    pub(crate) model: PathBuf,

    /// Images, or folders of images
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,

    /// Write the predictions to this file (.csv or .json) in place of printing them
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Classes to show for each image, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = at_least_one)]
    pub(crate) top: usize,

    /// Images at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub(crate) batch: usize,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A model that `panal train` kept
    pub(crate) model: PathBuf,

    /// Images, or folders of images
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,

    /// Where the pictures go, one for each image: what the network sees, and beside it the evidence (yellow: most, grey: none)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// The class to ask about [default: for each image the most probable one]
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// A data set to describe, fetched where it has to be, or a folder; without it, the known data sets are listed
    pub(crate) what: Option<String>,

    /// Write a picture of every species that panal draws, four of each, to this file (.jpg or .png)
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub(crate) sheet: Option<PathBuf>,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=86_400.0).contains(&value) => Ok(value),
        _ => Err("a number of seconds from 0 to 86400".into()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value > 0 => Ok(value),
        _ => Err("a whole number of at least 1".into()),
    }
}

/// What `panal WORDS --help` shows.
#[cfg(test)]
pub(crate) fn help(words: &[&str]) -> String {
    let whole = <Cli as clap::CommandFactory>::command();
    let mut command = words.iter().fold(whole, |command, word| command.find_subcommand(word).unwrap().clone());
    command.render_long_help().to_string()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
