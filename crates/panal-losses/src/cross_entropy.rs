//! Softmax cross entropy against integer labels, with label smoothing. Losses against other kinds of target do not live here.

use tch::{Device, Kind, Reduction, Tensor};

use crate::LossError;

/// Torch leaves out rows with this label; [`check_labels`] admits no label below zero, so none is left out.
pub(crate) const IGNORED_LABEL: i64 = -100;

/// Softmax cross entropy with label smoothing, the mean over the rows:
///
/// `loss = -(1 / N) Σᵢ Σ꜀ qᵢ꜀ · log softmax(logitsᵢ)꜀`, with `qᵢ꜀ = (1 - s) · [c = labelsᵢ] + s / C`
/// and `s = label_smoothing`.
///
/// The same as `torch.nn.functional.cross_entropy(logits, labels, label_smoothing=s)`. Smoothing is that of
/// "Rethinking the Inception Architecture for Computer Vision" (arXiv 1512.00567).
///
/// Labels on the CPU are checked here. Labels on another device are not, for looking at them would make each step wait
/// for the device: run [`check_labels`] once, when the data are opened. A label that is out of range there stops a CUDA
/// program with a device-side assertion.
///
/// # Shapes
/// - `logits`: `[N, C]`, any real values
/// - `labels`: `[N]` i64, each in `0..C`, on the device of the logits
/// - returns: a scalar >= 0 of the kind of the logits, in nats
///
/// # Errors
/// [`LossError::Logits`], [`LossError::Labels`] for a wrong shape or kind, or no rows at all; [`LossError::Label`] for a
/// label out of range on the CPU; [`LossError::LabelSmoothing`] unless `0 <= label_smoothing <= 1`.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, label_smoothing: f64) -> Result<Tensor, LossError> {
    let (rows, classes) = match logits.size()[..] {
        [rows, classes] if rows > 0 && classes > 0 => (rows, classes),
        _ => return Err(LossError::Logits { got: logits.size() }),
    };
    if labels.size() != [rows] || labels.kind() != Kind::Int64 {
        return Err(LossError::Labels { rows, got: labels.size(), kind: labels.kind() });
    }
    if !(0.0..=1.0).contains(&label_smoothing) {
        return Err(LossError::LabelSmoothing(label_smoothing));
    }
    if labels.device() == Device::Cpu {
        check_labels(&Vec::<i64>::try_from(labels)?, classes)?;
    }
    Ok(logits.f_cross_entropy_loss::<&Tensor>(labels, None, Reduction::Mean, IGNORED_LABEL, label_smoothing)?)
}

/// Every label is one of `0..classes`; to be asked once of a whole data set, before any of it goes to a device.
///
/// # Errors
/// [`LossError::Label`] for the first label that is not.
pub fn check_labels(labels: &[i64], classes: i64) -> Result<(), LossError> {
    match labels.iter().position(|label| !(0..classes).contains(label)) {
        Some(position) => Err(LossError::Label { position, value: labels[position], classes }),
        None => Ok(()),
    }
}
