//! Batch norm in training with what follows it, as one operation. Which layers take it is the networks' business.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, TchError, Tensor};

use crate::TensorError;
use crate::cuda::{CurrentDevice, check};
use crate::device::device_name;
use crate::error::Doing;
use crate::nvrtc;

/// The activation after a batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// None.
    None,
    /// `max(0, z)`.
    Relu,
    /// `min(max(0, z), 6)`.
    Relu6,
    /// `z sigmoid(z)`.
    Silu,
}

/// The tensors and constants of a layer, as `torch.nn.BatchNorm2d` has them: dense, on one device.
#[derive(Debug, Clone, Copy)]
pub struct NormLayer<'a> {
    /// `[C]` f32.
    pub weight: &'a Tensor,
    /// `[C]` f32.
    pub bias: &'a Tensor,
    /// `[C]` f32; moves with each batch.
    pub running_mean: &'a Tensor,
    /// `[C]` f32; moves with each batch.
    pub running_var: &'a Tensor,
    /// A scalar i64; counts batches.
    pub batches: &'a Tensor,
    /// Share of the batch in the updated running statistics.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

/// Batch norm as `torch.nn.BatchNorm2d` trains it, a shortcut's sum and an activation as one operation, of two kernels forward and two backward:
/// libtorch's own are one after another, and most of what they take is the way to memory and back. Sums are of one order, however many threads
/// compute, so that equal batches give equal results. There is no second derivative. A layer is computed on one stream at a time.
///
/// On a CUDA device it is for f32 and bf16; on a CPU, under Linux alone, for f32 and activations other than SiLU.
#[derive(Debug)]
pub struct FusedNorm {
    /// How many blocks have finished a sum, for each few channels; 0 between kernels.
    counters: Tensor,
}

impl FusedNorm {
    /// For a layer of so many channels; `None` for a device that there are no kernels for.
    ///
    /// # Errors
    /// [`TchError`] where the device fails.
    pub fn new(channels: i64, device: Device) -> Result<Option<Self>, TchError> {
        let has_kernels = device.is_cuda() || (device == Device::Cpu && host().is_some());
        let counters = || Tensor::f_zeros([channels], (Kind::Int, device));
        Ok(if has_kernels { Some(Self { counters: counters()? }) } else { None })
    }

    /// `activation(batch_norm(x))`; `None`, with nothing done, where kernels for it cannot be had: for elements, a shape or an activation that
    /// they are not for, or where they cannot be compiled ([`fused_norm_trouble`]).
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]` f32 or bf16 on the device, channels last (else it is copied)
    /// - result: as `x`
    ///
    /// # Errors
    /// [`TchError`] for a layer of other sizes, elements or device, and where the device fails.
    pub fn train(&self, x: &Tensor, layer: NormLayer<'_>, activation: Activation) -> Result<Option<Tensor>, TchError> {
        Ok(self.run(x, None, layer, activation)?.map(|[result, _]| result.expect("a result")))
    }

    /// `relu(batch_norm(x) + shortcut)`, twice, in the same memory: used in two places, its gradients are added within this operation.
    /// `None` as in [`Self::train`].
    ///
    /// # Shapes
    /// - `x`, `shortcut`: `[N, C, H, W]` f32 or bf16, both the same, on the device
    /// - results: as `x`
    ///
    /// # Errors
    /// As [`Self::train`].
    pub fn train_joined(
        &self,
        x: &Tensor,
        shortcut: &Tensor,
        layer: NormLayer<'_>,
    ) -> Result<Option<[Tensor; 2]>, TchError> {
        let results = self.run(x, Some(shortcut), layer, Activation::Relu)?;
        Ok(results.map(|both| both.map(|result| result.expect("both results"))))
    }

    fn run(
        &self,
        x: &Tensor,
        shortcut: Option<&Tensor>,
        layer: NormLayer<'_>,
        activation: Activation,
    ) -> Result<Option<[Option<Tensor>; 2]>, TchError> {
        let alike = |other: &Tensor| (other.size(), other.kind(), other.device()) == (x.size(), x.kind(), x.device());
        let Some(element) = Element::of(x.kind()) else { return Ok(None) };
        if !fits(&x.size(), element) || !shortcut.is_none_or(alike) {
            return Ok(None);
        }
        let torch = |error: TensorError| TchError::Torch(error.to_string());
        let silu = activation == Activation::Silu;
        let (kernels, _current) = match x.device() {
            // libtorch's own SiLU was faster where it was tried.
            Device::Cpu if element == Element::F32 && !silu => (host(), None),
            Device::Cuda(device) => {
                let current = CurrentDevice::enter(device).map_err(torch)?;
                (kernels(device, element, silu).ok(), Some(current))
            }
            _ => return Ok(None),
        };
        kernels.map(|kernels| self.compute(kernels, x, shortcut, layer, activation).map_err(torch)).transpose()
    }

    /// By these kernels, which are for such elements.
    fn compute(
        &self,
        kernels: &'static Kernels,
        x: &Tensor,
        shortcut: Option<&Tensor>,
        layer: NormLayer<'_>,
        activation: Activation,
    ) -> Result<[Option<Tensor>; 2], TensorError> {
        let (low, high) = match activation {
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::None | Activation::Silu => (f32::NEG_INFINITY, f32::INFINITY),
        };
        let raw = |tensor: &Tensor| tensor.as_ptr().cast_mut().cast();
        let tensors = RawLayer {
            weight: raw(layer.weight),
            bias: raw(layer.bias),
            running_mean: raw(layer.running_mean),
            running_var: raw(layer.running_var),
            batches: raw(layer.batches),
            counters: raw(&self.counters),
            momentum: layer.momentum as f32,
            eps: layer.eps as f32,
            low,
            high,
        };
        let mut results = [null_mut(); 2];
        // SAFETY: all tensors live through the call, which checks those of the layer. What is written to `results` are tensors of nobody else's.
        #[allow(unsafe_code)]
        unsafe {
            let shortcut = shortcut.map_or(null_mut(), raw);
            let done = ffi::panal_batch_norm(raw(x), shortcut, &raw const tensors, kernels, results.as_mut_ptr());
            check(done, "compute a batch norm")?;
            Ok(results.map(|result: *mut c_void| (!result.is_null()).then(|| Tensor::from_ptr(result.cast()))))
        }
    }
}

/// Whether the kernels of [`FusedNorm`] can be had on a device for elements of this type; for CUDA compiles them, in about a second, the first time.
///
/// # Errors
/// [`TensorError::Torch`] with the reason. Networks compute the same with libtorch's own kernels then, in more time.
pub fn fused_norm_works(device: Device, kind: Kind) -> Result<(), TensorError> {
    let doing = "compile kernels of batch norm";
    match (device, Element::of(kind)) {
        (Device::Cpu, Some(Element::F32)) if host().is_some() => Ok(()),
        (Device::Cuda(number), Some(element)) => {
            let _current = CurrentDevice::enter(number)?;
            kernels(number, element, false).map(|_| ()).map_err(TchError::Torch).doing(doing)
        }
        _ => Err(TchError::Torch(format!("there are none for {kind:?} on {}", device_name(device)))).doing(doing),
    }
}

/// Why kernels of [`FusedNorm`] that were asked for in this process could not be had, if so.
#[must_use]
pub fn fused_norm_trouble() -> Option<String> {
    known().as_ref()?.values().find_map(|kernels| kernels.as_ref().err().cloned())
}

/// What a pack of 16 bytes holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Element {
    F32,
    Bf16,
}

impl Element {
    fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Float => Some(Self::F32),
            Kind::BFloat16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Elements of a pack.
    fn width(self) -> i32 {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 8,
        }
    }
}

/// Whether the kernels are for images of this shape: channels in whole packs, and rows that they can count, more than the one that has no
/// variance.
fn fits(shape: &[i64], element: Element) -> bool {
    let &[n, channels, height, width] = shape else { return false };
    let rows = [n, height, width].into_iter().try_fold(1, i64::checked_mul);
    (1..1 << 24).contains(&channels)
        && channels % i64::from(element.width()) == 0
        && rows.is_some_and(|rows| (2..1 << 30).contains(&rows))
}

/// Those of the CPU, by libtorch's threads, for activations other than SiLU.
fn host() -> Option<&'static Kernels> {
    static KERNELS: LazyLock<Option<Kernels>> = LazyLock::new(|| {
        let mut kernels = [null_mut(); 4];
        // SAFETY: it writes four addresses of functions, or nothing.
        #[allow(unsafe_code)]
        unsafe {
            ffi::panal_host_kernels(kernels.as_mut_ptr());
        }
        let launch = ffi::panal_launch_on_host as *const c_void;
        let there = kernels.iter().all(|kernel| !kernel.is_null());
        there.then_some(Kernels { kernels, launch, processors: 1, width: Element::F32.width() })
    });
    KERNELS.as_ref()
}

const SOURCE: &str = concat!(include_str!("batch_norm.cu"), "\0");

/// Kernels by device, element type and whether they are those with SiLU; or why they could not be had, which is not tried again.
type Known = HashMap<(usize, Element, bool), Result<&'static Kernels, String>>;

fn known() -> MutexGuard<'static, Option<Known>> {
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kernels for a device, which is the current one; compiled when first asked for.
fn kernels(device: usize, element: Element, silu: bool) -> Result<&'static Kernels, String> {
    let compiled = || {
        CurrentDevice::bind(device).map_err(|error| error.to_string())?;
        let macros = [(element == Element::Bf16).then_some("BF16"), silu.then_some("SILU")];
        let source = CStr::from_bytes_with_nul(SOURCE.as_bytes()).map_err(|error| error.to_string())?;
        let names = [c"statistics", c"normalise", c"parameter_gradients", c"input_gradients"];
        let macros: Vec<&str> = macros.into_iter().flatten().collect();
        let module = nvrtc::compile(source, &macros, names)?;
        let nvrtc::Module { kernels, launch, processors } = module;
        let kernels: &'static Kernels =
            Box::leak(Box::new(Kernels { kernels, launch, processors, width: element.width() }));
        Ok(kernels)
    };
    known().get_or_insert_default().entry((device, element, silu)).or_insert_with(compiled).clone()
}

/// `PanalNormKernels` of `batch_norm.cpp`.
#[derive(Debug)]
#[repr(C)]
struct Kernels {
    kernels: [*mut c_void; 4],
    launch: *const c_void,
    processors: i32,
    width: i32,
}

// SAFETY: handles of the driver and addresses of functions, which all threads may use, and which live as long as the process.
#[allow(unsafe_code)]
unsafe impl Send for Kernels {}
#[allow(unsafe_code)]
unsafe impl Sync for Kernels {}

/// `PanalNormLayer` of `batch_norm.cpp`.
#[derive(Debug)]
#[repr(C)]
struct RawLayer {
    weight: *mut c_void,
    bias: *mut c_void,
    running_mean: *mut c_void,
    running_var: *mut c_void,
    batches: *mut c_void,
    counters: *mut c_void,
    momentum: f32,
    eps: f32,
    low: f32,
    high: f32,
}

#[allow(unsafe_code)]
mod ffi {
    use super::{Kernels, RawLayer, c_char, c_void};

    unsafe extern "C" {
        pub(super) fn panal_batch_norm(
            x: *mut c_void,
            shortcut: *mut c_void,
            layer: *const RawLayer,
            kernels: *const Kernels,
            results: *mut *mut c_void,
        ) -> *mut c_char;

        pub(super) fn panal_host_kernels(kernels: *mut *mut c_void);

        /// Its address alone is taken.
        pub(super) fn panal_launch_on_host();
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests;
