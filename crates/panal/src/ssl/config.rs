//! A pretraining's configuration: from a preset or a file, changed by the command line, checked once into [`Pretraining`].
//! Nothing runs here.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use panal_data::{AugmentSpec, ShorterSide};
use panal_models::{Arch, Stem};
use panal_trainers::{AugmentOn, SimClrSpec};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::cli::ConfigArgs;
use crate::config::{self, EVALUATION, is_default};

/// The built-in configurations: name and text.
pub(crate) const PRESETS: &[(&str, &str)] = &[
    ("cifar10-cpu", include_str!("../../presets/ssl/cifar10-cpu.toml")),
    ("cifar10-gpu", include_str!("../../presets/ssl/cifar10-gpu.toml")),
    ("photographs", include_str!("../../presets/ssl/photographs.toml")),
    ("study-cpu", include_str!("../../presets/ssl/study-cpu.toml")),
];

/// The preset of those who name none.
const DEFAULT_PRESET: &str = "cifar10-cpu";

/// Name of the transform that views are drawn by.
const VIEWS: &str = "views";

/// Name of the transform of the second view, where it is another one.
const SECOND: &str = "second";

/// What is pretrained, on what, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pretraining {
    /// Short name, for the results.
    pub(crate) name: String,
    /// What it is, in words.
    pub(crate) title: String,
    /// A data set that panal draws or that is in the catalogue, or a folder.
    pub(crate) data: String,
    /// Larger images are reduced to this as they are read; left as they are if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shorter_side: Option<ShorterSide>,
    /// Share of the images of every class to learn from; all if not given. Which they are does not depend on the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<f64>,
    /// Architecture of the encoder.
    pub(crate) model: Arch,
    /// How it begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) stem: Stem,
    /// Images at a time where nothing is learnt.
    #[serde(default = "default_eval_batch")]
    pub(crate) eval_batch: usize,
    /// Transforms: `views` draws the views, `second` the second of them where it is given, `evaluation` is what images are evaluated with.
    pub(crate) augment: BTreeMap<String, AugmentSpec>,
    /// Where views are made: `auto`, `cpu` or `device`.
    #[serde(default, skip_serializing_if = "AugmentOn::is_auto")]
    pub(crate) augment_on: AugmentOn,
    /// Learn by the labels in place of views of one image: what a pretraining without labels is held against.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) supervised: bool,
    /// What is done.
    pub(crate) simclr: SimClrSpec,
}

fn default_eval_batch() -> usize {
    256
}

impl Pretraining {
    /// The transform that views are drawn by.
    pub(crate) fn views(&self) -> &AugmentSpec {
        &self.augment[VIEWS]
    }

    /// The transform that the second view is drawn by, where it is another one.
    pub(crate) fn second(&self) -> Option<&AugmentSpec> {
        self.augment.get(SECOND)
    }

    /// The transform of images that are evaluated.
    pub(crate) fn evaluation(&self) -> &AugmentSpec {
        &self.augment[EVALUATION]
    }

    /// The same by labels.
    ///
    /// # Errors
    /// For settings that have no meaning there.
    pub(crate) fn by_labels(&self) -> Result<Self> {
        let supervised = Self { supervised: true, ..self.clone() };
        supervised.check()?;
        Ok(supervised)
    }

    fn check(&self) -> Result<()> {
        config::check_name(&self.name)?;
        if self.eval_batch == 0 {
            bail!("eval_batch must be at least 1, got 0");
        }
        if let Some(share) = self.share.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            bail!("share must be > 0 and <= 1, got {share}");
        }
        for name in self.augment.keys() {
            if ![VIEWS, SECOND, EVALUATION].contains(&name.as_str()) {
                bail!("augment.{name}: the transforms of a pretraining are `{VIEWS}`, `{SECOND}` and `{EVALUATION}`");
            }
        }
        config::check_shorter_side(self.shorter_side, config::largest_side(&self.augment)?)?;
        self.simclr.check().context("in simclr")?;
        if self.supervised && self.second().is_some() {
            bail!(
                "augment.{SECOND} has no meaning where supervised = true: each image has one view, drawn by augment.{VIEWS}"
            );
        }
        if self.supervised && self.simclr.micro_batch() != self.simclr.batch {
            bail!(
                "simclr.micro_batch has no meaning where supervised = true: leave it out, and make simclr.batch smaller"
            );
        }
        Ok(())
    }
}

/// Reads the configuration that the arguments name, with what else they change; `extra` holds changes of the caller's own.
pub(crate) fn load(args: &ConfigArgs, extra: &[(&str, Value)]) -> Result<Pretraining> {
    let extra: Vec<_> = flags(args).into_iter().chain(extra.iter().cloned()).collect();
    let (origin, table) = config::read_table(args, PRESETS, DEFAULT_PRESET, &extra)?;
    resolve(table).with_context(|| format!("in {origin}"))
}

/// What `--model`, `--batch`, `--lr` and `--precision` mean here.
fn flags(args: &ConfigArgs) -> Vec<(&'static str, Value)> {
    let model = args.model.clone().map(|model| ("model", Value::String(model)));
    let batch = args.batch.map(|batch| ("simclr.batch", Value::Integer(batch)));
    let lr = args.lr.map(|lr| ("simclr.lr", Value::Float(lr)));
    let precision = args.precision.map(|kind| ("simclr.precision", Value::String(kind.to_string())));
    model.into_iter().chain(batch).chain(lr).chain(precision).collect()
}

/// The same with `fixed` settings, that the arguments change, and with whatever else `change` does to the table at last.
pub(crate) fn load_changed(
    args: &ConfigArgs,
    fixed: &Table,
    change: impl Fn(&mut Table) -> Result<()>,
) -> Result<Pretraining> {
    let plain = ConfigArgs { model: None, sets: Vec::new(), ..args.clone() };
    let (origin, mut table) = config::read_table(&plain, PRESETS, DEFAULT_PRESET, &[])?;
    let changed = || {
        let fixed = fixed.iter().map(|(key, value)| (key.as_str(), value.clone()));
        for (key, value) in fixed.chain(flags(args)) {
            config::assign(&mut table, key, value).with_context(|| format!("cannot set `{key}`"))?;
        }
        config::set(&mut table, &args.sets)?;
        change(&mut table)?;
        resolve(table)
    };
    changed().with_context(|| format!("in {origin}"))
}

/// What the arguments set: the key, and the argument.
pub(crate) fn keys(args: &ConfigArgs) -> Vec<(String, String)> {
    let flags = flags(args).into_iter().map(|(key, value)| {
        let flag = key.rsplit('.').next().unwrap_or(key);
        (key.to_owned(), format!("--{flag} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    });
    let sets = args.sets.iter().map(|set| {
        let key = set.split_once('=').map_or(set.as_str(), |(key, _)| key);
        (key.trim().to_owned(), format!("--set {set}"))
    });
    flags.chain(sets).collect()
}

/// The configuration that a table means: operations without a size take the model's own.
fn resolve(mut table: Table) -> Result<Pretraining> {
    let model = config::architecture(&table)?;
    match table.get_mut("augment") {
        Some(Value::Table(augment)) if augment.contains_key(VIEWS) => {
            config::set_sizes(augment, model);
            if !augment.contains_key(EVALUATION) {
                bail!(
                    "augment.{EVALUATION} is missing: it says how an image becomes the encoder's input, once it is trained"
                );
            }
        }
        _ => return Err(anyhow!("augment.{VIEWS} is missing: it says how two views of an image are drawn")),
    }
    let pretraining: Pretraining = config::deserialize(table)?;
    pretraining.check()?;
    Ok(pretraining)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_preset() {
        for words in [&["ssl", "pretrain"][..], &["ssl", "compare"], &["ssl", "study"]] {
            let help = crate::cli::help(words);
            assert!(PRESETS.iter().all(|(name, _)| help.contains(name)), "{words:?}: {help}");
        }
    }
}
