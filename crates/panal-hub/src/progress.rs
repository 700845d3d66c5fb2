//! How a caller watches a long fetch, and stops it. Draws and prints nothing: the binary does.

use std::time::Duration;

/// Told what the hub is doing. Every method does nothing unless overridden.
///
/// One activity at a time: `start`, then `advance` any number of times, then `finish`; an activity that begins anew (a server
/// that can't resume) calls `start` again without `finish`.
pub trait Progress {
    /// `what` begins: `total` bytes where known, of which `done` were there already.
    fn start(&self, what: &str, total: Option<u64>, done: u64) {
        let _ = (what, total, done);
    }

    /// So many more bytes are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The activity is over.
    fn finish(&self) {}

    /// An attempt failed because of `reason`; the next one comes after `wait`.
    fn retry(&self, reason: &str, wait: Duration) {
        let _ = (reason, wait);
    }

    /// Something a user may want to know: a source that failed, a file of the archive that was left out.
    fn message(&self, text: &str) {
        let _ = text;
    }

    /// Whether to stop as soon as possible with [`HubError::Cancelled`](crate::HubError::Cancelled).
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {}
