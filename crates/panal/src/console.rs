//! What a person sees while panal runs: progress bars on a terminal, plain log lines elsewhere, errors at the end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use panal_data::DataError;
use panal_trainers::{EpochLog, Log, PassLog, PhaseSpec, SslEpoch, SslStep, StepLog, TrainError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::Global;

/// Least time between two plain log lines about the same work.
const PLAIN_EVERY: Duration = Duration::from_secs(20);

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
            .init();
        console
    }

    /// Says what went wrong, its causes on one line, its remedies below.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let _ = self.bars.clear();
        eprintln!("error: {error:#}");
        if let Some(remedy) = error.chain().find_map(remedy) {
            eprintln!("  = {remedy}");
        }
    }

    /// A bar over `len` things; invisible where standard error is no terminal.
    pub(crate) fn bar(&self, len: u64, template: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(len));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }

    /// Are bars visible?
    pub(crate) fn draws(&self) -> bool {
        !self.bars.is_hidden()
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

/// Tells of one run: a bar for the epoch at hand, a line for each that is done.
pub(crate) struct RunLog<'a> {
    console: &'a Console,
    phases: &'a [PhaseSpec],
    title: String,
    bar: Option<ProgressBar>,
    started: Instant,
    images: usize,
    last_line: Instant,
    pretraining: Option<Pace>,
}

/// How a pretraining gets on, over all of its epochs.
struct Pace {
    started: Instant,
    steps_before: usize,
    epochs: usize,
}

impl Pace {
    /// Time that is left after so many steps of `all`, as in `4 min`.
    fn left(&self, steps: usize, all: usize) -> String {
        let taken = steps.saturating_sub(self.steps_before).max(1);
        let seconds = self.started.elapsed().as_secs_f64() / taken as f64 * all.saturating_sub(steps) as f64;
        match seconds as u64 {
            seconds @ 0..90 => format!("{seconds} s"),
            seconds @ 90..5400 => format!("{} min", seconds.div_ceil(60)),
            seconds => format!("{:.1} h", seconds as f64 / 3600.0),
        }
    }
}

impl<'a> RunLog<'a> {
    /// `title` names the run, as in "linear probing, seed 0".
    pub(crate) fn new(console: &'a Console, title: String, phases: &'a [PhaseSpec]) -> Self {
        Self {
            console,
            phases,
            title,
            bar: None,
            started: Instant::now(),
            images: 0,
            last_line: Instant::now(),
            pretraining: None,
        }
    }

    fn epochs(&self) -> usize {
        self.phases.iter().map(|phase| phase.epochs).sum()
    }

    fn restart(&mut self, len: usize) -> &ProgressBar {
        (self.started, self.images) = (Instant::now(), 0);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let bar = self.console.bar(len as u64, "{prefix} {bar:24} {pos}/{len} {msg} {eta} left");
        bar.set_prefix(self.title.clone());
        self.bar.insert(bar)
    }
}

impl Log for RunLog<'_> {
    fn step(&mut self, step: &StepLog) {
        if step.step == 0 || self.bar.is_none() {
            self.restart(step.steps);
        }
        self.images += step.images;
        let speed = self.images as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let before: usize = self.phases[..step.phase].iter().map(|phase| phase.epochs).sum();
        let at =
            format!("epoch {}/{}, loss {:.3}, {speed:.0} images/s", before + step.epoch + 1, self.epochs(), step.loss);
        if let Some(bar) = &self.bar {
            bar.set_position(step.step as u64 + 1);
            bar.set_message(at.clone());
        }
        if !self.console.draws() && self.last_line.elapsed() > PLAIN_EVERY {
            self.last_line = Instant::now();
            tracing::info!("{}: {at}, step {}/{}", self.title, step.step + 1, step.steps);
        }
    }

    fn epoch(&mut self, epoch: &EpochLog) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = Instant::now();
        tracing::info!(
            "{}: epoch {}/{}, train loss {:.3}, accuracy {:.3}; evaluation loss {:.3}, accuracy {:.3}, F1 {:.3} ({:.1} s)",
            self.title,
            epoch.epoch + 1,
            self.epochs(),
            epoch.train_loss,
            epoch.train_accuracy,
            epoch.eval.loss,
            epoch.eval.accuracy,
            epoch.eval.f1,
            epoch.seconds,
        );
    }

    fn ssl_step(&mut self, step: &SslStep) {
        let before = step.epoch * step.steps + step.step;
        if self.pretraining.is_none() {
            // The first step is done by now, and is not counted: it also warms up.
            self.pretraining = Some(Pace { started: Instant::now(), steps_before: before + 1, epochs: step.epochs });
        }
        // Nor does the first step of an epoch tell how fast images go: it began before the clock.
        let speed = if step.step == 0 || self.bar.is_none() {
            self.restart(step.steps);
            String::new()
        } else {
            self.images += step.images;
            format!(" {:.0} images/s,", self.images as f64 / self.started.elapsed().as_secs_f64().max(1e-9))
        };
        let pace = self.pretraining.as_ref().filter(|pace| before + 1 > pace.steps_before);
        let left = pace.map(|pace| format!(" {} for all epochs,", pace.left(before + 1, step.steps * step.epochs)));
        let at = format!(
            "epoch {}/{}, loss {:.3}, top-1 {:.3},{speed}{}",
            step.epoch + 1,
            step.epochs,
            step.loss,
            step.top1,
            left.unwrap_or_default()
        );
        if let Some(bar) = &self.bar {
            bar.set_position(step.step as u64 + 1);
            bar.set_message(at.clone());
        }
        if !self.console.draws() && self.last_line.elapsed() > PLAIN_EVERY {
            self.last_line = Instant::now();
            tracing::info!("{}: {at} step {}/{}", self.title, step.step + 1, step.steps);
        }
    }

    fn ssl_epoch(&mut self, epoch: &SslEpoch) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = Instant::now();
        let of = self.pretraining.as_ref().map_or(epoch.epoch + 1, |pace| pace.epochs);
        let health = &epoch.health;
        tracing::info!(
            "{}: epoch {}/{of}, loss {:.3}, top-1 {:.3}, top-5 {:.3}, alignment {:.2}, uniformity {:.2}, spread {:.2}, rank {:.1}{}, \
             {:.0} images/s ({:.1} s, {:.0} % of it waiting for views)",
            self.title,
            epoch.epoch + 1,
            epoch.loss,
            epoch.top1,
            epoch.top5,
            health.alignment,
            health.uniformity,
            health.spread,
            health.rank,
            epoch.knn.map(|accuracy| format!(", nearest neighbours {accuracy:.3}")).unwrap_or_default(),
            epoch.images_per_second,
            epoch.seconds,
            100.0 * epoch.waiting,
        );
        if health.has_collapsed() {
            tracing::warn!(
                "{}: the features have collapsed (spread {:.3} of 1, rank {:.1}): every image looks the same to them. \
                 Lower the learning rate, or raise the batch or the temperature",
                self.title,
                health.spread,
                health.rank
            );
        }
    }

    fn pass(&mut self, pass: &PassLog) {
        if self.images > pass.done || self.bar.as_ref().and_then(ProgressBar::length) != Some(pass.of as u64) {
            self.restart(pass.of);
        }
        self.images = pass.done;
        let Some(bar) = &self.bar else { return };
        bar.set_position(pass.done as u64);
        bar.set_message(pass.what);
        if pass.done == pass.of {
            bar.finish_and_clear();
        }
    }

    fn resumed(&mut self, phase: usize, epoch: usize, step: usize) {
        tracing::info!("{}: going on from phase {}, epoch {}, step {}", self.title, phase + 1, epoch + 1, step + 1);
    }
}

/// Draws what the hub fetches.
pub(crate) struct HubProgress<'a> {
    console: &'a Console,
    bar: std::cell::RefCell<Option<ProgressBar>>,
}

impl Console {
    /// A watcher of one fetch.
    pub(crate) fn hub_progress(&self) -> HubProgress<'_> {
        HubProgress { console: self, bar: std::cell::RefCell::default() }
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
        crate::interrupt::stop().load(std::sync::atomic::Ordering::Relaxed)
    }
}
