//! Putting values into a rectangle of an image.

use panal_data::transforms::{EraseParams, PixelBox};
use tch::{TchError, Tensor};

use crate::floats;

/// Writes what was drawn into image `at`, which costs a copy to the device.
///
/// # Shapes
/// - `images`: `[B, 3, H, W]` f32, normalised; changed in place
pub(crate) fn erase(images: &Tensor, at: i64, params: &EraseParams) -> Result<(), TchError> {
    let PixelBox { top, left, height, width } = params.area;
    let [top, left, height, width] = [top, left, height, width].map(i64::from);
    if height * width == 0 {
        return Ok(());
    }
    let shape = if params.values.len() == 3 { [1, 1, 3] } else { [height, width, 3] };
    let values = floats(&params.values, &shape, images.device())?.f_permute([2, 0, 1])?;
    images.f_select(0, at)?.f_narrow(1, top, height)?.f_narrow(2, left, width)?.f_copy_(&values)
}
