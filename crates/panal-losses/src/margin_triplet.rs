//! The margin triplet loss that SimCLR sets beside its own. Which negatives count is chosen in `negatives.rs`.

use tch::Tensor;

use crate::negatives::Triplets;
use crate::similarity::unit_rows;
use crate::{LossError, Negatives, checks};

/// Margin triplet loss over cosines, the mean over anchors:
///
/// `loss = (1 / 2N) Σᵤ mean over v⁻ of max(u·v⁻ - u·v⁺ + m, 0)`, with `m = margin`.
///
/// With [`Negatives::All`] that is the mean over all `2N (N - 1)` triplets, those that cost nothing included, of the
/// function in SimCLR's Table 2 (arXiv 2002.05709), with its sign turned. With [`Negatives::SemiHard`] an anchor has one
/// negative, or none: then it costs nothing, and the mean stays one over `2N`. A margin
/// of 0 makes every semi-hard negative free, so that nothing is learned.
///
/// As the squared distance of unit rows is `2 - 2 u·v`, FaceNet's margin (arXiv 1503.03832) is twice this one.
///
/// # Shapes
/// - `z`: `[2N, d]` f16, bf16, f32 or f64, `N >= 2`; rows `2k` and `2k + 1` are the two views of image `k`; rows of any
///   length, normalised here
/// - returns: a scalar from 0 to `2 + margin`, f64 for f64 embeddings, else f32
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Pairs`] for an odd number of rows or fewer than two
/// images; [`LossError::Margin`] unless `margin >= 0` and finite.
pub fn margin_triplet(z: &Tensor, negatives: Negatives, margin: f64) -> Result<Tensor, LossError> {
    checks::pairs(z)?;
    if !(margin >= 0.0 && margin.is_finite()) {
        return Err(LossError::Margin(margin));
    }
    let triplets = Triplets::of(&unit_rows(z)?, negatives)?;
    let terms = triplets.negative.f_sub(&triplets.positive)?.f_add_scalar(margin)?.f_relu()?;
    Ok(triplets.mean(&terms)?)
}
