//! What is said of one run while it runs: a bar for the epoch at hand, a line for each that is done. Files are not written here.

use std::time::Instant;

use indicatif::ProgressBar;
use panal_trainers::{EpisodicEpoch, EpochLog, Log, PassLog, PhaseSpec, SslEpoch, SslStep, StepLog};

use super::{Console, Lines};

/// Tells of one run.
pub(crate) struct RunLog<'a> {
    console: &'a Console,
    title: String,
    /// Epochs of every phase.
    phases: Vec<usize>,
    bar: Option<ProgressBar>,
    lines: Lines,
    epoch: Epoch,
    pace: Option<Pace>,
}

/// The epoch at hand, as far as this process has seen it.
struct Epoch {
    started: Instant,
    images: usize,
    /// Those whose steps the clock has seen whole.
    timed: usize,
    /// Sums over the images of the loss and of what else is told.
    loss: f64,
    right: f64,
}

impl Epoch {
    fn begin() -> Self {
        Self { started: Instant::now(), images: 0, timed: 0, loss: 0.0, right: 0.0 }
    }

    /// `loss 0.693, accuracy 0.500, 87 images/s`: means over the epoch so far. The first step began before the clock, so it does not
    /// tell how fast images go.
    fn add(&mut self, images: usize, loss: f64, (name, share): (&str, f64)) -> String {
        let timed = self.images > 0;
        self.images += images;
        self.timed += if timed { images } else { 0 };
        self.loss += loss * images as f64;
        self.right += share * images as f64;
        let all = self.images as f64;
        let means = format!("loss {:.3}, {name} {:.3}", self.loss / all, self.right / all);
        if !timed {
            return means;
        }
        format!("{means}, {:.0} images/s", self.timed as f64 / self.started.elapsed().as_secs_f64().max(1e-9))
    }
}

/// How a phase gets on, over all of its epochs, with what is done between their steps.
struct Pace {
    phase: usize,
    started: Instant,
    steps_before: usize,
}

impl Pace {
    /// Time that is left after so many steps of `all`, as in `4 min`; nothing is known after the first step.
    fn left(&self, steps: usize, all: usize) -> Option<String> {
        let taken = steps.checked_sub(self.steps_before).filter(|taken| *taken > 0)?;
        let seconds = self.started.elapsed().as_secs_f64() / taken as f64 * all.saturating_sub(steps) as f64;
        Some(match seconds as u64 {
            seconds @ 0..90 => format!("{seconds} s"),
            seconds @ 90..5400 => format!("{} min", seconds.div_ceil(60)),
            seconds => format!("{:.1} h", seconds as f64 / 3600.0),
        })
    }
}

/// Where a run is: everything counted from 0.
struct Place {
    phase: usize,
    epoch: usize,
    /// Epochs of the phase.
    epochs: usize,
    step: usize,
    /// Steps of an epoch.
    steps: usize,
}

impl<'a> RunLog<'a> {
    /// `title` names the run, as in "linear probing, seed 0".
    pub(crate) fn new(console: &'a Console, title: String, phases: &[PhaseSpec]) -> Self {
        let phases = phases.iter().map(|phase| phase.epochs).collect();
        Self { console, title, phases, bar: None, lines: Lines::new(), epoch: Epoch::begin(), pace: None }
    }

    /// The same for training by episodes, which has one phase.
    pub(crate) fn episodes(console: &'a Console, title: String, epochs: usize) -> Self {
        Self { phases: vec![epochs], ..Self::new(console, title, &[]) }
    }

    fn restart(&mut self, len: usize) -> &ProgressBar {
        self.epoch = Epoch::begin();
        self.clear();
        let bar = self.console.bar(len as u64, "{prefix} {bar:24} {pos}/{len}\n  {msg}");
        bar.set_prefix(self.title.clone());
        self.bar.insert(bar)
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Tells of a step that was taken.
    fn stepped(&mut self, at: &Place, images: usize, loss: f64, share: (&str, f64)) {
        if at.step == 0 || self.bar.is_none() {
            self.restart(at.steps);
        }
        let figures = self.epoch.add(images, loss, share);
        let (done, all) = (at.epoch * at.steps + at.step + 1, at.epochs * at.steps);
        let pace = match &mut self.pace {
            Some(pace) if pace.phase == at.phase => pace,
            // The first step is done by now, and is not counted: it also warms up.
            pace => pace.insert(Pace { phase: at.phase, started: Instant::now(), steps_before: done }),
        };
        let phase = if self.phases.len() > 1 {
            format!(" of phase {}/{}", at.phase + 1, self.phases.len())
        } else {
            String::new()
        };
        let left = pace.left(done, all).map(|left| format!(", {left} left{phase}")).unwrap_or_default();
        let before: usize = self.phases.iter().take(at.phase).sum();
        let epochs = self.phases.iter().sum::<usize>().max(at.epochs);
        let said = format!("epoch {}/{epochs}, {figures}{left}", before + at.epoch + 1);
        if let Some(bar) = &self.bar {
            bar.set_message(said.clone());
            bar.set_position(at.step as u64 + 1);
        }
        self.plain(|| format!("{said}, step {}/{}", at.step + 1, at.steps));
    }

    /// A line every so often where there are no bars.
    fn plain(&mut self, said: impl FnOnce() -> String) {
        if !self.console.draws() && self.lines.is_due() {
            tracing::info!("{}: {}", self.title, said());
        }
    }

    /// An epoch is over: its bar goes, its line comes.
    fn ended(&mut self) {
        self.clear();
        self.lines = Lines::new();
    }
}

impl Log for RunLog<'_> {
    fn warn(&mut self, what: &str) {
        self.clear();
        tracing::warn!("{}: {what}", self.title);
    }

    fn step(&mut self, step: &StepLog) {
        let &StepLog { phase, epoch, step, steps, loss, accuracy, images, .. } = step;
        let epochs = self.phases.get(phase).copied().unwrap_or(epoch + 1);
        self.stepped(&Place { phase, epoch, epochs, step, steps }, images, loss, ("accuracy", accuracy));
    }

    fn epoch(&mut self, epoch: &EpochLog) {
        self.ended();
        tracing::info!(
            "{}: epoch {}/{}, train loss {:.3}, accuracy {:.3}; evaluation loss {:.3}, accuracy {:.3}, F1 {:.3} ({:.1} s)",
            self.title,
            epoch.epoch + 1,
            self.phases.iter().sum::<usize>(),
            epoch.train_loss,
            epoch.train_accuracy,
            epoch.eval.loss,
            epoch.eval.accuracy,
            epoch.eval.f1,
            epoch.seconds,
        );
    }

    fn ssl_step(&mut self, step: &SslStep) {
        let &SslStep { epoch, epochs, step, steps, loss, top1, images, .. } = step;
        if self.phases.is_empty() {
            self.phases = vec![epochs];
        }
        self.stepped(&Place { phase: 0, epoch, epochs, step, steps }, images, loss, ("top-1", top1));
    }

    fn ssl_epoch(&mut self, epoch: &SslEpoch) {
        self.ended();
        let of = self.phases.first().copied().unwrap_or(epoch.epoch + 1);
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

    fn episodic_epoch(&mut self, epoch: &EpisodicEpoch) {
        self.ended();
        let EpisodicEpoch { epoch, loss, accuracy, seconds, .. } = epoch;
        let epochs: usize = self.phases.iter().sum();
        tracing::info!(
            "{}: epoch {}/{epochs}, loss {loss:.3}, accuracy {accuracy:.3} ({seconds:.1} s)",
            self.title,
            epoch + 1
        );
    }

    fn pass(&mut self, pass: &PassLog) {
        if self.epoch.images > pass.done || self.bar.as_ref().and_then(ProgressBar::length) != Some(pass.of as u64) {
            self.restart(pass.of);
        }
        self.epoch.images = pass.done;
        let Some(bar) = &self.bar else { return };
        bar.set_message(pass.what);
        bar.set_position(pass.done as u64);
        if pass.done == pass.of {
            self.clear();
        }
        self.plain(|| format!("{}, {}/{}", pass.what, pass.done, pass.of));
    }

    fn resumed(&mut self, phase: usize, epoch: usize, step: usize, _: u64) {
        let phase = if self.phases.len() > 1 { format!("phase {}, ", phase + 1) } else { String::new() };
        tracing::info!("{}: going on from {phase}epoch {}, step {}", self.title, epoch + 1, step + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_left_follows_the_steps_taken_since_the_start() {
        let pace =
            |seconds| Pace { phase: 0, started: Instant::now() - Duration::from_secs(seconds), steps_before: 10 };
        assert_eq!(pace(0).left(10, 20), None);
        assert_eq!(pace(20).left(20, 30).as_deref(), Some("20 s"));
        assert_eq!(pace(20).left(20, 110).as_deref(), Some("3 min"));
        assert_eq!(pace(100).left(20, 1010).as_deref(), Some("2.8 h"));
        assert_eq!(pace(100).left(30, 30).as_deref(), Some("0 s"));
    }

    #[test]
    fn means_weigh_every_image_alike() {
        let mut epoch = Epoch::begin();
        epoch.add(3, 1.0, ("accuracy", 1.0));
        let said = epoch.add(1, 3.0, ("accuracy", 0.0));
        assert!(said.starts_with("loss 1.500, accuracy 0.750, "), "{said}");
    }
}
