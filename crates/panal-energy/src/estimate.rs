//! Energy from rated power, for machines that tell nothing: how long the process computed, and what a core or a board takes.

use std::time::{Duration, Instant};

/// Watts of a core, and of a GPU, of which nothing is known: "Any" in Green Algorithms' `TDP_cpu.csv` and `TDP_gpu.csv` (Lannelongue, Grealey,
/// Inouye, Advanced Science 2021, doi 10.1002/advs.202100707).
pub(crate) const CORE_WATTS: f64 = 12.0;
pub(crate) const GPU_WATTS: f64 = 200.0;

/// A moment from which this process's CPU time is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: Instant,
    cpu: Option<Duration>,
}

impl Clock {
    pub(crate) fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }

    /// Wall seconds since.
    pub(crate) fn wall_seconds(self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    /// Seconds that this process computed since, over all cores, and what they are.
    pub(crate) fn core_seconds(self) -> (f64, &'static str) {
        match (self.cpu, cpu_time()) {
            (Some(before), Some(now)) => (now.saturating_sub(before).as_secs_f64(), "this process's CPU time"),
            _ => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                (self.wall_seconds() * cores as f64, "wall time of all cores")
            }
        }
    }
}

/// User and system time of this process, all threads.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Some(Duration::from_micros(u64::try_from(micros).ok()?))
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_busy_thread_takes_cpu_time_and_a_sleeping_one_does_not() {
        let clock = Clock::now();
        std::thread::sleep(Duration::from_millis(300));
        // Other tests of this process may compute meanwhile, but not for long.
        let idle = clock.core_seconds().0;
        let clock = Clock::now();
        let mut sum = 0.0_f64;
        while clock.wall_seconds() < 0.6 {
            sum += std::hint::black_box(sum).sqrt() + 1.0;
        }
        let (busy, said) = clock.core_seconds();
        assert!(busy > 0.1 && busy > idle, "{busy} after {idle}");
        assert_eq!(said, "this process's CPU time");
    }
}
