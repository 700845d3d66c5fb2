//! Batches of pixels and labels into tensors. Decoding and augmentation are panal-data's.

use panal_data::{Batch, PixelBuffer, Pixels};
use tch::{Device, Kind, TchError, Tensor};

use crate::error::{Doing, TensorError};

/// Channels of an image: red, green, blue.
const CHANNELS: usize = 3;

/// Memory for the batches of a loader that becomes a tensor on the CPU without a copy: for
/// [`Loader::writing_to`](panal_data::Loader::writing_to). Where libtorch has none, it is a vector's.
#[must_use]
pub fn tensor_pixels(length: usize) -> Pixels {
    let values =
        i64::try_from(length).ok().and_then(|length| Tensor::f_empty([length], (Kind::Float, Device::Cpu)).ok());
    values.map_or_else(|| vec![0.0; length].into(), |values| Pixels::new(TensorPixels(values)))
}

/// A contiguous f32 tensor on the CPU of which nobody else has a handle.
struct TensorPixels(Tensor);

#[allow(unsafe_code)]
impl PixelBuffer for TensorPixels {
    fn values(&self) -> &[f32] {
        // SAFETY: the tensor's memory is as long as it says, f32 and aligned; no value is read before it was written, but
        // any bits are an f32; and while it lies in here nothing but these two methods gives access to it.
        unsafe { std::slice::from_raw_parts(self.0.data_ptr().cast(), self.0.numel()) }
    }

    fn values_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.data_ptr().cast(), self.0.numel()) }
    }
}

/// A batch as a network takes it. On the CPU the pixels are not copied if a loader wrote them to [`tensor_pixels`].
///
/// # Shapes
/// - returns: images `[N * views, 3, height, width]` f32 with channels-last strides and classes `[N]` i64, on `device`
///
/// # Errors
/// As [`pixels_to_tensor`].
pub fn batch_to_tensors(batch: Batch, device: Device) -> Result<(Tensor, Tensor), TensorError> {
    let Batch { pixels, views, height, width, labels, .. } = batch;
    let shape = [labels.len() * views, height, width];
    let images = match pixels.into_buffer() {
        Ok(TensorPixels(values)) => images_of(&values, shape, device),
        Err(pixels) => pixels_to_tensor(&pixels, shape, device),
    };
    Ok((images?, labels_to_tensor(&labels, device)?))
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
    let values = Tensor::f_from_slice(pixels).doing("make a tensor of pixels")?;
    images_of(&values, shape, device)
}

/// `[n * h * w * 3]` values in the order NHWC as a tensor that is indexed as `[n, 3, h, w]`.
fn images_of(values: &Tensor, shape: [usize; 3], device: Device) -> Result<Tensor, TensorError> {
    let [n, h, w] = shape;
    let nhwc = [n as i64, h as i64, w as i64, CHANNELS as i64];
    let expected = shape.iter().try_fold(CHANNELS, |product, &len| product.checked_mul(len));
    if expected != Some(values.numel()) {
        return Err(TensorError::Length {
            what: "a batch of images".to_owned(),
            shape: nhwc.to_vec(),
            expected: expected.map_or_else(|| "too many".to_owned(), |count| count.to_string()),
            got: values.numel(),
        });
    }
    let sent = values.f_view(nhwc).and_then(|images| to_device(&images, device));
    sent.and_then(|images| images.f_permute([0, 3, 1, 2]))
        .doing(format_args!("put {n} images of {h} x {w} pixels on {}", crate::device_name(device)))
}

/// A tensor on `device`; where it is there already, the same tensor. From the CPU to a CUDA device it goes by page-locked memory and in
/// the order of that device's work: the caller goes on at once, and what is computed there later waits for it.
///
/// # Errors
/// libtorch's, where the device fails.
pub fn to_device(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    match device {
        // `f_pin_memory` does the same, and warns on standard error of the argument that tch has to give it.
        Device::Cuda(_) if tensor.device() == Device::Cpu => {
            tensor.f_internal_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false)
        }
        _ => tensor.f_to(device),
    }
}

/// Class indices into a tensor `[n]` i64 on `device`.
///
/// # Errors
/// [`TensorError::Torch`] where the device fails.
pub fn labels_to_tensor(labels: &[i64], device: Device) -> Result<Tensor, TensorError> {
    Tensor::f_from_slice(labels).and_then(|labels| to_device(&labels, device)).doing(format_args!(
        "put {} labels on {}",
        labels.len(),
        crate::device_name(device)
    ))
}
