//! What the losses over embeddings ask of their arguments. Values that are not numbers are let through: whoever trains watches the loss.

use tch::{Device, Kind, Tensor};

use crate::LossError;

/// Rows and columns of a matrix of floating point numbers.
pub(crate) fn embeddings(name: &'static str, tensor: &Tensor) -> Result<(i64, i64), LossError> {
    let (got, kind) = (tensor.size(), tensor.kind());
    match got[..] {
        [rows, width]
            if rows > 0 && width > 0 && matches!(kind, Kind::Half | Kind::BFloat16 | Kind::Float | Kind::Double) =>
        {
            Ok((rows, width))
        }
        _ => Err(LossError::Embeddings { name, got, kind }),
    }
}

/// Rows and columns of `z`, whose rows `2k` and `2k + 1` are the two views of image `k`.
pub(crate) fn pairs(z: &Tensor) -> Result<(i64, i64), LossError> {
    let (rows, width) = embeddings("z", z)?;
    if rows < 4 || rows % 2 != 0 {
        return Err(LossError::Pairs { rows });
    }
    Ok((rows, width))
}

pub(crate) fn temperature(temperature: f64) -> Result<(), LossError> {
    if temperature > 0.0 && temperature.is_finite() { Ok(()) } else { Err(LossError::Temperature(temperature)) }
}

pub(crate) fn width(name: &'static str, got: i64, expected: i64) -> Result<(), LossError> {
    if got == expected { Ok(()) } else { Err(LossError::Width { name, expected, got }) }
}

pub(crate) fn device(name: &'static str, got: Device, expected: Device) -> Result<(), LossError> {
    if got == expected { Ok(()) } else { Err(LossError::Device { name, expected, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Here and not in `tests/`: a second device is not everywhere to be had.
    #[test]
    fn another_device_is_refused() {
        assert!(device("queue", Device::Cuda(0), Device::Cuda(0)).is_ok());
        let error = device("queue", Device::Cpu, Device::Cuda(1)).unwrap_err();
        assert_eq!(error.to_string(), "queue must be on Cuda(1) as the other arguments are, got Cpu");
    }
}
