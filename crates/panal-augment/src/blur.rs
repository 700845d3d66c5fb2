//! Gaussian blur with a width of its own for every image.

use panal_data::transforms::{KernelSize, PadMode};
use tch::{Device, Kind, TchError, Tensor};

use crate::resample::product;
use crate::{counted, floats, four, places};

/// Every image blurred by its own Gaussian, cut off at the kernel's size; beyond the border it is mirrored at the centre of
/// the outermost pixels. As two matrix products: at 224 pixels ten times the sums of a convolution, and at the device's full
/// speed, which a convolution with a kernel of its own for every image does not reach.
///
/// # Shapes
/// - `images`: `[m, 3, H, W]` f32
/// - `sigmas`: m standard deviations in pixels
/// - returns: `[m, 3, H, W]` f32
pub(crate) fn blur(images: &Tensor, sigmas: &[f64], size: KernelSize) -> Result<Tensor, TchError> {
    let device = images.device();
    let [_, _, height, width] = four(images)?;
    let [across, down] = size.across_down();
    let bordered =
        images.f_index_select(2, &border(height, down, device)?)?.f_index_select(3, &border(width, across, device)?)?;
    product(&bordered, &band(sigmas, height, down, device)?, &band(sigmas, width, across, device)?, None)
}

/// The pixels of an axis with the mirrored border that a kernel of `size` needs: `[length + size - 1]` i64.
fn border(length: i64, size: u32, device: Device) -> Result<Tensor, TchError> {
    let reach = i64::from(size / 2);
    let source = |place| PadMode::Reflect.source(place, length as u32).map(i64::from);
    places(&(-reach..length + reach).filter_map(source).collect::<Vec<_>>(), device)
}

/// For every sigma the matrix that takes a bordered axis to the blurred one: `[m, length, length + size - 1]`, in row `i` the
/// kernel from column `i` on.
fn band(sigmas: &[f64], length: i64, size: u32, device: Device) -> Result<Tensor, TchError> {
    let (m, size) = (sigmas.len() as i64, i64::from(size));
    let sigmas: Vec<f32> = sigmas.iter().map(|&sigma| sigma as f32).collect();
    let distances = counted(size, device)?.f_sub_scalar((size - 1) as f64 / 2.0)?.f_view([1, size])?;
    let kernels = distances.f_div(&floats(&sigmas, &[m, 1], device)?)?.f_square()?.f_mul_scalar(-0.5)?.f_exp()?;
    let kernels = kernels.f_div(&kernels.f_sum_dim_intlist(1, true, Kind::Float)?)?;
    // A last column of zeros, for what the kernel does not reach.
    let kernels = Tensor::f_cat(&[kernels, Tensor::f_zeros([m, 1], (Kind::Float, device))?], 1)?;

    let line = |count: i64| Tensor::f_arange(count, (Kind::Int64, device));
    let bordered = length + size - 1;
    let ahead = line(bordered)?.f_view([1, bordered])?.f_sub(&line(length)?.f_view([length, 1])?)?;
    let ahead = ahead.f_masked_fill(&ahead.f_lt(0)?, size)?.f_clamp_max_(size)?;
    kernels.f_index_select(1, &ahead.f_view([-1])?)?.f_view([m, length, bordered])
}
