//! How often a view finds its partner among all views. The losses that teach it to live in their own files.

use tch::{Kind, Tensor};

use crate::blocks::{ENTRIES, blocks};
use crate::{LossError, Similarity, checks};

/// The shares of rows whose partner, the other view of the same image, is the most similar of all other rows, and among
/// the five most similar, by the cosine: the contrastive accuracy, top-1 and top-5.
///
/// A row as similar as the partner counts as more similar, so that embeddings that have all become one score 0, and so do
/// those that are not numbers. With `N <= 3` there are no more than five other rows, and top-5 is 1.
///
/// No gradient. Similarities are held in blocks of at most 2²².
///
/// # Shapes
/// - `z`: `[2N, d]` f16, bf16, f32 or f64, `N >= 2`; rows `2k` and `2k + 1` are the two views of image `k`
/// - returns: `(top1, top5)`, each from 0 to 1; a good representation's are high
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Pairs`] for an odd number of rows or fewer than two
/// images.
pub fn contrastive_accuracy(z: &Tensor) -> Result<(f64, f64), LossError> {
    contrastive_accuracy_with(z, Similarity::Cosine)
}

/// [`contrastive_accuracy`] by a similarity of your choice, that of the loss it is reported beside.
///
/// # Errors
/// Those of [`contrastive_accuracy`].
pub fn contrastive_accuracy_with(z: &Tensor, similarity: Similarity) -> Result<(f64, f64), LossError> {
    let hits = Vec::<i64>::try_from(contrastive_hits(z, similarity)?)?;
    let share = |at: usize| hits[at] as f64 / z.size()[0] as f64;
    Ok((share(0), share(1)))
}

/// What [`contrastive_accuracy_with`] counts, left on the device of `z`, for whoever reads it together with something else: each
/// reading waits for the device.
///
/// # Shapes
/// - `z`: as in [`contrastive_accuracy`]
/// - returns: `[2]` i64, of how many rows the partner is the most similar, and among the five most similar
///
/// # Errors
/// Those of [`contrastive_accuracy`].
pub fn contrastive_hits(z: &Tensor, similarity: Similarity) -> Result<Tensor, LossError> {
    let (rows, _) = checks::pairs(z)?;
    let _guard = tch::no_grad_guard();
    let u = similarity.rows(z)?;
    let everyone = u.f_transpose(0, 1)?;
    let nearer = Tensor::f_empty([rows], (Kind::Int64, z.device()))?;
    for (start, count) in blocks(rows, rows, ENTRIES) {
        let similar = u.f_narrow(0, start, count)?.f_mm(&everyone)?;
        let partner = Tensor::f_arange_start(start, start + count, (Kind::Int64, z.device()))?.f_bitwise_xor(1)?;
        let partner = similar.f_gather(1, &partner.f_unsqueeze(1)?, false)?;
        let _ = similar.f_diagonal(start, 0, 1)?.f_fill_(f64::INFINITY)?;
        let farther = similar.f_lt_tensor(&partner)?.f_sum_dim_intlist(&[1_i64][..], false, Kind::Int64)?;
        // The row itself and its partner are neither nearer nor farther.
        nearer.f_narrow(0, start, count)?.f_copy_(&farther.f_neg()?.f_add_scalar(rows - 2)?)?;
    }
    let count = |of: i64| nearer.f_lt(of)?.f_sum(Kind::Int64);
    Ok(Tensor::f_stack(&[count(1)?, count(5)?], 0)?)
}
