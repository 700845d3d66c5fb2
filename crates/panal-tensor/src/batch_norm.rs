//! Batch norm in training with what follows it, as one operation on a CUDA device. Which layers take it is the networks' business.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, TchError, Tensor};

use crate::TensorError;
use crate::cuda::check;
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

/// The tensors and constants of a layer, as `torch.nn.BatchNorm2d` has them.
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

/// Batch norm with the statistics of the batch, a shortcut's sum and an activation in one pass over the images, and one operation of autograd:
/// libtorch's own are one after another, and most of what they take is the way to the GPU's memory and back. Sums are f32 and of one order, so
/// that equal batches give equal results. There is no second derivative.
#[derive(Debug)]
pub struct FusedNorm {
    /// How many blocks have finished a sum, for each few channels; 0 between kernels.
    counters: Tensor,
}

impl FusedNorm {
    /// For a layer of so many channels; `None` for a device that is not CUDA's.
    ///
    /// # Errors
    /// [`TchError`] where the device fails.
    pub fn new(channels: i64, device: Device) -> Result<Option<Self>, TchError> {
        let counters = || Tensor::f_zeros([channels], (Kind::Int, device));
        Ok(if device.is_cuda() { Some(Self { counters: counters()? }) } else { None })
    }

    /// `activation(batch_norm(x))`; `None`, with nothing done, where kernels for it cannot be had: for elements or a shape that they are not
    /// for, or where they cannot be compiled ([`fused_norm_works`]).
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]` f32 or bf16 on the device, channels last (else it is copied)
    /// - result: as `x`
    ///
    /// # Errors
    /// [`TchError`] where the device fails.
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
    /// [`TchError`] where the device fails.
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
        let (Device::Cuda(device), Some(element)) = (x.device(), Element::of(x.kind())) else { return Ok(None) };
        if !fits(&x.size(), element) || !shortcut.is_none_or(alike) {
            return Ok(None);
        }
        let Ok(kernels) = kernels(device, element, activation == Activation::Silu) else { return Ok(None) };
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
        // SAFETY: all tensors live through the call; those of the layer have the shapes and types that are documented, which whoever makes a
        // layer sees to. What is written to `results` are tensors of nobody else's.
        #[allow(unsafe_code)]
        unsafe {
            let shortcut = shortcut.map_or(null_mut(), raw);
            let done = ffi::panal_batch_norm(raw(x), shortcut, &raw const tensors, kernels, results.as_mut_ptr());
            check(done, "batch norm").map_err(|error| TchError::Torch(error.to_string()))?;
            Ok(Some(results.map(|result: *mut c_void| (!result.is_null()).then(|| Tensor::from_ptr(result.cast())))))
        }
    }
}

/// Whether the kernels of [`FusedNorm`] can be had on a CUDA device, which is to be the current one: compiles them, in half a second, the first
/// time.
///
/// # Errors
/// [`TensorError::Torch`] with the reason. Networks compute the same with libtorch's own kernels then, in more time.
pub fn fused_norm_works(device: Device) -> Result<(), TensorError> {
    let Device::Cuda(number) = device else { return Ok(()) };
    kernels(number, Element::F32, false).map(|_| ()).map_err(TchError::Torch).doing("compile kernels of batch norm")
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
    channels > 0 && channels % i64::from(element.width()) == 0 && rows.is_some_and(|rows| (2..1 << 30).contains(&rows))
}

const SOURCE: &str = concat!(include_str!("batch_norm.cu"), "\0");

/// Kernels for a device, or why there are none; compiled when first asked for.
fn kernels(device: usize, element: Element, silu: bool) -> Result<&'static Kernels, String> {
    type Known = HashMap<(usize, Element, bool), Result<&'static Kernels, String>>;
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = || {
        let macros = [(element == Element::Bf16).then_some("BF16"), silu.then_some("SILU")];
        let source = CStr::from_bytes_with_nul(SOURCE.as_bytes()).map_err(|error| error.to_string())?;
        let names = [c"statistics", c"normalise", c"parameter_gradients", c"input_gradients"];
        let macros: Vec<&str> = macros.into_iter().flatten().collect();
        let module = nvrtc::compile(source, &macros, names).map_err(|error| error.to_string())?;
        let nvrtc::Module { kernels, launch, processors } = module;
        let kernels: &'static Kernels =
            Box::leak(Box::new(Kernels { kernels, launch, processors, width: element.width() }));
        Ok(kernels)
    };
    known.get_or_insert_default().entry((device, element, silu)).or_insert_with(compiled).clone()
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

// SAFETY: handles of the driver and the address of its function, which all threads may use, and which live as long as the process.
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
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests {
    use super::*;
    use crate::{DeviceChoice, DeviceGraph, SideStream, channels_last};

    fn cuda() -> Option<Device> {
        let device = DeviceChoice::Cuda(0).resolve().ok();
        if device.is_none() {
            eprintln!("skipped: no CUDA device");
        }
        device
    }

    /// A layer's weight, bias, running mean, running variance and number of batches, and itself.
    struct Layer {
        tensors: [Tensor; 5],
        fused: FusedNorm,
    }

    impl Layer {
        fn new(channels: i64, device: Device) -> Self {
            let floats = (Kind::Float, device);
            let learned = |tensor: Tensor| tensor.set_requires_grad(true);
            let tensors = [
                learned(Tensor::rand([channels], floats) + 0.5),
                learned(Tensor::randn([channels], floats)),
                Tensor::zeros([channels], floats),
                Tensor::ones([channels], floats),
                Tensor::zeros([], (Kind::Int64, device)),
            ];
            Self { tensors, fused: FusedNorm::new(channels, device).unwrap().expect("a CUDA device") }
        }

        fn layer(&self) -> NormLayer<'_> {
            let [weight, bias, running_mean, running_var, batches] = &self.tensors;
            NormLayer { weight, bias, running_mean, running_var, batches, momentum: 0.1, eps: 1e-5 }
        }
    }

    fn leaf(shape: [i64; 4], kind: Kind, device: Device) -> Tensor {
        let values = Tensor::randn(shape, (Kind::Float, device)) * 1.5 + 0.3;
        channels_last(&values.to_kind(kind)).unwrap().set_requires_grad(true)
    }

    /// The distance of two tensors, as a share of the second.
    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        ((double(a) - double(b)).norm() / double(b).norm()).double_value(&[])
    }

    fn activated(activation: Activation, z: &Tensor) -> Tensor {
        match activation {
            Activation::None => z.shallow_clone(),
            Activation::Relu => z.relu(),
            Activation::Relu6 => z.relu6(),
            Activation::Silu => z.silu(),
        }
    }

    const SHAPES: [[i64; 4]; 6] =
        [[4, 64, 14, 14], [2, 24, 7, 9], [16, 2048, 7, 7], [3, 1280, 1, 1], [8, 16, 112, 112], [8, 40, 30, 30]];

    /// Activations, and whether a shortcut is added before.
    const CASES: [(Activation, bool); 5] = [
        (Activation::None, false),
        (Activation::Relu, false),
        (Activation::Relu, true),
        (Activation::Relu6, false),
        (Activation::Silu, false),
    ];

    /// Compares results, gradients and running statistics with those of libtorch in double precision.
    fn compare(shape: [i64; 4], kind: Kind, tolerance: f64, activation: Activation, joined: bool, device: Device) {
        let layer = Layer::new(shape[1], device);
        let [weight, bias, running_mean, running_var, batches] = &layer.tensors;
        let [x, shortcut, dy, also] = [(); 4].map(|()| leaf(shape, kind, device));
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double).set_requires_grad(true);
        let [x64, shortcut64, dy64, also64, weight64, bias64, mean64, var64] =
            [&x, &shortcut, &dy, &also, weight, bias, running_mean, running_var].map(double);
        let (mean64, var64) = (mean64.detach(), var64.detach());

        let y = if joined {
            let [y, same] = layer.fused.train_joined(&x, &shortcut, layer.layer()).unwrap().unwrap();
            assert_eq!(y.data_ptr(), same.data_ptr());
            ((&y * dy.detach()).sum(Kind::Float) + (&same * also.detach()).sum(Kind::Float)).backward();
            y
        } else {
            let y = layer.fused.train(&x, layer.layer(), activation).unwrap().unwrap();
            (&y * dy.detach()).sum(Kind::Float).backward();
            y
        };
        let moving = (Some(&mean64), Some(&var64));
        let mut z = x64.batch_norm(Some(&weight64), Some(&bias64), moving.0, moving.1, true, 0.1, 1e-5, false);
        let mut gradient = dy64.detach();
        if joined {
            z += &shortcut64;
            gradient += also64.detach();
        }
        let expected = activated(activation, &z);
        (&expected * gradient).sum(Kind::Double).backward();

        let mut pairs = vec![
            ("y", y, expected),
            ("dx", x.grad(), x64.grad()),
            ("dweight", weight.grad(), weight64.grad()),
            ("dbias", bias.grad(), bias64.grad()),
            ("running mean", running_mean.shallow_clone(), mean64),
            ("running variance", running_var.shallow_clone(), var64),
        ];
        if joined {
            pairs.push(("dshortcut", shortcut.grad(), shortcut64.grad()));
        }
        for (name, got, expected) in pairs {
            let distance = distance(&got, &expected);
            assert!(distance < tolerance, "{name} of {shape:?} {kind:?} {activation:?}, joined {joined}: {distance}");
        }
        assert_eq!(batches.int64_value(&[]), 1);
        assert_eq!(layer.fused.counters.abs().max().int64_value(&[]), 0);
    }

    #[test]
    fn cuda_kernels_do_as_libtorch_in_double_precision() {
        let Some(device) = cuda() else { return };
        fused_norm_works(device).unwrap();
        tch::manual_seed(0);
        for (kind, tolerance) in [(Kind::Float, 2e-5), (Kind::BFloat16, 6e-3)] {
            for shape in SHAPES {
                for (activation, joined) in CASES {
                    compare(shape, kind, tolerance, activation, joined, device);
                }
            }
        }
    }

    #[test]
    fn cuda_variance_does_not_suffer_from_a_mean_far_from_0() {
        let Some(device) = cuda() else { return };
        tch::manual_seed(0);
        let layer = Layer::new(8, device);
        let x = leaf([16, 8, 28, 28], Kind::Float, device).detach() * 0.01 + 100.0;
        let _ = layer.fused.train(&x, layer.layer(), Activation::None).unwrap().unwrap();
        let var = x.to_kind(Kind::Double).transpose(0, 1).reshape([8, -1]).var_dim([1].as_slice(), true, false);
        assert!(distance(&layer.tensors[3], &(0.9 + 0.1 * var)) < 1e-6);
    }

    #[test]
    fn cuda_results_of_one_use_have_its_gradient_alone_and_are_the_same_from_a_graph() {
        let Some(device) = cuda() else { return };
        tch::manual_seed(0);
        let layer = Layer::new(64, device);
        let [x, shortcut] = [(); 2].map(|()| leaf([4, 64, 14, 14], Kind::BFloat16, device));
        let pass = |second: bool| {
            let both = layer.fused.train_joined(&x, &shortcut, layer.layer())?.expect("kernels");
            let y = &both[usize::from(second)];
            let gradients = Tensor::f_run_backward(&[(y * y).sum(Kind::Float)], &[&x, &shortcut], false, false)?;
            Ok::<_, TchError>([y.detach(), gradients[0].detach(), gradients[1].detach()])
        };
        let stream = SideStream::enter(device).unwrap().unwrap();
        let first = pass(false).unwrap();
        assert_eq!(pass(true).unwrap(), first);

        // SAFETY: everything that is read lives to the end of the test.
        #[allow(unsafe_code)]
        let recorded = unsafe { DeviceGraph::record(&stream, || pass(true).doing("record a pass")) };
        let (mut graph, made) = recorded.unwrap();
        for _ in 0..2 {
            graph.play().unwrap();
            assert_eq!(made, first);
        }
        assert_eq!(layer.tensors[4].int64_value(&[]), 4);
    }

    #[test]
    fn cuda_second_derivatives_and_other_shapes_are_refused() {
        let Some(device) = cuda() else { return };
        let layer = Layer::new(8, device);
        let x = leaf([4, 8, 3, 3], Kind::Float, device);
        let y = layer.fused.train(&x, layer.layer(), Activation::Relu).unwrap().unwrap();
        let error = Tensor::f_run_backward(&[y.sum(Kind::Float)], &[&x], true, true).unwrap_err();
        assert!(error.to_string().contains("second derivative"), "{error}");

        let refused = |x: Tensor| layer.fused.train(&x, layer.layer(), Activation::Relu).unwrap().is_none();
        assert!(refused(x.to_kind(Kind::Double)) && refused(x.reshape([36, 8])) && refused(x.to_device(Device::Cpu)));
        assert!(layer.fused.train_joined(&x, &x.narrow(0, 0, 2), layer.layer()).unwrap().is_none());
        assert_eq!(layer.tensors[4].int64_value(&[]), 1, "what is refused changes nothing");
    }

    #[test]
    fn shapes_are_those_of_whole_packs_and_more_than_one_row() {
        let both = |shape: [i64; 4]| [Element::F32, Element::Bf16].map(|element| fits(&shape, element));
        assert_eq!(both([2, 8, 1, 1]), [true, true]);
        assert_eq!(both([2, 12, 5, 5]), [true, false]);
        assert_eq!(both([2, 3, 5, 5]), [false, false]);
        assert_eq!(both([1, 8, 1, 1]), [false, false]);
        assert_eq!(both([0, 8, 5, 5]), [false, false]);
        assert_eq!(both([1 << 20, 8, 1 << 10, 1]), [false, false]);
        assert!(!fits(&[36, 8], Element::F32));
    }

    #[test]
    fn there_is_none_for_a_cpu() {
        assert!(FusedNorm::new(8, Device::Cpu).unwrap().is_none());
        fused_norm_works(Device::Cpu).unwrap();
    }
}
