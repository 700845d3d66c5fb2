//! LaplacianShot, TRANSDUCTIVE: all queries of a task are classified together, and near ones pull each other. Methods that
//! take a query alone live elsewhere.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::tasks::{Tasks, nearness, wrong};
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
}

impl Default for LaplacianShotSpec {
    /// 3 neighbours and 20 updates; lambda, which the paper chooses on validation classes, is 1.
    fn default() -> Self {
        Self { neighbours: 3, lambda: 1.0, iterations: 20 }
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
/// queries at once. The class means stay where the support puts them: the paper's rectification of prototypes is left out.
pub(crate) fn logits(tasks: &Tasks, spec: &LaplacianShotSpec) -> Result<Tensor, TrainError> {
    let unary = nearness(&tasks.query, &tasks.class_means(&tasks.support)?)?;
    let affinity = affinity(&tasks.query, spec.neighbours)?;
    let mut logits = unary.shallow_clone();
    for _ in 0..spec.iterations {
        let pull = affinity.f_bmm(&logits.f_softmax(2, Kind::Float)?)?;
        logits = unary.f_add(&pull.f_mul_scalar(spec.lambda)?)?;
    }
    Ok(logits)
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
