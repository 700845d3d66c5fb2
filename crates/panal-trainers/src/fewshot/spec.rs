//! What is learnt by episodes, and how, as the user writes it. Checked here once; nothing runs here.

use std::fmt::Display;

use panal_data::{EpisodeSize, EpisodeSpec};
use panal_models::{Conv4Spec, Norms};
use panal_optim::{AdamW, OptimizerSpec, ScheduleSpec};
use serde::{Deserialize, Serialize};

use super::images::Tone;
use crate::TrainError;

/// A few-shot learner: a method over a backbone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FewShotSpec {
    /// How queries are compared with the support.
    pub method: MethodSpec,
    /// The backbone.
    #[serde(default)]
    pub network: Conv4Spec,
    /// By what batch norm normalises where nothing is learnt.
    #[serde(default)]
    pub batch_norm: BatchNormUse,
    /// What becomes of an image's colours.
    #[serde(default)]
    pub tone: Tone,
}

/// A method, as in `{ kind = "matching", scale = 10 }`. Settings left out have their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MethodSpec {
    /// The nearest class mean (Snell et al., arXiv 1703.05175).
    Prototypical {},
    /// Attention over the support by cosine (Vinyals et al., arXiv 1606.04080), without full context embeddings.
    Matching {
        /// What the cosine is multiplied by; > 0. 1 as in the paper if not given: with it the attention hardly prefers
        /// anything, and a larger one learns faster.
        #[serde(default = "one")]
        scale: f64,
    },
    /// A learned comparison of feature maps (Sung et al., arXiv 1711.06025). Wants `network.pools` of 2.
    Relation {
        /// Units of the dense layer before the score; 8 if not given.
        #[serde(default = "eight")]
        hidden: usize,
    },
    /// A learned weighted L1 distance, from pairs (Koch et al. 2015); the class of the most similar support image wins.
    Siamese {
        /// Values of the sigmoid embedding; 256 if not given (4096 in the paper, on images of 105 x 105).
        #[serde(default = "siamese_embedding")]
        embedding: usize,
    },
    /// An initialisation from which few steps of gradient descent on the support suffice (Finn et al., arXiv 1703.03400).
    Maml {
        /// Classes of every episode, for the head has so many outputs; at least 2.
        ways: usize,
        /// Learning rate of the steps on the support; > 0. 0.4 if not given, as in the paper's appendix A.1 for 5-way Omniglot.
        #[serde(default = "inner_lr")]
        inner_lr: f64,
        /// Steps on the support in training; at least 1, and 1 if not given.
        #[serde(default = "one_step")]
        steps: usize,
        /// Steps on the support where nothing is learnt; at least 1, and 3 if not given.
        #[serde(default = "three_steps")]
        eval_steps: usize,
        /// Whether the gradient goes through the steps; it does if not given.
        #[serde(default)]
        order: Order,
        /// What the steps move; everything if not given.
        #[serde(default)]
        adapt: Adapt,
    },
}

fn one() -> f64 {
    1.0
}

fn eight() -> usize {
    8
}

fn siamese_embedding() -> usize {
    256
}

fn inner_lr() -> f64 {
    0.4
}

fn one_step() -> usize {
    1
}

fn three_steps() -> usize {
    3
}

/// Which gradient MAML follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The whole one, through the gradients of the steps.
    #[default]
    Second,
    /// The steps' gradients are taken as constants (first-order MAML, section 5.2).
    First,
}

/// What the steps on the support move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapt {
    /// All parameters: MAML.
    #[default]
    All,
    /// The head alone: ANIL (Raghu et al., arXiv 1909.09157).
    Head,
}

/// By what batch norm normalises where nothing is learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchNormUse {
    /// By running statistics or, in MAML, those of the support: what is said of a query depends on no other query.
    #[default]
    Inductive,
    /// By the statistics of the episode's own images, all queries at once. Not comparable with inductive results.
    Transductive,
}

impl BatchNormUse {
    pub(super) fn norms(self) -> Norms {
        match self {
            Self::Inductive => Norms::Inductive,
            Self::Transductive => Norms::Transductive,
        }
    }
}

impl FewShotSpec {
    /// A method on the papers' Conv-4, inductive, on ink.
    #[must_use]
    pub fn new(method: MethodSpec) -> Self {
        let pools = if matches!(method, MethodSpec::Relation { .. }) { 2 } else { Conv4Spec::default().pools };
        let network = Conv4Spec { pools, ..Conv4Spec::default() };
        Self { method, network, batch_norm: BatchNormUse::default(), tone: Tone::default() }
    }

    /// Every field lies in its range.
    ///
    /// # Errors
    /// [`TrainError::Spec`] or [`TrainError::Model`] for the first that does not.
    pub fn check(&self) -> Result<(), TrainError> {
        self.network.check()?;
        self.tone.check(&self.network)?;
        match self.method {
            MethodSpec::Prototypical {} => Ok(()),
            MethodSpec::Matching { scale } => positive("method.scale", scale),
            MethodSpec::Relation { hidden } => at_least("method.hidden", 1, hidden),
            MethodSpec::Siamese { embedding } => at_least("method.embedding", 1, embedding),
            MethodSpec::Maml { ways, inner_lr, steps, eval_steps, .. } => {
                at_least("method.ways", 2, ways)?;
                positive("method.inner_lr", inner_lr)?;
                at_least("method.steps", 1, steps)?;
                at_least("method.eval_steps", 1, eval_steps)
            }
        }
    }
}

/// How a learner is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodicSpec {
    /// Epochs, after each of which a checkpoint is kept; at least 1.
    pub epochs: usize,
    /// Steps of an epoch; at least 1.
    pub steps: usize,
    /// Episodes whose mean gradient makes a step; 1 if not given.
    #[serde(default = "one_step")]
    pub tasks: usize,
    /// The episodes to learn from.
    pub episode: EpisodeSpec,
    /// How each image is bent; not at all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affine: Option<AffineSpec>,
    /// The optimizer; AdamW without decay, which is Adam, if not given.
    #[serde(default = "adam")]
    pub optimizer: OptimizerSpec,
    /// The learning rate before the schedule; > 0. 0.001 if not given.
    #[serde(default = "outer_lr")]
    pub lr: f64,
    /// How the learning rate moves.
    #[serde(default)]
    pub schedule: ScheduleSpec,
}

fn adam() -> OptimizerSpec {
    OptimizerSpec::AdamW(AdamW { weight_decay: 0.0, ..AdamW::default() })
}

fn outer_lr() -> f64 {
    1e-3
}

/// An affine map, drawn for each image: turned, sheared along x, stretched along each axis on its own, and moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffineSpec {
    /// At most so many degrees to either side; in `[0, 180]`.
    pub degrees: f64,
    /// At most so much of the side in each direction; in `[0, 1)`.
    pub translate: f64,
    /// `[min, max]` of the factor of each axis; > 0.
    pub scale: [f64; 2],
    /// At most so many degrees of shear to either side; in `[0, 90)`.
    pub shear: f64,
}

impl AffineSpec {
    fn check(&self) -> Result<(), TrainError> {
        let within = |field: &str, allowed: &str, value: f64, inside: bool| {
            if inside { Ok(()) } else { Err(wrong(field, allowed, value)) }
        };
        within("affine.degrees", "in [0, 180]", self.degrees, (0.0..=180.0).contains(&self.degrees))?;
        within("affine.translate", "in [0, 1)", self.translate, (0.0..1.0).contains(&self.translate))?;
        within("affine.shear", "in [0, 90)", self.shear, (0.0..90.0).contains(&self.shear))?;
        let [min, max] = self.scale;
        if !(min > 0.0 && min <= max && max.is_finite()) {
            return Err(wrong("affine.scale", "[min, max] with 0 < min <= max", format!("[{min}, {max}]")));
        }
        Ok(())
    }
}

impl EpisodicSpec {
    /// Every field lies in its range, and the episodes suit the learner.
    ///
    /// # Errors
    /// [`TrainError::Spec`], [`TrainError::Data`] or [`TrainError::Optim`] for the first that does not.
    pub fn check(&self, learner: &FewShotSpec) -> Result<(), TrainError> {
        learner.check()?;
        at_least("epochs", 1, self.epochs)?;
        at_least("steps", 1, self.steps)?;
        at_least("tasks", 1, self.tasks)?;
        positive("lr", self.lr)?;
        self.episode.check()?;
        self.affine.as_ref().map_or(Ok(()), AffineSpec::check)?;
        self.optimizer.check()?;
        self.schedule.check_for(self.epochs)?;
        if let MethodSpec::Maml { ways, .. } = learner.method {
            match &self.episode.size {
                EpisodeSize::Fixed(size) if size.ways == ways => {}
                EpisodeSize::Fixed(size) => {
                    return Err(wrong("episode.size.fixed.ways", format!("{ways}, the method's `ways`"), size.ways));
                }
                EpisodeSize::Variable(_) => {
                    return Err(wrong("episode.size", format!("fixed, with {ways} ways, for MAML"), "variable"));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn wrong(field: &str, allowed: impl Into<String>, got: impl Display) -> TrainError {
    TrainError::Spec { field: field.into(), allowed: allowed.into(), got: format!("{got}") }
}

fn positive(field: &str, value: f64) -> Result<(), TrainError> {
    if value > 0.0 && value.is_finite() { Ok(()) } else { Err(wrong(field, "a finite number > 0", value)) }
}

fn at_least(field: &str, least: usize, value: usize) -> Result<(), TrainError> {
    if value >= least { Ok(()) } else { Err(wrong(field, format!("at least {least}"), value)) }
}
