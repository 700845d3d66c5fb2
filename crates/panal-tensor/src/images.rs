//! Batches of pixels and labels into tensors. Decoding and augmentation are panal-data's.

use panal_data::Batch;
use tch::{Device, Tensor};

use crate::error::{Doing, TensorError};

/// Channels of an image: red, green, blue.
const CHANNELS: usize = 3;

/// The images of a batch as the tensor that a network takes: `[N, 3, height, width]` f32 with channels-last strides.
///
/// # Errors
/// As [`pixels_to_tensor`].
pub fn images_to_tensor(batch: &Batch, device: Device) -> Result<Tensor, TensorError> {
    pixels_to_tensor(&batch.pixels, [batch.labels.len(), batch.height, batch.width], device)
}

/// Pixels into the tensor that a network takes; on the CPU they are copied once.
///
/// # Shapes
/// - `pixels`: `n * h * w * 3` values, image by image, row by row, red, green, blue (NHWC), normalised
/// - `shape`: `[n, h, w]`
/// - returns: `[n, 3, h, w]` f32 with channels-last strides, on `device`
///
/// # Errors
/// [`TensorError::Length`] where buffer and shape disagree; [`TensorError::Torch`] where the device fails.
pub fn pixels_to_tensor(pixels: &[f32], shape: [usize; 3], device: Device) -> Result<Tensor, TensorError> {
    let [n, h, w] = shape;
    let nhwc = [n as i64, h as i64, w as i64, CHANNELS as i64];
    let expected = shape.iter().try_fold(CHANNELS, |product, &len| product.checked_mul(len));
    if expected != Some(pixels.len()) {
        return Err(TensorError::Length {
            what: "a batch of images".to_owned(),
            shape: nhwc.to_vec(),
            expected: expected.map_or_else(|| "too many".to_owned(), |count| count.to_string()),
            got: pixels.len(),
        });
    }
    Tensor::f_from_slice(pixels)
        .and_then(|flat| flat.f_view(nhwc))
        .and_then(|images| images.f_to(device))
        .and_then(|images| images.f_permute([0, 3, 1, 2]))
        .doing(format_args!("put {n} images of {h} x {w} pixels on {}", crate::device_name(device)))
}

/// Class indices into a tensor `[n]` i64 on `device`.
///
/// # Errors
/// [`TensorError::Torch`] where the device fails.
pub fn labels_to_tensor(labels: &[i64], device: Device) -> Result<Tensor, TensorError> {
    Tensor::f_from_slice(labels).and_then(|labels| labels.f_to(device)).doing(format_args!(
        "put {} labels on {}",
        labels.len(),
        crate::device_name(device)
    ))
}
