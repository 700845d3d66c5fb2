//! Batch norm held against libtorch's in double precision: by the kernels of the CPU, by those of a GPU run on the CPU and, where there is one,
//! on a CUDA device.

use std::ffi::{c_int, c_uint};
use std::process::Command;

use libloading::Library;

use super::*;
use crate::{DeviceChoice, DeviceGraph, SideStream, channels_last};

/// By which kernels a layer is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Cpu,
    /// `batch_norm.cu` with `batch_norm/emulated.cpp`, on the CPU.
    Emulated,
    Cuda(Device),
}

impl By {
    /// All that there are here: on Linux alone, and on a CUDA device where there is one.
    fn all() -> Vec<Self> {
        if !cfg!(target_os = "linux") {
            return Vec::new();
        }
        [Self::Cpu, Self::Emulated].into_iter().chain(cuda().map(Self::Cuda)).collect()
    }

    fn device(self) -> Device {
        match self {
            Self::Cpu | Self::Emulated => Device::Cpu,
            Self::Cuda(device) => device,
        }
    }

    fn has(self, kind: Kind, activation: Activation) -> bool {
        self != Self::Cpu || (kind == Kind::Float && activation != Activation::Silu)
    }
}

fn cuda() -> Option<Device> {
    let device = DeviceChoice::Cuda(0).resolve().ok();
    if device.is_none() {
        eprintln!("skipped on CUDA: no device");
    }
    device
}

/// The kernels of a GPU, compiled for the CPU.
#[allow(unsafe_code)] // the library's initialisers are those of the C++ library alone
fn compiled(element: Element, silu: bool) -> Library {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernels.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/batch_norm/emulated.cpp");
    let mut words = env!("PANAL_CXX").split('\u{1f}');
    let mut compiler = Command::new(words.next().unwrap());
    compiler.args(words).args(["-w", "-shared", "-fPIC", "-Wl,-Bsymbolic", source, "-o"]).arg(&path);
    compiler.args((element == Element::Bf16).then_some("-DBF16")).args(silu.then_some("-DSILU"));
    assert!(compiler.status().unwrap().success(), "{compiler:?}");
    // SAFETY: see above.
    unsafe { Library::new(&path).unwrap() }
}

/// Kernels of [`compiled`], loaded once and for good.
fn emulated(element: Element, silu: bool) -> &'static Kernels {
    static KNOWN: Mutex<Option<HashMap<(Element, bool), &Kernels>>> = Mutex::new(None);
    let loaded = || {
        let library = compiled(element, silu);
        let mut kernels = [null_mut(); 4];
        // SAFETY: the library has these two, of these types.
        #[allow(unsafe_code)]
        let launch = unsafe {
            let ask = library.get::<extern "C" fn(*mut *mut c_void)>("emulated_kernels").unwrap();
            ask(kernels.as_mut_ptr());
            *library.get::<*const c_void>("emulated_launch").unwrap()
        };
        std::mem::forget(library);
        // As many processors as an H100 has.
        let kernels: &'static Kernels =
            Box::leak(Box::new(Kernels { kernels, launch, processors: 132, width: element.width() }));
        kernels
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().entry((element, silu)).or_insert_with(loaded)
}

#[test]
fn elements_are_rounded_to_bfloat16_as_libtorch_does() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let library = compiled(Element::Bf16, false);
    // SAFETY: the library has this, of this type.
    #[allow(unsafe_code)]
    let word = unsafe { library.get::<extern "C" fn(f32, f32) -> u32>("emulated_word").unwrap() };
    // Between two elements, nearer to one or as near to both, at the ends of the range, and no numbers.
    let bits = [0, 1, 0x7fff, 0x8000, 0x8001, 0x1_7fff, 0x1_8000, 0x1_8001, 0x3f80_8000, 0x3f81_8000, 0x7f7f_7fff]
        .into_iter()
        .chain([0x7f7f_8000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_0000, 0x7fff_ffff]);
    for bits in bits.flat_map(|bits: u32| [bits, bits | 1 << 31]) {
        let value = f32::from_bits(bits);
        let expected = match value.is_nan() {
            true => 0x7fff,
            false => {
                let rounded = Tensor::from_slice(&[value]).to_kind(Kind::BFloat16).view_dtype(Kind::Int16);
                rounded.int64_value(&[0]) as u32 & 0xffff
            }
        };
        assert_eq!(word(value, -0.5), expected | 0xbf00_0000, "{bits:x}");
        assert_eq!(word(1.0, value), 0x3f80 | expected << 16, "{bits:x}");
    }
}

/// A layer's weight, bias, running mean, running variance and number of batches, and itself.
struct Layer {
    tensors: [Tensor; 5],
    fused: FusedNorm,
    by: By,
}

impl Layer {
    fn new(channels: i64, by: By) -> Self {
        let device = by.device();
        let floats = (Kind::Float, device);
        let learned = |tensor: Tensor| tensor.set_requires_grad(true);
        let tensors = [
            learned(Tensor::rand([channels], floats) + 0.5),
            learned(Tensor::randn([channels], floats)),
            Tensor::zeros([channels], floats),
            Tensor::ones([channels], floats),
            Tensor::zeros([], (Kind::Int64, device)),
        ];
        Self { tensors, fused: FusedNorm { counters: Tensor::zeros([channels], (Kind::Int, device)) }, by }
    }

    fn layer(&self) -> NormLayer<'_> {
        let [weight, bias, running_mean, running_var, batches] = &self.tensors;
        NormLayer { weight, bias, running_mean, running_var, batches, momentum: 0.1, eps: 1e-5 }
    }

    fn run(&self, x: &Tensor, shortcut: Option<&Tensor>, activation: Activation) -> Result<Vec<Tensor>, TchError> {
        let results = match self.by {
            By::Emulated => {
                let kernels = emulated(Element::of(x.kind()).unwrap(), activation == Activation::Silu);
                let results = self.fused.compute(kernels, x, shortcut, self.layer(), activation);
                results.map_err(|error| TchError::Torch(error.to_string()))?
            }
            By::Cpu | By::Cuda(_) => self.fused.run(x, shortcut, self.layer(), activation)?.expect("kernels"),
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

const SHAPES: [[i64; 4]; 8] = [
    [4, 64, 14, 14],
    [2, 24, 7, 9],
    // One pack in bf16.
    [3, 8, 5, 7],
    [16, 2048, 7, 7],
    // With fewer rows a gradient is the small difference of large numbers.
    [5, 1280, 1, 1],
    [8, 16, 112, 112],
    [8, 40, 30, 30],
    // More blocks of a GPU than rows of threads in one.
    [8, 64, 36, 36],
];

/// Activations, and whether a shortcut is added before.
const CASES: [(Activation, bool); 5] = [
    (Activation::None, false),
    (Activation::Relu, false),
    (Activation::Relu, true),
    (Activation::Relu6, false),
    (Activation::Silu, false),
];

/// Compares results, gradients and running statistics with those of libtorch in double precision.
fn compare(x: &Tensor, by: By, tolerance: f64, activation: Activation, joined: bool) {
    let (shape, kind, device) = (<[i64; 4]>::try_from(x.size()).unwrap(), x.kind(), x.device());
    let layer = Layer::new(shape[1], by);
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
    let sure = [0.0, 6.0].map(|kink| (&z - kink).abs().gt(1e-4)).into_iter().reduce(|a, b| a.logical_and(&b)).unwrap();
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
    for by in By::all() {
        let device = by.device();
        for (kind, tolerance) in [(Kind::Float, 2e-5), (Kind::BFloat16, 6e-3)] {
            for (shape, (activation, joined)) in SHAPES.into_iter().flat_map(|shape| CASES.map(|case| (shape, case))) {
                // Turns of a GPU's threads take their time.
                let soon = by != By::Emulated || shape.iter().product::<i64>() < 1 << 20;
                if by.has(kind, activation) && soon {
                    compare(&leaf(shape, kind, device), by, tolerance, activation, joined);
                }
            }
        }
        let strided = Tensor::randn([4, 8, 5, 9], (Kind::Float, device)).transpose(2, 3).set_requires_grad(true);
        compare(&strided, by, 2e-5, Activation::Relu, true);
        // An address that is no multiple of 16.
        let apart = Tensor::randn([1 + 4 * 8 * 3 * 3], (Kind::Float, device)).narrow(0, 1, 4 * 8 * 3 * 3);
        compare(
            &apart.view([4, 3, 3, 8]).permute([0, 3, 1, 2]).set_requires_grad(true),
            by,
            2e-5,
            Activation::Relu,
            false,
        );
    }
}

#[test]
fn variance_suffers_neither_from_a_mean_far_from_0_nor_from_an_unusual_first_row_on_cuda_too() {
    tch::manual_seed(0);
    for by in By::all() {
        let device = by.device();
        let layer = Layer::new(8, by);
        let x = leaf([16, 8, 28, 28], Kind::Float, device).detach() + 10_000.0;
        let _ = x.narrow(0, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1).fill_(9_955.0);
        let _ = layer.run(&x, None, Activation::None).unwrap();
        let var = x.to_kind(Kind::Double).transpose(0, 1).reshape([8, -1]).var_dim([1].as_slice(), true, false);
        assert!(distance(&layer.tensors[3], &(0.9 + 0.1 * var)) < 5e-4);
    }
}

/// CUlaunchKernel's type.
type Launch = extern "C" fn(
    *mut c_void,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut c_void,
    *const *const usize,
    *const c_void,
) -> c_int;

/// Looks at what kernels of a GPU rely on, then launches those of the CPU.
#[allow(clippy::too_many_arguments, unsafe_code)]
extern "C" fn look(
    kernel: *mut c_void,
    across: c_uint,
    down: c_uint,
    deep: c_uint,
    packs: c_uint,
    rows: c_uint,
    layers: c_uint,
    shared: c_uint,
    stream: *mut c_void,
    arguments: *const *const usize,
    more: *const c_void,
) -> c_int {
    assert!(stream.is_null() && across > 0 && down > 0 && packs * rows == 256 && packs <= 8);
    let host = host().expect("kernels");
    let matrices = [1, 3, 5, 3][host.kernels.iter().position(|known| *known == kernel).expect("a kernel")];
    for number in 0..matrices {
        // SAFETY: so many arguments, from the first, are addresses.
        let address = unsafe { **arguments.add(number) };
        assert!(address.is_multiple_of(16), "argument {number}");
    }
    // SAFETY: it is a function of this type.
    let launch: Launch = unsafe { std::mem::transmute(host.launch) };
    launch(kernel, across, down, deep, packs, rows, layers, shared, stream, arguments, more)
}

#[test]
fn kernels_are_given_whole_blocks_and_packs() {
    let Some(host) = host() else { return };
    let looked_at: &Kernels =
        Box::leak(Box::new(Kernels { kernels: host.kernels, launch: look as *const c_void, processors: 3, width: 4 }));
    for shape in SHAPES {
        let [n, channels, height, width] = shape;
        let elements = n * channels * height * width;
        // An address that is no multiple of 16.
        let apart = Tensor::randn([1 + elements], (Kind::Float, Device::Cpu)).narrow(0, 1, elements);
        let x = apart.view([n, height, width, channels]).permute([0, 3, 1, 2]).set_requires_grad(true);
        for shortcut in [None, Some(&x)] {
            let layer = Layer::new(channels, By::Cpu);
            let results = layer.fused.compute(looked_at, &x, shortcut, layer.layer(), Activation::Relu).unwrap();
            let sums = results.iter().flatten().map(|y| y.sum(Kind::Float));
            sums.reduce(|one, other| one + other).unwrap().backward();
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    if !cfg!(target_os = "linux") {
        return;
    }
    tch::manual_seed(0);
    // Rows of 3 channels' packs that no part, and no long row, divides.
    let x = leaf([5, 12, 71, 67], Kind::Float, Device::Cpu);
    let threads = tch::get_num_threads();
    let [one, several] = [1, 3].map(|threads| {
        tch::set_num_threads(threads);
        let (x, layer) = (x.detach().set_requires_grad(true), Layer::new(12, By::Cpu));
        tch::no_grad(|| layer.tensors[..2].iter().for_each(|tensor| drop(tensor.shallow_clone().fill_(0.7))));
        let y = layer.run(&x, None, Activation::Relu).unwrap().remove(0);
        (&y * &y).sum(Kind::Float).backward();
        [y.detach(), x.grad(), layer.tensors[0].grad(), layer.tensors[1].grad(), layer.tensors[3].shallow_clone()]
    });
    tch::set_num_threads(threads);
    for (one, several) in one.iter().zip(&several) {
        assert!(one.equal(several));
    }
}

#[test]
fn what_is_no_number_stays_so_on_cuda_too() {
    let values = [f64::NAN, f64::INFINITY];
    let cases = [Kind::Float, Kind::BFloat16].into_iter().flat_map(|kind| values.map(|value| (kind, value)));
    for (by, (kind, value)) in By::all().into_iter().flat_map(|by| cases.clone().map(move |case| (by, case))) {
        if !by.has(kind, Activation::Relu) {
            continue;
        }
        let layer = Layer::new(8, by);
        let x = leaf([2, 8, 3, 3], kind, by.device()).detach();
        let _ = x.narrow(1, 5, 1).narrow(0, 1, 1).fill_(value);
        let y = layer.run(&x, None, Activation::Relu).unwrap().remove(0);
        let count = |tensor: &Tensor| tensor.isnan().sum(Kind::Int64).int64_value(&[]);
        assert_eq!((count(&y), count(&layer.tensors[3])), (18, 1), "{value}");
    }
}

#[test]
fn an_infinite_gradient_goes_nowhere_where_the_activation_is_shut_on_cuda_too() {
    for by in By::all() {
        let device = by.device();
        tch::manual_seed(0);
        for joined in [false, true] {
            let layer = Layer::new(8, by);
            let [x, shortcut] = [(); 2].map(|()| leaf([4, 8, 3, 3], Kind::Float, device));
            let y = layer.run(&x, joined.then_some(&shortcut), Activation::Relu).unwrap().remove(0);
            let shut = y.detach().eq(0.0);
            assert!(shut.any().int64_value(&[]) == 1 && shut.all().int64_value(&[]) == 0);
            let gradient = Tensor::ones_like(&y.detach()).masked_fill(&shut, f64::INFINITY);
            (y * gradient).sum(Kind::Float).backward();
            let [weight, bias, ..] = &layer.tensors;
            for found in [&x, weight, bias].into_iter().chain(joined.then_some(&shortcut)) {
                assert_eq!(found.grad().isfinite().all().int64_value(&[]), 1, "{found:?}, joined {joined}");
            }
        }
    }
}

#[test]
fn what_needs_no_gradient_has_none_on_cuda_too() {
    for by in By::all() {
        let device = by.device();
        let layer = Layer::new(8, by);
        let x = leaf([4, 8, 3, 3], Kind::Float, device);
        let run = |x: &Tensor, shortcut: Option<&Tensor>| layer.run(x, shortcut, Activation::Relu).unwrap().remove(0);
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
    for by in By::all() {
        let device = by.device();
        tch::manual_seed(0);
        let layer = Layer::new(8, by);
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
    let layer = Layer::new(64, By::Cuda(device));
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
    for by in By::all() {
        let device = by.device();
        let layer = Layer::new(8, by);
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
                let mut other = Layer::new(8, by);
                other.tensors[number] = wrong;
                let error = other.run(&x, None, Activation::Relu).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains("it is to be"), "{error}");
            }
        }
        let mut other = Layer::new(8, by);
        other.fused.counters = Tensor::zeros([4], (Kind::Int, device));
        assert!(other.run(&x, None, Activation::Relu).unwrap_err().to_string().contains("counters"));

        if by == By::Emulated {
            continue;
        }
        let refused = |x: &Tensor| layer.fused.train(x, layer.layer(), Activation::Relu).unwrap().is_none();
        assert!(refused(&x.to_kind(Kind::Double)) && refused(&x.reshape([36, 8])));
        assert!(layer.fused.train_joined(&x, &x.narrow(0, 0, 2), layer.layer()).unwrap().is_none());
        assert_eq!(layer.tensors[4].int64_value(&[]), 1, "what is refused changes nothing");
    }
}

#[test]
fn kernels_can_be_had_on_cuda_too() {
    let there = cfg!(target_os = "linux");
    assert_eq!(FusedNorm::new(8, Device::Cpu).unwrap().is_some(), there);
    assert_eq!(fused_norm_works(Device::Cpu, Kind::Float).is_ok(), there);
    assert!(fused_norm_works(Device::Cpu, Kind::BFloat16).is_err());
    let Some(device) = cuda() else { return };
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
