//! Ctrl-C: the first one asks work that watches for it to keep what it has and stop; the second one ends the process at once, and so
//! does the first where nothing watches.

use std::io::Write;
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

/// For work that looks at it step by step, or is over in no time.
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

/// Before long work that does not watch: ends the process where ctrl-C was pressed in the last moments of some that did.
pub(crate) fn heed() {
    if pressed() && WATCHES.load(Ordering::SeqCst) == 0 {
        end();
    }
}

/// Listens for ctrl-C (and SIGTERM, and a terminal that closes, but under `nohup`) from now on.
pub(crate) fn install() -> anyhow::Result<()> {
    let ignored = hangup::is_ignored();
    ctrlc::set_handler(|| {
        if PRESSED.swap(true, Ordering::SeqCst) || WATCHES.load(Ordering::SeqCst) == 0 {
            end();
        }
        say("stopping after this step; press ctrl-C again to stop at once");
    })
    .context("cannot listen for ctrl-C")?;
    if ignored {
        hangup::ignore();
    }
    Ok(())
}

/// Without what runs at a usual exit: it takes libtorch apart while other threads still compute.
#[allow(unsafe_code)]
fn end() -> ! {
    say("interrupted");
    // SAFETY: it ends the process and touches nothing of it.
    unsafe { libc::_exit(INTERRUPTED) }
}

/// To whoever still reads.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What a terminal that closes sends, SIGHUP.
#[cfg(unix)]
#[allow(unsafe_code)]
mod hangup {
    /// As `nohup` leaves it.
    pub(super) fn is_ignored() -> bool {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: it only reads how the signal is met, into a place of its own, which is whole where it says that it did.
        unsafe {
            libc::sigaction(libc::SIGHUP, std::ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    }

    pub(super) fn ignore() {
        // SAFETY: to ignore a signal runs no code of ours.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    }
}

#[cfg(not(unix))]
mod hangup {
    pub(super) fn is_ignored() -> bool {
        false
    }

    pub(super) fn ignore() {}
}
