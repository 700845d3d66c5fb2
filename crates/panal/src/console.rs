//! What a person sees while panal runs: progress bars on a terminal, plain log lines elsewhere, errors at the end.

mod run_log;

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use panal_data::DataError;
use panal_trainers::TrainError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub(crate) use run_log::RunLog;

use crate::cli::Global;
use crate::interrupt::{self, Watch};

/// Standard error, shared by bars and log lines.
#[derive(Clone)]
pub(crate) struct Console {
    bars: MultiProgress,
}

impl Console {
    /// Sets up logging as the command line asks.
    pub(crate) fn new(global: &Global) -> Self {
        let on_terminal = io::stderr().is_terminal() && !global.quiet;
        let bars = MultiProgress::with_draw_target(if on_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let console = Self { bars };
        let level = match (global.quiet, global.verbose) {
            (true, _) => "warn",
            (false, 0) => "warn,panal=info",
            (false, 1) => "info,panal=debug",
            (false, _) => "trace",
        };
        let filter = EnvFilter::try_from_env("PANAL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(console.clone())
            .with_ansi(on_terminal)
            .with_target(global.verbose > 0)
            // Where nobody reads, work goes on.
            .log_internal_errors(false)
            .init();
        console
    }

    /// One without bars, which leaves logging as it is.
    #[cfg(test)]
    pub(crate) fn hidden() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()) }
    }

    /// Says what went wrong, its causes on one line, its remedies below.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let _ = self.bars.clear();
        let remedy = error.chain().find_map(remedy).map(|remedy| format!("  = {remedy}\n")).unwrap_or_default();
        let _ = write!(io::stderr(), "error: {error:#}\n{remedy}");
    }

    /// A bar over `len` things; invisible where standard error is no terminal.
    pub(crate) fn bar(&self, len: u64, template: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(len));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }

    /// A bar over `len` things while `work` is done, which calls what it is handed after each, from any thread; a line
    /// now and then where there are no bars.
    pub(crate) fn watch<T>(&self, what: &str, len: usize, work: impl FnOnce(&(dyn Fn() + Sync)) -> T) -> T {
        interrupt::heed();
        tracing::debug!("{what}, {len} in all");
        let bar = self.bar(len as u64, "{msg} {bar:24} {pos}/{len} {eta} left");
        bar.set_message(what.to_owned());
        let lines = Mutex::new(Lines::new());
        let done = work(&|| {
            bar.inc(1);
            if !self.draws() && lines.try_lock().is_ok_and(|mut lines| lines.is_due()) {
                tracing::info!("{what}, {}/{len}", bar.position());
            }
        });
        bar.finish_and_clear();
        done
    }

    /// Are bars visible?
    pub(crate) fn draws(&self) -> bool {
        !self.bars.is_hidden()
    }
}

/// When plain log lines about some work are due, where there are no bars.
struct Lines {
    last: Instant,
}

impl Lines {
    /// Least time between two of them.
    const EVERY: Duration = Duration::from_secs(20);

    fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Whether one is due, which is then taken to be written.
    fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= Self::EVERY;
        if due {
            *self = Self::new();
        }
        due
    }
}

/// What can be done about a cause, where it does not say so itself.
fn remedy(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    // The trainer's error speaks in the name of the image's own, so the chain skips that.
    match cause.downcast_ref() {
        Some(TrainError::Data(error)) => error.remedy(),
        _ => cause.downcast_ref::<DataError>().and_then(DataError::remedy),
    }
}

/// Log lines go above the bars.
impl<'a> MakeWriter<'a> for Console {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Draws what the hub fetches.
pub(crate) struct HubProgress<'a> {
    console: &'a Console,
    bar: std::cell::RefCell<Option<ProgressBar>>,
    stop: Watch,
}

impl Console {
    /// A watcher of one fetch.
    pub(crate) fn hub_progress(&self) -> HubProgress<'_> {
        HubProgress { console: self, bar: std::cell::RefCell::default(), stop: interrupt::watch() }
    }
}

impl panal_hub::Progress for HubProgress<'_> {
    fn start(&self, what: &str, total: Option<u64>, done: u64) {
        let bar =
            self.console.bar(total.unwrap_or(0), "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
        bar.set_message(what.to_owned());
        bar.set_position(done);
        if !self.console.draws() {
            tracing::info!(
                "{what}{}",
                total.map(|bytes| format!(", {:.1} MB", bytes as f64 / 1e6)).unwrap_or_default()
            );
        }
        if let Some(old) = self.bar.replace(Some(bar)) {
            old.finish_and_clear();
        }
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = self.bar.borrow().as_ref() {
            bar.inc(bytes);
        }
    }

    fn finish(&self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn retry(&self, reason: &str, wait: Duration) {
        tracing::warn!("{reason}; trying again in {:.0} s", wait.as_secs_f64().ceil());
    }

    fn message(&self, text: &str) {
        tracing::info!("{text}");
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_due_one_by_one_with_time_between_them() {
        let mut lines = Lines::new();
        assert!(!lines.is_due());
        lines.last -= Lines::EVERY;
        assert!(lines.is_due() && !lines.is_due());
    }
}
