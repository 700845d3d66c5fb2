//! `panal runs list`: a line for each row of a lab and for each other run, the latest first.

use std::path::Path;

use anyhow::Result;
use panal_report::{Grid, Records, Row, RunFolder, RunKind, RunState, SingleRecord, Spread, rows_with_runs};
use serde::Serialize;
use serde_json::json;

use crate::cli::{Global, RunsListArgs};

/// A row of a lab, or the whole of another run.
#[derive(Debug, Default, Serialize)]
struct Line {
    /// Number of the row in its lab, from 1.
    row: Option<usize>,
    what: String,
    data: String,
    model: String,
    seeds: Vec<u64>,
    f1: Option<Score>,
    accuracy: Option<Score>,
    /// Of all seeds together.
    seconds: Option<f64>,
    device: String,
}

/// Mean and spread over seeds.
#[derive(Debug, Serialize)]
struct Score {
    mean: f64,
    standard_deviation: Option<f64>,
}

pub(crate) fn run(args: &RunsListArgs, global: &Global) -> Result<()> {
    let mut runs = super::find(&args.folder)?;
    runs.sort_by(|a, b| b.started_at().cmp(&a.started_at()).then_with(|| a.path.cmp(&b.path)));
    let lines: Vec<Vec<Line>> = runs.iter().map(lines).collect();
    if global.json {
        let runs = runs.iter().zip(&lines).map(|(run, lines)| {
            json!({
                "path": run.path, "kind": run.kind, "started_at": run.started_at(), "state": run.state(),
                "error": broken(run), "note": run.note, "resume": resume(run), "rows": lines,
            })
        });
        println!("{:#}", json!(runs.collect::<Vec<_>>()));
        return Ok(());
    }
    print!("{}", grid(&runs, &lines, &args.folder).terminal());
    for run in &runs {
        let at = run.path.display();
        if let Some(reason) = broken(run) {
            println!("broken: {at}: {reason}");
        }
        if let Some(note) = &run.note {
            println!("note: {note}");
        }
        match (run.state(), resume(run)) {
            (RunState::Interrupted, Some(command)) => println!("interrupted: {at}: go on with `{command}`"),
            (RunState::Interrupted, None) => {
                println!("interrupted: {at}: go on with the command that began it, and --resume");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Why a record can't be read.
fn broken(run: &RunFolder) -> Option<String> {
    if let Records::Broken(error) = &run.records { Some(error.to_string()) } else { None }
}

/// The command that goes on with an interrupted run, where it is known.
fn resume(run: &RunFolder) -> Option<&str> {
    let running = run.running.as_ref().filter(|_| run.state() == RunState::Interrupted);
    running.map(|running| running.resume.as_str())
}

fn lines(run: &RunFolder) -> Vec<Line> {
    match &run.records {
        Records::Runs(records) => match rows_with_runs(records) {
            Ok(rows) => rows.iter().map(|(row, _)| of_row(run.kind, row)).collect(),
            // The records were checked when they were read; what can't be scored is shown without scores.
            Err(_) => vec![Line { what: run.kind.to_string(), ..Line::default() }],
        },
        Records::Single(single) => vec![of_single(single)],
        Records::Broken(_) => vec![Line { what: run.kind.to_string(), ..Line::default() }],
        Records::None => {
            let mut line = Line { what: run.kind.to_string(), ..Line::default() };
            if let Some(running) = &run.running {
                line.what = running.title.clone();
                line.data = running.data.clone();
                line.model = running.model.clone();
                line.seeds = running.seeds.clone();
                line.device = running.device.clone();
            }
            vec![line]
        }
    }
}

fn of_row(kind: RunKind, row: &Row) -> Line {
    let score = |spread: &Spread| Some(Score { mean: spread.mean, standard_deviation: spread.std });
    Line {
        row: (kind == RunKind::Lab).then_some(row.index + 1),
        what: row.name.clone(),
        data: row.data.id.clone(),
        model: row.model.arch.clone(),
        seeds: row.seeds.clone(),
        f1: score(&row.last.f1),
        accuracy: score(&row.last.accuracy),
        seconds: Some(row.seconds.values.iter().sum()),
        device: row.device.clone(),
    }
}

fn of_single(single: &SingleRecord) -> Line {
    let score = |mean: f64| Score { mean, standard_deviation: None };
    match single {
        SingleRecord::Pretraining(record) => {
            let last = record.epochs.last();
            let loss = last.and_then(|epoch| epoch.loss).map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
            Line {
                what: format!("pretraining{loss}"),
                data: record.data.id.clone(),
                model: record.config["model"].as_str().unwrap_or_default().to_owned(),
                seeds: vec![record.seed],
                accuracy: last.and_then(|epoch| epoch.knn).map(score),
                seconds: Some(record.seconds.total),
                device: record.device.clone(),
                ..Line::default()
            }
        }
        SingleRecord::FewShot(record) => {
            let names = record.config["data"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
            Line {
                what: record.method(),
                data: names.collect::<Vec<_>>().join(", "),
                model: "conv4".into(),
                seeds: vec![record.seed],
                accuracy: Some(score(record.test.accuracy)),
                seconds: Some(record.seconds),
                device: record.device.clone(),
                ..Line::default()
            }
        }
    }
}

fn grid(runs: &[RunFolder], lines: &[Vec<Line>], root: &Path) -> Grid {
    let heads = ["Run", "When (UTC)", "What", "Data", "Model", "Seeds", "F1", "Accuracy", "Time", "Device", "State"];
    let row = |run: &RunFolder, line: &Line| -> Vec<String> {
        let number = line.row.map(|row| format!("#{row}")).unwrap_or_default();
        let when = run.started_at().map(|when| when.replace('T', " ").chars().take(16).collect());
        vec![
            format!("{}{number}", super::name(run, root).display()),
            when.unwrap_or_else(missing),
            line.what.clone(),
            text(&line.data),
            text(&line.model),
            seeds(&line.seeds),
            score(line.f1.as_ref()),
            score(line.accuracy.as_ref()),
            line.seconds.map_or_else(missing, time),
            text(&line.device),
            run.state().to_string(),
        ]
    };
    Grid {
        heads: heads.map(str::to_owned).to_vec(),
        rows: runs.iter().zip(lines).flat_map(|(run, lines)| lines.iter().map(move |line| row(run, line))).collect(),
    }
}

fn missing() -> String {
    "—".into()
}

fn text(text: &str) -> String {
    if text.is_empty() { missing() } else { text.to_owned() }
}

/// `0-2` for seeds that follow each other, else each of them.
fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [] => missing(),
        [first, .., last] if last - first + 1 == seeds.len() as u64 => format!("{first}-{last}"),
        _ => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
    }
}

fn score(score: Option<&Score>) -> String {
    match score {
        Some(Score { mean, standard_deviation: Some(deviation) }) => format!("{mean:.3} ± {deviation:.3}"),
        Some(Score { mean, .. }) => format!("{mean:.3}"),
        None => missing(),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.1} s"),
        seconds if seconds < 5400.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
