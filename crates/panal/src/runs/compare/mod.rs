//! `panal runs compare`: the settings in which runs differ, and by how much they differ in what came out. Differences are from the first.

mod rows;
mod settings;
mod show;
mod singles;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use panal_metrics::holm;
use panal_report::{Records, RunFolder, open_run};
use serde::Serialize;
use serde_json::json;

use self::settings::Setting;
use crate::cli::{DEFAULT_FOLDER, Global, RunsCompareArgs};

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
        rows::of_rows(&sides)?
    } else {
        vec![singles::of_singles(&sides)?]
    };
    if global.json {
        println!("{:#}", json!({ "runs": args.runs, "comparisons": comparisons }));
        return Ok(());
    }
    for (number, comparison) in comparisons.iter().enumerate() {
        if number > 0 {
            println!();
        }
        show::print(comparison, &args.runs);
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
