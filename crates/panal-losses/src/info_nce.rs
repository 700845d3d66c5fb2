//! InfoNCE of queries against a queue of keys, MoCo's loss. The queue itself lives in `queue.rs`.

use tch::{Kind, Reduction, Tensor};

use crate::cross_entropy::IGNORED_LABEL;
use crate::similarity::{unit_rows, wide};
use crate::{LossError, checks};

/// InfoNCE, the mean over the queries:
///
/// `loss = -(1 / N) Σᵢ log( exp(qᵢ·kᵢ / τ) / (exp(qᵢ·kᵢ / τ) + Σⱼ exp(qᵢ·queueⱼ / τ)) )`, with `τ = temperature`.
///
/// Equation 1 of "Momentum Contrast for Unsupervised Visual Representation Learning" (arXiv 1911.05722). Queries and keys
/// are normalised here; the queue's rows are taken as they are, of length 1 in a [`Queue`](crate::Queue). No gradient goes
/// to the keys or the queue. The queries' kind decides what it is computed in: f64 for f64, else f32.
///
/// # Shapes
/// - `query`: `[N, d]` f16, bf16, f32 or f64, of any length
/// - `key`: `[N, d]`, row `i` the positive of query `i`, of any length
/// - `queue`: `[K, d]`, the negatives of every query, of length 1
/// - returns: a scalar >= 0 in nats
///
/// # Errors
/// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Rows`] for another number of keys than queries;
/// [`LossError::Width`] for rows of different lengths; [`LossError::Device`] for arguments on different devices;
/// [`LossError::Temperature`] unless `temperature > 0` and finite.
pub fn info_nce(query: &Tensor, key: &Tensor, queue: &Tensor, temperature: f64) -> Result<Tensor, LossError> {
    let (queries, width) = checks::embeddings("query", query)?;
    for (name, tensor) in [("key", key), ("queue", queue)] {
        let (rows, got) = checks::embeddings(name, tensor)?;
        if name == "key" && rows != queries {
            return Err(LossError::Rows { name, expected: queries, got: rows });
        }
        checks::width(name, got, width)?;
        checks::device(name, tensor.device(), query.device())?;
    }
    checks::temperature(temperature)?;
    let kind = wide(query.kind());
    let query = unit_rows(query)?;
    let key = unit_rows(&key.f_detach()?)?.f_to_kind(kind)?;
    let queue = queue.f_detach()?.f_to_kind(kind)?;
    let positive = query.f_mul(&key)?.f_sum_dim_intlist(&[1_i64][..], true, kind)?;
    let negative = query.f_mm(&queue.f_transpose(0, 1)?)?;
    let logits = Tensor::f_cat(&[positive, negative], 1)?.f_div_scalar(temperature)?;
    let first = Tensor::f_zeros([queries], (Kind::Int64, query.device()))?;
    Ok(logits.f_cross_entropy_loss::<&Tensor>(&first, None, Reduction::Mean, IGNORED_LABEL, 0.0)?)
}
