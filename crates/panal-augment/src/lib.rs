//! Augmentation as batched tensor operations on the device, with the draws of panal-data's loader. No drawing of its own, no
//! decoding, no network.
#![doc = include_str!("../README.md")]

mod augmenter;
mod bank;
mod blur;
mod color;
mod erase;
mod error;
mod resample;
mod support;

pub use augmenter::Augmenter;
pub use bank::ImageBank;
pub use error::AugmentError;

use panal_tensor::to_device;
use tch::{Device, Kind, TchError, Tensor};

/// Floats as a tensor of `shape` on `device`.
fn floats(values: &[f32], shape: &[i64], device: Device) -> Result<Tensor, TchError> {
    to_device(&Tensor::f_from_slice(values)?.f_view(shape)?, device)
}

/// Indices as a tensor `[n]` i64 on `device`.
fn places(values: &[i64], device: Device) -> Result<Tensor, TchError> {
    to_device(&Tensor::f_from_slice(values)?, device)
}

/// `[count]` f32: 0, 1, 2 ...
fn counted(count: i64, device: Device) -> Result<Tensor, TchError> {
    Tensor::f_arange(count, (Kind::Float, device))
}

/// The length of each axis of `[N, C, H, W]`.
fn four(images: &Tensor) -> Result<[i64; 4], TchError> {
    Ok(images.size4()?.into())
}

/// `images`, which nobody else has a handle of, with the samples at `at` as `change` makes them: `[m, C, H, W]` to the same.
fn change_some(
    mut images: Tensor,
    at: &[i64],
    change: impl FnOnce(&Tensor) -> Result<Tensor, TchError>,
) -> Result<Tensor, TchError> {
    if at.is_empty() {
        return Ok(images);
    }
    let at = places(at, images.device())?;
    let changed = change(&images.f_index_select(0, &at)?)?;
    images.f_index_copy_(0, &at, &changed)
}
