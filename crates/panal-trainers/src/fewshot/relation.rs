//! Relation networks (Sung et al., arXiv 1711.06025): how alike a query and a class are is itself learnt.

use panal_models::{Conv4, Conv4Spec, Norms, RelationHead};
use panal_tensor::Store;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::net::{Method, joined};
use super::task::Task;
use crate::TrainError;

#[derive(Debug)]
pub(super) struct Relation {
    head: RelationHead,
}

impl Relation {
    pub(super) fn new(network: &Conv4Spec, hidden: usize, store: &mut Store) -> Result<Self, TrainError> {
        Ok(Self { head: RelationHead::new(network, hidden, store)? })
    }
}

impl Method for Relation {
    /// The relation score `r` of each class and query before its sigmoid (equation 1), a class being the sum of its support's
    /// feature maps (section 3.2).
    fn logits(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<Tensor, TrainError> {
        let maps = backbone.maps(&joined(task)?, norms)?;
        let (support, query) = (task.support.size()[0], task.query.size()[0]);
        let classes = task.labels.sums(&maps.f_narrow(0, 0, support)?)?;
        let pairs = pairs(&classes, &maps.f_narrow(0, support, query)?)?;
        Ok(self.head.forward(&pairs, norms)?.f_view([query, classes.size()[0]])?)
    }

    fn loss(&self, backbone: &Conv4, task: &Task, _: &mut ChaCha8Rng) -> Result<(Tensor, Tensor), TrainError> {
        let logits = self.logits(backbone, task, Norms::Train)?;
        Ok((squared_error(&logits, &task.truth)?, logits))
    }
}

/// Every query with every class: `[ways, C, h, w]` and `[Q, C, h, w]` to `[Q ways, 2 C, h, w]`, the class before the query.
fn pairs(classes: &Tensor, queries: &Tensor) -> Result<Tensor, TrainError> {
    let (class, query) = (classes.size(), queries.size());
    let shape = [query[0], class[0], class[1], class[2], class[3]];
    let classes = classes.f_unsqueeze(0)?.f_expand(shape, false)?;
    let queries = queries.f_unsqueeze(1)?.f_expand(shape, false)?;
    Ok(Tensor::f_cat(&[classes, queries], 2)?.f_flatten(0, 1)?)
}

/// `Σ (r - 1(y = k))²` over queries and classes, their mean (equation 2).
fn squared_error(logits: &Tensor, truth: &Tensor) -> Result<Tensor, TrainError> {
    let wanted = truth.f_one_hot(logits.size()[1])?.f_to_kind(logits.kind())?;
    Ok(logits.f_sigmoid()?.f_sub(&wanted)?.f_square()?.f_mean(None::<Kind>)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fewshot::task::plain::{Rows, far, random};

    #[test]
    fn every_query_meets_every_class() {
        let maps = |rows: usize, seed| random([rows, 2 * 3 * 4], seed);
        let (classes, queries) = (maps(3, 1), maps(2, 2));
        let shaped = |rows: &Rows| rows.tensor().view([-1, 2, 3, 4]);
        let found = pairs(&shaped(&classes), &shaped(&queries)).unwrap();
        assert_eq!(found.size(), [6, 4, 3, 4]);
        let each =
            queries.0.iter().flat_map(|query| classes.0.iter().map(move |class| [&class[..], &query[..]].concat()));
        assert!(far(&found.flatten(1, -1), &Rows(each.collect())) < 1e-6);
    }

    #[test]
    fn the_loss_is_that_of_plain_arithmetic() {
        let logits = random([4, 3], 3);
        let truth = [2_i64, 0, 1, 1];
        let found = squared_error(&logits.tensor(), &Tensor::from_slice(&truth)).unwrap().double_value(&[]);
        let each = logits.0.iter().zip(truth).flat_map(|(row, truth)| {
            row.iter()
                .enumerate()
                .map(move |(k, z)| (1.0 / (1.0 + (-z).exp()) - f64::from(u8::from(k as i64 == truth))).powi(2))
        });
        assert!((found - each.sum::<f64>() / 12.0).abs() < 1e-6);
    }
}
