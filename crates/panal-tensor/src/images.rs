//! Batches of pixels and labels into tensors. Decoding and augmentation are panal-data's.

use panal_data::{Batch, PixelBuffer, Pixels};
use tch::{Device, Kind, TchError, Tensor};

use crate::cuda::page_locked;
use crate::error::{Doing, TensorError};

/// Channels of an image: red, green, blue.
const CHANNELS: usize = 3;

/// What makes memory for the batches of a loader that go to `device`, for [`Loader::writing_to`](panal_data::Loader::writing_to): on the CPU
/// a batch becomes a tensor without a copy, to a CUDA device it goes straight from page-locked memory. Where there is none of either, the
/// memory is a vector's.
#[must_use]
pub fn pixels_for(device: Device) -> fn(usize) -> Pixels {
    match device {
        Device::Cuda(_) => |length| TensorPixels::page_locked(length).unwrap_or_else(|| TensorPixels::pageable(length)),
        _ => TensorPixels::pageable,
    }
}

/// A contiguous f32 tensor on the CPU of which nobody else has a handle.
struct TensorPixels {
    values: Tensor,
    page_locked: bool,
}

impl TensorPixels {
    fn pageable(length: usize) -> Pixels {
        let values =
            i64::try_from(length).ok().and_then(|length| Tensor::f_empty([length], (Kind::Float, Device::Cpu)).ok());
        let pixels = |values| Pixels::new(Self { values, page_locked: false });
        values.map_or_else(|| vec![0.0; length].into(), pixels)
    }

    fn page_locked(length: usize) -> Option<Pixels> {
        Some(Pixels::new(Self { values: page_locked(length).ok()?, page_locked: true }))
    }
}

#[allow(unsafe_code)]
impl PixelBuffer for TensorPixels {
    fn values(&self) -> &[f32] {
        // SAFETY: the tensor's memory is as long as it says, f32 and aligned; no value is read before it was written, but
        // any bits are an f32; and while it lies in here nothing but these two methods gives access to it.
        unsafe { std::slice::from_raw_parts(self.values.data_ptr().cast(), self.values.numel()) }
    }

    fn values_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.values.data_ptr().cast(), self.values.numel()) }
    }
}

/// A batch as a network takes it. The pixels are not copied on the CPU if a loader wrote them to memory that is
/// [for it](pixels_for).
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
        Ok(TensorPixels { values, page_locked: true }) if device != Device::Cpu => {
            images_of(&values, shape, device, send)
        }
        Ok(TensorPixels { values, .. }) => images_of(&values, shape, device, to_device),
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
    images_of(&values, shape, device, to_device)
}

/// `[n * h * w * 3]` values in the order NHWC as a tensor that is indexed as `[n, 3, h, w]`, brought to the device in this way.
fn images_of(
    values: &Tensor,
    shape: [usize; 3],
    device: Device,
    bring: fn(&Tensor, Device) -> Result<Tensor, TchError>,
) -> Result<Tensor, TensorError> {
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
    let sent = values.f_view(nhwc).and_then(|images| bring(&images, device));
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
        Device::Cuda(_) if tensor.device() == Device::Cpu => send(&tensor.f_internal_pin_memory(device)?, device),
        _ => tensor.f_to(device),
    }
}

/// A tensor in page-locked memory, sent without waiting for its arrival.
fn send(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    tensor.f_to_device_(device, tensor.kind(), true, false)
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
