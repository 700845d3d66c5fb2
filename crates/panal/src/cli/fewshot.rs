//! `panal fewshot`: what can be typed after it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{at_least_one, seconds};

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

/// What is learnt and judged.
#[derive(Debug, Args)]
pub(crate) struct FewshotStudyArgs {
    /// A built-in configuration, by name: omniglot-oneshot or omniglot-within [default: omniglot-oneshot]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) preset: Option<String>,

    /// A configuration file in TOML, in place of a preset
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Change any other setting, as in `--set training.epochs=3`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,

    /// Leave out images that cannot be decoded, and list them, in place of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FewshotTrainArgs {
    #[command(flatten)]
    pub(crate) study: FewshotStudyArgs,

    /// Learning rate
    #[arg(long, value_name = "LR", allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,

    /// Keep a checkpoint at least so often, in seconds; the end of an epoch too, unless that takes over a tenth of the time
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub(crate) checkpoint_every: f64,

    /// Go on where an interrupted run stopped
    #[arg(long)]
    pub(crate) resume: bool,

    /// Another method than the configuration's, with its usual settings
    #[arg(long, value_name = "METHOD", value_enum)]
    pub(crate) method: Option<FewshotMethod>,

    /// Key of every random draw
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where the learner goes: learner.safetensors, record.json and checkpoint.safetensors
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Write event files for TensorBoard below this folder, a folder a run
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,
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
    /// What is judged: learner.safetensors files that `panal fewshot train` wrote; the floors alone where there are none. Trainings that differ
    /// in their seed alone are one row
    #[arg(value_name = "FILE")]
    pub(crate) learners: Vec<PathBuf>,

    /// Frozen encoders to be held to the same episodes by `--method`: an encoder.safetensors, WEIGHTS:ARCH as in imagenet1k:resnet18, or random:ARCH
    #[arg(long = "init", value_name = "INIT")]
    pub(crate) inits: Vec<String>,

    /// How queries are classified over the frozen features, brought to unit length
    #[arg(long = "method", value_name = "METHOD", value_enum, default_values = ["nearest-mean"], requires = "inits")]
    pub(crate) methods: Vec<TransferMethod>,

    #[command(flatten)]
    pub(crate) study: FewshotStudyArgs,

    /// Judge on the episodes of this file in place of those of the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,

    /// Write the episodes to this file, so that others can be held to them
    #[arg(long, value_name = "FILE")]
    pub(crate) write_episodes: Option<PathBuf>,

    /// Leave out the floors: the modified Hausdorff distance of drawings in black ink, and nearest pixels
    #[arg(long)]
    pub(crate) no_floors: bool,

    /// Write everything that was found to this file, JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Write the table to this file, Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
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

    /// Episodes that fine-tune answers for each number of shots, the first ones; it trains a network for each
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    pub(crate) fine_tune_episodes: usize,

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
    /// LaplacianShot with its rectification of prototypes, transductive
    LaplacianShotRectified,
    /// Transductive information maximisation (TIM-ADM)
    Tim,
    /// A copy of the encoder and a new head, fine-tuned on the support images of each episode; slow
    FineTune,
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

fn cosine(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (-1.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from -1 to 1".into()),
    }
}
