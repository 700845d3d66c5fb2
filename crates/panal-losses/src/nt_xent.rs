//! NT-Xent, SimCLR's loss, over the whole matrix of similarities. The same loss for batches whose matrix has no room lives in
//! `nt_xent_tiled.rs`.

use tch::{Kind, Reduction, Tensor};

use crate::cross_entropy::IGNORED_LABEL;
use crate::{LossError, Similarity, checks};

/// NT-Xent: normalised temperature-scaled cross entropy, the mean over all `2N` ordered positive pairs:
///
/// `loss = -(1 / 2N) Σᵢ log( exp(sᵢₚ₍ᵢ₎ / τ) / Σⱼ≠ᵢ exp(sᵢⱼ / τ) )`, with `sᵢⱼ` the cosine of rows `i` and `j`, `p(i)` the
/// other view of the image of row `i`, and `τ = temperature`.
///
/// "A Simple Framework for Contrastive Learning of Visual Representations" (arXiv 2002.05709), equation 1 and Algorithm 1.
///
/// Half-precision embeddings are raised to f32 first: a temperature of 0.05 is safe, but inside [`tch::autocast`], which would take
/// the matrix product down again.
///
/// # Shapes
/// - `z`: `[2N, d]` f16, bf16, f32 or f64, `N >= 2`; rows `2k` and `2k + 1` are the two views of image `k`; rows of any
///   length, normalised here
/// - returns: a scalar >= 0 in nats, f64 for f64 embeddings, else f32
///
/// Holds the `2N × 2N` matrix a few times; see [`nt_xent_tiled`](crate::nt_xent_tiled) where that is too much.
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Pairs`] for an odd number of rows or fewer than two
/// images; [`LossError::Temperature`] unless `temperature > 0` and finite.
pub fn nt_xent(z: &Tensor, temperature: f64) -> Result<Tensor, LossError> {
    nt_xent_with(z, Similarity::Cosine, temperature)
}

/// [`nt_xent`] with a similarity of your choice: SimCLR's Table 5 sets the cosine beside plain dot products.
///
/// # Shapes
/// Those of [`nt_xent`]; with [`Similarity::Dot`] the length of a row counts.
///
/// # Errors
/// Those of [`nt_xent`].
pub fn nt_xent_with(z: &Tensor, similarity: Similarity, temperature: f64) -> Result<Tensor, LossError> {
    let (rows, _) = checks::pairs(z)?;
    checks::temperature(temperature)?;
    let u = similarity.rows(z)?;
    let itself = Tensor::f_eye(rows, (Kind::Bool, z.device()))?;
    let logits = u.f_mm(&u.f_transpose(0, 1)?)?.f_div_scalar(temperature)?;
    let logits = logits.f_masked_fill(&itself, f64::NEG_INFINITY)?;
    let partner = Tensor::f_arange(rows, (Kind::Int64, z.device()))?.f_bitwise_xor(1)?;
    Ok(logits.f_cross_entropy_loss::<&Tensor>(&partner, None, Reduction::Mean, IGNORED_LABEL, 0.0)?)
}
