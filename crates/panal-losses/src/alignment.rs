//! Alignment: how far apart the two views of an image lie. How evenly all images lie is `uniformity.rs`.

use tch::{Kind, Tensor};

use crate::similarity::{unit_rows, views};
use crate::{LossError, checks};

/// Alignment with `α = 2`, the mean squared distance of the two views of an image on the unit sphere:
///
/// `alignment = (1 / N) Σₖ ‖u₂ₖ - u₂ₖ₊₁‖²`.
///
/// "Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere" (arXiv
/// 2005.10242), section 4.1.1. No gradient: it is measured here, not minimised.
///
/// # Shapes
/// - `z`: `[2N, d]` f16, bf16, f32 or f64, `N >= 2`; rows `2k` and `2k + 1` are the two views of image `k`; rows of any
///   length, normalised here
/// - returns: from 0 to 4; lower is closer
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Pairs`] for an odd number of rows or fewer than two
/// images.
pub fn alignment(z: &Tensor) -> Result<f64, LossError> {
    checks::pairs(z)?;
    let _guard = tch::no_grad_guard();
    let (first, second) = views(&unit_rows(z)?)?;
    let squared = first.f_sub(&second)?.f_square()?.f_sum_dim_intlist(&[1_i64][..], false, Kind::Double)?;
    Ok(squared.f_mean(Kind::Double)?.f_double_value(&[])?)
}
