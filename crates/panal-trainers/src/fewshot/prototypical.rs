//! Prototypical networks (Snell et al., arXiv 1703.05175): a class is the mean of its support.

use panal_models::{Conv4, Norms};
use tch::{Kind, Tensor};

use super::net::{Method, embedded};
use super::task::{Labels, Task};
use crate::TrainError;

#[derive(Debug)]
pub(super) struct Prototypical;

impl Method for Prototypical {
    fn logits(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<Tensor, TrainError> {
        let [support, query] = embedded(backbone, task, norms)?;
        logits(&support, &task.labels, &query)
    }
}

/// `-||f(x) - c_k||²` with `c_k` the mean of the class's support (equations 1 and 2, squared Euclidean distance).
///
/// # Shapes
/// - `support`: `[S, d]`, `query`: `[Q, d]`
/// - returns: `[Q, ways]`
fn logits(support: &Tensor, labels: &Labels, query: &Tensor) -> Result<Tensor, TrainError> {
    let prototypes = labels.means(support)?;
    let squares = |t: &Tensor| t.f_square()?.f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Float);
    let products = query.f_matmul(&prototypes.f_tr()?)?;
    let distances = squares(query)?.f_add(&squares(&prototypes)?.f_tr()?)?.f_sub(&products.f_mul_scalar(2.0)?)?;
    Ok(distances.f_neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fewshot::task::plain::{Rows, far, random};

    #[test]
    fn logits_are_those_of_plain_arithmetic() {
        let (support, query) = (random([5, 3], 1), random([4, 3], 2));
        let of = [0, 1, 1, 2, 1];
        let found = logits(&support.tensor(), &Labels::new(of.to_vec(), 3, tch::Device::Cpu).unwrap(), &query.tensor());
        let expected = Rows(
            query
                .0
                .iter()
                .map(|x| {
                    (0..3)
                        .map(|class| {
                            let members: Vec<_> = support
                                .0
                                .iter()
                                .zip(of)
                                .filter(|(_, label)| *label == class)
                                .map(|(row, _)| row)
                                .collect();
                            let mean = |i: usize| members.iter().map(|row| row[i]).sum::<f64>() / members.len() as f64;
                            -(0..3).map(|i| (x[i] - mean(i)).powi(2)).sum::<f64>()
                        })
                        .collect()
                })
                .collect(),
        );
        assert!(far(&found.unwrap(), &expected) < 1e-4);
    }
}
