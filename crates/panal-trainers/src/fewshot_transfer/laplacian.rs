//! LaplacianShot, TRANSDUCTIVE: all queries of a task are classified together, and near ones pull each other. Methods that
//! take a query alone live elsewhere.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::tasks::{Tasks, nearness, unit_length, wrong};
use crate::TrainError;

/// Settings of LaplacianShot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LaplacianShotSpec {
    /// Nearest queries that a query is pulled to, itself not counted; at least 1. A task with fewer others takes them all.
    pub neighbours: usize,
    /// Weight of the pull beside the distances to the class means; a finite number >= 0. At 0 the nearest class mean is left.
    pub lambda: f64,
    /// Updates; at least 1.
    pub iterations: usize,
    /// Whether the queries are first moved to where the support lies, and the class means made anew of both.
    pub rectify: bool,
}

impl Default for LaplacianShotSpec {
    /// 3 neighbours and 20 updates; lambda, which the paper chooses on validation classes, is 1. Nothing is rectified.
    fn default() -> Self {
        Self { neighbours: 3, lambda: 1.0, iterations: 20, rectify: false }
    }
}

impl LaplacianShotSpec {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        if self.neighbours == 0 {
            return Err(wrong("laplacian_shot.neighbours", "at least 1", &self.neighbours));
        }
        if !(self.lambda >= 0.0 && self.lambda.is_finite()) {
            return Err(wrong("laplacian_shot.lambda", "a finite number >= 0", &self.lambda));
        }
        if self.iterations == 0 {
            return Err(wrong("laplacian_shot.iterations", "at least 1", &self.iterations));
        }
        Ok(())
    }
}

/// Logits `[B, Q, ways]` after the bound updates of LaplacianShot (Ziko, Dolz, Granger and Ben Ayed, arXiv 2006.15486).
///
/// With `a_q` the squared distances of query `q` to the class means and `w(q, p) = 1` where `p` is one of the nearest queries
/// of `q`, else 0: `y_q = softmax(-a_q)` at first, and then `y_q <- softmax(-a_q + lambda sum over p of w(q, p) y_p)`, for all
/// queries at once. With `rectify` the class means are those of [`rectified`].
pub(crate) fn logits(tasks: &Tasks, spec: &LaplacianShotSpec) -> Result<Tensor, TrainError> {
    let means = tasks.class_means(&tasks.support)?;
    let (query, means) = if spec.rectify { rectified(tasks, &means)? } else { (tasks.query.shallow_clone(), means) };
    let unary = nearness(&query, &means)?;
    let affinity = affinity(&query, spec.neighbours)?;
    let mut logits = unary.shallow_clone();
    for _ in 0..spec.iterations {
        let pull = affinity.f_bmm(&logits.f_softmax(2, Kind::Float)?)?;
        logits = unary.f_add(&pull.f_mul_scalar(spec.lambda)?)?;
    }
    Ok(logits)
}

/// What the cosines are multiplied by in [`rectified`], as in the authors' program.
const SHARPNESS: f64 = 10.0;

/// The paper's rectification of prototypes, as the authors' program does it (`src/train_lshot.py`, option `proto_rect`): the moved queries
/// `[B, Q, d]` and the new class means `[B, ways, d]`.
///
/// Every query moves by the mean of the support less the mean of the queries. Then each image `x`, of the support or moved,
/// counts for the class whose mean `m_c` has the highest cosine, and the new mean of a class is `1 / n sum over its n images of s_c(x) x`
/// with `s(x)` the softmax over classes of `10 cos(x, m_c)`. A class that no image counts for keeps its mean.
fn rectified(tasks: &Tasks, means: &Tensor) -> Result<(Tensor, Tensor), TrainError> {
    let centre = |x: &Tensor| x.f_mean_dim(1i64, true, Kind::Float);
    let shift = centre(&tasks.support)?.f_sub(&centre(&tasks.query)?)?;
    let query = tasks.query.f_add(&shift)?;
    let images = Tensor::f_cat(&[&tasks.support, &query], 1)?;
    let cosines = unit_length(&images)?.f_bmm(&unit_length(means)?.f_transpose(1, 2)?)?;
    let counted = cosines.f_argmax(2, false)?.f_one_hot(tasks.ways as i64)?.f_to_kind(Kind::Float)?;
    let shares = cosines.f_mul_scalar(SHARPNESS)?.f_softmax(2, Kind::Float)?.f_mul(&counted)?;
    let counts = counted.f_sum_dim_intlist(1i64, false, Kind::Float)?.f_unsqueeze(2)?;
    let moved = shares.f_transpose(1, 2)?.f_bmm(&images)?.f_div(&counts.f_clamp_min(1.0)?)?;
    Ok((query, moved.f_where_self(&counts.f_gt(0.0)?, means)?))
}

/// `w` as `[B, Q, Q]` f32.
fn affinity(query: &Tensor, neighbours: usize) -> Result<Tensor, TrainError> {
    let queries = query.size()[1];
    let none = Tensor::f_zeros([query.size()[0], queries, queries], (Kind::Float, query.device()))?;
    let neighbours = (neighbours as i64).min(queries - 1);
    if neighbours == 0 {
        return Ok(none);
    }
    let itself = Tensor::f_eye(queries, (Kind::Bool, query.device()))?;
    let near = nearness(query, query)?.f_masked_fill(&itself, f64::NEG_INFINITY)?;
    let (_, nearest) = near.f_topk(neighbours, 2, true, true)?;
    Ok(none.f_scatter_value(2, &nearest, 1.0)?)
}
