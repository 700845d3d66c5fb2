//! Rows of labs beside each other: scores seed by seed, and accuracy image by image.

use std::fs;

use anyhow::{Context, Result, bail};
use panal_report::{PairedRows, Records, Row, RunRecord, compare_rows, rows_with_runs};
use serde_json::json;

use super::settings::{Settings, add, differing, flatten};
use super::{Comparison, Difference, Metric, Side, Test, corrected, distinct, plain};

type WithRuns<'a> = (Row, Vec<&'a RunRecord>);

pub(super) fn of_rows(sides: &[Side]) -> Result<Vec<Comparison>> {
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
    let settings: Vec<Settings> = rows.iter().map(|(_, runs)| of_record(runs)).collect();
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
fn of_record(runs: &[&RunRecord]) -> Settings {
    let mut settings = Settings::new();
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
