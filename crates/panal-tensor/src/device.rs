//! Which device to compute on, and whether it truly computes; the CUDA backend is opened here.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Kind, Tensor};

use crate::cuda::let_memory_grow;
use crate::error::{Doing, TensorError};

/// The device that a user asks for: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The best that works: the first CUDA device, Apple's GPU on macOS, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A CUDA device by its number.
    Cuda(usize),
    /// Apple's GPU.
    Mps,
}

impl FromStr for DeviceChoice {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self, TensorError> {
        let unknown = || TensorError::DeviceName(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "mps" => Ok(Self::Mps),
            _ => {
                let digits = text.strip_prefix("cuda:").filter(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
                // libtorch numbers devices in a signed byte.
                let number = digits.and_then(|n| n.parse::<i8>().ok()).ok_or_else(unknown)?;
                usize::try_from(number).map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Mps => f.write_str("mps"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = TensorError;

    fn try_from(text: String) -> Result<Self, TensorError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl DeviceChoice {
    /// Settles on a device that has just multiplied a matrix rightly. `auto` falls back to the CPU without a word.
    ///
    /// Opens the CUDA backend first ([`register_cuda`]) unless the CPU or MPS was asked for. Let this be the first call
    /// that touches libtorch: it looks for its backends once.
    ///
    /// # Errors
    /// [`TensorError::DeviceAbsent`] where a device was asked for by name and is not usable, with what was found and what
    /// to do; [`TensorError::DeviceWrong`] where it computes wrongly.
    pub fn resolve(self) -> Result<Device, TensorError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Mps => usable(Device::Mps),
            Self::Cuda(number) => usable(Device::Cuda(number)),
            Self::Auto => {
                let best = if cfg!(target_os = "macos") { Device::Mps } else { Device::Cuda(0) };
                Ok(usable(best).unwrap_or(Device::Cpu))
            }
        }
    }
}

/// The device, if it is there and computes.
fn usable(device: Device) -> Result<Device, TensorError> {
    let present = match device {
        Device::Cuda(number) => {
            register_cuda();
            Cuda::is_available() && i64::try_from(number).is_ok_and(|number| number < Cuda::device_count())
        }
        Device::Mps => tch::utils::has_mps(),
        Device::Cpu | Device::Vulkan => true,
    };
    let absent = |why: Option<&TensorError>| {
        let (found, remedy) = what_was_found(device);
        let found = why.map_or(found.clone(), |why| format!("{why}; {found}"));
        TensorError::DeviceAbsent { device: device_name(device), found, remedy }
    };
    if !present {
        return Err(absent(None));
    }
    let mut tried = probe(device);
    let grows = device.is_cuda() && *register_cuda() == CudaRegistration::Registered;
    if grows && matches!(tried, Err(TensorError::Torch { .. })) {
        // Some virtual GPUs have no memory that grows.
        let_memory_grow(false);
        tried = probe(device);
        let_memory_grow(tried.is_err());
    }
    match tried {
        Ok(()) => Ok(device),
        Err(error @ TensorError::DeviceWrong { .. }) => Err(error),
        Err(error) => Err(absent(Some(&error))),
    }
}

/// What stands in the way of a device, and what to do about it.
fn what_was_found(device: Device) -> (String, String) {
    match device {
        Device::Cuda(number) => {
            let driver = nvidia_driver();
            let remedy = match (&driver, register_cuda()) {
                (None, _) => "install the NVIDIA driver, or use --device cpu".to_owned(),
                (_, CudaRegistration::NotPresent) => {
                    "install libtorch with CUDA (its folder holds libtorch_cuda.so), or use --device cpu".to_owned()
                }
                (_, CudaRegistration::Failed(_)) => {
                    "reinstall libtorch with CUDA, of the same version throughout, or use --device cpu".to_owned()
                }
                _ if Cuda::device_count() > 0 => {
                    format!("use cuda:0 to cuda:{}, or --device cpu", Cuda::device_count() - 1)
                }
                _ => "check that `nvidia-smi` lists a GPU and that CUDA_VISIBLE_DEVICES does not hide it".to_owned(),
            };
            let driver =
                driver.map_or_else(|| "no NVIDIA driver".to_owned(), |version| format!("NVIDIA driver {version}"));
            let devices = Cuda::device_count();
            (format!("device {number} of {devices} found; {driver}; {}", register_cuda()), remedy)
        }
        Device::Mps => (
            "this libtorch has no MPS backend (Apple's GPU)".to_owned(),
            "use --device auto, or --device cpu".to_owned(),
        ),
        Device::Cpu | Device::Vulkan => (String::new(), "use --device cpu".to_owned()),
    }
}

/// Multiplies a small matrix on the device and compares with the CPU; the numbers are whole, so they must be equal.
///
/// # Errors
/// [`TensorError::Torch`] where the device fails, [`TensorError::DeviceWrong`] where it errs.
pub fn probe(device: Device) -> Result<(), TensorError> {
    let product = |device: Device| {
        let matrix =
            |rows: i64, columns: i64| Tensor::f_arange(rows * columns, (Kind::Float, device))?.f_view([rows, columns]);
        matrix(4, 3)?.f_matmul(&matrix(3, 5)?)?.f_to(Device::Cpu)
    };
    let doing = format_args!("multiply a matrix on {}", device_name(device));
    let equal = product(device).doing(doing)?.f_equal(&product(Device::Cpu).doing(doing)?).doing(doing)?;
    if equal { Ok(()) } else { Err(TensorError::DeviceWrong { device: device_name(device) }) }
}

/// The device as libtorch writes it: `cpu`, `cuda:0`, `mps`.
#[must_use]
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(number) => format!("cuda:{number}"),
        Device::Mps => "mps".to_owned(),
        Device::Vulkan => "vulkan".to_owned(),
    }
}

/// The product's name, where the system tells: the processor's, or the GPU's where there is exactly one. Linux only.
#[must_use]
pub fn device_model(device: Device) -> Option<String> {
    let after_colon = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    match device {
        Device::Cpu => after_colon(&std::fs::read_to_string("/proc/cpuinfo").ok()?, "model name"),
        Device::Cuda(_) => {
            let mut gpus = std::fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
            let (only, None) = (gpus.next()?.ok()?, gpus.next()) else { return None };
            after_colon(&std::fs::read_to_string(only.path().join("information")).ok()?, "Model")
        }
        Device::Mps | Device::Vulkan => None,
    }
}

/// How many threads libtorch computes with inside one operation on the CPU.
///
/// # Errors
/// [`TensorError::Threads`] for 0 or more than libtorch can count.
pub fn set_threads(threads: usize) -> Result<(), TensorError> {
    let count = i32::try_from(threads).ok().filter(|&count| count > 0);
    tch::set_num_threads(count.ok_or(TensorError::Threads { got: threads })?);
    Ok(())
}

/// What came of opening the CUDA backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaRegistration {
    /// The program was linked with it, or had opened it before.
    AlreadyLoaded,
    /// Opened now.
    Registered,
    /// There is no `libtorch_cuda.so` beside libtorch or on the library path.
    NotPresent,
    /// It is there and cannot be opened: the loader's message.
    Failed(String),
}

impl fmt::Display for CudaRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyLoaded | Self::Registered => f.write_str("libtorch_cuda.so is loaded"),
            Self::NotPresent => f.write_str("no libtorch_cuda.so beside libtorch or on the library path"),
            Self::Failed(why) => write!(f, "libtorch_cuda.so cannot be opened ({why})"),
        }
    }
}

/// Opens `libtorch_cuda.so`, which registers the CUDA backend with libtorch, and leaves it open for good. The GPU's memory grows in place then
/// (libtorch's `expandable_segments`), unless the program had opened it before, or `PYTORCH_ALLOC_CONF` or `PYTORCH_CUDA_ALLOC_CONF` is set, which libtorch reads.
///
/// A program that was linked without it otherwise sees no GPU: the linker drops a library that no symbol needs. Looks
/// beside the loaded `libtorch_cpu.so`, then along the program's run path. Done once; later calls repeat the answer. Call
/// it, or [`DeviceChoice::resolve`], before any other use of CUDA. Does nothing but on Linux.
pub fn register_cuda() -> &'static CudaRegistration {
    static DONE: OnceLock<CudaRegistration> = OnceLock::new();
    DONE.get_or_init(|| {
        let registered = open_cuda();
        if registered == CudaRegistration::Registered {
            let_memory_grow(true);
        }
        registered
    })
}

#[cfg(target_os = "linux")]
const CUDA_LIBRARY: &str = "libtorch_cuda.so";

#[cfg(target_os = "linux")]
fn open_cuda() -> CudaRegistration {
    if mapped_library(|name| name == CUDA_LIBRARY).is_some() {
        return CudaRegistration::AlreadyLoaded;
    }
    let beside = libtorch_folder().map(|folder| folder.join(CUDA_LIBRARY)).filter(|path| path.exists());
    let named = beside.clone().unwrap_or_else(|| PathBuf::from(CUDA_LIBRARY));
    match open_for_good(&named) {
        Ok(()) => CudaRegistration::Registered,
        // Where something else is missing, the loader names that: a CUDA library that libtorch_cuda.so needs.
        Err(why) if beside.is_none() && why.contains(&format!("{CUDA_LIBRARY}: cannot open shared object file")) => {
            CudaRegistration::NotPresent
        }
        Err(why) => CudaRegistration::Failed(why),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_cuda() -> CudaRegistration {
    CudaRegistration::NotPresent
}

/// Opens a shared library with its symbols visible to all others and never closes it.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn open_for_good(path: &Path) -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: opening a library runs its initialisers. Those of libtorch_cuda.so only enter the CUDA backend in the tables
    // of the libtorch that is loaded already, and are meant to run at any time in a process (Python's torch does the same).
    // A libtorch_cuda.so of another version fails to find its symbols, which RTLD_NOW turns into an error here. No symbol
    // is looked up through the handle, and the library is never unloaded, so that what it registered stays valid.
    let library =
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.map_err(|error| why_not_opened(&error))?;
    std::mem::forget(library);
    Ok(())
}

/// The loader's own words.
pub(crate) fn why_not_opened(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The folder of the `libtorch_cpu.so` that this process runs on. Linux only.
#[must_use]
pub fn libtorch_folder() -> Option<PathBuf> {
    mapped_library(|name| name == "libtorch_cpu.so").and_then(|path| path.parent().map(Path::to_owned))
}

/// The version of the libtorch that this process runs on, as its files say, such as `2.11.0`. Linux only.
#[must_use]
pub fn libtorch_version() -> Option<String> {
    let root = libtorch_folder()?.parent()?.to_owned();
    let quoted = |file: &str, key: &str| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split(['"', '\'']).nth(1)?.to_owned())
    };
    let archive = || Some(std::fs::read_to_string(root.join("build-version")).ok()?.trim().to_owned());
    archive()
        .or_else(|| quoted("version.py", "__version__"))
        .or_else(|| quoted("include/torch/csrc/api/include/torch/version.h", "#define TORCH_VERSION "))
}

/// Where a library of such a file name is mapped into the process.
pub(crate) fn mapped_library(is: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    paths.find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is)).map(Path::to_owned)
}

/// The version of the NVIDIA driver; `None` where there is none.
fn nvidia_driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    let is_version = |word: &&str| word.contains('.') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Some(text.split_whitespace().find(is_version).unwrap_or("of unknown version").to_owned())
}
