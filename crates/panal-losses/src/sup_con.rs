//! The supervised contrastive loss. Contrast between the views of one image, without labels, lives in `nt_xent.rs`.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use crate::similarity::unit_rows;
use crate::{LossError, checks};

/// Supervised contrastive loss, the mean over the rows:
///
/// `loss = -(1 / M) Σᵢ (1 / |P(i)|) Σₚ log( exp(uᵢ·uₚ / τ) / Σⱼ≠ᵢ exp(uᵢ·uⱼ / τ) )`, the inner sum over `p` in `P(i)`, the
/// other rows with the label of row `i`; `u` are the rows at length 1, and `τ = temperature`.
///
/// `L_out`, equation 2 of "Supervised Contrastive Learning" (arXiv 2004.11362), over `M`: the paper sums over the rows.
/// Where the label of a row is the number of its image, it is [`nt_xent`](crate::nt_xent).
///
/// Labels on the CPU are checked here. Labels on another device are not, for looking at them would make each step wait for
/// the device: there a row without a positive makes the loss NaN. [`check_positives`] asks beforehand; two views of each
/// image are always enough.
///
/// # Shapes
/// - `z`: `[M, d]` f16, bf16, f32 or f64; rows of any length, normalised here, in any order
/// - `labels`: `[M]` i64, any values, on the device of `z`
/// - returns: a scalar >= 0 in nats, f64 for f64 embeddings, else f32
///
/// # Errors
/// [`LossError::Embeddings`], [`LossError::Labels`] for a wrong shape or kind; [`LossError::Device`] for labels elsewhere
/// than `z`; [`LossError::NoPositive`] for a row on the CPU whose label no other row has; [`LossError::Temperature`]
/// unless `temperature > 0` and finite.
pub fn sup_con(z: &Tensor, labels: &Tensor, temperature: f64) -> Result<Tensor, LossError> {
    let (rows, _) = checks::embeddings("z", z)?;
    if labels.size() != [rows] || labels.kind() != Kind::Int64 {
        return Err(LossError::Labels { rows, got: labels.size(), kind: labels.kind() });
    }
    checks::device("labels", labels.device(), z.device())?;
    checks::temperature(temperature)?;
    if labels.device() == Device::Cpu {
        check_positives(&Vec::<i64>::try_from(labels)?)?;
    }
    let u = unit_rows(z)?;
    let logits = u.f_mm(&u.f_transpose(0, 1)?)?.f_div_scalar(temperature)?;
    let itself = Tensor::f_eye(rows, (Kind::Bool, z.device()))?;
    let alike = labels.f_unsqueeze(1)?.f_eq_tensor(&labels.f_unsqueeze(0)?)?;
    let positive = alike.f_logical_and(&itself.f_logical_not()?)?.f_to_kind(u.kind())?;
    let sum = |tensor: &Tensor| tensor.f_sum_dim_intlist(&[1_i64][..], false, u.kind());
    let mean = sum(&logits.f_mul(&positive)?)?.f_div(&sum(&positive)?)?;
    let logsumexp = logits.f_masked_fill(&itself, f64::NEG_INFINITY)?.f_logsumexp([1_i64], false)?;
    Ok(logsumexp.f_sub(&mean)?.f_mean(u.kind())?)
}

/// Every row has a positive: another row with its label. To be asked of a batch whose labels lie on a device.
///
/// # Errors
/// [`LossError::NoPositive`] for the first row that has none.
pub fn check_positives(labels: &[i64]) -> Result<(), LossError> {
    let mut count = HashMap::new();
    for label in labels {
        *count.entry(label).or_insert(0) += 1;
    }
    match labels.iter().position(|label| count[label] < 2) {
        Some(row) => Err(LossError::NoPositive { row, label: labels[row] }),
        None => Ok(()),
    }
}
