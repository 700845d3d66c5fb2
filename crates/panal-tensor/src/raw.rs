//! Tensors from raw little-endian bytes and back, with every length checked. No file format here.

use tch::{Kind, TchError, Tensor};

#[cfg(target_endian = "big")]
compile_error!("weight files and libtorch's memory are read as little-endian here");

/// The bytes that `shape` elements of `kind` take; `None` for a negative length or an overflow.
pub(crate) fn byte_len(shape: &[i64], kind: Kind) -> Option<usize> {
    shape.iter().try_fold(kind.elt_size_in_bytes(), |bytes, &n| bytes.checked_mul(usize::try_from(n).ok()?))
}

/// A contiguous CPU tensor from its row-major bytes. A boolean is true for any byte but 0.
pub(crate) fn from_bytes(bytes: &[u8], shape: &[i64], kind: Kind) -> Result<Tensor, TchError> {
    // libtorch copies as many bytes as the shape says, whatever the slice holds.
    if byte_len(shape, kind) != Some(bytes.len()) {
        return Err(TchError::Shape(format!("shape {shape:?} of {kind:?} does not take {} bytes", bytes.len())));
    }
    if kind == Kind::Bool && bytes.iter().any(|&byte| byte > 1) {
        let truths: Vec<u8> = bytes.iter().map(|&byte| u8::from(byte != 0)).collect();
        return Tensor::f_from_data_size(&truths, shape, kind);
    }
    Tensor::f_from_data_size(bytes, shape, kind)
}

/// The elements of any tensor in row-major order of its shape, whatever its strides and device.
pub(crate) fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>, TchError> {
    let numel = tensor.numel();
    let mut bytes = vec![0; numel * tensor.f_kind()?.elt_size_in_bytes()];
    tch::no_grad(|| tensor.f_copy_data_u8(&mut bytes, numel))?;
    Ok(bytes)
}
