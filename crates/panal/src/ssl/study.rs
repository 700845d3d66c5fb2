//! `panal ssl study`: one score over a grid of settings, each pretrained from nothing and judged; table and plot. A study that
//! was interrupted goes on with the combinations that it lacks.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use panal_report::{Study as Report, StudyPlot, StudyScore};
use panal_trainers::TrainError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::config::{self, Pretraining};
use super::judge::Judge;
use super::pretrain::{self, Bench};
use super::protocol::Settings;
use super::{eval, init};
use crate::cli::{Budget, ConfigArgs, Global, StudyArgs};
use crate::console::Console;
use crate::data::Data;
use crate::run::hex;
use crate::{config as lab_config, device, interrupt, record, suggest, unfinished};

/// The built-in studies: name and text.
const STUDIES: &[(&str, &str)] = &[
    ("batch-epochs", include_str!("../../presets/ssl/studies/batch-epochs.toml")),
    ("augmentations", include_str!("../../presets/ssl/studies/augmentations.toml")),
    ("temperature", include_str!("../../presets/ssl/studies/temperature.toml")),
    ("head", include_str!("../../presets/ssl/studies/head.toml")),
    ("colour", include_str!("../../presets/ssl/studies/colour.toml")),
];

/// What is varied, and how it is drawn.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Study {
    title: String,
    plot: Plot,
    /// Settings of every combination that differ from the configuration's.
    #[serde(default)]
    set: Table,
    /// One of the two settings that are varied; without it there is one row.
    #[serde(default)]
    rows: Axis,
    columns: Axis,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plot {
    HeatMap,
    Lines,
}

/// A setting and its values.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Axis {
    name: String,
    #[serde(default)]
    value: Vec<Choice>,
    /// For columns: the same values as the rows.
    #[serde(default)]
    same_as_rows: bool,
}

/// One value: the keys that it sets, and lists that it lengthens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    label: String,
    #[serde(default)]
    set: Table,
    #[serde(default)]
    append: Table,
    /// What takes its place on a CPU.
    #[serde(default)]
    cpu: Option<Box<Choice>>,
}

/// A combination that was pretrained and judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cell {
    row: String,
    column: String,
    seed: u64,
    /// Everything that decided the score: a study with other settings begins anew.
    key: String,
    /// None where the loss or a weight was no number any more.
    score: Option<f64>,
    seconds: f64,
}

pub(crate) fn run(args: &StudyArgs, global: &Global, console: &Console) -> Result<()> {
    let study = read(&args.study)?.for_budget(args.budget);
    let preset = match args.budget {
        Budget::Cpu => "study-cpu",
        Budget::Full => "cifar10-gpu",
    };
    let named = args.config.preset.is_some() || args.config.config.is_some();
    let base =
        if named { args.config.clone() } else { ConfigArgs { preset: Some(preset.into()), ..args.config.clone() } };
    study.check_arguments(&args.config)?;
    let combinations = study.combinations(&base, args.data.as_deref())?;

    let (first, ..) =
        combinations.first().map(|(config, row, column)| (config, row, column)).context("a study has values")?;
    for (config, row, column) in &combinations {
        let images = |of: &Pretraining| (of.data.clone(), of.share, of.shorter_side);
        if images(config) != images(first) {
            bail!(
                "{row} {column}: a study is about one set of images, so it can't vary `data`, `share` or `shorter_side`"
            );
        }
        let (views, evaluated) = (config.views().check()?.size(), config.evaluation().check()?.size());
        if views != evaluated {
            bail!(
                "{row} {column}: views are of {} x {} pixels, and images are evaluated at {} x {}: a study compares at one size, so set \
                 `augment.views.ops` or `augment.evaluation.ops`, or take another --preset",
                views.0,
                views.1,
                evaluated.0,
                evaluated.1
            );
        }
        let same = combinations.iter().filter(|(_, r, c)| (r, c) == (row, column)).count();
        if same > 1 {
            bail!("two values are both labelled {row} {column}: give each a label of its own");
        }
    }
    let images = pretrain::open(first, args.config.skip_bad, console)?;
    let data = pretrain::labelled(&images)?;
    // What the command line changes is the pretraining; features are judged as `panal ssl eval` does by itself, on its images.
    let settings = Settings { shorter_side: first.shorter_side, ..Settings::with(&[])? };
    eval::check(&[args.protocol], &settings, &data)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    // What is done is never done again.
    let bench = Bench { resume: true, ..Bench::new(global, &args.config, console)? };
    device::mind(bench.device, combinations.iter().map(|(config, ..)| config.simclr.precision));
    let judge = Judge { settings: &settings, data: &data, device: bench.device, threads: bench.threads, console };

    let about = json!({
        "images": images.images.digest()?, "train": data.train_record.digest, "evaluation": data.eval_record.digest,
        "protocol": args.protocol, "settings": settings, "versions": record::versions(),
        "device": panal_tensor::device_name(bench.device),
    });
    let seeds = super::seeds(args.seed, args.seeds)?;
    let file = args.out.join("study.json");
    let mut cells: Vec<Cell> = known(&file)?;
    let all = combinations.len() * args.seeds as usize;
    for (number, (config, row, column)) in combinations.iter().enumerate() {
        // A study of one axis has nothing to call its only row.
        let setting = [row.as_str(), column.as_str()].into_iter().filter(|label| !label.is_empty());
        let setting = setting.collect::<Vec<_>>().join(", ");
        for seed in seeds.clone() {
            let at = number * args.seeds as usize + (seed - args.seed) as usize + 1;
            let key = key(config, &about);
            if cells.iter().any(|cell| cell.key == key && cell.seed == seed) {
                tracing::info!("{at}/{all}: {setting}, seed {seed} is known");
                continue;
            }
            tracing::info!("{at}/{all}: {setting}, seed {seed}");
            let place = args.out.join(format!("running-{}-{seed}", &key[..12]));
            std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
            let clock = Instant::now();
            let score = match pretrain::pretrain(config, &images, seed, &place, &bench) {
                Ok(_) => {
                    let inits = [place.join("encoder.safetensors").display().to_string()];
                    let init = init::resolve(&inits, console)?.remove(0);
                    Some(judge.one(&init, args.protocol, seed)?.accuracy)
                }
                Err(error) if has_diverged(&error) => {
                    tracing::warn!("{setting}, seed {seed} has no score: {error:#}");
                    None
                }
                Err(error) => return Err(error),
            };
            let seconds = clock.elapsed().as_secs_f64();
            cells.push(Cell { row: row.clone(), column: column.clone(), seed, key, score, seconds });
            let _both = interrupt::watch();
            unfinished::write(&file, format!("{:#}\n", json!(cells)).as_bytes())?;
            std::fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
    }
    let keys: Vec<String> = combinations.iter().map(|(config, ..)| key(config, &about)).collect();
    cells.retain(|cell| keys.contains(&cell.key) && seeds.contains(&cell.seed));
    let report = report(&study, &combinations, &cells, &keys, &data, args);
    write(&report, &study, &args.out)?;
    if global.json {
        println!("{:#}", json!(cells));
    } else {
        println!("{}\n{}\n\n{}", report.title, report.subject, report.markdown());
        println!("{}", args.out.join("study.svg").display());
    }
    Ok(())
}

/// The study of this name, or in this file.
fn read(name: &str) -> Result<Study> {
    let (origin, text) = match STUDIES.iter().find(|(known, _)| *known == name) {
        Some((known, text)) => (format!("study {known}"), (*text).to_owned()),
        None if Path::new(name).is_file() => {
            (name.to_owned(), std::fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?)
        }
        None => {
            let known: Vec<&str> = STUDIES.iter().map(|(known, _)| *known).collect();
            let hint = suggest::nearest(name, known.iter().copied());
            bail!("no study is called `{name}`{hint}, and there is no such file; there are: {}", known.join(", "));
        }
    };
    let table: Table =
        text.parse().map_err(|error: toml::de::Error| anyhow!("{origin}: {}", error.to_string().trim_end()))?;
    let mut study: Study = lab_config::deserialize(table).with_context(|| format!("in {origin}"))?;
    if study.columns.same_as_rows {
        study.columns.value = study.rows.value.clone();
    }
    if study.columns.value.is_empty() {
        bail!("in {origin}: columns.value is empty: a study varies at least one setting");
    }
    Ok(study)
}

impl Study {
    fn for_budget(mut self, budget: Budget) -> Self {
        if budget == Budget::Cpu {
            for choice in self.rows.value.iter_mut().chain(&mut self.columns.value) {
                if let Some(cpu) = choice.cpu.take() {
                    *choice = *cpu;
                }
            }
        }
        self
    }

    /// Refuses arguments whose settings the rows or the columns would set anew.
    fn check_arguments(&self, args: &ConfigArgs) -> Result<()> {
        for (key, argument) in config::keys(args) {
            for axis in [&self.rows, &self.columns] {
                let mut sets = axis.value.iter().flat_map(|choice| choice.set.keys());
                if let Some(varied) = sets.find(|varied| overlap(varied, &key)) {
                    let values: Vec<&str> = axis.value.iter().map(|choice| choice.label.as_str()).collect();
                    bail!(
                        "{argument}: the study varies `{varied}` ({}: {}), so it can't be set: leave it out, or run a study of your own",
                        axis.name,
                        values.join(", ")
                    );
                }
            }
        }
        Ok(())
    }

    /// The configuration of every combination, with its row and its column, row by row.
    fn combinations(&self, base: &ConfigArgs, data: Option<&str>) -> Result<Vec<(Pretraining, String, String)>> {
        let one = Choice { label: String::new(), set: Table::new(), append: Table::new(), cpu: None };
        let rows = if self.rows.value.is_empty() { vec![one] } else { self.rows.value.clone() };
        let mut combinations = Vec::new();
        for row in &rows {
            for column in &self.columns.value {
                let change = |table: &mut Table| -> Result<()> {
                    if let Some(data) = data {
                        table.insert("data".into(), Value::String(data.into()));
                    }
                    for (key, value) in column.set.iter().chain(&row.set) {
                        lab_config::assign(table, key, value.clone()).with_context(|| format!("cannot set `{key}`"))?;
                    }
                    for (key, items) in row.append.iter().chain(&column.append) {
                        append(table, key, items)?;
                    }
                    Ok(())
                };
                let config = config::load_changed(base, &self.set, change)
                    .with_context(|| format!("{}: {} {}", self.title, row.label, column.label))?;
                combinations.push((config, row.label.clone(), column.label.clone()));
            }
        }
        Ok(combinations)
    }
}

/// Whether one of two dotted keys is the other or holds it.
fn overlap(one: &str, other: &str) -> bool {
    one.split('.').zip(other.split('.')).all(|(one, other)| one == other)
}

/// Lengthens the list at a dotted key by `items`, unless they stand in it.
fn append(table: &mut Table, key: &str, items: &Value) -> Result<()> {
    let mut parts = key.split('.');
    let first = parts.next().unwrap_or_default();
    let found = parts.try_fold(table.get_mut(first), |place, part| Some(place.and_then(|place| place.get_mut(part))));
    let list = found.flatten().and_then(Value::as_array_mut).with_context(|| format!("there is no list at `{key}`"))?;
    let items = items.as_array().with_context(|| format!("what is appended to `{key}` is no list"))?;
    if !list.windows(items.len().max(1)).any(|window| window == items.as_slice()) {
        list.extend(items.iter().cloned());
    }
    Ok(())
}

/// Whether a pretraining ended because its numbers did.
fn has_diverged(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrainError::Diverged { .. } | TrainError::NotFinite { .. }))
}

/// What decides a score, but for the seed; `about` is what all combinations share.
fn key(config: &Pretraining, about: &serde_json::Value) -> String {
    hex(&Sha256::digest(json!({ "config": config, "about": about }).to_string()))
}

/// The combinations that an earlier run left.
fn known(file: &PathBuf) -> Result<Vec<Cell>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no study: delete it", file.display()))
}

fn report(
    study: &Study,
    combinations: &[(Pretraining, String, String)],
    cells: &[Cell],
    keys: &[String],
    data: &Data,
    args: &StudyArgs,
) -> Report {
    let distinct = |of: fn(&(Pretraining, String, String)) -> &String| {
        let mut names: Vec<String> = Vec::new();
        for name in combinations.iter().map(of) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    };
    let (rows, columns) = (distinct(|(_, row, _)| row), distinct(|(.., column)| column));
    let scores = |row: &String, column: &String| -> Vec<StudyScore> {
        let at = combinations.iter().position(|(_, r, c)| (r, c) == (row, column));
        let of_combination = |cell: &&Cell| at.is_some_and(|at| cell.key == keys[at]);
        let score = |cell: &Cell| StudyScore { seed: cell.seed, score: cell.score };
        cells.iter().filter(of_combination).map(score).collect()
    };
    let seeds = if args.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", args.seeds) };
    let first = &combinations[0].0;
    Report {
        title: study.title.clone(),
        subject: format!(
            "{} ({}), {}, {} training images, {} epochs unless varied, {seeds}; compared on the {} evaluated images",
            data.title,
            data.origin,
            first.model,
            data.train.len(),
            first.simclr.epochs,
            data.eval.len(),
        ),
        score: format!("accuracy, {}", args.protocol.to_string().to_lowercase()),
        row_axis: study.rows.name.clone(),
        column_axis: study.columns.name.clone(),
        cells: rows.iter().map(|row| columns.iter().map(|column| scores(row, column)).collect()).collect(),
        rows,
        columns,
    }
}

fn write(report: &Report, study: &Study, out: &Path) -> Result<()> {
    let plot = match study.plot {
        Plot::HeatMap => StudyPlot::HeatMap,
        Plot::Lines => StudyPlot::Lines,
    };
    let markdown = format!("# {}\n\n{}\n\n{}", report.title, report.subject, report.markdown());
    unfinished::write(&out.join("study.md"), markdown.as_bytes())?;
    unfinished::write(&out.join("study.csv"), report.csv().as_bytes())?;
    unfinished::write(&out.join("study.svg"), report.svg(plot)?.as_bytes())
}
