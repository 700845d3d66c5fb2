//! An NVIDIA GPU's own account of its energy, through NVML, which comes with the driver and is looked for at run time.

use std::sync::Arc;
use std::time::Instant;

use nvml_wrapper::{Device, Nvml};

/// The library's names: the driver's own, and the one that development files add.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// The counter of one GPU.
#[derive(Debug)]
pub(crate) struct GpuCounter {
    nvml: Arc<Nvml>,
    uuid: String,
    name: String,
    source: Source,
    joules: f64,
}

#[derive(Debug)]
enum Source {
    /// The energy counter, in millijoules since the driver was loaded, and what it said last.
    Energy(u64),
    /// Power, in watts, read last at this moment.
    Power(f64, Instant),
}

impl GpuCounter {
    /// The GPU that CUDA calls `index`. Where `CUDA_VISIBLE_DEVICES` is set, it says which that is; else both count alike, which
    /// they do with `CUDA_DEVICE_ORDER=PCI_BUS_ID` and on machines whose GPUs are equals.
    ///
    /// # Errors
    /// Why it can't be measured, in words.
    pub(crate) fn open(index: usize) -> Result<Self, String> {
        let nvml = LIBRARIES.iter().find_map(|path| Nvml::builder().lib_path(path.as_ref()).init().ok());
        let nvml = Arc::new(nvml.or_else(|| Nvml::init().ok()).ok_or("there is no NVML on this machine")?);
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
        let (uuid, name, source) = {
            let device = match named(&visible, index) {
                Name::Index(index) => nvml.device_by_index(index),
                Name::Uuid(uuid) => nvml.device_by_uuid(uuid),
            };
            let device = device.map_err(|error| format!("NVML has no GPU {index} ({error})"))?;
            let uuid = device.uuid().map_err(|error| format!("NVML does not tell GPU {index}'s id ({error})"))?;
            let name = device.name().unwrap_or_else(|_| "a GPU".to_owned());
            (uuid, name, Source::open(&device)?)
        };
        Ok(Self { nvml, uuid, name, source, joules: 0.0 })
    }

    /// Reads the counter, or the power since the last reading.
    pub(crate) fn sample(&mut self) -> Result<(), String> {
        let device =
            self.nvml.device_by_uuid(self.uuid.as_str()).map_err(|error| format!("NVML lost the GPU ({error})"))?;
        match &mut self.source {
            Source::Energy(last) => {
                let now = energy(&device)?;
                self.joules += now.saturating_sub(*last) as f64 / 1e3;
                *last = now;
            }
            Source::Power(watts, at) => {
                let (now, moment) = (power(&device)?, Instant::now());
                self.joules += (*watts + now) / 2.0 * (moment - *at).as_secs_f64();
                (*watts, *at) = (now, moment);
            }
        }
        Ok(())
    }

    /// Joules since it was opened.
    pub(crate) fn joules(&self) -> f64 {
        self.joules
    }

    /// The board's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Which of its numbers is read.
    pub(crate) fn how(&self) -> &'static str {
        match self.source {
            Source::Energy(_) => "NVML, energy counter",
            Source::Power(..) => "NVML, power read every second",
        }
    }
}

impl Source {
    fn open(device: &Device<'_>) -> Result<Self, String> {
        match energy(device) {
            Ok(now) => Ok(Self::Energy(now)),
            Err(_) => Ok(Self::Power(power(device)?, Instant::now())),
        }
    }
}

fn energy(device: &Device<'_>) -> Result<u64, String> {
    device.total_energy_consumption().map_err(|error| format!("NVML does not tell the GPU's energy ({error})"))
}

fn power(device: &Device<'_>) -> Result<f64, String> {
    let milliwatts = device.power_usage().map_err(|error| format!("NVML does not tell the GPU's power ({error})"))?;
    Ok(f64::from(milliwatts) / 1e3)
}

#[derive(Debug, PartialEq)]
enum Name<'a> {
    Index(u32),
    Uuid(&'a str),
}

/// What NVML calls the GPU that is CUDA's `index` under this value of `CUDA_VISIBLE_DEVICES`.
fn named(visible: &str, index: usize) -> Name<'_> {
    match visible.split(',').map(str::trim).filter(|name| !name.is_empty()).nth(index) {
        Some(name) => name.parse().map_or(Name::Uuid(name), Name::Index),
        None => Name::Index(u32::try_from(index).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_devices_are_found_by_number_and_by_id() {
        assert_eq!(named("", 1), Name::Index(1));
        assert_eq!(named("3, 5", 1), Name::Index(5));
        assert_eq!(named("GPU-8f2c,GPU-17aa", 0), Name::Uuid("GPU-8f2c"));
    }

    #[test]
    fn a_machine_without_nvml_says_so() {
        // With NVML this reads a real counter, which grows.
        match GpuCounter::open(0) {
            Err(said) => assert!(said.contains("NVML"), "{said}"),
            Ok(mut counter) => {
                counter.sample().unwrap();
                assert!(counter.joules() >= 0.0 && !counter.name().is_empty());
            }
        }
    }
}
