//! Folders of past runs: found, told apart by the records in them, and read. Nothing here writes or removes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::single::{self, SingleRecord, read_single};
use crate::{ReportError, RunRecord, read_runs};

/// Name of the file that says what is at work in a folder; locked as long as it is, and left behind by what was interrupted.
pub const RUNNING: &str = "running.json";

/// How many folders deep runs are looked for.
const DEEPEST: usize = 8;

/// The most bytes that the header of a safetensors file has.
const LONGEST_HEADER: u64 = 100_000_000;

/// What wrote a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunKind {
    /// `panal lab`.
    #[serde(rename = "lab")]
    Lab,
    /// `panal train`.
    #[serde(rename = "train")]
    Train,
    /// `panal ssl pretrain`.
    #[serde(rename = "ssl pretrain")]
    Pretraining,
    /// `panal fewshot train`.
    #[serde(rename = "fewshot train")]
    FewShot,
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lab => "lab",
            Self::Train => "train",
            Self::Pretraining => "ssl pretrain",
            Self::FewShot => "fewshot train",
        })
    }
}

/// What [`RUNNING`] holds: what is being run, before there is a record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRecord {
    /// Version of this format.
    pub format: u32,
    /// The command.
    pub kind: RunKind,
    /// What is run, in words.
    pub title: String,
    /// Identifier of the data.
    pub data: String,
    /// Architecture.
    pub model: String,
    /// The seeds that are run.
    pub seeds: Vec<u64>,
    /// Name of the device.
    pub device: String,
    /// The command line.
    pub command: String,
    /// A command line that goes on where it stopped.
    pub resume: String,
    /// Start: UTC, RFC 3339.
    pub started_at: String,
}

/// What is on record in a folder.
#[derive(Debug)]
pub enum Records {
    /// Nothing yet.
    None,
    /// Rows and seeds of a lab, or the one run of a training.
    Runs(Vec<RunRecord>),
    /// A pretraining or a learner of few-shot tasks.
    Single(Box<SingleRecord>),
    /// It can't be read, and why.
    Broken(ReportError),
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// All of it is on record.
    Finished,
    /// Something is at work on it.
    Running,
    /// It stopped before its end.
    Interrupted,
    /// Its record can't be read.
    Broken,
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Finished => "finished",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Broken => "broken",
        })
    }
}

/// A folder that a command wrote.
#[derive(Debug)]
pub struct RunFolder {
    /// The folder.
    pub path: PathBuf,
    /// What wrote it.
    pub kind: RunKind,
    /// What is on record.
    pub records: Records,
    /// What is being run, or was interrupted.
    pub running: Option<RunningRecord>,
    /// Whether something is at work in it now.
    pub active: bool,
    /// Checkpoints of runs that did not end; that which a finished run keeps is not among them.
    pub checkpoints: Vec<PathBuf>,
    /// Something to tell the user about the record.
    pub note: Option<String>,
}

impl RunFolder {
    /// How it stands.
    pub fn state(&self) -> RunState {
        match self.records {
            _ if self.active => RunState::Running,
            Records::Broken(_) => RunState::Broken,
            _ if self.running.is_some() || !self.checkpoints.is_empty() => RunState::Interrupted,
            _ => RunState::Finished,
        }
    }

    /// When it last began: UTC, RFC 3339.
    pub fn started_at(&self) -> Option<&str> {
        let recorded = match &self.records {
            Records::Runs(runs) => runs.iter().map(|run| run.started_at.as_str()).max(),
            Records::Single(single) => Some(match single.as_ref() {
                SingleRecord::Pretraining(record) => record.started_at.as_str(),
                SingleRecord::FewShot(record) => record.started_at.as_str(),
            }),
            Records::None | Records::Broken(_) => None,
        };
        recorded.max(self.running.as_ref().map(|running| running.started_at.as_str()))
    }
}

/// What lies under a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Folders of runs, by path.
    pub runs: Vec<RunFolder>,
    /// Folders that could not be looked into, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Looks for runs in `root` and up to eight folders below it. Follows no symbolic link and leaves out hidden folders.
/// A record that can't be read is among the runs, as one that is broken.
///
/// # Errors
/// [`ReportError::Read`] where `root` itself can't be looked into.
pub fn find_runs(root: &Path) -> Result<Found, ReportError> {
    let mut found = Found::default();
    if let Err(source) = look(root, 0, &mut found) {
        return Err(ReportError::Read { path: root.to_owned(), source });
    }
    found.runs.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn look(folder: &Path, depth: usize, found: &mut Found) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let run = open_run(folder);
    let is_run = run.is_some();
    found.runs.extend(run);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let inner = is_run && ["running", "models"].contains(&name.as_ref());
        if depth == DEEPEST || inner || name.starts_with('.') || !entry.file_type()?.is_dir() {
            continue;
        }
        if let Err(error) = look(&entry.path(), depth + 1, found) {
            found.unreadable.push((entry.path(), error));
        }
    }
    Ok(())
}

/// The run whose folder this is; `None` where panal wrote none there.
pub fn open_run(path: &Path) -> Option<RunFolder> {
    let running_file = path.join(RUNNING);
    let (running, broken) = match is_file(&running_file).then(|| read_running(&running_file)) {
        Some(Ok(running)) => (running, None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let mut run = RunFolder {
        path: path.to_owned(),
        kind: RunKind::Lab,
        records: Records::None,
        // Where locks tell nothing, nothing is taken from a run that may be at work.
        active: is_file(&running_file) && is_locked(&running_file) != Some(false),
        running,
        checkpoints: Vec::new(),
        note: None,
    };
    let unfinished = unfinished_checkpoints(path);
    if is_file(&path.join("runs.jsonl")) {
        run.read_runs("runs.jsonl");
    } else if is_file(&path.join("record.jsonl")) {
        run.kind = RunKind::Train;
        run.read_runs("record.jsonl");
    } else if let Some(record) = read_record(path) {
        (run.kind, run.records) = record;
    } else if let Some(running) = &run.running {
        run.kind = running.kind;
    } else if let Some(error) = broken {
        run.records = Records::Broken(error);
    } else if let Some(kind) = kind_by_checkpoint(path, &unfinished) {
        run.kind = kind;
    } else {
        return None;
    }
    run.checkpoints = unfinished;
    // A pretraining and a learner keep their checkpoint when they are done; until then it is one of a run that did not end.
    let own = path.join("checkpoint.safetensors");
    let done = matches!(run.records, Records::Single(_)) && run.running.is_none();
    if matches!(run.kind, RunKind::Pretraining | RunKind::FewShot) && !done && is_checkpoint(&own) {
        run.checkpoints.push(own);
    }
    Some(run)
}

impl RunFolder {
    fn read_runs(&mut self, name: &str) {
        self.records = match read_runs(&self.path.join(name)) {
            Ok(runs) => {
                self.note = runs.note;
                match runs.records.iter().try_for_each(RunRecord::check) {
                    Ok(()) if runs.records.is_empty() => Records::Broken(ReportError::NoRecords),
                    Ok(()) => Records::Runs(runs.records),
                    Err(error) => Records::Broken(error),
                }
            }
            Err(error) => Records::Broken(error),
        };
    }
}

/// What `record.json` holds, and of which command; `None` where there is none, or another program's.
fn read_record(path: &Path) -> Option<(RunKind, Records)> {
    let file = path.join("record.json");
    if !is_file(&file) {
        return None;
    }
    let guess = if is_file(&path.join("learner.safetensors")) { RunKind::FewShot } else { RunKind::Pretraining };
    match read_single(&file) {
        Ok(None) => None,
        Ok(Some(record)) => {
            let kind = match record {
                SingleRecord::Pretraining(_) => RunKind::Pretraining,
                SingleRecord::FewShot(_) => RunKind::FewShot,
            };
            Some((kind, Records::Single(Box::new(record))))
        }
        Err(error) => Some((guess, Records::Broken(error))),
    }
}

/// The record in a [`RUNNING`] file; `None` where it is JSON of another program's.
fn read_running(path: &Path) -> Result<Option<RunningRecord>, ReportError> {
    let wrong = |field: String, message: String| ReportError::Single { path: path.to_owned(), field, message };
    let bytes = fs::read(path).map_err(|source| ReportError::Read { path: path.to_owned(), source })?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| wrong(".".into(), error.to_string()))?;
    if value.get("kind").is_none() || value.get("resume").is_none() {
        return Ok(None);
    }
    single::fields(value).map(Some).map_err(|(field, message)| wrong(field, message))
}

/// Checkpoints in `running`: of a training in the folder itself, of a lab in one folder for each row and seed.
fn unfinished_checkpoints(path: &Path) -> Vec<PathBuf> {
    let running = path.join("running");
    let mut found = Vec::new();
    for entry in entries(&running) {
        let folder = entry.file_name().is_some_and(is_row_and_seed) && is_folder(&entry);
        let inside = if folder { entries(&entry) } else { vec![entry] };
        found.extend(inside.into_iter().filter(|file| is_numbered_checkpoint(file) && is_checkpoint(file)));
    }
    found
}

/// The entries of a folder that is one and no link to one, by name; none where there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    if !is_folder(folder) {
        return Vec::new();
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// `3-0`: a row, from 1, and a seed.
fn is_row_and_seed(name: &std::ffi::OsStr) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.to_str().and_then(|name| name.split_once('-')).is_some_and(|(row, seed)| number(row) && number(seed))
}

/// `checkpoint-0.safetensors`, by the name alone.
fn is_numbered_checkpoint(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.strip_prefix("checkpoint-").and_then(|rest| rest.strip_suffix(".safetensors"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What left a checkpoint, where nothing else says so: earlier releases wrote no [`RUNNING`].
fn kind_by_checkpoint(path: &Path, unfinished: &[PathBuf]) -> Option<RunKind> {
    if let Some(first) = unfinished.first() {
        return Some(if first.parent() == Some(&path.join("running")) { RunKind::Train } else { RunKind::Lab });
    }
    let own = path.join("checkpoint.safetensors");
    if !is_checkpoint(&own) {
        return None;
    }
    let state = header(&own).and_then(|mut metadata| metadata.remove("panal.state")).unwrap_or_default();
    let is_pretraining = state.contains("\"images\"") || is_file(&path.join("encoder.safetensors"));
    Some(if is_pretraining { RunKind::Pretraining } else { RunKind::FewShot })
}

/// Whether a file is a checkpoint that panal wrote.
fn is_checkpoint(path: &Path) -> bool {
    has_mark(path, "panal.state")
}

/// Whether a file is safetensors with `key` in its metadata, as all are that panal writes. A link to one is not.
pub fn has_mark(path: &Path, key: &str) -> bool {
    is_file(path) && header(path).is_some_and(|metadata| metadata.contains_key(key))
}

/// The metadata in the header of a safetensors file: eight bytes of its length, then JSON.
fn header(path: &Path) -> Option<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        metadata: BTreeMap<String, String>,
    }
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return None;
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).ok()?;
    serde_json::from_slice::<Header>(&text).ok().map(|header| header.metadata)
}

/// Whether a process holds the lock of this file; `None` where that can't be told, as on file systems without locks.
pub fn is_locked(path: &Path) -> Option<bool> {
    let Ok(file) = File::open(path) else { return Some(false) };
    // Dropping the file gives the shared lock back.
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}
