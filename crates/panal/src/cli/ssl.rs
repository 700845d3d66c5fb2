//! `panal ssl`: what can be typed after it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;
use crate::ssl::Protocol;

// What options that a lab has too are in a pretraining.
const PRESETS: &str =
    "A built-in configuration, by name: cifar10-cpu, cifar10-gpu, photographs or study-cpu [default: cifar10-cpu]";
const STUDY_PRESETS: &str = "A built-in configuration, by name: cifar10-cpu, cifar10-gpu, photographs or study-cpu \
                             [default: study-cpu; with --budget full, cifar10-gpu]";
const RATE: &str = "Base learning rate";
const PRECISION: &str = "What training steps compute in: f32, or bf16 (mixed precision, for GPUs that multiply in it)";
const SETS: &str = "Change any other setting, as in `--set simclr.epochs=50`";

#[derive(Debug, Subcommand)]
pub(crate) enum Ssl {
    /// Pretrain an encoder on the images of a folder; labels are not looked at
    Pretrain(PretrainArgs),
    /// Judge encoders, other weights, random ones and pixels by the same protocols
    Eval(SslEvalArgs),
    /// Make one table of what `panal ssl eval` found on several data sets
    Table(TableArgs),
    /// Pretrain with several seeds, judge beside random weights and pixels, and make the table: pretrain, eval and table in one
    Compare(CompareArgs),
    /// Pretrain and judge over a grid of settings: the studies of the SimCLR paper
    Study(StudyArgs),
}

#[derive(Debug, Args)]
#[command(
    mut_arg("preset", |arg| arg.help(PRESETS)),
    mut_arg("lr", |arg| arg.help(RATE)),
    mut_arg("precision", |arg| arg.help(PRECISION)),
    mut_arg("sets", |arg| arg.help(SETS))
)]
pub(crate) struct PretrainArgs {
    /// A folder with images at any depth, or one with `train` and `val` (or `test`) folders, of which the first is learnt from, or a data set by
    /// name (see `panal data`) [default: that of the configuration]
    pub(crate) data: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Key of every random draw
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Learn by the labels, with everything else the same: the counterpart that the table holds against an encoder without labels
    #[arg(long)]
    pub(crate) supervised: bool,

    /// Where the encoder goes: encoder.safetensors, record.json and checkpoint.safetensors, which also holds the projection head
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Write event files for TensorBoard below this folder, a folder a run
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,
}

// What each protocol that trains does is set by itself; flags that would mean all of them have no meaning here, and no checkpoint is kept.
#[derive(Debug, Args)]
#[command(
    mut_arg("preset", |arg| arg.help("A built-in configuration, by name: evaluation [default: evaluation]")),
    mut_arg("sets", |arg| arg.help("Change any other setting, as in `--set knn.k=20`")),
    mut_arg("model", |arg| arg.hide(true)),
    mut_arg("lr", |arg| arg.hide(true)),
    mut_arg("precision", |arg| arg.hide(true)),
    mut_arg("checkpoint_every", |arg| arg.hide(true))
)]
pub(crate) struct SslEvalArgs {
    /// A folder of one folder a class, or one with `train` and `val` (or `test`) folders of such, or a data set by name (see `panal data`)
    pub(crate) data: String,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// What is judged; may be said several times: an encoder.safetensors, WEIGHTS:ARCH as in imagenet1k:mobilenet_v2, random:ARCH, or, in the way of
    /// the first encoder, random or pixels
    #[arg(long = "init", value_name = "FILE|WEIGHTS:ARCH|random|pixels", required = true)]
    pub(crate) inits: Vec<String>,

    /// How it is judged; may be said several times
    #[arg(long = "protocol", value_name = "PROTOCOL", value_enum, default_values = ["knn", "linear"])]
    pub(crate) protocols: Vec<Protocol>,

    /// Runs of what has no seed of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,

    /// The first seed of these
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Share of the training images of every class that are used at all; which they are does not depend on a seed
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub(crate) share: f64,

    /// Share of each class held out to evaluate on, where the data come in one part
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub(crate) val_fraction: f64,

    /// Write everything that was found to this file, JSON, for `panal ssl table`: after every judgement, so that --resume goes on with it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Files that `panal ssl eval --out` wrote
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Write table.md, table.csv and table.json into this folder as well
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("preset", |arg| arg.help(PRESETS)),
    mut_arg("lr", |arg| arg.help(RATE)),
    mut_arg("precision", |arg| arg.help(PRECISION)),
    mut_arg("sets", |arg| arg.help(SETS))
)]
pub(crate) struct CompareArgs {
    /// A folder with `train` and `val` (or `test`) folders, or a data set by name [default: that of the configuration]
    pub(crate) data: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Pretrain by the labels too, with everything else the same: the row `supervised` of the table
    #[arg(long)]
    pub(crate) supervised: bool,

    /// What else is judged, as in `panal ssl eval`; may be said several times
    #[arg(long = "init", value_name = "FILE|WEIGHTS:ARCH|random|pixels", default_values = ["random", "pixels"])]
    pub(crate) inits: Vec<String>,

    /// How it is judged; may be said several times. Pixels have no backbone, so they are left out where that is trained
    #[arg(long = "protocol", value_name = "PROTOCOL", value_enum, default_values = ["knn", "linear"])]
    pub(crate) protocols: Vec<Protocol>,

    /// Change a setting of the evaluation, as in `--judge knn.k=20`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) judge: Vec<String>,

    /// Runs of everything that has a seed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,

    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where the encoders, evaluation.json and the table go; what is there already is not made again
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("preset", |arg| arg.help(STUDY_PRESETS)),
    mut_arg("lr", |arg| arg.help(RATE)),
    mut_arg("precision", |arg| arg.help(PRECISION)),
    mut_arg("sets", |arg| arg.help(SETS))
)]
pub(crate) struct StudyArgs {
    /// batch-epochs, augmentations, temperature, head or colour, or a file in TOML like theirs
    pub(crate) study: String,

    /// A folder with `train` and `val` (or `test`) folders, or a data set by name [default: that of the configuration]
    pub(crate) data: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// How much each setting may cost: on a CPU, or in full, which is for a GPU
    #[arg(long, value_enum, default_value_t = Budget::Cpu)]
    pub(crate) budget: Budget,

    /// How features are judged
    #[arg(long, value_enum, default_value_t = Protocol::Linear)]
    pub(crate) protocol: Protocol,

    /// Runs of every setting
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,

    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where study.json, study.md, study.csv and study.svg go; what is there already is not run again
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// What a study may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Budget {
    /// Small data, a small network, minutes for each setting
    Cpu,
    /// The whole of the data and ResNet-18
    Full,
}
