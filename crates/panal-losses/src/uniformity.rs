//! Uniformity: how evenly embeddings lie on the sphere. How far apart the views of an image lie is `alignment.rs`.

use tch::{Kind, Tensor};

use crate::blocks::{ENTRIES, blocks};
use crate::similarity::{unit_rows, views};
use crate::{LossError, checks};

/// The paper's `t`.
const SHARPNESS: f64 = 2.0;

/// Uniformity with `t = 2`: the logarithm of the mean Gaussian potential over the pairs of images,
///
/// `uniformity = log( mean over k ≠ l of exp(-2 ‖uₖ - uₗ‖²) )`,
///
/// taken among the first views, and among the second views, and of these two numbers the mean.
///
/// "Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere" (arXiv
/// 2005.10242), section 4.1.2; one view of an image at a time, as in its authors' code, so that views of one image are no pair.
/// No gradient: it is measured here, not minimised. Distances are held in blocks of at most 2²².
///
/// # Shapes
/// - `z`: `[2N, d]` f16, bf16, f32 or f64, `N >= 2`; rows `2k` and `2k + 1` are the two views of image `k`; rows of any
///   length, normalised here
/// - returns: from -8 to 0; lower is more even, 0 is all in one place
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Pairs`] for an odd number of rows or fewer than two
/// images.
pub fn uniformity(z: &Tensor) -> Result<f64, LossError> {
    checks::pairs(z)?;
    let _guard = tch::no_grad_guard();
    let (first, second) = views(&unit_rows(z)?)?;
    Ok(0.5 * (potential(&first)?.ln() + potential(&second)?.ln()))
}

/// The mean of `exp(-t ‖uᵢ - uⱼ‖²)` over the pairs of different rows.
fn potential(u: &Tensor) -> Result<f64, LossError> {
    let rows = u.size()[0];
    let everyone = u.f_transpose(0, 1)?;
    let squares = u.f_square()?.f_sum_dim_intlist(&[1_i64][..], false, u.kind())?;
    let mut sum = 0.0;
    for (start, count) in blocks(rows, rows, ENTRIES) {
        let own = squares.f_narrow(0, start, count)?.f_unsqueeze(1)?;
        let mut distance = u.f_narrow(0, start, count)?.f_mm(&everyone)?.f_mul_scalar_(-2.0)?;
        let mut distance = distance.f_add_(&own)?.f_add_(&squares)?.f_clamp_min_(0.0)?;
        let potential = distance.f_mul_scalar_(-SHARPNESS)?.f_exp_()?;
        let _ = potential.f_diagonal(start, 0, 1)?.f_fill_(0.0)?;
        sum += potential.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    Ok(sum / (rows * (rows - 1)) as f64)
}
