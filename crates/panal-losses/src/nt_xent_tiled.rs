//! NT-Xent without its matrix: value and gradient block of rows by block. The loss in its plain form lives in `nt_xent.rs`.

use tch::{TchError, Tensor};

use crate::blocks::{ENTRIES, blocks, height};
use crate::similarity::partners;
use crate::{LossError, Similarity, checks};

/// [`nt_xent`](crate::nt_xent) for large batches: the same value and gradient, but at most 2²² similarities are held at once.
///
/// With `L` the loss, `u` the normalised rows, `Pᵢⱼ` the softmax of row `i` over `j ≠ i`, and `p(i)` the other view, the
/// gradient is
///
/// `∂L/∂uᵢ = ( Σⱼ (Pᵢⱼ + Pⱼᵢ) uⱼ - 2 uₚ₍ᵢ₎ ) / (2N τ)`.
///
/// A first pass over blocks of rows finds each row's log-sum-exp and so the value; a second one finds that gradient, which
/// the returned scalar hands to autograd. So the backward pass costs next to nothing, and can't itself be differentiated.
/// Where no gradient is asked for, the second pass is left out.
///
/// # Shapes
/// Those of [`nt_xent`](crate::nt_xent). Memory: some `[2N, d]`, and two blocks of 16 MiB of f32. As measured by
/// `examples/tiled_memory.rs`, `[65536, 128]` on the CPU takes 232 MiB, the gradient of `z` included; the matrix would take 16 GiB.
///
/// # Errors
/// Those of [`nt_xent`](crate::nt_xent).
pub fn nt_xent_tiled(z: &Tensor, temperature: f64) -> Result<Tensor, LossError> {
    nt_xent_tiled_with(z, Similarity::Cosine, temperature, ENTRIES)
}

/// [`nt_xent_tiled`] with a similarity of your choice, and with blocks of at most `entries` similarities; a block has at
/// least one row.
///
/// # Shapes
/// Those of [`nt_xent_with`](crate::nt_xent_with).
///
/// # Errors
/// Those of [`nt_xent`](crate::nt_xent).
pub fn nt_xent_tiled_with(
    z: &Tensor,
    similarity: Similarity,
    temperature: f64,
    entries: usize,
) -> Result<Tensor, LossError> {
    checks::pairs(z)?;
    checks::temperature(temperature)?;
    let u = similarity.rows(z)?;
    let (value, logsumexp) = tch::no_grad(|| value(&u, temperature, entries))?;
    if !u.requires_grad() {
        return Ok(value);
    }
    let gradient = tch::no_grad(|| gradient(&u, &logsumexp, temperature, entries))?;
    let slope = u.f_mul(&gradient)?.f_sum(u.kind())?;
    // Adds zero to the value, and `gradient` to the derivative by u.
    Ok(value.f_add(&slope.f_sub(&slope.f_detach()?)?)?)
}

/// The loss, and the log-sum-exp of every row.
fn value(u: &Tensor, temperature: f64, entries: usize) -> Result<(Tensor, Tensor), TchError> {
    let (rows, options) = (u.size()[0], (u.kind(), u.device()));
    let room = Tensor::f_empty([height(rows, rows, entries), rows], options)?;
    let logsumexp = Tensor::f_empty([rows], options)?;
    for (start, count) in blocks(rows, rows, entries) {
        let mut logits = logits(u, start, count, temperature, &room)?;
        let largest = logits.f_amax([1_i64], true)?;
        let sum = logits.f_sub_(&largest)?.f_exp_()?.f_sum_dim_intlist(&[1_i64][..], false, u.kind())?;
        logsumexp.f_narrow(0, start, count)?.f_copy_(&sum.f_log()?.f_add(&largest.f_squeeze_dim(1)?)?)?;
    }
    let positive =
        u.f_mul(&partners(u)?)?.f_sum_dim_intlist(&[1_i64][..], false, u.kind())?.f_div_scalar(temperature)?;
    Ok((logsumexp.f_sub(&positive)?.f_mean(u.kind())?, logsumexp))
}

/// The derivative of the loss by `u`.
fn gradient(u: &Tensor, logsumexp: &Tensor, temperature: f64, entries: usize) -> Result<Tensor, TchError> {
    let (rows, options) = (u.size()[0], (u.kind(), u.device()));
    let height = height(rows, rows, entries);
    let [room, another] = [Tensor::f_empty([height, rows], options)?, Tensor::f_empty([height, rows], options)?];
    let mut gradient = Tensor::f_empty_like(u)?;
    for (start, count) in blocks(rows, rows, entries) {
        let mut theirs = logits(u, start, count, temperature, &room)?;
        let own = logsumexp.f_narrow(0, start, count)?.f_unsqueeze(1)?;
        let own = theirs.f_sub_out(&another.f_narrow(0, 0, count)?, &own)?.f_exp_()?;
        let both = theirs.f_sub_(logsumexp)?.f_exp_()?.f_add_(&own)?;
        let _ = both.f_mm_out(&gradient.f_narrow(0, start, count)?, u)?;
    }
    gradient.f_sub_(&partners(u)?.f_mul_scalar(2.0)?)?.f_div_scalar_(rows as f64 * temperature)
}

/// Rows `start..start + count` of all similarities over the temperature, -inf where a row meets itself, in the first rows
/// of `room`.
///
/// Blocks share one room, and results have theirs from the start: small results kept between large blocks that come and
/// go can leave a heap with holes as large as all blocks together.
fn logits(u: &Tensor, start: i64, count: i64, temperature: f64, room: &Tensor) -> Result<Tensor, TchError> {
    let rows = u.f_narrow(0, start, count)?;
    let mut logits = rows.f_mm_out(&room.f_narrow(0, 0, count)?, &u.f_transpose(0, 1)?)?;
    let _ = logits.f_div_scalar_(temperature)?.f_diagonal(start, 0, 1)?.f_fill_(f64::NEG_INFINITY)?;
    Ok(logits)
}
