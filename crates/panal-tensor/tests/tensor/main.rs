//! Tests of the crate's public face, one module for each part. Helpers that several modules share are here.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests as well as the tests themselves; one that skips says so

mod device;
mod graph;
mod hostile;
mod images;
mod store;
mod weights;
mod write;

use std::path::PathBuf;

use tch::Tensor;

/// A fixture made by `tests/golden/generate.py`.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The elements in row-major order, bit by bit.
fn bytes(tensor: &Tensor) -> Vec<u8> {
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tch::no_grad(|| tensor.copy_data_u8(&mut bytes, tensor.numel()));
    bytes
}

/// The bits of an f32 tensor's elements, row-major; NaN compares equal to itself.
fn bits(tensor: &Tensor) -> Vec<u32> {
    bytes(tensor).chunks_exact(4).map(|four| u32::from_le_bytes(four.try_into().unwrap())).collect()
}
