//! `panal runs compare`: the settings in which runs differ, and by how much they differ in what came out. Differences are from the first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use panal_metrics::{holm, paired_interval, paired_permutation};
use panal_report::{
    FewShotRecord, Grid, PairedRows, PretrainingRecord, Records, Row, RunFolder, RunRecord, SingleRecord, Versions,
    compare_rows, open_run, rows_with_runs,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{DEFAULT_FOLDER, Global, RunsCompareArgs};

/// Sign patterns tried at most in a test over episodes.
const RESAMPLES: usize = 10_000;

/// One of the runs that were named.
struct Side {
    /// As it was typed.
    name: String,
    run: RunFolder,
    /// The row that was asked for, by name or number.
    row: Option<String>,
}

/// The same row of every run, or the runs themselves.
#[derive(Debug, Serialize)]
struct Comparison {
    /// The row, where the runs have several.
    row: Option<String>,
    settings: Vec<Setting>,
    metrics: Vec<Metric>,
    tests: Vec<Test>,
    notes: Vec<String>,
}

/// A setting that is not the same for all.
#[derive(Debug, Serialize)]
struct Setting {
    setting: String,
    values: Vec<Option<Value>>,
}

/// A number that came out.
#[derive(Debug, Serialize)]
struct Metric {
    metric: &'static str,
    /// Mean over seeds or episodes.
    values: Vec<Option<f64>>,
    standard_deviations: Vec<Option<f64>>,
    /// From the first; none for the first itself.
    differences: Vec<Option<Difference>>,
}

#[derive(Debug, Serialize)]
struct Difference {
    difference: f64,
    /// 95 % interval of the paired differences.
    interval: Option<[f64; 2]>,
    /// What is paired: so many seeds or episodes.
    pairs: usize,
}

/// Whether a run differs from the first by more than chance.
#[derive(Debug, Serialize)]
struct Test {
    run: String,
    test: &'static str,
    /// Images or episodes.
    samples: usize,
    p: f64,
    /// The same, corrected for the number of runs that are compared with the first.
    holm: f64,
    /// McNemar's exact test, not corrected, where both have one seed.
    mcnemar: Option<f64>,
}

pub(crate) fn run(args: &RunsCompareArgs, global: &Global) -> Result<()> {
    let sides = args.runs.iter().map(|name| open(name)).collect::<Result<Vec<_>>>()?;
    let comparisons = if sides.iter().all(|side| matches!(side.run.records, Records::Runs(_))) {
        of_rows(&sides)?
    } else {
        vec![of_singles(&sides)?]
    };
    if global.json {
        println!("{:#}", json!({ "runs": args.runs, "comparisons": comparisons }));
        return Ok(());
    }
    for (number, comparison) in comparisons.iter().enumerate() {
        if number > 0 {
            println!();
        }
        print(comparison, &args.runs);
    }
    Ok(())
}

/// The run that is meant by `FOLDER` or `FOLDER#ROW`, in the folder of results where there is no such folder here.
fn open(name: &str) -> Result<Side> {
    let folder = |name: &str| -> Option<PathBuf> {
        [PathBuf::from(name), Path::new(DEFAULT_FOLDER).join(name)].into_iter().find(|path| path.is_dir())
    };
    let (path, row) = match (folder(name), name.rsplit_once('#')) {
        (Some(path), _) => (path, None),
        (None, Some((before, row))) => (folder(before).with_context(|| no_folder(before))?, Some(row.to_owned())),
        (None, None) => bail!("{}", no_folder(name)),
    };
    let run = open_run(&path)
        .with_context(|| format!("{} is no folder of a run: name one that `panal runs list` shows", path.display()))?;
    match run.records {
        Records::Broken(error) => Err(error.into()),
        Records::None => {
            bail!("{}: the run was interrupted before it had a result; go on with it first", path.display())
        }
        _ => Ok(Side { name: name.to_owned(), run, row }),
    }
}

fn no_folder(name: &str) -> String {
    format!("no such folder: {name}; name one that `panal runs list` shows, with #ROW for a row of a lab")
}

/// Refuses a run that is named twice.
fn distinct(keys: &[(PathBuf, Option<usize>)], sides: &[Side]) -> Result<()> {
    for (i, key) in keys.iter().enumerate() {
        if keys[..i].contains(key) {
            bail!("{} is named twice: name runs that differ", sides[i].name);
        }
    }
    Ok(())
}

type WithRuns<'a> = (Row, Vec<&'a RunRecord>);

fn of_rows(sides: &[Side]) -> Result<Vec<Comparison>> {
    let mut all: Vec<Vec<WithRuns<'_>>> = Vec::new();
    let mut keys = Vec::new();
    for side in sides {
        let Records::Runs(records) = &side.run.records else { bail!("{} has no rows", side.name) };
        let mut rows = rows_with_runs(records).with_context(|| side.name.clone())?;
        if let Some(wanted) = &side.row {
            let names: Vec<String> =
                rows.iter().map(|(row, _)| format!("\n  {}  {}", row.index + 1, row.name)).collect();
            rows.retain(|(row, _)| row.name == *wanted || wanted.parse() == Ok(row.index + 1));
            if rows.len() != 1 {
                bail!("{}: `{wanted}` names no row, or several; the rows are:{}", side.name, names.concat());
            }
        }
        let path = fs::canonicalize(&side.run.path).with_context(|| format!("cannot find {}", side.name))?;
        keys.push((path, if let [(row, _)] = rows.as_slice() { Some(row.index) } else { None }));
        all.push(rows);
    }
    distinct(&keys, sides)?;
    if all.iter().all(|rows| rows.len() == 1) {
        let rows: Vec<&WithRuns<'_>> = all.iter().filter_map(|rows| rows.first()).collect();
        return Ok(vec![of_row(None, &rows, sides)?]);
    }
    let mut comparisons = Vec::new();
    for (row, _) in &all[0] {
        let same = |rows: &'_ [WithRuns<'_>]| rows.iter().position(|(other, _)| other.name == row.name);
        let found: Option<Vec<usize>> = all.iter().map(|rows| same(rows)).collect();
        if let Some(found) = found {
            let rows: Vec<&WithRuns<'_>> = all.iter().zip(found).map(|(rows, at)| &rows[at]).collect();
            comparisons.push(of_row(Some(row.name.clone()), &rows, sides)?);
        }
    }
    if comparisons.is_empty() {
        let listed = sides.iter().zip(&all).map(|(side, rows)| {
            let names: Vec<String> = rows.iter().map(|(row, _)| format!("{} {}", row.index + 1, row.name)).collect();
            format!("\n  {}: {}", side.name, names.join(", "))
        });
        bail!(
            "the runs have no row of the same name: name one of each, as in FOLDER#2; they have:{}",
            listed.collect::<String>()
        );
    }
    Ok(comparisons)
}

fn of_row(name: Option<String>, rows: &[&WithRuns<'_>], sides: &[Side]) -> Result<Comparison> {
    let settings: Vec<BTreeMap<String, Value>> = rows.iter().map(|(_, runs)| of_record(runs)).collect();
    let (first, first_runs) = (&rows[0].0, &rows[0].1);
    let paired: Vec<PairedRows> =
        rows[1..].iter().map(|(row, runs)| compare_rows((first, first_runs), (row, runs))).collect::<Result<_, _>>()?;
    let mut notes = Vec::new();
    let mut metrics = Vec::new();
    for (i, score) in paired[0].scores.iter().enumerate() {
        let mut metric = Metric {
            metric: score.name,
            values: vec![Some(score.first.mean)],
            standard_deviations: vec![score.first.std],
            differences: vec![None],
        };
        for pair in &paired {
            let score = &pair.scores[i];
            metric.values.push(Some(score.second.mean));
            metric.standard_deviations.push(score.second.std);
            metric.differences.push(Some(Difference {
                difference: score.difference,
                interval: score.interval.map(|interval| [interval.lower, interval.upper]),
                pairs: score.seeds.len(),
            }));
        }
        metrics.push(metric);
    }
    metrics.push(plain("seconds a run", rows.iter().map(|(row, _)| Some(row.seconds.mean)).collect()));
    let p_values: Vec<f64> = paired.iter().filter_map(|pair| pair.images.map(|images| images.p)).collect();
    let mut corrected = corrected(&p_values)?.into_iter();
    let mut tests = Vec::new();
    for (pair, side) in paired.iter().zip(&sides[1..]) {
        match pair.images.zip(pair.images.and_then(|_| corrected.next())) {
            Some((images, holm)) => tests.push(Test {
                run: side.name.clone(),
                test: "accuracy, paired permutation over images",
                samples: images.images,
                p: images.p,
                holm,
                mcnemar: images.mcnemar,
            }),
            None => notes.push(format!(
                "{} was not judged on the images of {}: its differences are not paired, and nothing is tested",
                side.name, sides[0].name
            )),
        }
        if pair.images.is_some() && pair.scores[0].interval.is_none() {
            notes.push(format!(
                "{} and {} have {} seeds in common: an interval takes two",
                sides[0].name,
                side.name,
                pair.scores[0].seeds.len()
            ));
        }
    }
    if metrics.iter().flat_map(|metric| &metric.differences).flatten().any(|difference| difference.interval.is_some()) {
        notes.push("in brackets Student's 95 % intervals of the differences, seed by seed".into());
    }
    Ok(Comparison { row: name, settings: differing(&settings), metrics, tests, notes })
}

/// Settings of the runs of one row.
fn of_record(runs: &[&RunRecord]) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    let Some(run) = runs.first() else { return settings };
    let mut config = run.config.clone();
    if let Some(config) = config.as_object_mut() {
        config.remove("data");
        config.remove("model");
        config.remove("folds");
    }
    flatten("", &config, &mut settings);
    let about = json!({
        "data": run.data.id, "data.train": run.data.train.digest, "data.evaluation": run.data.evaluation.digest,
        "evaluation by": run.evaluation.to_string(), "model": run.model.arch, "init": run.model.init,
        "init.digest": run.model.weights.as_ref().map(|weights| &weights.digest),
        "seeds": runs.iter().map(|run| run.seed.to_string()).collect::<Vec<_>>().join(", "),
    });
    add(&mut settings, about, &run.device, &run.versions);
    settings.insert("threads".into(), json!(run.threads));
    settings
}

fn add(settings: &mut BTreeMap<String, Value>, about: Value, device: &str, versions: &Versions) {
    if let Value::Object(about) = about {
        settings.extend(about);
    }
    settings.insert("device".into(), json!(device));
    settings.insert("version.panal".into(), json!(versions.panal));
    settings.insert("version.libtorch".into(), json!(versions.libtorch));
}

fn of_singles(sides: &[Side]) -> Result<Comparison> {
    let paths = sides.iter().map(|side| {
        if let Some(row) = &side.row {
            bail!("{}: `#{row}` names a row of a lab, and this has none", side.name);
        }
        Ok((fs::canonicalize(&side.run.path).with_context(|| format!("cannot find {}", side.name))?, None))
    });
    distinct(&paths.collect::<Result<Vec<_>>>()?, sides)?;
    let singles: Option<Vec<&SingleRecord>> = sides
        .iter()
        .map(|side| if let Records::Single(single) = &side.run.records { Some(single.as_ref()) } else { None })
        .collect();
    let pretrainings: Option<Vec<&PretrainingRecord>> = singles.as_ref().and_then(|singles| {
        singles.iter().map(|one| if let SingleRecord::Pretraining(one) = one { Some(one) } else { None }).collect()
    });
    let learners: Option<Vec<&FewShotRecord>> = singles.as_ref().and_then(|singles| {
        singles.iter().map(|one| if let SingleRecord::FewShot(one) = one { Some(one) } else { None }).collect()
    });
    if let Some(records) = pretrainings {
        return Ok(of_pretrainings(&records));
    }
    if let Some(records) = learners {
        return of_learners(&records, sides);
    }
    let kinds: String = sides.iter().map(|side| format!("\n  {}: {}", side.name, side.run.kind)).collect();
    bail!("runs of different kinds can't be compared; they are:{kinds}")
}

fn of_pretrainings(records: &[&PretrainingRecord]) -> Comparison {
    let settings = records.iter().map(|record| {
        let mut settings = BTreeMap::new();
        flatten("", &record.config, &mut settings);
        let about = json!({
            "data": record.data.id, "data.digest": record.data.digest, "data.images": record.data.images, "seed": record.seed,
        });
        add(&mut settings, about, &record.device, &record.versions);
        settings
    });
    let settings = differing(&settings.collect::<Vec<_>>());
    let last = |of: fn(&panal_report::PretrainingEpoch) -> Option<f64>| -> Vec<Option<f64>> {
        records.iter().map(|record| record.epochs.last().and_then(of)).collect()
    };
    let metrics = vec![
        plain("loss, last epoch", last(|epoch| epoch.loss)),
        plain("top-1, last epoch", last(|epoch| epoch.top1)),
        plain("nearest neighbours, last epoch", last(|epoch| epoch.knn)),
        plain("seconds", records.iter().map(|record| Some(record.seconds.total)).collect()),
    ];
    let notes = vec!["one seed each, so no interval; `panal ssl eval` judges the encoders themselves".into()];
    Comparison { row: None, settings, metrics, tests: Vec::new(), notes }
}

fn of_learners(records: &[&FewShotRecord], sides: &[Side]) -> Result<Comparison> {
    let settings = records.iter().map(|record| {
        let mut settings = BTreeMap::new();
        flatten("", &record.config, &mut settings);
        let about =
            json!({ "data.digest": record.data.digest, "test.digest": record.test.digest, "seed": record.seed });
        add(&mut settings, about, &record.device, &record.versions);
        settings
    });
    let settings = differing(&settings.collect::<Vec<_>>());
    let mut accuracy = plain("accuracy", records.iter().map(|record| Some(record.test.accuracy)).collect());
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for (i, record) in records.iter().enumerate().skip(1) {
        let (episodes, first) = (&record.test.per_episode, &records[0].test.per_episode);
        if !record.same_episodes(records[0]) {
            notes.push(format!(
                "{} was not judged on the episodes of {}: nothing is paired",
                sides[i].name, sides[0].name
            ));
            continue;
        }
        if let (Some(difference), true) = (&mut accuracy.differences[i], episodes.len() > 1) {
            let interval = paired_interval(episodes, first, 0.95)?;
            difference.interval = Some([interval.lower, interval.upper]);
            difference.pairs = episodes.len();
        }
        found.push((i, episodes.len(), paired_permutation(episodes, first, RESAMPLES, 0)?.p_value));
    }
    let holm = corrected(&found.iter().map(|(.., p)| *p).collect::<Vec<_>>())?;
    let tests = found.iter().zip(holm).map(|(&(i, samples, p), holm)| Test {
        run: sides[i].name.clone(),
        test: "accuracy, paired permutation over episodes",
        samples,
        p,
        holm,
        mcnemar: None,
    });
    let tests: Vec<Test> = tests.collect();
    if !tests.is_empty() {
        notes.push("in brackets Student's 95 % intervals of the differences, episode by episode".into());
    }
    let metrics =
        vec![accuracy, plain("seconds of training", records.iter().map(|record| Some(record.seconds)).collect())];
    Ok(Comparison { row: None, settings, metrics, tests, notes })
}

/// Holm's correction; none for none.
fn corrected(p_values: &[f64]) -> Result<Vec<f64>> {
    Ok(if p_values.is_empty() { Vec::new() } else { holm(p_values)? })
}

/// A metric with one value each, and their plain differences.
fn plain(metric: &'static str, values: Vec<Option<f64>>) -> Metric {
    let first = values.first().copied().flatten();
    let difference = |value: &Option<f64>| {
        let difference = (*value)? - first?;
        Some(Difference { difference, interval: None, pairs: 0 })
    };
    let differences = std::iter::once(None).chain(values.iter().skip(1).map(difference)).collect();
    Metric { metric, standard_deviations: vec![None; values.len()], values, differences }
}

/// Every value of `value` by its path, as in `row.phases[0].epochs`.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), value, into);
            }
        }
        value => {
            into.insert(path.to_owned(), value.clone());
        }
    }
}

/// The settings that are not the same for all.
fn differing(settings: &[BTreeMap<String, Value>]) -> Vec<Setting> {
    let mut names: Vec<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
    names.sort();
    names.dedup();
    let of = |name: &String| -> Vec<Option<Value>> { settings.iter().map(|run| run.get(name).cloned()).collect() };
    let differ = |values: &[Option<Value>]| values.iter().any(|value| *value != values[0]);
    let all = names.into_iter().map(|name| Setting { setting: name.clone(), values: of(name) });
    all.filter(|setting| differ(&setting.values)).collect()
}

fn print(comparison: &Comparison, names: &[String]) {
    if let Some(row) = &comparison.row {
        println!("{row}\n");
    }
    let heads = |first: &str| std::iter::once(first.to_owned()).chain(names.iter().cloned()).collect::<Vec<_>>();
    if comparison.settings.is_empty() {
        println!("no setting differs\n");
    } else {
        let row = |setting: &Setting| {
            let values = setting.values.iter().map(|value| value.as_ref().map_or_else(|| "—".into(), short));
            std::iter::once(setting.setting.clone()).chain(values).collect()
        };
        let grid = Grid { heads: heads("Setting"), rows: comparison.settings.iter().map(row).collect() };
        println!("{}", grid.terminal());
    }
    let row = |metric: &Metric| {
        let cells = metric.values.iter().zip(&metric.standard_deviations).zip(&metric.differences);
        let cells = cells.map(|((value, deviation), difference)| {
            let Some(value) = value else { return "—".into() };
            let mut cell = format!("{value:.3}");
            if let Some(deviation) = deviation {
                cell += &format!(" ± {deviation:.3}");
            }
            if let Some(difference) = difference {
                cell += &format!(", {:+.3}", difference.difference);
                if let Some([lower, upper]) = difference.interval {
                    cell += &format!(" [{lower:+.3}, {upper:+.3}]");
                }
            }
            cell
        });
        std::iter::once(metric.metric.to_owned()).chain(cells).collect()
    };
    let grid = Grid { heads: heads("Metric"), rows: comparison.metrics.iter().map(row).collect() };
    println!("{}", grid.terminal());
    for test in &comparison.tests {
        let mcnemar = test.mcnemar.map(|p| format!("; McNemar's exact test p = {p:.4}")).unwrap_or_default();
        let corrected = if comparison.tests.len() > 1 { format!(" (Holm: {:.4})", test.holm) } else { String::new() };
        println!("{}: {} ({}): p = {:.4}{corrected}{mcnemar}", test.run, test.test, test.samples, test.p);
    }
    for note in &comparison.notes {
        println!("note: {note}");
    }
}

/// A value in a cell: digests by their beginning.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}…", &text[..12])
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
