//! Model-agnostic meta-learning (Finn et al., arXiv 1703.03400): parameters from which few steps on the support suffice. With the
//! head alone moved it is ANIL (Raghu et al., arXiv 1909.09157).

use panal_losses::cross_entropy;
use panal_models::{Conv4, Conv4Spec, Norms, Statistics};
use panal_tensor::{Init, Store};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::net::Method;
use super::spec::{Adapt, BatchNormUse, Order, wrong};
use super::task::Task;
use crate::TrainError;

/// Parameters of the head: a weight and a bias.
const HEAD: usize = 2;

#[derive(Debug)]
pub(super) struct Maml {
    pub(super) head: [Tensor; HEAD],
    pub(super) rule: Rule,
    pub(super) eval_steps: usize,
    /// Training sees batch norm as evaluation will.
    pub(super) batch_norm: BatchNormUse,
}

/// How parameters move on a support.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) lr: f64,
    pub(super) steps: usize,
    pub(super) order: Order,
    pub(super) adapt: Adapt,
}

impl Maml {
    /// A head of `ways` outputs, in `store`.
    pub(super) fn head(features: usize, ways: usize, store: &mut Store) -> Result<[Tensor; HEAD], TrainError> {
        let (features, ways) = (features as i64, ways as i64);
        let init = Init::linear(features);
        Ok([
            store.parameter("maml.head.weight", &[ways, features], init)?,
            store.parameter("maml.head.bias", &[ways], init)?,
        ])
    }

    fn parameters(&self, backbone: &Conv4) -> Vec<Tensor> {
        backbone.parameters().into_iter().chain(self.head.iter().map(Tensor::shallow_clone)).collect()
    }
}

impl Method for Maml {
    fn logits(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<Tensor, TrainError> {
        // Nothing is learnt beyond the steps, so that none is remembered.
        let rule = Rule { steps: self.eval_steps, order: Order::First, ..self.rule };
        let logits =
            tch::with_grad(|| adapted_logits(backbone.spec(), &self.parameters(backbone), task, &rule, norms))?;
        Ok(logits.f_detach()?)
    }

    fn loss(&self, backbone: &Conv4, task: &Task, _: &mut ChaCha8Rng) -> Result<(Tensor, Tensor), TrainError> {
        let parameters = self.parameters(backbone);
        let logits = adapted_logits(backbone.spec(), &parameters, task, &self.rule, self.batch_norm.norms())?;
        Ok((cross_entropy(&logits, &task.truth, 0.0)?, logits))
    }
}

/// Logits of the queries by parameters that took the steps of `rule` on the support. The support is normalised by its own
/// statistics; the queries by the support's or, in the transductive way, by their own.
fn adapted_logits(
    network: &Conv4Spec,
    parameters: &[Tensor],
    task: &Task,
    rule: &Rule,
    norms: Norms,
) -> Result<Tensor, TrainError> {
    let outputs = parameters[parameters.len() - 1].size()[0];
    if task.labels.ways() as i64 != outputs {
        let allowed = format!("{outputs}, the `ways` that MAML's head was made for");
        return Err(wrong("the ways of an episode", allowed, task.labels.ways()));
    }
    let support_loss = |parameters: &[Tensor]| -> Result<Tensor, TrainError> {
        let logits = logits_with(network, parameters, &task.support, Statistics::Batch)?;
        Ok(cross_entropy(&logits, &task.labels.tensor, 0.0)?)
    };
    let adapted = adapt(parameters, rule, support_loss)?;
    let support;
    let statistics = if norms == Norms::Transductive {
        Statistics::Batch
    } else {
        support = network.statistics_with(&adapted[..adapted.len() - HEAD], &task.support)?;
        Statistics::Given(&support)
    };
    logits_with(network, &adapted, &task.query, statistics)
}

/// Backbone and head with these parameters, the head's last.
fn logits_with(
    network: &Conv4Spec,
    parameters: &[Tensor],
    images: &Tensor,
    statistics: Statistics<'_>,
) -> Result<Tensor, TrainError> {
    let (backbone, head) = parameters.split_at(parameters.len() - HEAD);
    let features = network.features_with(backbone, images, statistics)?;
    Ok(features.f_linear(&head[0], Some(&head[1]))?)
}

/// `θ' = θ - α ∇ L(θ)`, as often as the rule says (Algorithm 2, line 6). With order `second` the gradients are functions of `θ`,
/// with `first` they are constants.
fn adapt(
    parameters: &[Tensor],
    rule: &Rule,
    loss: impl Fn(&[Tensor]) -> Result<Tensor, TrainError>,
) -> Result<Vec<Tensor>, TrainError> {
    let first = match rule.adapt {
        Adapt::All => 0,
        Adapt::Head => parameters.len() - HEAD,
    };
    let through = rule.order == Order::Second;
    let mut adapted: Vec<Tensor> = parameters.iter().map(Tensor::shallow_clone).collect();
    for _ in 0..rule.steps {
        let gradients = Tensor::f_run_backward(&[loss(&adapted)?], &adapted[first..], through, through)?;
        for (parameter, gradient) in adapted[first..].iter_mut().zip(gradients) {
            *parameter = parameter.f_sub(&gradient.f_mul_scalar(rule.lr)?)?;
        }
    }
    Ok(adapted)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::fewshot::task::Labels;
    use crate::fewshot::task::plain::random;

    const TINY: Conv4Spec = Conv4Spec { channels: 1, width: 2, side: 6, pools: 1 };

    fn task() -> Task {
        let images = |count: usize, seed| random([count, 36], seed).tensor().view([-1, 1, 6, 6]).to_kind(Kind::Double);
        Task {
            support: images(4, 1),
            query: images(5, 2),
            labels: Labels::new(vec![0, 0, 1, 1], 2, Device::Cpu).unwrap(),
            truth: Tensor::from_slice(&[0_i64, 1, 1, 0, 1]),
        }
    }

    /// Parameters in f64 that take gradients.
    fn parameters() -> Vec<Tensor> {
        let mut store = Store::new(Device::Cpu, 5);
        let backbone = Conv4::new(&TINY, &mut store).unwrap();
        let head = Maml::head(TINY.feature_dim(), 2, &mut store).unwrap();
        let all = backbone.parameters().into_iter().chain(head);
        all.map(|t| t.detach().to_kind(Kind::Double).set_requires_grad(true)).collect()
    }

    fn meta_loss(parameters: &[Tensor], rule: &Rule, norms: Norms) -> Tensor {
        let task = task();
        let logits = adapted_logits(&TINY, parameters, &task, rule, norms).unwrap();
        cross_entropy(&logits, &task.truth, 0.0).unwrap()
    }

    /// The largest difference from central differences, over the largest gradient.
    fn off(rule: &Rule, norms: Norms) -> f64 {
        let parameters = parameters();
        let gradients = Tensor::run_backward(&[meta_loss(&parameters, rule, norms)], &parameters, false, false);
        let (mut largest, mut scale) = (0.0_f64, 0.0_f64);
        for (index, gradient) in gradients.iter().enumerate() {
            for element in 0..gradient.numel() as i64 {
                let at = |step: f64| {
                    let moved: Vec<Tensor> = parameters.iter().map(|t| t.detach().copy()).collect();
                    let _ = moved[index].view(-1).narrow(0, element, 1).g_add_scalar_(step);
                    let moved: Vec<Tensor> = moved.into_iter().map(|t| t.set_requires_grad(true)).collect();
                    meta_loss(&moved, rule, norms).double_value(&[])
                };
                let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
                let gradient = gradient.view(-1).double_value(&[element]);
                largest = largest.max((difference - gradient).abs());
                scale = scale.max(gradient.abs());
            }
        }
        largest / scale
    }

    fn rule(order: Order, adapt: Adapt, steps: usize) -> Rule {
        Rule { lr: 0.3, steps, order, adapt }
    }

    #[test]
    fn the_meta_gradient_is_that_of_finite_differences() {
        for norms in [Norms::Inductive, Norms::Transductive] {
            for (adapt, steps) in [(Adapt::All, 1), (Adapt::All, 3), (Adapt::Head, 2)] {
                let off = off(&rule(Order::Second, adapt, steps), norms);
                assert!(off < 1e-6, "{norms:?} {adapt:?} {steps}: {off}");
            }
            // The first order leaves something out.
            let off = off(&rule(Order::First, Adapt::All, 3), norms);
            assert!(off > 1e-3, "{norms:?}: {off}");
        }
    }

    #[test]
    fn the_first_order_gradient_is_that_at_the_adapted_parameters() {
        let (parameters, rule) = (parameters(), rule(Order::First, Adapt::All, 2));
        let found =
            Tensor::run_backward(&[meta_loss(&parameters, &rule, Norms::Transductive)], &parameters, false, false);
        let task = task();
        let support_loss = |p: &[Tensor]| {
            let logits = logits_with(&TINY, p, &task.support, Statistics::Batch)?;
            Ok(cross_entropy(&logits, &task.labels.tensor, 0.0)?)
        };
        let adapted: Vec<Tensor> = adapt(&parameters, &rule, support_loss)
            .unwrap()
            .iter()
            .map(|t| t.detach().set_requires_grad(true))
            .collect();
        let logits = logits_with(&TINY, &adapted, &task.query, Statistics::Batch).unwrap();
        let loss = cross_entropy(&logits, &task.truth, 0.0).unwrap();
        for (found, expected) in found.iter().zip(Tensor::run_backward(&[loss], &adapted, false, false)) {
            assert!((found - expected).abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    fn anil_moves_the_head_alone() {
        let parameters = parameters();
        let task = task();
        let loss = |p: &[Tensor]| {
            let logits = logits_with(&TINY, p, &task.support, Statistics::Batch)?;
            Ok(cross_entropy(&logits, &task.labels.tensor, 0.0)?)
        };
        let moved = |adapt_what| -> Vec<bool> {
            let adapted = adapt(&parameters, &rule(Order::First, adapt_what, 1), loss).unwrap();
            adapted.iter().zip(&parameters).map(|(a, b)| (a - b).abs().max().double_value(&[]) > 0.0).collect()
        };
        assert_eq!(moved(Adapt::Head), [vec![false; 12], vec![true; 2]].concat());
        assert!(moved(Adapt::All).into_iter().filter(|moved| *moved).count() > 8);
    }

    #[test]
    fn more_ways_than_the_head_has_outputs_are_refused() {
        let task = Task { labels: Labels::new(vec![0, 1, 2, 2], 3, Device::Cpu).unwrap(), ..task() };
        let error = adapted_logits(&TINY, &parameters(), &task, &rule(Order::First, Adapt::All, 1), Norms::Inductive);
        assert_eq!(
            error.unwrap_err().to_string(),
            "the ways of an episode must be 2, the `ways` that MAML's head was made for, got 3"
        );
    }
}
