//! What this machine is: processor, memory, disk, NVIDIA driver. Asked of the system, changed by nothing here.

use crate::process::ask;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// The oldest driver that runs CUDA 13.0.
pub(crate) const OLDEST_DRIVER: u32 = 580;

/// The machine, as a benchmark's record keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) os: String,
    pub(crate) processor: String,
    /// The processor's family, model and stepping, where the system tells: virtual machines call many of them alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    pub(crate) cores: usize,
    pub(crate) memory_gb: f64,
    /// Vector instructions that matter to speed, those that it has.
    pub(crate) vectors: Vec<String>,
    pub(crate) gpus: Vec<String>,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
        let has = |wanted: &&str| flags.split(' ').any(|flag| flag == *wanted);
        Self {
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: field("model name")
                .or_else(|| ask("sysctl", &["-n", "machdep.cpu.brand_string"]))
                .unwrap_or_else(|| "unknown".to_owned()),
            model: (|| Some([field("cpu family")?, field("model\t")?, field("stepping")?].join("/")))(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: memory_gb(),
            vectors: ["avx2", "avx512f", "amx_tile", "asimd", "sve"]
                .into_iter()
                .filter(has)
                .map(str::to_owned)
                .collect(),
            gpus: gpus(),
        }
    }

    /// Whether figures of the other can be held against those of this one, as far as can be told.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let models = self.model.as_ref().zip(other.model.as_ref());
        models.is_none_or(|(one, another)| one == another)
            && (&self.processor, self.cores, &self.vectors, &self.gpus)
                == (&other.processor, other.cores, &other.vectors, &other.gpus)
    }
}

/// The share of all processors' time that is at work for as long as this process sleeps, where the system tells. Of the whole machine, also in a
/// container; who waits for a disk, or has a GPU compute, is not at work.
pub(crate) fn busy(sleep: Duration) -> Option<f64> {
    let ticks = || ticks(&fs::read_to_string("/proc/stat").ok()?);
    let before = ticks()?;
    thread::sleep(sleep);
    let [all, idle] = ticks()?;
    let [all, idle] = [all.saturating_sub(before[0]), idle.saturating_sub(before[1])];
    (all > 0).then(|| 1.0 - idle as f64 / all as f64)
}

/// Ticks of all processors since they began, and those of them without work, from `/proc/stat`.
fn ticks(stat: &str) -> Option<[u64; 2]> {
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests take is in the first two.
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let fields = fields.map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let &[_, _, _, idle, waiting, ..] = &fields[..] else { return None };
    Some([fields.iter().sum(), idle + waiting])
}

/// The NVIDIA driver of this machine.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Such as `580.65.06`; empty where the driver is there but does not say.
    pub(crate) version: String,
}

impl Driver {
    /// The driver that is loaded, if any: by `nvidia-smi`, the kernel's word, or its library (as under WSL).
    pub(crate) fn here() -> Option<Self> {
        let smi = ask("nvidia-smi", &["--query-gpu=driver_version", "--format=csv,noheader"]);
        if let Some(version) = smi.as_deref().and_then(|text| text.lines().next()) {
            return Some(Self { version: version.trim().to_owned() });
        }
        if let Ok(text) = fs::read_to_string("/proc/driver/nvidia/version") {
            return Some(Self { version: version_in(&text).unwrap_or_default() });
        }
        let wsl = Path::new("/usr/lib/wsl/lib/libcuda.so.1").exists();
        let listed = || ask("ldconfig", &["-p"]).is_some_and(|text| text.contains("libcuda.so.1"));
        (wsl || listed()).then(|| Self { version: String::new() })
    }

    /// Whether it is known to be older than CUDA 13.0 needs.
    pub(crate) fn is_too_old(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major < OLDEST_DRIVER)
    }
}

/// Free bytes where `path` (or the nearest folder above it that exists) lies.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let said = ask("df", &["-Pk", &existing.to_string_lossy()])?;
    let blocks: u64 = said.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(blocks * 1024)
}

fn memory_gb() -> f64 {
    let linux = || {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let kb: f64 =
            text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_whitespace().next()?.parse().ok()?;
        Some(kb * 1024.0)
    };
    let mac = || ask("sysctl", &["-n", "hw.memsize"])?.parse().ok();
    let bytes: f64 = linux().or_else(mac).unwrap_or(0.0);
    (bytes / 1e8).round() / 10.0
}

fn gpus() -> Vec<String> {
    let said = ask("nvidia-smi", &["--query-gpu=name", "--format=csv,noheader"]).unwrap_or_default();
    said.lines().map(|line| line.trim().to_owned()).collect()
}

/// The memory of the first NVIDIA GPU, as `nvidia-smi` says.
pub(crate) fn gpu_memory_gb() -> Option<f64> {
    let said = ask("nvidia-smi", &["--query-gpu=memory.total", "--format=csv,noheader,nounits"])?;
    Some(said.lines().next()?.trim().parse::<f64>().ok()? * 1.048_576e-3)
}

/// The first word in the kernel's text that looks like `580.65.06`.
fn version_in(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    text.split_whitespace().find(is_version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_gives_the_drivers_version() {
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: 12";
        assert_eq!(version_in(text).as_deref(), Some("580.65.06"));
    }

    #[test]
    fn an_older_driver_is_known_as_such_and_an_unknown_one_is_given_its_chance() {
        let driver = |version: &str| Driver { version: version.to_owned() };
        assert!(driver("535.183.01").is_too_old());
        assert!(!driver("580.65.06").is_too_old());
        assert!(!driver("").is_too_old());
    }

    #[test]
    fn a_machine_of_another_processor_or_gpu_is_not_alike() {
        let machine = Machine::here();
        assert!(machine.is_like(&Machine { memory_gb: 1.0, ..Machine::here() }));
        assert!(!machine.is_like(&Machine { processor: "another".into(), ..Machine::here() }));
        let model = |model: &str| Machine { model: Some(model.into()), ..Machine::here() };
        assert!(!model("25/1/1").is_like(&model("25/17/1")));
        assert!(model("25/1/1").is_like(&Machine { model: None, ..Machine::here() }), "an earlier record");
        assert!(!machine.is_like(&Machine { gpus: vec!["another".into()], ..Machine::here() }));
    }

    #[test]
    fn other_work_is_told_by_the_ticks_that_are_not_idle() {
        assert_eq!(ticks("cpu  10 1 5 70 4 1 2 7 3 0\ncpu0 5 1 5 35 2 1 1 3 1 0\n"), Some([100, 74]));
        assert_eq!(["", "cpu  10 1\n", "intr 1 2 3 4 5\n", "cpu  1 2 3 x 5\n"].map(ticks), [None; 4]);
        assert!(busy(Duration::from_millis(30)).is_none_or(|share| (0.0..=1.0).contains(&share)));
    }

    #[test]
    fn this_machine_has_cores_memory_and_disk() {
        let machine = Machine::here();
        assert!(machine.cores >= 1 && machine.memory_gb > 0.1, "{machine:?}");
        assert!(free_bytes(Path::new("/tmp/no/such/folder")).is_some_and(|bytes| bytes > 0));
    }
}
