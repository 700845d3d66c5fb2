//! A program that is measured, and how its figures are read from what it prints. Which programs there are is the suites' business.

use super::suite::Unit;
use crate::process;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Figures of a program, by name.
pub(super) type Figures = BTreeMap<String, f64>;

/// A program that gives figures.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) read: Read,
}

/// How the figures stand in what a program prints. The names given here begin those of the figures.
#[derive(Debug)]
pub(super) enum Read {
    /// `panal bench`: images a second, and the most memory that was in use.
    Bench(String),
    /// Lines of a name, a number and a unit; of which names, without what is put before them.
    Lines(String, &'static [&'static str]),
    /// Results of a lab, a JSON array or one object: mean seconds and F1 of a run, by whom and of which row; others are
    /// passed over.
    Lab(&'static str, &'static str),
    /// How long the program took: in seconds, and for so many images.
    Clock(String, usize),
    /// There are none, as of what only prepares.
    Nothing,
}

/// What a program gave, round after round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) command: String,
    pub(super) rounds: Vec<Figures>,
    /// The share of the processors' time that other work took just before each round, where the system tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) busy: Vec<f64>,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }

    pub(super) fn words(&self) -> String {
        process::words(&self.command())
    }

    pub(super) fn run(&self) -> Result<Figures> {
        let clock = Instant::now();
        let text = process::stdout(&mut self.command())?;
        let seconds = clock.elapsed().as_secs_f64();
        self.read.figures(&text, seconds).with_context(|| format!("cannot read what `{}` printed", self.words()))
    }
}

impl Read {
    /// The names of the figures.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Bench(name) => vec![name.clone(), format!("{name} memory")],
            Self::Lines(begin, names) => names.iter().map(|name| format!("{begin}{name}")).collect(),
            Self::Lab(who, row) => ["seconds", "f1"].map(|key| format!("{who} {row} {key}")).to_vec(),
            Self::Nothing => Vec::new(),
            Self::Clock(name, _) => {
                [Unit::Seconds, Unit::ImagesPerSecond].map(|unit| format!("{name} {unit}")).to_vec()
            }
        }
    }

    fn figures(&self, text: &str, seconds: f64) -> Result<Figures> {
        let mut figures = Figures::new();
        match self {
            Self::Bench(name) => {
                let report: Value = serde_json::from_str(text)?;
                let rates = report["images_per_second"].as_array().context("no images_per_second")?;
                figures.insert(name.clone(), median(rates.iter().filter_map(Value::as_f64)).context("no rates")?);
                let bytes = report["peak_memory_bytes"].as_f64().context("no peak_memory_bytes")?;
                figures.insert(format!("{name} memory"), bytes / 1e6);
            }
            Self::Lines(begin, _) => {
                for line in text.lines() {
                    // `eval pil             254.0 img/s`
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let [name @ .., number, _unit] = &words[..] else { bail!("the line `{line}` is no figure") };
                    figures.insert(format!("{begin}{}", name.join(" ")), number.parse()?);
                }
            }
            Self::Lab(who, row) => {
                let mut results: Vec<Value> = match serde_json::from_str(text)? {
                    Value::Array(results) => results,
                    one => vec![one],
                };
                results.retain(|result| result["row"] == *row);
                for key in ["seconds", "f1"] {
                    let values: Vec<f64> = results.iter().filter_map(|result| result[key].as_f64()).collect();
                    if values.is_empty() || values.len() != results.len() {
                        bail!("a result without `{key}`");
                    }
                    figures.insert(format!("{who} {row} {key}"), values.iter().sum::<f64>() / values.len() as f64);
                }
                // Panal decodes the images before its first run; the others do so within each.
                let opening = results.first().and_then(|result| result["seconds_data"].as_f64()).unwrap_or(0.0);
                *figures.entry(format!("{who} {row} seconds")).or_default() += opening;
            }
            Self::Nothing => {}
            Self::Clock(name, images) => {
                figures.insert(format!("{name} s"), seconds);
                figures.insert(format!("{name} images/s"), *images as f64 / seconds);
            }
        }
        match self.names().into_iter().find(|name| !figures.contains_key(name)) {
            Some(missing) => bail!("no `{missing}` in it"),
            None => Ok(figures),
        }
    }
}

/// The middle value, of an even number the mean of the two in the middle; `None` of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, values.len().saturating_sub(1) / 2);
    Some((values.get(lower)? + values.get(upper)?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(read: &Read, text: &str) -> Vec<(String, f64)> {
        read.figures(text, 2.0).unwrap().into_iter().collect()
    }

    #[test]
    fn figures_are_read_from_what_each_program_prints() {
        let bench = Read::Bench("panal x".into());
        let text = r#"{"images_per_second": [3.0, 1.0, 2.0], "peak_memory_bytes": 5000000}"#;
        assert_eq!(figures(&bench, text), [("panal x".into(), 2.0), ("panal x memory".into(), 5.0)]);
        assert!(bench.figures(r#"{"images_per_second": []}"#, 1.0).is_err());
        let lines = Read::Lines("PyTorch x ".into(), &["eager", "eager memory"]);
        let text = "eager 20.5 img/s\neager memory 900.0 MB\n";
        assert_eq!(figures(&lines, text), [("PyTorch x eager".into(), 20.5), ("PyTorch x eager memory".into(), 900.0)]);
        assert!(lines.figures("warning", 1.0).is_err());
        let missing = format!("{:#}", lines.figures("eager 20.5 img/s", 1.0).unwrap_err());
        assert_eq!(missing, "no `PyTorch x eager memory` in it");
        let lab = Read::Lab("p", "r");
        let one = r#"{"row": "r", "seconds": 4.0, "f1": 0.9}"#;
        assert_eq!(figures(&lab, one), [("p r f1".into(), 0.9), ("p r seconds".into(), 4.0)]);
        let opened = r#"[{"row": "r", "seconds": 4.0, "seconds_data": 0.5, "f1": 0.9}]"#;
        assert_eq!(figures(&lab, opened), [("p r f1".into(), 0.9), ("p r seconds".into(), 4.5)]);
        let all = format!(r#"[{{"row": "other", "seconds": 90.0, "f1": 0.1}}, {one}]"#);
        assert_eq!(figures(&lab, &all), figures(&lab, one), "only its own row counts");
        assert!(lab.figures(r#"[{"row": "r", "seconds": 4.0}]"#, 1.0).is_err());
        assert!(lab.figures(r#"[{"row": "other", "seconds": 4.0, "f1": 0.9}]"#, 1.0).is_err());
        assert_eq!(figures(&Read::Nothing, "done"), []);
        let clock = Read::Clock("p one".into(), 4);
        assert_eq!(figures(&clock, ""), [("p one images/s".into(), 2.0), ("p one s".into(), 2.0)]);
    }

    #[test]
    fn the_median_of_two_is_no_better_than_their_mean() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([3.0, 1.0, 2.0, 10.0].into_iter()), Some(2.5));
        assert_eq!(median([1.0, 2.0].into_iter()), Some(1.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
