//! The command line: what can be typed, and what each word means. Nothing is done here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use panal_tensor::DeviceChoice;

use crate::ssl::Protocol;

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
    /// Measure this machine: how fast images are loaded, how fast a network computes
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ssl {
    /// Pretrain an encoder on the images of a folder; labels are not looked at
    Pretrain(PretrainArgs),
    /// Judge encoders, other weights, random ones and pixels by the same protocols
    Eval(SslEvalArgs),
    /// Make one table of what `panal ssl eval` found on several data sets
    Table(TableArgs),
    /// Pretrain and judge over a grid of settings: the studies of the SimCLR paper
    Study(StudyArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Fewshot {
    /// Train a learner by episodes, and judge it on those of the configuration
    Train(FewshotTrainArgs),
    /// Judge learners, and floors that learn nothing, on the same episodes
    Eval(FewshotEvalArgs),
    /// Say which class of a support set an image is nearest to, or none
    Predict(FewshotPredictArgs),
    /// Show how accuracy grows with the number of labelled images, by transfer from frozen features
    Curve(FewshotCurveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FewshotTrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Another method than the configuration's, with its usual settings
    #[arg(long, value_name = "METHOD", value_enum)]
    pub(crate) method: Option<FewshotMethod>,

    /// Key of every random draw
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where the learner goes: learner.safetensors, record.json and checkpoint.safetensors
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// The methods of few-shot learning, and their variants.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum FewshotMethod {
    Prototypical,
    Matching,
    Relation,
    Siamese,
    Maml,
    FirstOrderMaml,
    Anil,
}

#[derive(Debug, Args)]
pub(crate) struct FewshotEvalArgs {
    /// What is judged: learner.safetensors files that `panal fewshot train` wrote; the floors alone where there are none
    #[arg(value_name = "FILE")]
    pub(crate) learners: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Judge on the episodes of this file in place of those of the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,

    /// Write the episodes to this file, so that others can be held to them
    #[arg(long, value_name = "FILE")]
    pub(crate) write_episodes: Option<PathBuf>,

    /// Leave out the floors: the modified Hausdorff distance of drawings, and nearest pixels
    #[arg(long)]
    pub(crate) no_floors: bool,

    /// Write everything that was found to this file, JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PretrainArgs {
    /// A folder with images at any depth, or one with `train` and `val` (or `test`) folders, of which the first is learnt from, or a data set by
    /// name (see `panal data`) [default: that of the configuration]
    pub(crate) data: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Key of every random draw
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where the encoder goes: encoder.safetensors, record.json and checkpoint.safetensors, which also holds the projection head
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
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

    /// Write everything that was found to this file, JSON, for `panal ssl table`
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

#[derive(Debug, Args)]
pub(crate) struct FewshotPredictArgs {
    /// What is known of the classes: a folder of one folder of images a class, or a file that --save wrote
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) support: PathBuf,

    /// Images to classify
    #[arg(long, value_name = "IMG", num_args = 1.., required_unless_present = "save")]
    pub(crate) query: Vec<PathBuf>,

    /// The frozen encoder: an encoder.safetensors, WEIGHTS:ARCH or random:ARCH [default: that of the saved set, else imagenet1k:mobilenet_v2]
    #[arg(long, value_name = "FILE|WEIGHTS:ARCH")]
    pub(crate) init: Option<String>,

    /// What is done to features first [default: l2, or centred-l2 where --base is given]
    #[arg(long, value_name = "TRANSFORM", value_enum)]
    pub(crate) transform: Option<FeatureTransform>,

    /// Images of other classes, whose mean is taken away by centred-l2: a folder, or a data set by name (see `panal data`)
    #[arg(long, value_name = "DATA")]
    pub(crate) base: Option<String>,

    /// Say none where the highest similarity, from -1 to 1, is below this [default: that of the saved set, if any]
    #[arg(long, value_name = "THRESHOLD", allow_negative_numbers = true, value_parser = cosine)]
    pub(crate) reject: Option<f64>,

    /// Choose that threshold on a folder of other classes: the one of best balanced accuracy between its images and the support images, each of
    /// them held against the set without itself
    #[arg(long, value_name = "DIR", conflicts_with = "reject")]
    pub(crate) calibrate: Option<PathBuf>,

    /// Add the images of a folder of classes, known ones or new ones; nothing is trained
    #[arg(long, value_name = "DIR")]
    pub(crate) grow: Option<PathBuf>,

    /// Keep the support set, threshold included, in this file (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,

    /// Draw queries, support images and similarities into this file (.jpg or .png)
    #[arg(long, value_name = "FILE", requires = "query")]
    pub(crate) picture: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct FewshotCurveArgs {
    /// A folder of one folder a class, or one with `train` and `val` (or `test`) folders of such, of which the second is drawn from, or a data set
    /// by name (see `panal data`)
    pub(crate) data: String,

    /// The frozen encoder: an encoder.safetensors, WEIGHTS:ARCH or random:ARCH
    #[arg(long, value_name = "FILE|WEIGHTS:ARCH", default_value = crate::fewshot::DEFAULT_INIT)]
    pub(crate) init: String,

    /// Support images of each class
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "1,2,5,10,20", value_parser = at_least_one)]
    pub(crate) shots: Vec<usize>,

    /// Classes of an episode [default: 5, or all where there are fewer]
    #[arg(long, value_name = "K")]
    pub(crate) ways: Option<usize>,

    /// Query images of each class
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = at_least_one)]
    pub(crate) queries: usize,

    /// Episodes for each number of shots
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = at_least_one)]
    pub(crate) episodes: usize,

    /// How queries are classified; may be said several times. laplacian-shot and tim are transductive: they see all queries of an episode at once
    #[arg(long = "method", value_name = "METHOD", value_enum, default_values = ["nearest-mean"])]
    pub(crate) methods: Vec<TransferMethod>,

    /// What is done to features first; may be said several times [default: l2, or centred-l2 where --base is given]
    #[arg(long = "transform", value_name = "TRANSFORM", value_enum)]
    pub(crate) transforms: Vec<FeatureTransform>,

    /// Images of other classes, whose mean is taken away by centred-l2: a folder, or a data set by name (see `panal data`)
    #[arg(long, value_name = "DATA")]
    pub(crate) base: Option<String>,

    /// Key of the draws of episodes
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Write curve.md, curve.csv, curve.svg and curve.json into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

/// A way of classifying queries over frozen features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TransferMethod {
    /// The nearest class mean (SimpleShot)
    NearestMean,
    /// The class mean of highest cosine
    Cosine,
    /// Logistic regression on the support images
    Logistic,
    /// LaplacianShot, transductive
    LaplacianShot,
    /// Transductive information maximisation (TIM-ADM)
    Tim,
}

/// What is done to features before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FeatureTransform {
    /// Nothing
    None,
    /// Unit length
    L2,
    /// The mean of the base images is taken away, then unit length
    CentredL2,
}

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

    /// Steps that are timed, after two that are not
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub(crate) steps: usize,

    /// Height and width of the images
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = at_least_one)]
    pub(crate) size: usize,
}

/// Where a configuration comes from and what is changed in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// A built-in configuration, by name
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

    /// Change any other setting, as in `--set row.0.phases.0.epochs=3`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,

    /// Keep a checkpoint at least so often, in seconds; the end of an epoch is always kept
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub(crate) checkpoint_every: f64,

    /// Go on where an interrupted run stopped
    #[arg(long)]
    pub(crate) resume: bool,
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

fn cosine(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (-1.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from -1 to 1".into()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value > 0 => Ok(value),
        _ => Err("a whole number of at least 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
