//! Weights and images that torchvision's side (tests/golden/networks.py) draws in the same way, and small helpers.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use panal_models::{Arch, Classifier, ModelSpec, Stem};
use panal_tensor::Weights;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use tch::{Device, Tensor};

pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Values in `[-1, 1)`: the stream of splitmix64 that starts at the name's FNV-1a hash.
pub(crate) fn uniforms(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let start = fnv1a(name);
    (1..=count as u64).map(move |i| {
        let mut z = start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 * 2f64.powi(-23) - 1.0
    })
}

/// `[N, 3, H, W]` of mean 0 and standard deviation 1.
pub(crate) fn images(shape: [i64; 4]) -> Tensor {
    let values: Vec<f32> =
        uniforms("images", shape.iter().product::<i64>() as usize).map(|u| (3f64.sqrt() * u) as f32).collect();
    Tensor::from_slice(&values).reshape(shape)
}

pub(crate) fn weights(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Weights {
    Weights { tensors: tensors.into_iter().collect(), metadata: Default::default(), source: "weights.pth".into() }
}

pub(crate) fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f32>::try_from(tensor.detach().contiguous().view([-1]))
        .expect("an f32 tensor on the CPU")
        .into_iter()
        .map(f64::from)
        .collect()
}

/// The largest difference, as a share of the largest expected magnitude where that is above 1.
pub(crate) fn distance(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(1f64, |scale, x| scale.max(x.abs()));
    let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale);
    differences.map(|d| if d.is_nan() { f64::INFINITY } else { d }).fold(0.0, f64::max)
}

/// A file of the mirror of real data; where there is none, says so and returns `None`.
pub(crate) fn mirrored(file: &str) -> Option<PathBuf> {
    let mirror = std::env::var_os("PANAL_MIRROR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mirror"), PathBuf::from);
    let path = mirror.join(file);
    if path.is_file() {
        return Some(path);
    }
    // Not by println! or eprintln!, whose words the test runner keeps back.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no {}; set PANAL_MIRROR to a folder that has it", path.display());
    None
}

/// Classes of the golden networks.
pub(crate) const CLASSES: usize = 5;

/// What networks.py wrote, in the order of [`Arch`].
pub(crate) static NETWORKS: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../golden/networks.json")).expect("the golden file is JSON"));

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().filter_map(Value::as_f64).collect()
}

/// About which value a batch norm's weights lie; as in networks.py.
fn gamma(arch: Arch, name: &str) -> f64 {
    let last = match arch {
        Arch::Resnet18 | Arch::Resnet34 | Arch::Resnet10W24 => ".bn2.weight",
        _ => ".bn3.weight",
    };
    match arch.name() {
        resnet if resnet.contains("resne") => {
            if name.ends_with(last) {
                0.2
            } else {
                1.0
            }
        }
        _ => 0.8,
    }
}

/// The weights that networks.py draws, `squares` being the mean square of each norm's input.
fn seeded(arch: Arch, name: &str, shape: &[i64], squares: &dyn Fn(&str) -> f64) -> Tensor {
    let count = shape.iter().product::<i64>() as usize;
    let (owner, leaf) = name.rsplit_once('.').expect("every name has a dot");
    let (offset, scale) = match leaf {
        "num_batches_tracked" => return Tensor::from(0i64),
        "running_mean" => (0.0, 0.1 * squares(owner).sqrt()),
        "running_var" => (squares(owner), 0.5 * squares(owner)),
        "bias" => (0.0, 0.1),
        _ if shape.len() == 1 => (gamma(arch, name), 0.2 * gamma(arch, name)),
        _ => {
            let fan_in: i64 = shape[1..].iter().product();
            (0.0, ((if shape.len() == 4 { 6.0 } else { 3.0 }) / fan_in as f64).sqrt())
        }
    };
    let values: Vec<f32> = uniforms(name, count).map(|u| (offset + scale * u) as f32).collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// The network with the golden weights; dropout and stochastic depth off.
pub(crate) fn network(arch: Arch, stem: Stem, golden: &Value) -> Classifier {
    let stochastic_depth = arch.default_stochastic_depth().map(|_| 0.0);
    let spec = ModelSpec { dropout: Some(0.0), stochastic_depth, ..ModelSpec::new(arch, CLASSES).with_stem(stem) };
    let mut network = Classifier::new(&spec, Device::Cpu, 0).expect("a valid spec");
    let norms = golden["norms"].as_array().expect("an array");
    let squares = |owner: &str| {
        let norm = norms.iter().find(|norm| norm[0] == owner).unwrap_or_else(|| panic!("no golden norm {owner}"));
        norm[1].as_f64().expect("a number")
    };
    let drawn: Vec<_> = network
        .store()
        .iter()
        .map(|(name, tensor, _)| (name.to_owned(), seeded(arch, name, &tensor.size(), &squares)))
        .collect();
    network.load_exact(&weights(drawn)).expect("every name and shape comes from the network itself");
    network
}
