//! The protocols by which features are judged, and their settings. Running them is `eval`'s.

use anyhow::{Context, Result, bail};
use panal_data::ShorterSide;
use panal_trainers::{KnnSpec, PhaseSpec, ProbeSpec};
use serde::{Deserialize, Serialize};
use std::fmt;
use toml::{Table, Value};

use crate::cli::ConfigArgs;
use crate::config;

const PRESETS: &[(&str, &str)] = &[("evaluation", include_str!("../../presets/ssl/evaluation.toml"))];

/// A way of judging features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    /// Weighted nearest neighbours among the training images
    Knn,
    /// Logistic regression on the features
    Linear,
    /// A linear layer trained on augmented images over the frozen backbone
    LinearSgd,
    /// Fine-tuning everything; of random weights, supervised training
    Finetune,
    /// The same on 10 % of the labels
    #[value(name = "finetune-10")]
    #[serde(rename = "finetune-10")]
    Finetune10,
    /// The same on 1 % of the labels
    #[value(name = "finetune-1")]
    #[serde(rename = "finetune-1")]
    Finetune1,
}

impl Protocol {
    /// Whether the backbone stays as it is.
    pub(crate) fn is_frozen(self) -> bool {
        matches!(self, Self::Knn | Self::Linear | Self::LinearSgd)
    }

    /// Whether it asks for features alone, and so for no backbone.
    pub(crate) fn is_on_features(self) -> bool {
        matches!(self, Self::Knn | Self::Linear)
    }

    /// Share of the training labels that are used.
    pub(crate) fn labels(self) -> f64 {
        match self {
            Self::Finetune10 => 0.1,
            Self::Finetune1 => 0.01,
            _ => 1.0,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Knn => "Nearest neighbours",
            Self::Linear => "Linear evaluation",
            Self::LinearSgd => "Linear evaluation, SGD",
            Self::Finetune => "Fine-tuned",
            Self::Finetune10 => "Fine-tuned, 10 % of labels",
            Self::Finetune1 => "Fine-tuned, 1 % of labels",
        })
    }
}

/// The settings of every protocol.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Larger images are reduced to this as they are read; left as they are if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shorter_side: Option<ShorterSide>,
    /// Images a training step.
    pub(crate) batch: usize,
    /// Images at a time where nothing is learnt.
    pub(crate) eval_batch: usize,
    pub(crate) knn: KnnSpec,
    pub(crate) linear: ProbeSpec,
    pub(crate) linear_sgd: PhaseSpec,
    /// Fine-tuning on all and on 10 % of the labels.
    pub(crate) finetune: PhaseSpec,
    /// Fine-tuning on 1 % of the labels.
    pub(crate) finetune_1: PhaseSpec,
    /// What takes the place of `finetune` where the weights are random: supervised training from nothing.
    pub(crate) scratch: PhaseSpec,
    /// What then takes the place of `finetune_1`.
    pub(crate) scratch_1: PhaseSpec,
}

impl Settings {
    pub(crate) fn load(args: &ConfigArgs) -> Result<Self> {
        let flags =
            [("--model", args.model.is_some()), ("--lr", args.lr.is_some()), ("--precision", args.precision.is_some())];
        for (flag, given) in flags {
            if given {
                bail!(
                    "{flag} has no meaning here: change a protocol's settings by --set, as in `--set finetune.lr=0.01`"
                );
            }
        }
        if args.checkpoint_every.is_some() {
            bail!("--checkpoint-every has no meaning here: what --out names is written after every judgement");
        }
        let batch = args.batch.map(|batch| ("batch", Value::Integer(batch)));
        let (origin, table) = config::read_table(args, PRESETS, "evaluation", &batch.into_iter().collect::<Vec<_>>())?;
        Self::resolve(table).with_context(|| format!("in {origin}"))
    }

    /// The preset, changed by `KEY=VALUE`.
    pub(crate) fn with(sets: &[String]) -> Result<Self> {
        let (origin, text) = PRESETS[0];
        let mut table: Table = text.parse().with_context(|| format!("in preset {origin}"))?;
        config::set(&mut table, sets).and_then(|()| Self::resolve(table)).with_context(|| format!("in preset {origin}"))
    }

    fn resolve(table: Table) -> Result<Self> {
        let settings: Self = config::deserialize(table)?;
        settings.check()?;
        Ok(settings)
    }

    /// What a protocol that trains does, with weights that are random or not.
    pub(crate) fn phase(&self, protocol: Protocol, random: bool) -> &PhaseSpec {
        match (protocol, random) {
            (Protocol::LinearSgd, _) => &self.linear_sgd,
            (Protocol::Finetune1, true) => &self.scratch_1,
            (Protocol::Finetune1, false) => &self.finetune_1,
            (_, true) => &self.scratch,
            (_, false) => &self.finetune,
        }
    }

    fn check(&self) -> Result<()> {
        for (field, value) in [("batch", self.batch), ("eval_batch", self.eval_batch)] {
            if value == 0 {
                bail!("{field} must be at least 1, got 0");
            }
        }
        self.linear.check()?;
        for (name, phase) in [
            ("linear_sgd", &self.linear_sgd),
            ("finetune", &self.finetune),
            ("finetune_1", &self.finetune_1),
            ("scratch", &self.scratch),
            ("scratch_1", &self.scratch_1),
        ] {
            phase.check(name)?;
        }
        Ok(())
    }
}
