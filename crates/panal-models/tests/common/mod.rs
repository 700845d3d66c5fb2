//! Weights and images that torchvision's side (tests/golden/networks.py) draws in the same way, and small helpers.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};

use panal_tensor::Weights;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tch::Tensor;

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
