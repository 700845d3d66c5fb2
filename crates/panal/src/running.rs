//! A mark in a folder of results while something is at work there: what it is, and how to go on with it. Past runs are listed in `runs`.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use panal_report::{RUNNING, RunKind, RunningRecord, is_locked, open_run};

use crate::interrupt::{self, Watch};
use crate::{record, unfinished};

/// The mark. It stays where the run is interrupted, and goes with [`Running::finish`] or where nothing is left to go on with.
pub(crate) struct Running {
    path: PathBuf,
    /// Locked, so that others can tell an interrupted run from one at work, however it ended.
    _file: File,
    /// What is at work keeps what it has before ctrl-C ends it.
    _stop: Watch,
    finished: bool,
}

/// What is being run.
pub(crate) struct Work {
    pub(crate) kind: RunKind,
    pub(crate) title: String,
    pub(crate) data: String,
    pub(crate) model: String,
    pub(crate) seeds: Vec<u64>,
    pub(crate) device: tch::Device,
}

/// Marks `folder` as one where this is at work; refused where something else is.
pub(crate) fn begin(folder: &Path, work: Work) -> Result<Running> {
    let path = folder.join(RUNNING);
    if is_locked(&path) == Some(true) {
        bail!("another panal is at work in {}: wait for it, or name another folder", folder.display());
    }
    let command = record::command();
    let resumes = std::env::args_os().any(|argument| argument == "--resume");
    let running = RunningRecord {
        format: 1,
        kind: work.kind,
        title: work.title,
        data: work.data,
        model: work.model,
        seeds: work.seeds,
        device: panal_tensor::device_name(work.device),
        resume: if resumes { command.clone() } else { format!("{command} --resume") },
        command,
        started_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    };
    let mut file = unfinished::beside(&path)?;
    let failed = || format!("cannot write {}", path.display());
    file.write_all(format!("{}\n", serde_json::to_string_pretty(&running)?).as_bytes()).with_context(failed)?;
    // A file system without locks only loses the difference between interrupted and at work.
    if let Err(TryLockError::WouldBlock) = file.as_file().try_lock() {
        bail!("{}: it is locked already", path.display());
    }
    let file = file.persist(&path).with_context(failed)?;
    Ok(Running { path, _file: file, _stop: interrupt::watch(), finished: false })
}

impl Running {
    /// The run is on record: the mark goes.
    pub(crate) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let goes_on = || self.path.parent().and_then(open_run).is_some_and(|run| !run.checkpoints.is_empty());
        if self.finished || !(interrupt::pressed() || goes_on()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
