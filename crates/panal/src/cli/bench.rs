//! `panal bench`: what can be typed after it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use panal_tensor::Precision;

use super::at_least_one;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Load and transform every image of a folder, and say how many a second
    Pipeline(PipelineArgs),
    /// Take training or evaluation steps on random pixels, and say how many images a second
    Step(StepArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// A folder of one folder a class
    pub(crate) data: PathBuf,

    /// What is done to each image
    #[arg(long, value_enum, default_value_t = Recipe::Evaluation)]
    pub(crate) transform: Recipe,

    /// Keep decoded images in memory, as the lab does; the first pass, which fills it, is not counted
    #[arg(long)]
    pub(crate) cached: bool,

    /// Passes over the images
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub(crate) passes: usize,

    /// Images a batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub(crate) batch: usize,
}

/// A transform to measure, at 224 x 224 pixels.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Recipe {
    /// Resize to 256, crop the middle
    Evaluation,
    /// Random crop, resized; random flip
    Supervised,
    /// Two views by SimCLR's augmentations
    Simclr,
}

#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// Architecture, by name (see `panal models`); its weights are random
    pub(crate) model: String,

    /// Evaluate, in place of training
    #[arg(long)]
    pub(crate) eval: bool,

    /// Images a step
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(crate) batch: usize,

    /// Steps that are timed, after two (from a CUDA graph: three) that are not
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub(crate) steps: usize,

    /// What steps compute in: f32, or bf16 (mixed precision)
    #[arg(long, value_name = "f32|bf16", default_value_t = Precision::F32)]
    pub(crate) precision: Precision,

    /// Play the training step from a CUDA graph
    #[arg(long, conflicts_with = "eval")]
    pub(crate) cuda_graphs: bool,

    /// Height and width of the images
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least_one)]
    pub(crate) size: usize,
}
