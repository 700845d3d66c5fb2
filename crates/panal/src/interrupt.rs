//! Ctrl-C: the first one asks work that watches for it to keep what it has and stop; the second one ends the process at once, and so
//! does the first where nothing watches.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;

static PRESSED: AtomicBool = AtomicBool::new(false);

/// How many [`Watch`]es there are.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Exit code of a process that was interrupted (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Set once ctrl-C was pressed; while it lives, that alone does not end the process.
pub(crate) struct Watch(());

/// For work that looks at it step by step.
pub(crate) fn watch() -> Watch {
    WATCHES.fetch_add(1, Ordering::SeqCst);
    Watch(())
}

impl Deref for Watch {
    type Target = AtomicBool;

    fn deref(&self) -> &AtomicBool {
        &PRESSED
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Was ctrl-C pressed?
pub(crate) fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}

/// Listens for ctrl-C (and SIGTERM) from now on.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if PRESSED.swap(true, Ordering::SeqCst) || WATCHES.load(Ordering::SeqCst) == 0 {
            end();
        }
        eprintln!("stopping after this step; press ctrl-C again to stop at once");
    })
    .context("cannot listen for ctrl-C")
}

/// Without what runs at a usual exit: it takes libtorch apart while other threads still compute.
#[allow(unsafe_code)]
fn end() -> ! {
    eprintln!("interrupted");
    // SAFETY: it ends the process and touches nothing of it.
    unsafe { libc::_exit(INTERRUPTED) }
}
