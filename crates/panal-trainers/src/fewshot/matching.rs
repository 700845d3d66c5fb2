//! Matching networks (Vinyals et al., arXiv 1606.04080), without full context embeddings: a query's class is what the support
//! images that it attends to are of.

use panal_models::{Conv4, Norms};
use tch::{Kind, Tensor};

use super::net::{Method, embedded};
use super::task::{Labels, Task};
use crate::TrainError;

#[derive(Debug)]
pub(super) struct Matching {
    pub(super) scale: f64,
}

impl Method for Matching {
    fn logits(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<Tensor, TrainError> {
        let [support, query] = embedded(backbone, task, norms)?;
        log_probabilities(&support, &task.labels, &query, self.scale)
    }
}

/// `ln Σᵢ a(x, xᵢ) yᵢ` with `a` the softmax over the support of `scale · cos(f(x), f(xᵢ))` (equation 1 and section 2.1.1). As the
/// probabilities of a query sum to 1, their logarithms serve as logits.
///
/// # Shapes
/// - `support`: `[S, d]`, `query`: `[Q, d]`
/// - returns: `[Q, ways]`, in nats
fn log_probabilities(support: &Tensor, labels: &Labels, query: &Tensor, scale: f64) -> Result<Tensor, TrainError> {
    let unit = |t: &Tensor| t.f_div(&t.f_norm_scalaropt_dim(2.0, [1_i64], true)?.f_clamp_min(1e-12)?);
    let cosines = unit(query)?.f_matmul(&unit(support)?.f_tr()?)?;
    let attention = cosines.f_mul_scalar(scale)?.f_log_softmax(1, None::<Kind>)?;
    labels.each(&attention, |class| class.f_logsumexp([2_i64].as_slice(), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fewshot::task::plain::{Rows, far, random};

    #[test]
    fn logits_are_those_of_plain_arithmetic() {
        let (support, query) = (random([5, 3], 1), random([4, 3], 2));
        let of = [0, 1, 1, 2, 1];
        for scale in [1.0, 7.0] {
            let labels = Labels::new(of.to_vec(), 3, tch::Device::Cpu).unwrap();
            let found = log_probabilities(&support.tensor(), &labels, &query.tensor(), scale);
            let cosine = |a: &[f64], b: &[f64]| {
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
            };
            let row = |x: &Vec<f64>| {
                let weights: Vec<f64> = support.0.iter().map(|s| (scale * cosine(x, s)).exp()).collect();
                let of_class =
                    |class| weights.iter().zip(of).filter(|(_, label)| *label == class).map(|(w, _)| w).sum::<f64>();
                (0..3).map(|class| (of_class(class) / weights.iter().sum::<f64>()).ln()).collect()
            };
            let expected = Rows(query.0.iter().map(row).collect());
            assert!(far(&found.unwrap(), &expected) < 1e-5);
        }
    }
}
