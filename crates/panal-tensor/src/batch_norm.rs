//! Batch norm in training with what follows it, as one operation on a CUDA device. Which layers take it is the networks' business.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Batch norm with the statistics of the batch, a shortcut's sum and an activation as one operation, of two kernels forward and two backward:
/// libtorch's own are one after another, and most of what they take is the way to the GPU's memory and back. Sums are f32 and of one order, so
/// that equal batches give equal results. There is no second derivative. A layer is computed on one stream at a time.
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
    /// for, or where they cannot be compiled ([`fused_norm_trouble`]).
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
        let (Device::Cuda(device), Some(element)) = (x.device(), Element::of(x.kind())) else { return Ok(None) };
        if !fits(&x.size(), element) || !shortcut.is_none_or(alike) {
            return Ok(None);
        }
        let torch = |error: TensorError| TchError::Torch(error.to_string());
        let _current = CurrentDevice::enter(device).map_err(torch)?;
        match kernels(device, element, activation == Activation::Silu) {
            Ok(kernels) => self.compute(kernels, x, shortcut, layer, activation).map(Some).map_err(torch),
            Err(_) => Ok(None),
        }
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

/// Whether the kernels of [`FusedNorm`] can be had on a CUDA device for elements of this type; compiles them, in half a second, the first time.
///
/// # Errors
/// [`TensorError::Torch`] with the reason. Networks compute the same with libtorch's own kernels then, in more time.
pub fn fused_norm_works(device: Device, kind: Kind) -> Result<(), TensorError> {
    let doing = "compile kernels of batch norm";
    let (Device::Cuda(number), Some(element)) = (device, Element::of(kind)) else {
        return Err(TchError::Torch(format!("there are none for {kind:?} on {}", device_name(device)))).doing(doing);
    };
    let _current = CurrentDevice::enter(number)?;
    kernels(number, element, false).map(|_| ()).map_err(TchError::Torch).doing(doing)
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
    use std::ffi::{c_int, c_uint};

    use super::*;
    use crate::{DeviceChoice, DeviceGraph, SideStream, channels_last};

    /// The CPU, where `host` stands in for the kernels, and a CUDA device where there is one. There is neither but on Linux.
    fn devices() -> Vec<Device> {
        let cuda = DeviceChoice::Cuda(0).resolve().ok();
        if cuda.is_none() {
            eprintln!("skipped on CUDA: no device");
        }
        [cfg!(target_os = "linux").then_some(Device::Cpu), cuda].into_iter().flatten().collect()
    }

    fn cuda() -> Option<Device> {
        devices().pop().filter(|device| device.is_cuda())
    }

    /// The kernels of `batch_norm.cu` for f32 without SiLU, by one thread of the CPU: what is tested there is everything around them.
    mod host {
        use super::*;

        pub(super) fn kernels() -> &'static Kernels {
            let kernels = [1, 2, 3, 4].map(|number: usize| number as *mut c_void);
            Box::leak(Box::new(Kernels { kernels, launch: launch as *const c_void, processors: 3, width: 4 }))
        }

        /// The arguments of a launch.
        #[derive(Clone, Copy)]
        struct Arguments(*const *const c_void);

        #[allow(unsafe_code)]
        impl Arguments {
            fn get<T: Copy>(self, number: usize) -> T {
                // SAFETY: the arguments are those of batch_norm.cpp, of the types of batch_norm.cu.
                unsafe { *(*self.0.add(number)).cast::<T>() }
            }

            /// Where packs can be read from; `None` where it is null.
            fn address(self, number: usize) -> Option<*mut f32> {
                let address: *mut f32 = self.get(number);
                assert!((address as usize).is_multiple_of(16), "argument {number}");
                (!address.is_null()).then_some(address)
            }

            /// A tensor that is read.
            fn of(self, number: usize, length: usize) -> Option<&'static [f32]> {
                // SAFETY: the tensors have as many elements, live through the launch, and are not written to in it.
                self.address(number).map(|address| unsafe { std::slice::from_raw_parts(address, length) })
            }

            /// A tensor that is written to, by nobody else.
            fn to(self, number: usize, length: usize) -> Option<&'static mut [f32]> {
                // SAFETY: the tensors have as many elements, live through the launch, and are in memory of their own.
                self.address(number).map(|address| unsafe { std::slice::from_raw_parts_mut(address, length) })
            }
        }

        #[allow(clippy::too_many_arguments)] // cuLaunchKernel's
        extern "C" fn launch(
            kernel: *mut c_void,
            across: c_uint,
            down: c_uint,
            _: c_uint,
            packs: c_uint,
            rows: c_uint,
            _: c_uint,
            _: c_uint,
            stream: *mut c_void,
            arguments: *const *const c_void,
            _: *const c_void,
        ) -> c_int {
            assert!(stream.is_null() && across > 0 && down > 0 && packs * rows == 256 && packs <= 8);
            let arguments = Arguments(arguments);
            match kernel as usize {
                1 => statistics(arguments),
                2 => normalise(arguments),
                3 => parameter_gradients(arguments),
                4 => input_gradients(arguments),
                other => panic!("kernel {other}"),
            }
            0
        }

        /// Rows and channels, from the places of rows and packs.
        fn sizes(arguments: Arguments, at: usize) -> (usize, usize) {
            let [rows, packs] = [at, at + 1].map(|at| arguments.get::<c_int>(at) as usize);
            (rows, 4 * packs)
        }

        fn statistics(arguments: Arguments) {
            let (rows, channels) = sizes(arguments, 1);
            let x = arguments.of(0, rows * channels).unwrap();
            let [mean, inverse, running_mean, running_var] =
                [5, 6, 7, 8].map(|number| arguments.to(number, channels).unwrap());
            let (momentum, eps): (f32, f32) = (arguments.get(10), arguments.get(11));
            for channel in 0..channels {
                let column = || x.iter().skip(channel).step_by(channels);
                let average =
                    |values: &mut dyn Iterator<Item = f32>| (values.map(f64::from).sum::<f64>() / rows as f64) as f32;
                mean[channel] = average(&mut column().copied());
                let var = average(&mut column().map(|x| (x - mean[channel]).powi(2)));
                inverse[channel] = (var + eps).sqrt().recip();
                running_mean[channel] += momentum * (mean[channel] - running_mean[channel]);
                running_var[channel] += momentum * (var * rows as f32 / (rows as f32 - 1.0) - running_var[channel]);
            }
            let batches: *mut i64 = arguments.get(9);
            // SAFETY: a scalar, which lives through the launch.
            #[allow(unsafe_code)]
            unsafe {
                *batches += 1;
            }
        }

        fn normalise(arguments: Arguments) {
            let (rows, channels) = sizes(arguments, 3);
            let [x, shortcut] = [0, 1].map(|number| arguments.of(number, rows * channels));
            let [mean, inverse, weight, bias] = [5, 6, 7, 8].map(|number| arguments.of(number, channels).unwrap());
            let [low, high]: [f32; 2] = arguments.get(9);
            for (at, y) in arguments.to(2, rows * channels).unwrap().iter_mut().enumerate() {
                let channel = at % channels;
                let z = (x.unwrap()[at] - mean[channel]) * inverse[channel] * weight[channel] + bias[channel];
                *y = (z + shortcut.map_or(0.0, |shortcut| shortcut[at])).clamp(low, high);
            }
        }

        fn slope(z: f32, [low, high]: [f32; 2]) -> f32 {
            if z > low && z < high { 1.0 } else { 0.0 }
        }

        fn parameter_gradients(arguments: Arguments) {
            let (rows, channels) = sizes(arguments, 5);
            let [dy, also, x, y] = [0, 1, 2, 3].map(|number| arguments.of(number, rows * channels));
            let mut dz = arguments.to(4, rows * channels);
            let [mean, inverse, weight, bias] = [9, 10, 11, 12].map(|number| arguments.of(number, channels).unwrap());
            let [dweight, dbias] = [14, 15].map(|number| arguments.to(number, channels).unwrap());
            let bounds = arguments.get(13);
            let mut sums = vec![[0.0; 2]; channels];
            for at in 0..rows * channels {
                let channel = at % channels;
                let normed = (x.unwrap()[at] - mean[channel]) * inverse[channel];
                let z = y.map_or(normed * weight[channel] + bias[channel], |y| y[at]);
                let gradient = (dy.unwrap()[at] + also.map_or(0.0, |also| also[at])) * slope(z, bounds);
                sums[channel][0] += f64::from(gradient);
                sums[channel][1] += f64::from(gradient * normed);
                if let Some(dz) = &mut dz {
                    dz[at] = gradient;
                }
            }
            for (channel, [bias, weight]) in sums.into_iter().enumerate() {
                (dbias[channel], dweight[channel]) = (bias as f32, weight as f32);
            }
        }

        fn input_gradients(arguments: Arguments) {
            let (rows, channels) = sizes(arguments, 4);
            let [dy, x] = [0, 1].map(|number| arguments.of(number, rows * channels).unwrap());
            let dx = arguments.to(2, rows * channels).unwrap();
            let [mean, inverse, weight, bias, dweight, dbias] =
                [6, 7, 8, 9, 11, 12].map(|number| arguments.of(number, channels).unwrap());
            let (before, bounds) = (arguments.get::<c_int>(3) != 0, arguments.get(10));
            for at in 0..rows * channels {
                let channel = at % channels;
                let normed = (x[at] - mean[channel]) * inverse[channel];
                let slope = if before { 1.0 } else { slope(normed * weight[channel] + bias[channel], bounds) };
                let mean_gradient = (dbias[channel] + normed * dweight[channel]) / rows as f32;
                dx[at] = weight[channel] * inverse[channel] * (dy[at] * slope - mean_gradient);
            }
        }
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
            Self { tensors, fused: FusedNorm { counters: Tensor::zeros([channels], (Kind::Int, device)) } }
        }

        fn layer(&self) -> NormLayer<'_> {
            let [weight, bias, running_mean, running_var, batches] = &self.tensors;
            NormLayer { weight, bias, running_mean, running_var, batches, momentum: 0.1, eps: 1e-5 }
        }

        fn run(&self, x: &Tensor, shortcut: Option<&Tensor>, activation: Activation) -> Result<Vec<Tensor>, TchError> {
            let results = match x.device() {
                Device::Cpu => self
                    .fused
                    .compute(host::kernels(), x, shortcut, self.layer(), activation)
                    .map_err(|error| TchError::Torch(error.to_string()))?,
                _ => self.fused.run(x, shortcut, self.layer(), activation)?.expect("kernels"),
            };
            Ok(results.into_iter().flatten().collect())
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
    fn compare(x: &Tensor, tolerance: f64, activation: Activation, joined: bool) {
        let (shape, kind, device) = (<[i64; 4]>::try_from(x.size()).unwrap(), x.kind(), x.device());
        let layer = Layer::new(shape[1], device);
        let [weight, bias, running_mean, running_var, batches] = &layer.tensors;
        let [shortcut, dy, also] = [(); 3].map(|()| leaf(shape, kind, device));
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double).set_requires_grad(true);
        let [x64, shortcut64, weight64, bias64] = [x, &shortcut, weight, bias].map(double);
        let [mean64, var64] = [running_mean, running_var].map(|tensor| tensor.to_kind(Kind::Double));

        let (mean, var) = (Some(&mean64), Some(&var64));
        let mut z = x64.batch_norm(Some(&weight64), Some(&bias64), mean, var, true, 0.1, 1e-5, false);
        if joined {
            z += &shortcut64;
        }
        // Where rounding decides on which side of a kink a value lies, its gradient tells nothing.
        let sure =
            [0.0, 6.0].map(|kink| (&z - kink).abs().gt(1e-4)).into_iter().reduce(|a, b| a.logical_and(&b)).unwrap();
        let uses = [&dy, &also].map(|gradient| gradient.detach() * sure.to_kind(kind));
        let expected = activated(activation, &z);
        let wide = uses.iter().take(1 + usize::from(joined)).map(|gradient| gradient.to_kind(Kind::Double));
        let gradient = wide.reduce(|one, other| one + other).unwrap();
        (&expected * gradient).sum(Kind::Double).backward();

        let results = layer.run(x, joined.then_some(&shortcut), activation).unwrap();
        let sums = results.iter().zip(&uses).map(|(y, dy)| (y * dy).sum(Kind::Float));
        sums.reduce(|one, other| one + other).unwrap().backward();
        let places: Vec<_> = results.iter().map(Tensor::data_ptr).collect();
        assert!(places.len() == 1 + usize::from(joined) && places.iter().all(|place| *place == places[0]));

        let mut pairs = vec![
            ("y", results[0].shallow_clone(), expected),
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
            assert!(distance < tolerance, "{name} of {x:?} {activation:?}, joined {joined}: {distance}");
        }
        assert_eq!(batches.int64_value(&[]), 1);
        assert_eq!(layer.fused.counters.abs().max().int64_value(&[]), 0);
    }

    #[test]
    fn results_and_gradients_are_those_of_libtorch_in_double_precision_on_cuda_too() {
        tch::manual_seed(0);
        for device in devices() {
            for (kind, tolerance) in [(Kind::Float, 2e-5), (Kind::BFloat16, 6e-3)] {
                for (shape, (activation, joined)) in
                    SHAPES.into_iter().flat_map(|shape| CASES.map(|case| (shape, case)))
                {
                    let stands_in = kind == Kind::Float && activation != Activation::Silu;
                    if device.is_cuda() || stands_in {
                        compare(&leaf(shape, kind, device), tolerance, activation, joined);
                    }
                }
            }
            let strided = Tensor::randn([4, 8, 5, 9], (Kind::Float, device)).transpose(2, 3).set_requires_grad(true);
            compare(&strided, 2e-5, Activation::Relu, true);
            // An address that is no multiple of 16.
            let apart = Tensor::randn([1 + 4 * 8 * 3 * 3], (Kind::Float, device)).narrow(0, 1, 4 * 8 * 3 * 3);
            compare(
                &apart.view([4, 3, 3, 8]).permute([0, 3, 1, 2]).set_requires_grad(true),
                2e-5,
                Activation::Relu,
                false,
            );
        }
    }

    #[test]
    fn cuda_variance_suffers_neither_from_a_mean_far_from_0_nor_from_an_unusual_first_row() {
        let Some(device) = cuda() else { return };
        tch::manual_seed(0);
        let layer = Layer::new(8, device);
        let x = leaf([16, 8, 28, 28], Kind::Float, device).detach() + 10_000.0;
        let _ = x.narrow(0, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1).fill_(9_955.0);
        let _ = layer.run(&x, None, Activation::None).unwrap();
        let var = x.to_kind(Kind::Double).transpose(0, 1).reshape([8, -1]).var_dim([1].as_slice(), true, false);
        assert!(distance(&layer.tensors[3], &(0.9 + 0.1 * var)) < 5e-4);
    }

    #[test]
    fn what_is_no_number_stays_so_on_cuda() {
        let Some(device) = cuda() else { return };
        for value in [f64::NAN, f64::INFINITY] {
            let layer = Layer::new(8, device);
            let x = leaf([2, 8, 3, 3], Kind::Float, device).detach();
            let _ = x.narrow(1, 5, 1).narrow(0, 1, 1).fill_(value);
            let y = layer.run(&x, None, Activation::Relu).unwrap().remove(0);
            let count = |tensor: &Tensor| tensor.isnan().sum(Kind::Int64).int64_value(&[]);
            assert_eq!((count(&y), count(&layer.tensors[3])), (18, 1), "{value}");
        }
    }

    #[test]
    fn what_needs_no_gradient_has_none_on_cuda_too() {
        for device in devices() {
            let layer = Layer::new(8, device);
            let x = leaf([4, 8, 3, 3], Kind::Float, device);
            let run =
                |x: &Tensor, shortcut: Option<&Tensor>| layer.run(x, shortcut, Activation::Relu).unwrap().remove(0);
            assert!(!tch::no_grad(|| run(&x, None)).requires_grad());
            let shortcut = x.detach();
            // The gradient of a sum is one element, expanded.
            run(&x.detach(), Some(&shortcut)).sum(Kind::Float).backward();
            assert!(!x.grad().defined() && !shortcut.grad().defined() && layer.tensors[0].grad().defined());

            let _ = layer.tensors[0].set_requires_grad(false);
            let _ = layer.tensors[0].grad().zero_();
            run(&x, None).sum(Kind::Float).backward();
            assert!(x.grad().defined());
            assert_eq!(layer.tensors[0].grad().abs().max().double_value(&[]), 0.0);
        }
    }

    #[test]
    fn results_of_one_use_have_its_gradient_alone_and_are_not_to_be_written_to_on_cuda_too() {
        for device in devices() {
            tch::manual_seed(0);
            let layer = Layer::new(8, device);
            let [x, shortcut] = [(); 2].map(|()| leaf([4, 8, 3, 3], Kind::Float, device));
            let gradients = |used: usize| {
                let y = layer.run(&x, Some(&shortcut), Activation::Relu).unwrap().swap_remove(used);
                Tensor::f_run_backward(&[(&y * &y).sum(Kind::Float)], &[&x, &shortcut], false, false).unwrap()
            };
            assert_eq!(gradients(0), gradients(1));
            for written in 0..2 {
                let mut results = layer.run(&x, Some(&shortcut), Activation::Relu).unwrap();
                let _ = tch::no_grad(|| results[written].g_add_scalar_(1.0));
                let error = Tensor::f_run_backward(&[results[0].sum(Kind::Float)], &[&x], false, false).unwrap_err();
                assert!(error.to_string().contains("inplace"), "{error}");
            }
        }
    }

    #[test]
    fn cuda_graphs_play_the_same() {
        let Some(device) = cuda() else { return };
        tch::manual_seed(0);
        let layer = Layer::new(64, device);
        let [x, shortcut] = [(); 2].map(|()| leaf([4, 64, 14, 14], Kind::BFloat16, device));
        let pass = || {
            let y = layer.run(&x, Some(&shortcut), Activation::Relu)?.remove(1);
            let gradients = Tensor::f_run_backward(&[(&y * &y).sum(Kind::Float)], &[&x, &shortcut], false, false)?;
            Ok::<_, TchError>([y.detach(), gradients[0].detach(), gradients[1].detach()])
        };
        let stream = SideStream::enter(device).unwrap().unwrap();
        let first = pass().unwrap();
        // SAFETY: everything that is read lives to the end of the test.
        #[allow(unsafe_code)]
        let recorded = unsafe { DeviceGraph::record(&stream, || pass().doing("record a pass")) };
        let (mut graph, made) = recorded.unwrap();
        for _ in 0..2 {
            graph.play().unwrap();
            assert_eq!(made, first);
        }
        assert_eq!(layer.tensors[4].int64_value(&[]), 3);
    }

    #[test]
    fn second_derivatives_and_tensors_that_do_not_fit_are_refused_on_cuda_too() {
        for device in devices() {
            let layer = Layer::new(8, device);
            let x = leaf([4, 8, 3, 3], Kind::Float, device);
            let y = layer.run(&x, None, Activation::Relu).unwrap().remove(0);
            let error = Tensor::f_run_backward(&[y.sum(Kind::Float)], &[&x], true, true).unwrap_err();
            assert!(error.to_string().contains("second derivative"), "{error}");

            for (number, name) in
                ["weight", "bias", "running mean", "running variance", "number of batches"].iter().enumerate()
            {
                let right = &layer.tensors[number];
                let mut wrong = vec![right.to_kind(Kind::Double), right.reshape([-1]).repeat([2])];
                wrong.extend((number < 4).then(|| Tensor::zeros([8, 2], (Kind::Float, device)).select(1, 0)));
                wrong.extend(device.is_cuda().then(|| right.to_device(Device::Cpu)));
                for wrong in wrong {
                    let mut other = Layer::new(8, device);
                    other.tensors[number] = wrong;
                    let error = other.run(&x, None, Activation::Relu).unwrap_err().to_string();
                    assert!(error.contains(name) && error.contains("it is to be"), "{error}");
                }
            }
            let mut other = Layer::new(8, device);
            other.fused.counters = Tensor::zeros([4], (Kind::Int, device));
            assert!(other.run(&x, None, Activation::Relu).unwrap_err().to_string().contains("counters"));

            let refused = |x: &Tensor| layer.fused.train(x, layer.layer(), Activation::Relu).unwrap().is_none();
            assert!(
                refused(&x.to_kind(Kind::Double)) && refused(&x.reshape([36, 8])) && refused(&x.to_device(Device::Cpu))
            );
            assert!(layer.fused.train_joined(&x, &x.narrow(0, 0, 2), layer.layer()).unwrap().is_none());
            assert_eq!(layer.tensors[4].int64_value(&[]), 1, "what is refused changes nothing");
        }
    }

    #[test]
    fn cuda_kernels_can_be_had() {
        let Some(device) = cuda() else {
            assert!(FusedNorm::new(8, Device::Cpu).unwrap().is_none());
            assert!(fused_norm_works(Device::Cpu, Kind::Float).is_err());
            return;
        };
        for kind in [Kind::Float, Kind::BFloat16] {
            fused_norm_works(device, kind).unwrap();
        }
        assert!(fused_norm_works(device, Kind::Double).is_err());
        assert_eq!(fused_norm_trouble(), None);
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
        assert_eq!(both([2, 1 << 24, 1, 1]), [false, false]);
        assert!(!fits(&[36, 8], Element::F32));
    }
}
