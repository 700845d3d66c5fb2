//! The dated record of one benchmark: the machine, the versions, the commands, the raw numbers, the ratio.

use crate::machine::Machine;
use crate::process;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, Serialize)]
pub(super) struct Record {
    pub(super) date: String,
    pub(super) command: String,
    pub(super) machine: Machine,
    pub(super) versions: BTreeMap<&'static str, String>,
    pub(super) peer_memory_format: &'static str,
    pub(super) rows: Vec<Row>,
}

/// One row of the lab by both.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    row: String,
    /// Mean seconds of a seed.
    seconds: f64,
    peer_seconds: f64,
    /// How many times faster than the peer.
    ratio: f64,
    ours: Run,
    peer: Run,
}

/// One command, and what it gave.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) command: String,
    pub(super) wall_seconds: f64,
    pub(super) results: Vec<Value>,
}

impl Row {
    pub(super) fn new(row: &str, ours: Run, peer: Run) -> Result<Self> {
        let seconds = mean_seconds(&ours).with_context(|| format!("ours, {row}"))?;
        let peer_seconds = mean_seconds(&peer).with_context(|| format!("the peer, {row}"))?;
        Ok(Self { row: row.to_owned(), seconds, peer_seconds, ratio: peer_seconds / seconds, ours, peer })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, seconds, peer_seconds, ratio, .. } = self;
        write!(f, "{row}: {seconds:.1} s, the peer {peer_seconds:.1} s, ratio {ratio:.2}")
    }
}

impl Record {
    /// Writes `<date>-lab.json`, never over an earlier record; gives the file. `named` are paths of this machine, and what the record calls them.
    pub(super) fn write(&self, folder: &Path, named: &[(PathBuf, &'static str)]) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let names = std::iter::once(String::new()).chain((2..).map(|n| format!("-{n}")));
        let mut files = names.map(|suffix| folder.join(format!("{}-lab{suffix}.json", self.date)));
        let file = files.find(|file| !file.exists()).context("no free name")?;
        let places = [named, &places()?].concat();
        fs::write(&file, impersonal(&serde_json::to_string_pretty(self)?, &places) + "\n")?;
        Ok(file)
    }
}

/// Folders that only this machine has, and what a record says in their place; the inner before the outer.
fn places() -> Result<Vec<(PathBuf, &'static str)>> {
    let root = workspace::root();
    let mut places = vec![
        (workspace::metadata()?.target_directory, "target"),
        (std::path::absolute(panal_hub::cache_dir()?)?, "$PANAL_CACHE"),
        (root.to_owned(), "."),
        (std::env::temp_dir(), "$TMPDIR"),
    ];
    places.extend(root.parent().map(|parent| (parent.to_owned(), "..")));
    places.extend(std::env::home_dir().map(|home| (home, "~")));
    places.retain(|(folder, _)| folder.parent().is_some());
    Ok(places)
}

/// A record's text without this machine's paths. What only begins like one of them is another path, and stays.
fn impersonal(text: &str, places: &[(PathBuf, &str)]) -> String {
    places.iter().fold(text.to_owned(), |text, (place, name)| {
        let place = place.display().to_string();
        let mut parts = text.split(&place);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, rest| {
            let ends = rest.chars().next().is_none_or(|next| matches!(next, '/' | '"' | '\\') || next.is_whitespace());
            text + if ends { name } else { &place } + rest
        })
    })
}

/// Today, in UTC, as `2026-01-31`.
pub(super) fn today() -> Result<String> {
    Ok(process::stdout(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}

/// The versions of what was measured.
pub(super) fn versions(python: &Path, libtorch: &str) -> Result<BTreeMap<&'static str, String>> {
    const ASK: &str =
        "import sys, torch, torchvision; print(sys.version.split()[0], torch.__version__, torchvision.__version__)";
    let said = process::stdout(Command::new(python).args(["-c", ASK]))?;
    let mut words = said.split_whitespace().map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    let root = workspace::root().to_string_lossy();
    let commit = process::ask("git", &["-C", &root, "describe", "--always", "--dirty", "--exclude=*"]);
    Ok(BTreeMap::from([
        ("panal", commit.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())),
        ("rustc", process::ask("rustc", &["--version"]).unwrap_or_default()),
        ("libtorch", libtorch.to_owned()),
        ("python", next()),
        ("torch", next()),
        ("torchvision", next()),
    ]))
}

/// The mean of `seconds` over the results: ours is one that is a mean already, the peer has one a seed.
fn mean_seconds(run: &Run) -> Result<f64> {
    let seconds: Vec<f64> = run.results.iter().filter_map(|result| result["seconds"].as_f64()).collect();
    ensure!(!seconds.is_empty() && seconds.len() == run.results.len(), "a result without `seconds`");
    Ok(seconds.iter().sum::<f64>() / seconds.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(seconds: &[f64]) -> Run {
        let results = seconds.iter().map(|seconds| json!({ "seconds": seconds })).collect();
        Run { command: "c".into(), wall_seconds: 1.0, results }
    }

    #[test]
    fn the_ratio_is_of_means_over_seeds() {
        let row = Row::new("r", run(&[3.0]), run(&[12.0, 18.0])).unwrap();
        assert_eq!((row.seconds, row.peer_seconds, row.ratio), (3.0, 15.0, 5.0));
        let silent = Run { results: vec![json!({"f1": 0.9})], ..run(&[]) };
        assert!(format!("{:#}", Row::new("r", run(&[1.0]), silent).unwrap_err()).contains("the peer, r"));
    }

    #[test]
    fn a_record_names_no_folder_of_the_machine() {
        let places = [
            ("/opt/python", "python3"),
            ("/home/me/panal/target", "target"),
            ("/home/me/panal", "."),
            ("/home/me", "~"),
        ];
        let places = places.map(|(folder, name)| (PathBuf::from(folder), name));
        let text = r#"/home/me/panal/target/release/panal --set "a=/home/me/w.pth" --data "/home/me" /home/merry/y
            /opt/python /opt/python3 --in /home/me/panal/data/x /home/me"#;
        let expected = r#"target/release/panal --set "a=~/w.pth" --data "~" /home/merry/y
            python3 /opt/python3 --in ./data/x ~"#;
        assert_eq!(impersonal(text, &places), expected);
    }

    #[test]
    fn a_second_record_of_the_day_does_not_replace_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record {
            date: today().unwrap(),
            command: "cargo xtask bench".into(),
            machine: Machine::here(),
            versions: BTreeMap::new(),
            peer_memory_format: "contiguous",
            rows: Vec::new(),
        };
        let (first, second) = (record.write(folder.path(), &[]).unwrap(), record.write(folder.path(), &[]).unwrap());
        assert_ne!(first, second);
        assert_eq!(record.date.len(), 10);
        assert!(second.to_string_lossy().ends_with("-lab-2.json"));
    }
}
