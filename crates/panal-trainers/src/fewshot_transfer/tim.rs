//! Transductive information maximisation, TRANSDUCTIVE: the class weights are fitted to the support and to all queries of a
//! task. Methods that take a query alone live elsewhere.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::tasks::{Tasks, check_positive, nearness, wrong};
use crate::TrainError;

/// Settings of TIM-ADM.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimSpec {
    /// `tau`, what half a squared distance is multiplied by; > 0.
    pub temperature: f64,
    /// `lambda`, the weight of the cross entropy on the support; > 0.
    pub lambda: f64,
    /// `alpha`, the weight of the conditional entropy of the queries; a finite number >= 0.
    pub alpha: f64,
    /// Rounds of updates; at least 1.
    pub iterations: usize,
}

impl Default for TimSpec {
    /// Temperature 15, lambda 0.1, alpha 0.1, 150 rounds, as the authors' code, whose features have unit length.
    fn default() -> Self {
        Self { temperature: 15.0, lambda: 0.1, alpha: 0.1, iterations: 150 }
    }
}

impl TimSpec {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        check_positive("tim.temperature", self.temperature)?;
        check_positive("tim.lambda", self.lambda)?;
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            return Err(wrong("tim.alpha", "a finite number >= 0", &self.alpha));
        }
        if self.iterations == 0 {
            return Err(wrong("tim.iterations", "at least 1", &self.iterations));
        }
        Ok(())
    }
}

/// Logits `[B, Q, ways]` of the weights that TIM-ADM ends with (Boudiaf et al., arXiv 2008.11297).
///
/// It minimises `lambda CE(support) - H(Y) + alpha H(Y | X)` over weights `w_c`, the entropies being those of the queries and
/// `p_ic` the softmax over `c` of `-tau / 2 ||x_i - w_c||^2`. The weights begin as class means; each round then sets, in turn,
///
/// - `q_ic = p_ic^(1 + alpha) / sqrt(sum over queries j of p_jc^(1 + alpha))`, each query's row then brought to sum 1;
/// - `w_c = (lambda / (1 + alpha) sum over support i of (y_ic x_i + p_ic (w_c - x_i)) + |S| / |Q| sum over queries i of
///   (q_ic x_i + p_ic (w_c - x_i))) / (lambda / (1 + alpha) sum over support i of y_ic + |S| / |Q| sum over queries i of q_ic)`.
///
/// The marginal entropy draws the queries toward equal classes: where they are not balanced it does harm
/// (Veilleux et al., arXiv 2204.11181).
pub(crate) fn logits(tasks: &Tasks, spec: &TimSpec) -> Result<Tensor, TrainError> {
    let (support, query) = &in_their_span(&tasks.support, &tasks.query)?;
    let truth = tasks.one_hot()?;
    let of_support = spec.lambda / (1.0 + spec.alpha);
    let of_query = support.size()[1] as f64 / query.size()[1] as f64;
    let logits = |x: &Tensor, weights: &Tensor| -> Result<Tensor, TrainError> {
        Ok(nearness(x, weights)?.f_mul_scalar(0.5 * spec.temperature)?)
    };
    let mut weights = tasks.class_means(support)?;
    for _ in 0..spec.iterations {
        let at_support = logits(support, &weights)?.f_softmax(2, Kind::Float)?;
        let log = logits(query, &weights)?.f_log_softmax(2, Kind::Float)?;
        let powers = log.f_mul_scalar(1.0 + spec.alpha)?;
        // The division by a square root, in logarithms; a softmax brings each row to sum 1.
        let marginal = powers.f_logsumexp([1i64], true)?.f_mul_scalar(0.5)?;
        let target = powers.f_sub(&marginal)?.f_softmax(2, Kind::Float)?;
        let (over, under) = part(support, &weights, &truth, &at_support)?;
        let (query_over, query_under) = part(query, &weights, &target, &log.f_exp()?)?;
        let over = over.f_mul_scalar(of_support)?.f_add(&query_over.f_mul_scalar(of_query)?)?;
        let under = under.f_mul_scalar(of_support)?.f_add(&query_under.f_mul_scalar(of_query)?)?;
        weights = over.f_div(&under)?;
    }
    logits(query, &weights)
}

/// Support and queries in an orthonormal basis of the space that they span together, where that has fewer dimensions. All
/// products, so all distances, stay as they were, and the weights never leave that space.
fn in_their_span(support: &Tensor, query: &Tensor) -> Result<(Tensor, Tensor), TrainError> {
    let (shots, queries, dim) = (support.size()[1], query.size()[1], support.size()[2]);
    if shots + queries >= dim {
        return Ok((support.shallow_clone(), query.shallow_clone()));
    }
    let all = Tensor::f_cat(&[support, query], 1)?;
    let (_, r) = Tensor::f_linalg_qr(&all.f_transpose(1, 2)?, "r")?;
    let coordinates = r.f_transpose(1, 2)?.f_contiguous()?;
    Ok((coordinates.f_narrow(1, 0, shots)?, coordinates.f_narrow(1, shots, queries)?))
}

/// Sums over images of `y x + p (w - x)`, `[B, ways, d]`, and of `y`, `[B, ways, 1]`.
fn part(x: &Tensor, weights: &Tensor, y: &Tensor, p: &Tensor) -> Result<(Tensor, Tensor), TrainError> {
    let sum = |shares: &Tensor| shares.f_sum_dim_intlist(1i64, false, Kind::Float)?.f_unsqueeze(2);
    let moved = y.f_sub(p)?.f_transpose(1, 2)?.f_bmm(x)?;
    Ok((moved.f_add(&weights.f_mul(&sum(p)?)?)?, sum(y)?))
}
