//! The dated record of one suite: the machine, the versions, the commands, the raw figures, the ratios; and whether a row fell.

use super::program::{Figures, Measured, median};
use super::suite::{Name, Row, Suite, Unit};
use crate::machine::Machine;
use crate::process;
use crate::workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Of the files that this program writes; those of 1 had one peer and one round.
pub(super) const FORMAT: u32 = 2;

/// A row fell if its ratio is below this share of the lowest of the last record: less than that is noise.
const FALLEN: f64 = 0.85;

/// One suite, measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) format: u32,
    pub(super) suite: Name,
    pub(super) date: String,
    pub(super) command: String,
    pub(super) machine: Machine,
    pub(super) versions: BTreeMap<String, String>,
    pub(super) rows: Vec<Comparison>,
    /// What ran before anything was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) prepared: Vec<String>,
    pub(super) programs: Vec<Measured>,
}

/// Our figure beside the best peer's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Comparison {
    pub(super) row: String,
    pub(super) unit: Unit,
    /// Medians over the rounds.
    pub(super) ours: f64,
    pub(super) peer: f64,
    /// The peer whose median is the best.
    pub(super) best_peer: String,
    /// How many times better than the best peer of the same round: the median over the rounds, and the extremes.
    pub(super) ratio: f64,
    pub(super) ratio_low: f64,
    pub(super) ratio_high: f64,
    pub(super) asked: Option<f64>,
}

impl Comparison {
    /// Every row of a suite, after so many rounds.
    pub(super) fn all(suite: &Suite, measured: &[Measured], rounds: u32) -> Result<Vec<Self>> {
        let joined = joined(measured, rounds);
        suite.rows.iter().map(|row| Self::new(row, &joined)).collect()
    }

    /// The rows that are complete in the last of so many rounds.
    pub(super) fn so_far(suite: &Suite, measured: &[Measured], rounds: u32) -> Vec<Self> {
        let joined = joined(measured, rounds);
        suite.rows.iter().filter_map(|row| Self::new(row, &joined).ok()).collect()
    }

    fn new(row: &Row, rounds: &[Figures]) -> Result<Self> {
        let each = |name: &str| -> Result<Vec<f64>> {
            let figures = rounds.iter().map(|round| round.get(name).copied());
            figures.collect::<Option<_>>().with_context(|| format!("{}: no figure `{name}`", row.name))
        };
        let ours = each(&row.ours)?;
        let peers = row.peers.iter().map(|peer| Ok((peer, each(peer)?))).collect::<Result<Vec<_>>>()?;
        let better = |a: f64, b: f64| row.unit.ratio(a, b).total_cmp(&1.0);
        let middle = |values: &[f64]| median(values.iter().copied()).unwrap_or(f64::NAN);
        let best =
            peers.iter().max_by(|(_, a), (_, b)| better(middle(a), middle(b))).context("a row without a peer")?;
        let ratios = ours.iter().enumerate().map(|(round, &ours)| {
            let ratios = peers.iter().map(|(_, figures)| row.unit.ratio(ours, figures[round]));
            ratios.fold(f64::INFINITY, f64::min)
        });
        let ratios: Vec<f64> = ratios.collect();
        Ok(Self {
            row: row.name.clone(),
            unit: row.unit,
            ours: middle(&ours),
            peer: middle(&best.1),
            best_peer: best.0.clone(),
            ratio: middle(&ratios),
            ratio_low: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratio_high: ratios.iter().copied().fold(0.0, f64::max),
            asked: row.asked,
        })
    }
}

/// The figures of each round, as far as programs gave them.
fn joined(measured: &[Measured], rounds: u32) -> Vec<Figures> {
    let of_round = |round| measured.iter().filter_map(move |program| program.rounds.get(round)).flatten();
    let named = |(name, figure): (&String, &f64)| (name.clone(), *figure);
    (0..rounds as usize).map(|round| of_round(round).map(named).collect()).collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, unit, ours, peer, best_peer, ratio, ratio_low, ratio_high, .. } = self;
        write!(
            f,
            "{row}: {ours:.1} {unit}, {best_peer} {peer:.1}: {ratio:.2} times ({ratio_low:.2} to {ratio_high:.2})"
        )
    }
}

impl Record {
    /// A place for it that no earlier record has: `<date>-<suite>.json`.
    pub(super) fn place(&self, folder: &Path) -> Result<PathBuf> {
        let names = std::iter::once(String::new()).chain((2..).map(|n| format!("-{n}")));
        let mut files = names.map(|suffix| folder.join(format!("{}-{}{suffix}.json", self.date, self.suite)));
        files.find(|file| !file.exists()).context("no free name")
    }

    /// Writes it, in place of what stands there. `named` are paths of this machine, and what the record calls them.
    pub(super) fn write(&self, file: &Path, named: &[(PathBuf, &'static str)]) -> Result<()> {
        fs::create_dir_all(file.parent().context("a record lies in a folder")?)?;
        let places = [named, &places()?].concat();
        crate::files::write(file, &(impersonal(&serde_json::to_string_pretty(self)?, &places) + "\n"))
    }

    /// Takes what was measured once more in the place of what is here, where it is better beside its peer.
    pub(super) fn take_better(&mut self, again: Vec<Comparison>) {
        for again in again {
            if let Some(row) = self.rows.iter_mut().find(|row| row.row == again.row && row.ratio < again.ratio) {
                *row = again;
            }
        }
    }

    /// The rows that are worse beside their peer than in the last record of them.
    pub(super) fn fallen(&self, before: &[Self]) -> Vec<Fall> {
        let last = |row: &str| {
            before.iter().rev().filter(|record| record.suite == self.suite).find_map(|record| {
                record.rows.iter().find(|comparison| comparison.row == row).map(|comparison| (record, comparison))
            })
        };
        let fell = |now: &Comparison| {
            let (record, then) = last(&now.row)?;
            (now.ratio < FALLEN * then.ratio_low).then(|| {
                let Comparison { ratio, ratio_low, ratio_high, .. } = then;
                let was = format!("{ratio:.2} ({ratio_low:.2} to {ratio_high:.2}) on {}", record.date);
                let text = format!("{}, {}: {:.2} times the peer, was {was}", self.suite, now.row, now.ratio);
                Fall { row: now.row.clone(), text }
            })
        };
        self.rows.iter().filter_map(fell).collect()
    }
}

/// A row that is worse beside its peer than it was, and how much.
#[derive(Debug, PartialEq)]
pub(super) struct Fall {
    pub(super) row: String,
    pub(super) text: String,
}

/// Every record of this format in the folder, the oldest first.
pub(super) fn last(folder: &Path) -> Result<Vec<Record>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    // `-2` after the first of the day, `-10` after `-9`.
    files.sort_by_key(|file| (file.file_stem().map(std::ffi::OsStr::len), file.clone()));
    files.sort_by_key(|file| file.file_name().map(|name| name.to_string_lossy().chars().take(10).collect::<String>()));
    let mut records = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no record", file.display()))?;
        if value["format"] == FORMAT {
            records.push(serde_json::from_value(value).with_context(|| format!("{} is no record", file.display()))?);
        }
    }
    Ok(records)
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
pub(super) fn versions(python: &Path, libtorch: &str) -> Result<BTreeMap<String, String>> {
    const ASK: &str = "import sys, numpy, PIL, torch, torchvision, importlib.metadata as m; \
        dali = [d.version for d in m.distributions() if d.metadata['Name'].startswith('nvidia-dali')]; \
        modules = [torch, torchvision, PIL, numpy]; \
        print(sys.version.split()[0], *[module.__version__ for module in modules], *dali)";
    let said = process::stdout(Command::new(python).args(["-c", ASK]))?;
    let mut words = said.split_whitespace().map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    let root = workspace::root().to_string_lossy();
    let commit = process::ask("git", &["-C", &root, "describe", "--always", "--dirty", "--exclude=*"]);
    let versions = [
        ("panal", commit.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())),
        ("rustc", process::ask("rustc", &["--version"]).unwrap_or_default()),
        ("libtorch", libtorch.to_owned()),
        ("python", next()),
        ("torch", next()),
        ("torchvision", next()),
        ("pillow", next()),
        ("numpy", next()),
        ("dali", next()),
    ];
    Ok(versions.into_iter().map(|(what, version)| (what.to_owned(), version)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit) -> Row {
        Row { name: "r".into(), unit, ours: "o".into(), peers: vec!["a".into(), "b".into()], asked: Some(2.0) }
    }

    fn rounds(figures: &[[f64; 3]]) -> Vec<Figures> {
        let named = |[o, a, b]: &[f64; 3]| [("o", *o), ("a", *a), ("b", *b)].map(|(name, x)| (name.to_owned(), x));
        figures.iter().map(|round| named(round).into()).collect()
    }

    #[test]
    fn the_ratio_is_to_the_best_peer_of_each_round() {
        let rates = rounds(&[[10.0, 5.0, 4.0], [12.0, 4.0, 6.0], [9.0, 4.5, 1.0]]);
        let rate = Comparison::new(&row(Unit::ImagesPerSecond), &rates).unwrap();
        assert_eq!((rate.ours, rate.peer, rate.best_peer.as_str()), (10.0, 4.5, "a"));
        assert_eq!((rate.ratio, rate.ratio_low, rate.ratio_high), (2.0, 2.0, 2.0));
        let seconds = Comparison::new(&row(Unit::Seconds), &rounds(&[[2.0, 8.0, 6.0], [2.0, 5.0, 7.0]])).unwrap();
        assert_eq!((seconds.ratio_low, seconds.ratio, seconds.ratio_high), (2.5, 2.75, 3.0));
        assert!(Comparison::new(&row(Unit::Seconds), &[Figures::new()]).is_err());
    }

    fn record(date: &str, ratio: f64) -> Record {
        let rates = rounds(&[[10.0 * ratio, 10.0, 1.0]]);
        Record {
            format: FORMAT,
            suite: Name::Step,
            date: date.into(),
            command: "cargo xtask bench".into(),
            machine: Machine::here(),
            versions: BTreeMap::new(),
            rows: vec![Comparison::new(&row(Unit::ImagesPerSecond), &rates).unwrap()],
            prepared: Vec::new(),
            programs: Vec::new(),
        }
    }

    #[test]
    fn a_row_falls_by_its_ratio_to_the_peer() {
        let before = [record("2026-01-01", 4.0), record("2026-01-02", 2.0)];
        assert!(record("2026-01-03", 1.8).fallen(&before).is_empty(), "that is noise");
        let fallen = record("2026-01-03", 1.6).fallen(&before);
        let text = "step, r: 1.60 times the peer, was 2.00 (2.00 to 2.00) on 2026-01-02".to_owned();
        assert_eq!(fallen, [Fall { row: "r".into(), text }]);
        // Measured once more, it was noise, or it was not.
        for (again, still) in [(1.9, 0), (1.5, 1)] {
            let mut now = record("2026-01-03", 1.6);
            now.take_better(record("2026-01-03", again).rows);
            assert_eq!((now.rows.len(), now.fallen(&before).len()), (1, still), "{again}");
        }
        let other = Record { suite: Name::Lab, ..record("2026-01-02", 9.0) };
        assert!(record("2026-01-03", 1.0).fallen(&[other]).is_empty(), "another suite");
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
    fn records_are_kept_apart_and_read_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("2026-01-01-lab.json"), r#"{"date": "of format 1"}"#).unwrap();
        for (date, ratio) in [("2026-01-02", 3.0), ("2026-01-01", 1.0), ("2026-01-01", 2.0)] {
            let record = record(date, ratio);
            record.write(&record.place(folder.path()).unwrap(), &[]).unwrap();
        }
        let ratios: Vec<f64> = last(folder.path()).unwrap().iter().map(|record| record.rows[0].ratio).collect();
        assert_eq!(ratios, [1.0, 2.0, 3.0]);
        fs::write(folder.path().join("2026-01-03-lab.json"), r#"{"format": 2}"#).unwrap();
        assert!(format!("{:#}", last(folder.path()).unwrap_err()).contains("2026-01-03-lab.json is no record"));
    }
}
