//! NT-Logistic, the logistic loss that SimCLR sets beside its own. Which negatives count is chosen in `negatives.rs`.

use tch::Tensor;

use crate::negatives::Triplets;
use crate::similarity::unit_rows;
use crate::{LossError, Negatives, checks};

/// NT-Logistic: normalised temperature-scaled logistic loss, the mean over anchors:
///
/// `loss = -(1 / 2N) Σᵤ ( log σ(u·v⁺ / τ) + mean over v⁻ of log σ(-u·v⁻ / τ) )`, with `σ(x) = 1 / (1 + exp(-x))` and
/// `τ = temperature`.
///
/// With [`Negatives::All`] that is the mean over all `2N (N - 1)` triplets of the function in SimCLR's Table 2 (arXiv
/// 2002.05709), with its sign turned. With [`Negatives::SemiHard`] an anchor has one negative, or none: then only its
/// positive counts, and the mean stays one over `2N`.
///
/// # Shapes
/// - `z`: `[2N, d]` f16, bf16, f32 or f64, `N >= 2`; rows `2k` and `2k + 1` are the two views of image `k`; rows of any
///   length, normalised here
/// - returns: a scalar >= 0 in nats, f64 for f64 embeddings, else f32
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Pairs`] for an odd number of rows or fewer than two
/// images; [`LossError::Temperature`] unless `temperature > 0` and finite.
pub fn nt_logistic(z: &Tensor, negatives: Negatives, temperature: f64) -> Result<Tensor, LossError> {
    checks::pairs(z)?;
    checks::temperature(temperature)?;
    let triplets = Triplets::of(&unit_rows(z)?, negatives)?;
    let positive = triplets.positive.f_div_scalar(temperature)?.f_log_sigmoid()?;
    let negative = triplets.negative.f_div_scalar(-temperature)?.f_log_sigmoid()?;
    Ok(positive.f_mean(positive.kind())?.f_add(&triplets.mean(&negative)?)?.f_neg()?)
}
