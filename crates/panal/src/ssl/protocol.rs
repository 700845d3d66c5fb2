//! The protocols by which features are judged, and their settings. Running them is `eval`'s.

use anyhow::{Context, Result, bail};
use panal_trainers::{KnnSpec, PhaseSpec, ProbeSpec};
use serde::{Deserialize, Serialize};
use std::fmt;
use toml::Value;

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
    /// Fine-tuning everything
    Finetune,
    /// Fine-tuning everything on 10 % of the labels
    #[value(name = "finetune-10")]
    #[serde(rename = "finetune-10")]
    Finetune10,
    /// Fine-tuning everything on 1 % of the labels
    #[value(name = "finetune-1")]
    #[serde(rename = "finetune-1")]
    Finetune1,
}

impl Protocol {
    /// Whether the backbone stays as it is.
    pub(crate) fn is_frozen(self) -> bool {
        matches!(self, Self::Knn | Self::Linear | Self::LinearSgd)
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
    /// Images a training step.
    pub(crate) batch: usize,
    /// Images at a time where nothing is learnt.
    pub(crate) eval_batch: usize,
    pub(crate) knn: KnnSpec,
    pub(crate) linear: ProbeSpec,
    pub(crate) linear_sgd: PhaseSpec,
    pub(crate) finetune: PhaseSpec,
}

impl Settings {
    pub(crate) fn load(args: &ConfigArgs) -> Result<Self> {
        for (flag, given) in [("--model", args.model.is_some()), ("--lr", args.lr.is_some()), ("--resume", args.resume)]
        {
            if given {
                bail!(
                    "{flag} has no meaning here: change a protocol's settings by --set, as in `--set finetune.lr=0.01`"
                );
            }
        }
        let batch = args.batch.map(|batch| ("batch", Value::Integer(batch)));
        let (origin, table) = config::read_table(args, PRESETS, "evaluation", &batch.into_iter().collect::<Vec<_>>())?;
        let settings: Self = config::deserialize(table).with_context(|| format!("in {origin}"))?;
        settings.check().with_context(|| format!("in {origin}"))?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        for (field, value) in [("batch", self.batch), ("eval_batch", self.eval_batch)] {
            if value == 0 {
                bail!("{field} must be at least 1, got 0");
            }
        }
        self.linear.check()?;
        self.linear_sgd.check("linear_sgd")?;
        self.finetune.check("finetune")?;
        Ok(())
    }
}
