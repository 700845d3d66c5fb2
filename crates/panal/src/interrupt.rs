//! Ctrl-C: the first one asks the running loop to keep a checkpoint and stop, the second one ends the process at once; so does the
//! first while a folder is opened.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;

static STOP: AtomicBool = AtomicBool::new(false);

/// How many [`AtOnce`] there are.
static NOTHING_TO_KEEP: AtomicUsize = AtomicUsize::new(0);

/// Exit code of a process that was interrupted (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Set once ctrl-C was pressed.
pub(crate) fn stop() -> &'static AtomicBool {
    &STOP
}

/// While it lives ctrl-C ends the process at once.
pub(crate) struct AtOnce(());

/// For work of which nothing is to be kept when it is interrupted, and which does not look at [`stop`].
pub(crate) fn at_once() -> AtOnce {
    NOTHING_TO_KEEP.fetch_add(1, Ordering::SeqCst);
    if STOP.load(Ordering::SeqCst) {
        end();
    }
    AtOnce(())
}

impl Drop for AtOnce {
    fn drop(&mut self) {
        NOTHING_TO_KEEP.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Listens for ctrl-C (and SIGTERM) from now on.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) || NOTHING_TO_KEEP.load(Ordering::SeqCst) > 0 {
            end();
        }
        eprintln!("stopping after this step; press ctrl-C again to stop at once");
    })
    .context("cannot listen for ctrl-C")
}

fn end() -> ! {
    eprintln!("interrupted");
    std::process::exit(INTERRUPTED)
}
