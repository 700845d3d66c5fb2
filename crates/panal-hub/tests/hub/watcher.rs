//! A `Progress` that remembers what it was told, and can cancel. Tests nothing itself.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use panal_hub::Progress;

#[derive(Debug, Default)]
pub(crate) struct Watcher {
    /// `what`, `total`, `done` of every start.
    pub(crate) starts: RefCell<Vec<(String, Option<u64>, u64)>>,
    pub(crate) bytes: Cell<u64>,
    pub(crate) finishes: Cell<usize>,
    pub(crate) retries: RefCell<Vec<(String, Duration)>>,
    pub(crate) messages: RefCell<Vec<String>>,
    /// Cancels once so many bytes have come.
    pub(crate) cancel_after: Option<u64>,
}

impl Watcher {
    pub(crate) fn told(&self, part: &str) -> bool {
        self.messages.borrow().iter().any(|message| message.contains(part))
    }
}

impl Progress for Watcher {
    fn start(&self, what: &str, total: Option<u64>, done: u64) {
        self.starts.borrow_mut().push((what.into(), total, done));
    }

    fn advance(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    fn finish(&self) {
        self.finishes.set(self.finishes.get() + 1);
    }

    fn retry(&self, reason: &str, wait: Duration) {
        self.retries.borrow_mut().push((reason.into(), wait));
    }

    fn message(&self, text: &str) {
        self.messages.borrow_mut().push(text.into());
    }

    fn cancelled(&self) -> bool {
        self.cancel_after.is_some_and(|after| self.bytes.get() >= after)
    }
}
