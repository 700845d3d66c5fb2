//! What xtask says while it works: numbered stages, and at the end how long each took. All of it on standard error.

use std::time::{Duration, Instant};

/// The stages of one command.
pub(crate) struct Stages {
    total: usize,
    begun: Vec<(&'static str, Instant)>,
}

impl Stages {
    /// A command that has `total` stages.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, begun: Vec::new() }
    }

    /// Ends the stage before, and begins the next: `name` for the summary, `detail` for now.
    pub(crate) fn begin(&mut self, name: &'static str, detail: &str) {
        self.begun.push((name, Instant::now()));
        eprintln!("[{}/{}] {name}: {detail}", self.begun.len(), self.total);
    }

    /// Something to know about the stage that runs.
    #[allow(clippy::unused_self, reason = "a note belongs to a stage")]
    pub(crate) fn note(&self, text: &str) {
        eprintln!("      {text}");
    }

    /// Ends the last stage and says how long each took.
    pub(crate) fn end(self) {
        eprintln!("done in {}", self.times(Instant::now()));
    }

    /// Begins the last stage, for a program that takes this one's place, and says how long those before it took.
    pub(crate) fn hand_over(mut self, name: &'static str, detail: &str) {
        let times = self.times(Instant::now());
        self.begin(name, &format!("{detail} (ready after {times})"));
    }

    /// How long all stages have taken, and each of them, as of `now`.
    fn times(&self, now: Instant) -> String {
        let ends = self.begun.iter().skip(1).map(|(_, start)| *start).chain([now]);
        let each: Vec<String> = std::iter::zip(&self.begun, ends)
            .map(|((name, start), end)| format!("{name} {}", spell(end - *start)))
            .collect();
        let all = self.begun.first().map_or(Duration::ZERO, |(_, start)| now - *start);
        format!("{}: {}", spell(all), each.join(", "))
    }
}

/// A duration as a person says it.
pub(crate) fn spell(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_tell_their_times() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let stages = Stages { total: 3, begun: vec![("libtorch", start), ("build", after(30))] };
        assert_eq!(stages.times(after(130)), "2 min 10 s: libtorch 30 s, build 100 s");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(spell(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(spell(Duration::from_secs(75)), "75 s");
        assert_eq!(spell(Duration::from_secs(245)), "4 min 05 s");
    }
}
