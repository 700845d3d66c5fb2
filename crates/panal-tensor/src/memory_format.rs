//! Channels-last strides for 4-d tensors, which tch has no argument for. No decision here about who wants them.

use tch::Tensor;

use crate::error::{Doing, TensorError};

/// The same values with channels-last strides; gradients flow through it.
///
/// # Shapes
/// - `tensor`: `[N, C, H, W]`, any strides; anything that is not 4-d comes back as it is
/// - returns: `[N, C, H, W]`, laid out in memory as NHWC; shares memory with `tensor` where that is so laid out already
///
/// # Errors
/// [`TensorError::Torch`], in practice only for lack of memory.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor, TensorError> {
    if tensor.dim() != 4 {
        return Ok(tensor.shallow_clone());
    }
    tensor
        .f_permute([0, 2, 3, 1])
        .and_then(|nhwc| nhwc.f_contiguous())
        .and_then(|nhwc| nhwc.f_permute([0, 3, 1, 2]))
        .doing("lay a tensor out as channels-last")
}

/// True for a 4-d tensor laid out in memory as NHWC. With one channel or one pixel both layouts are the same memory, and
/// the answer is true as well.
#[must_use]
pub fn is_channels_last(tensor: &Tensor) -> bool {
    let (Ok([n, c, h, w]), Ok(strides)) = (<[i64; 4]>::try_from(tensor.size()), <[i64; 4]>::try_from(tensor.stride()))
    else {
        return false;
    };
    // The stride of an axis of length 1 is never used.
    let want = [h * w * c, 1, w * c, c];
    [n, c, h, w].iter().zip(strides).zip(want).all(|((&len, got), want)| len <= 1 || got == want)
}
