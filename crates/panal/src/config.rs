//! A lab's configuration: from a preset or a file, changed by the command line, checked once into [`Lab`]. Nothing runs here.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use panal_data::augment::Op;
use panal_data::{AugmentSpec, ShorterSide};
use panal_models::{Arch, Stem};
use panal_trainers::PhaseSpec;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::cli::ConfigArgs;
use crate::reading::Transforms;
use crate::suggest;
use crate::wording::plainly;

/// The built-in configurations: name and text.
pub(crate) const PRESETS: &[(&str, &str)] = &[
    ("tutorial", include_str!("../presets/tutorial.toml")),
    ("tuned", include_str!("../presets/tuned.toml")),
    ("insects", include_str!("../presets/insects.toml")),
    ("backbone", include_str!("../presets/backbone.toml")),
];

/// The preset of those who name none.
pub(crate) const DEFAULT_PRESET: &str = "tutorial";

/// Name of the transform that images are evaluated with.
pub(crate) const EVALUATION: &str = "evaluation";

/// A lab: data, a model, and rows to compare.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lab {
    /// Short name, part of the results folder's.
    pub(crate) name: String,
    /// What stands above the table.
    pub(crate) title: String,
    /// A data set that panal draws or that is in the catalogue, or a folder.
    pub(crate) data: String,
    /// Larger images are reduced to this as they are read; left as they are if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shorter_side: Option<ShorterSide>,
    /// Architecture of every row.
    pub(crate) model: Arch,
    /// How the network begins: `imagenet`, or `cifar` for small images.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) stem: Stem,
    /// Images a training step.
    pub(crate) batch: usize,
    /// Images at a time where nothing is learnt.
    #[serde(default = "default_eval_batch")]
    pub(crate) eval_batch: usize,
    /// Runs of every row.
    pub(crate) seeds: u64,
    /// Seed of the first run.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Transforms by name; `evaluation` is what images are evaluated with.
    pub(crate) augment: BTreeMap<String, AugmentSpec>,
    /// What is compared.
    pub(crate) row: Vec<Row>,
}

/// One row of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Name, unique in the lab.
    pub(crate) name: String,
    /// Where the weights come from: `imagenet1k`, `insects` (come with panal), `random`, weights of the catalogue by name, or a weight file.
    pub(crate) init: String,
    /// The transform of the training images, by name.
    pub(crate) augment: String,
    /// What is trained, in order.
    pub(crate) phases: Vec<PhaseSpec>,
}

fn default_eval_batch() -> usize {
    32
}

/// For settings that a record leaves out where they are as they always were.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Lab {
    /// The transform of a row's training images.
    pub(crate) fn train_augment(&self, row: &Row) -> &AugmentSpec {
        &self.augment[&row.augment]
    }

    /// The transform of images that are evaluated.
    pub(crate) fn eval_augment(&self) -> &AugmentSpec {
        &self.augment[EVALUATION]
    }

    /// The transforms that the images are asked for through in these rows.
    pub(crate) fn transforms<'a>(&'a self, rows: impl IntoIterator<Item = &'a Row>) -> Result<Transforms> {
        let train = rows.into_iter().map(|row| Ok(self.train_augment(row).check()?)).collect::<Result<_>>()?;
        Ok(Transforms { train, eval: vec![self.eval_augment().check()?] })
    }

    /// The rows that `wanted` names, in the lab's order; all of them where it is empty.
    pub(crate) fn select<'a>(&'a self, wanted: &[String]) -> Result<Vec<(usize, &'a Row)>> {
        if wanted.is_empty() {
            return Ok(self.row.iter().enumerate().collect());
        }
        let mut rows = wanted.iter().map(|name| self.find(name)).collect::<Result<Vec<_>>>()?;
        rows.sort_by_key(|(index, _)| *index);
        rows.dedup_by_key(|(index, _)| *index);
        Ok(rows)
    }

    /// The row of this name, or of this number from 1.
    pub(crate) fn find(&self, wanted: &str) -> Result<(usize, &Row)> {
        let by_name = self.row.iter().position(|row| row.name == wanted);
        let by_number = || wanted.parse().ok().and_then(|number: usize| number.checked_sub(1));
        let index = by_name.or_else(by_number).filter(|&index| index < self.row.len()).ok_or_else(|| {
            let names =
                self.row.iter().enumerate().map(|(i, row)| format!("\n  {}  {}", i + 1, row.name)).collect::<String>();
            anyhow!("no row is called `{wanted}`; the rows of `{}` are:{names}", self.name)
        })?;
        Ok((index, &self.row[index]))
    }

    fn check(&self) -> Result<()> {
        let positive =
            |field: &str, value: u64| if value == 0 { bail!("{field} must be at least 1, got 0") } else { Ok(()) };
        positive("batch", self.batch as u64)?;
        positive("eval_batch", self.eval_batch as u64)?;
        positive("seeds", self.seeds)?;
        positive("the number of rows", self.row.len() as u64)?;
        check_name(&self.name)?;
        check_shorter_side(self.shorter_side, largest_side(&self.augment)?)?;
        for (index, row) in self.row.iter().enumerate() {
            let at = format!("row[{index}] ({})", row.name);
            if self.row[..index].iter().any(|other| other.name == row.name) {
                bail!("{at}: another row has the same name");
            }
            if !self.augment.contains_key(&row.augment) {
                let hint = suggest::nearest(&row.augment, self.augment.keys().map(String::as_str));
                bail!("{at}: augment `{}` is not defined{hint}; write it as [augment.{}]", row.augment, row.augment);
            }
            positive(&format!("{at}: the number of phases"), row.phases.len() as u64)?;
            for (phase_index, phase) in row.phases.iter().enumerate() {
                phase.check(&format!("phases[{phase_index}]")).with_context(|| format!("in {at}"))?;
            }
        }
        Ok(())
    }
}

/// The longest side that the transforms, each with its name, resize images to or make them of.
///
/// # Errors
/// A transform that cannot be, by its name.
pub(crate) fn largest_side<'a>(transforms: impl IntoIterator<Item = (&'a String, &'a AugmentSpec)>) -> Result<u32> {
    let mut largest = 0;
    for (name, transform) in transforms {
        let made = transform.check().with_context(|| format!("in augment.{name}"))?.size();
        let resized = transform.ops.iter().filter_map(|op| match op {
            Op::Resize(resize) => Some(resize.size.square()),
            _ => None,
        });
        largest = resized.chain([made]).fold(largest, |largest, (height, width)| largest.max(height).max(width));
    }
    Ok(largest)
}

/// Refuses to reduce images that the transforms would enlarge again.
pub(crate) fn check_shorter_side(side: Option<ShorterSide>, needed: u32) -> Result<()> {
    match side.map(ShorterSide::pixels) {
        Some(side) if side < needed => {
            bail!(
                "shorter_side must be at least {needed}, or the transforms would enlarge the images again, got {side}"
            )
        }
        _ => Ok(()),
    }
}

/// Refuses a name that can't be a folder's.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        bail!("name must be letters, digits, `-` and `_`, for it names a folder; got `{name}`");
    }
    Ok(())
}

/// Reads the configuration that the arguments name, with what else they change; `extra` holds changes of the caller's own flags.
pub(crate) fn load(args: &ConfigArgs, extra: &[(&str, Value)]) -> Result<Lab> {
    let batch = args.batch.map(|batch| ("batch", Value::Integer(batch)));
    let lr = args.lr.map(|lr| ("defaults.lr", Value::Float(lr)));
    let precision = args.precision.map(|kind| ("defaults.precision", Value::String(kind.to_string())));
    let extra: Vec<_> = batch.into_iter().chain(lr).chain(precision).chain(extra.iter().cloned()).collect();
    let (origin, table) = read_table(args, PRESETS, DEFAULT_PRESET, &extra)?;
    resolve(table).with_context(|| format!("in {origin}"))
}

/// The table of a configuration and where it comes from: a file, or one of `presets`, changed by the arguments and by `extra`.
pub(crate) fn read_table(
    args: &ConfigArgs,
    presets: &[(&str, &str)],
    default: &str,
    extra: &[(&str, Value)],
) -> Result<(String, Table)> {
    let (origin, text) = match (&args.config, &args.preset) {
        (Some(path), _) => (path.display().to_string(), read(path)?),
        (None, name) => {
            let name = name.as_deref().unwrap_or(default);
            let known = || presets.iter().map(|(known, _)| *known);
            let (_, text) = presets.iter().find(|(known, _)| *known == name).ok_or_else(|| {
                anyhow!(
                    "no preset is called `{name}`{}; there are: {}",
                    suggest::nearest(name, known()),
                    known().collect::<Vec<_>>().join(", ")
                )
            })?;
            (format!("preset {name}"), (*text).to_owned())
        }
    };
    let mut table: Table =
        text.parse().map_err(|error: toml::de::Error| anyhow!("{origin}: {}", error.to_string().trim_end()))?;

    let mut changes: Vec<(String, Value)> = Vec::new();
    changes.extend(args.model.clone().map(|model| ("model".into(), Value::String(model))));
    changes.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    for (key, value) in changes {
        assign(&mut table, &key, value).with_context(|| format!("cannot set `{key}` in {origin}"))?;
    }
    set(&mut table, &args.sets).with_context(|| format!("in {origin}"))?;
    Ok((origin, table))
}

/// What `--set` says.
pub(crate) fn set(table: &mut Table, sets: &[String]) -> Result<()> {
    for set in sets {
        let (key, value) = set.split_once('=').ok_or_else(|| anyhow!("--set takes KEY=VALUE, got `{set}`"))?;
        let key = key.trim();
        assign(table, key, parse_value(value.trim())).with_context(|| format!("cannot set `{key}`"))?;
    }
    Ok(())
}

/// The configuration that a table means: phases take what `[defaults]` says, operations without a size the model's own.
fn resolve(mut table: Table) -> Result<Lab> {
    let defaults = match table.remove("defaults") {
        None => Table::new(),
        Some(Value::Table(defaults)) => defaults,
        Some(other) => bail!("defaults must be a table, got {}", other.type_str()),
    };
    for phase in phases(&mut table) {
        for (key, value) in &defaults {
            phase.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    let model = architecture(&table)?;
    let augment = table.entry("augment").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(augment) = augment {
        let plain: Table = toml::from_str("ops = [{ op = \"resize\" }, { op = \"center_crop\" }]")?;
        augment.entry(EVALUATION).or_insert(Value::Table(plain));
        set_sizes(augment, model);
    }
    let lab: Lab = deserialize(table)?;
    lab.check()?;
    Ok(lab)
}

/// The architecture that a configuration names.
pub(crate) fn architecture(table: &Table) -> Result<Arch> {
    match table.get("model") {
        Some(Value::String(name)) => Ok(name.parse()?),
        Some(other) => bail!("model must be a string, got {}", other.type_str()),
        None => bail!("model is missing; name an architecture, as in `model = \"resnet18\"`"),
    }
}

/// Gives every operation without a size that of the model's own preprocessing.
pub(crate) fn set_sizes(augment: &mut Table, model: Arch) {
    let own = model.preprocessing();
    for op in operations(augment) {
        let name = op.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (size, resamples) = match name.as_str() {
            "resize" => (own.resize, true),
            "random_resized_crop" => (own.crop, true),
            "center_crop" => (own.crop, false),
            _ => continue,
        };
        op.entry("size").or_insert(Value::Integer(size as i64));
        if resamples {
            op.entry("interpolation").or_insert(Value::String(own.interpolation.to_string()));
        }
    }
}

/// A configuration of a table; an error names the path of the key.
pub(crate) fn deserialize<T: serde::de::DeserializeOwned>(table: Table) -> Result<T> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let message = plainly(&error.into_inner().to_string());
        let hint = suggest::from_message(&message);
        anyhow!("{}: {message}{hint}", if path == "." { "the top level" } else { &path })
    })
}

/// Every phase of every row, as far as the table has the right form; where it has not, reading it says so.
fn phases(table: &mut Table) -> impl Iterator<Item = &mut Table> {
    let rows = table.get_mut("row").and_then(Value::as_array_mut).into_iter().flatten();
    let phases = rows.filter_map(|row| row.get_mut("phases").and_then(Value::as_array_mut)).flatten();
    phases.filter_map(Value::as_table_mut)
}

/// Every operation of every transform.
fn operations(augment: &mut Table) -> impl Iterator<Item = &mut Table> {
    let lists = augment.iter_mut().filter_map(|(_, spec)| spec.get_mut("ops").and_then(Value::as_array_mut));
    lists.flatten().filter_map(Value::as_table_mut)
}

/// Sets a dotted key; numbers index arrays.
pub(crate) fn assign(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(|| anyhow!("the key is empty"))?;
    let mut place =
        table.entry(parts.first().copied().unwrap_or(last).to_owned()).or_insert_with(|| Value::Table(Table::new()));
    if parts.is_empty() {
        *place = value;
        return Ok(());
    }
    for part in &parts[1..] {
        place = step(place, part)?;
    }
    *step(place, last)? = value;
    Ok(())
}

fn step<'a>(place: &'a mut Value, part: &str) -> Result<&'a mut Value> {
    match place {
        Value::Table(table) => Ok(table.entry(part.to_owned()).or_insert_with(|| Value::Table(Table::new()))),
        Value::Array(array) => {
            let len = array.len();
            let index: usize = part
                .parse()
                .with_context(|| format!("`{part}` must be a number from 0 to {}", len.saturating_sub(1)))?;
            array
                .get_mut(index)
                .ok_or_else(|| anyhow!("there is no element {index}, the last is {}", len.saturating_sub(1)))
        }
        other => bail!("`{part}` stands below a value that is no table but {}", other.type_str()),
    }
}

/// A TOML value where the text is one, else the text itself.
fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_preset() {
        for words in [&["lab"][..], &["train"]] {
            let help = crate::cli::help(words);
            assert!(PRESETS.iter().all(|(name, _)| help.contains(name)), "{words:?}: {help}");
        }
    }
}
