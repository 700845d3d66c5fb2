//! The meter: counters read every second by a thread of their own, and what stands in for those that can't be read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::EnergyError;
use crate::error::within;
use crate::estimate::{CORE_WATTS, Clock, GPU_WATTS};
use crate::nvml::GpuCounter;
use crate::rapl::{self, Rapl};

/// How often counters are read.
const EVERY: Duration = Duration::from_secs(1);

/// What is to be measured, and how it is estimated where it can't be.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterSpec {
    /// Watts of a busy core, for the estimate. `None`: 12.
    pub core_watts: Option<f64>,
    /// The GPU that the work runs on beside the processor.
    pub gpu: Gpu,
    /// Where RAPL's counters are shown; `/sys/class/powercap` by default.
    pub powercap: PathBuf,
}

/// A GPU that work runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gpu {
    /// None: the work is the processor's alone.
    #[default]
    None,
    /// The one that CUDA calls by this number.
    Cuda(usize),
    /// One whose energy nothing here can read.
    Other,
}

impl Default for MeterSpec {
    fn default() -> Self {
        Self { core_watts: None, gpu: Gpu::None, powercap: rapl::FOLDER.into() }
    }
}

impl MeterSpec {
    /// Checks it before hours of work, which [`Meter::start`] does too.
    ///
    /// # Errors
    /// [`EnergyError::Field`] unless `core_watts` is above 0 and at most 1000.
    pub fn check(&self) -> Result<(), EnergyError> {
        self.core_watts().map(|_| ())
    }

    fn core_watts(&self) -> Result<f64, EnergyError> {
        let watts = self.core_watts.unwrap_or(CORE_WATTS);
        within("watts of a core", "above 0, at most 1000", watts, (f64::MIN_POSITIVE, 1000.0))
    }
}

/// How a number of joules came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Counted by the machine.
    Measured,
    /// Rated power times time.
    Estimated,
    /// Some parts the one way, some the other.
    Partly,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
            Self::Partly => "partly estimated",
        })
    }
}

/// The energy of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The device, such as `processor`.
    pub what: String,
    /// Joules.
    pub joules: f64,
    /// Whether the machine counted them; else they are estimated.
    pub measured: bool,
    /// How, in words: which counters, or which power times which time, and why nothing was measured.
    pub how: String,
}

/// The energy of a stretch of work, or of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Energy {
    /// Each device once.
    pub parts: Vec<Part>,
}

impl Energy {
    /// Joules of all devices.
    pub fn joules(&self) -> f64 {
        self.parts.iter().map(|part| part.joules).sum()
    }

    /// How they came about.
    pub fn method(&self) -> Method {
        match (self.parts.iter().any(|part| part.measured), self.parts.iter().all(|part| part.measured)) {
            (true, true) => Method::Measured,
            (true, false) => Method::Partly,
            (false, _) => Method::Estimated,
        }
    }

    /// Adds another stretch: joules of the same device are summed; one that was estimated in either is estimated.
    pub fn add(&mut self, other: Self) {
        for part in other.parts {
            match self.parts.iter_mut().find(|known| known.what == part.what) {
                Some(known) => {
                    known.joules += part.joules;
                    // What is said is of the stretch that is less sure, else of the last.
                    if known.measured || !part.measured {
                        known.how = part.how;
                    }
                    known.measured &= part.measured;
                }
                None => self.parts.push(part),
            }
        }
    }
}

/// Counts from [`start`](Meter::start) to [`stop`](Meter::stop).
#[derive(Debug)]
pub struct Meter {
    clock: Clock,
    core_watts: f64,
    gpu: Gpu,
    stop: Sender<()>,
    sampler: JoinHandle<Counters>,
}

/// The counters that could be opened, or why not, and what went wrong with one since.
#[derive(Debug)]
struct Counters {
    rapl: Result<Rapl, String>,
    gpu: Option<Result<GpuCounter, String>>,
}

impl Meter {
    /// Opens what counters there are and begins to count.
    ///
    /// # Errors
    /// As [`MeterSpec::check`].
    pub fn start(spec: &MeterSpec) -> Result<Self, EnergyError> {
        let core_watts = spec.core_watts()?;
        let mut counters = Counters::open(&spec.powercap, spec.gpu);
        let (stop, stopped) = channel();
        let sampler = std::thread::spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                counters.sample();
            }
            counters.sample();
            counters
        });
        Ok(Self { clock: Clock::now(), core_watts, gpu: spec.gpu, stop, sampler })
    }

    /// Ends the count.
    pub fn stop(self) -> Energy {
        let (core_seconds, said) = self.clock.core_seconds();
        let wall = self.clock.wall_seconds();
        drop(self.stop);
        // A thread that panicked has counted nothing that can be trusted.
        let lost = || "the counters' thread was lost".to_owned();
        let counters = self
            .sampler
            .join()
            .unwrap_or_else(|_| Counters { rapl: Err(lost()), gpu: (self.gpu != Gpu::None).then(|| Err(lost())) });
        let mut parts = vec![match counters.rapl {
            Ok(rapl) => part("processor", rapl.joules(), true, format!("RAPL ({}), all that ran there", rapl.names())),
            Err(why) => {
                let how = format!("{} W a core × {said}; {why}", self.core_watts);
                part("processor", self.core_watts * core_seconds, false, how)
            }
        }];
        match counters.gpu {
            Some(Ok(gpu)) => parts.push(part("GPU", gpu.joules(), true, format!("{}, {}", gpu.how(), gpu.name()))),
            Some(Err(why)) => {
                let how = format!("{GPU_WATTS} W × wall time; {why}");
                parts.push(part("GPU", GPU_WATTS * wall, false, how));
            }
            None => {}
        }
        Energy { parts }
    }
}

impl Counters {
    fn open(powercap: &Path, gpu: Gpu) -> Self {
        let gpu = match gpu {
            Gpu::None => None,
            Gpu::Cuda(index) => Some(GpuCounter::open(index)),
            Gpu::Other => Some(Err("nothing here reads this GPU's energy".to_owned())),
        };
        Self { rapl: Rapl::open(powercap), gpu }
    }

    /// Reads all; a counter that fails is given up, for its account has a gap.
    fn sample(&mut self) {
        if let Ok(rapl) = &mut self.rapl
            && let Err(why) = rapl.sample()
        {
            self.rapl = Err(why);
        }
        if let Some(Ok(gpu)) = &mut self.gpu
            && let Err(why) = gpu.sample()
        {
            self.gpu = Some(Err(why));
        }
    }
}

fn part(what: &str, joules: f64, measured: bool, how: String) -> Part {
    Part { what: what.to_owned(), joules, measured, how }
}
