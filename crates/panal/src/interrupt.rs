//! Ctrl-C: the first one asks the running loop to keep a checkpoint and stop, the second one ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

static STOP: AtomicBool = AtomicBool::new(false);

/// Exit code of a process that was interrupted (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Set once ctrl-C was pressed.
pub(crate) fn stop() -> &'static AtomicBool {
    &STOP
}

/// Listens for ctrl-C (and SIGTERM) from now on.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("stopping after this step; press ctrl-C again to stop at once");
    })
    .context("cannot listen for ctrl-C")
}
