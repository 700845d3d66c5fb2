//! A transfer on the terminal: panal-hub reports, a bar shows it; elsewhere than on a terminal only what went wrong is said.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use panal_hub::Progress;
use std::time::Duration;

/// One bar, on standard error.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new() -> Self {
        // Hides itself where standard error is no terminal.
        Self { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()) }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("      {text}"));
    }
}

impl Progress for Bar {
    fn start(&self, what: &str, total: Option<u64>, done: u64) {
        let style = match total {
            Some(_) => "      {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "      {msg} {bytes} {bytes_per_sec}",
        };
        self.bar.reset();
        self.bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_message(what.to_owned());
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_position(done);
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn retry(&self, reason: &str, wait: Duration) {
        self.say(&format!("{reason}; again in {:.1} s", wait.as_secs_f64()));
    }

    fn message(&self, text: &str) {
        self.say(text);
    }
}
