//! Laws of LARS: how far a step goes, which tensors are left out, and where the learning rate stands.

use panal_optim::{Lars, Optimizer, OptimizerSpec, ParamGroup, Sgd};
use proptest::prelude::*;
use tch::{Kind, Tensor};

/// One parameter of two or of one dimension that gets the gradients it is told.
struct Pushed {
    parameter: Tensor,
    optimizer: Optimizer,
}

impl Pushed {
    fn new(spec: OptimizerSpec, start: &[f32], shape: &[i64]) -> Self {
        let parameter = Tensor::from_slice(start).reshape(shape).set_requires_grad(true);
        let params = vec![("p".to_owned(), parameter.shallow_clone())];
        let group = ParamGroup { name: "all".into(), params, lr_scale: 1.0 };
        Self { parameter, optimizer: Optimizer::new(&spec, vec![group]).unwrap() }
    }

    /// How far each value went.
    fn step(&mut self, gradient: &[f32], lr: f64) -> Vec<f32> {
        let before = self.values();
        self.optimizer.zero_grad().unwrap();
        (&self.parameter * Tensor::from_slice(gradient).reshape(self.parameter.size())).sum(Kind::Float).backward();
        self.optimizer.step(lr).unwrap();
        self.values().iter().zip(before).map(|(after, before)| after - before).collect()
    }

    fn values(&self) -> Vec<f32> {
        self.parameter.detach().reshape([-1]).try_into().unwrap()
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_near(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
    }
}

const START: [f32; 6] = [0.5, -1.0, 2.0, 0.25, -0.75, 1.5];
const PUSH: [f32; 6] = [1.0, 0.5, -0.5, 2.0, 0.0, -1.0];

proptest! {
    #[test]
    fn the_first_step_has_its_length_whatever_the_gradients(
        push in prop::array::uniform6(-1.0_f32..1.0), scale in -4.0..4.0_f64, weight_decay in 0.0..0.5,
        trust_coefficient in 0.01..0.5, lr in 0.1..1.0, momentum in prop_oneof![Just(0.0), Just(0.9)],
    ) {
        prop_assume!(norm(&push) > 0.1);
        let push = push.map(|value| value * 10_f32.powf(scale as f32));
        let lars = Lars { momentum, weight_decay, trust_coefficient, ..Lars::default() };
        let moved = Pushed::new(OptimizerSpec::Lars(lars), &START, &[2, 3]).step(&push, lr);
        let expected = lr * trust_coefficient * norm(&START);
        prop_assert!((norm(&moved) / expected - 1.0).abs() < 1e-3, "{} and {}", norm(&moved), expected);
    }
}

#[test]
fn where_a_norm_is_zero_the_ratio_is_one() {
    let lars = Lars { weight_decay: 0.0, ..Lars::default() };
    let moved = Pushed::new(OptimizerSpec::Lars(lars), &[0.0; 6], &[2, 3]).step(&PUSH, 0.5);
    assert_near(&moved, &PUSH.map(|push| -0.5 * push));
    let mut still = Pushed::new(OptimizerSpec::Lars(lars), &START, &[2, 3]);
    assert_eq!(still.step(&[0.0; 6], 0.5), [0.0; 6]);
    let buffer = Vec::<f32>::try_from(still.optimizer.state().unwrap()[1].1.reshape([-1])).unwrap();
    assert_eq!(buffer, [0.0; 6]);
    // With decay the gradient is not zero, and the weights shrink by the trust coefficient.
    let lars = Lars { weight_decay: 0.3, trust_coefficient: 0.1, ..lars };
    let moved = Pushed::new(OptimizerSpec::Lars(lars), &START, &[2, 3]).step(&[0.0; 6], 0.5);
    assert_near(&moved, &START.map(|start| -0.05 * start));
}

#[test]
fn tensors_of_one_dimension_step_as_sgd_does_without_decay() {
    for nesterov in [false, true] {
        let lars = Lars { nesterov, weight_decay: 0.3, ..Lars::default() };
        let mut left_out = Pushed::new(OptimizerSpec::Lars(lars), &START, &[6]);
        let mut sgd =
            Pushed::new(OptimizerSpec::Sgd(Sgd { nesterov, weight_decay: 0.0, ..Sgd::default() }), &START, &[6]);
        let taken_in = Lars { exclude_bias_and_norm: false, ..lars };
        let mut taken_in = Pushed::new(OptimizerSpec::Lars(taken_in), &START, &[6]);
        let mut matrix = Pushed::new(OptimizerSpec::Lars(lars), &START, &[3, 2]);
        for step in 0..4 {
            let push = PUSH.map(|push| push * 0.1 * (step - 2) as f32);
            assert_near(&left_out.step(&push, 0.1), &sgd.step(&push, 0.1));
            assert_near(&taken_in.step(&push, 0.1), &matrix.step(&push, 0.1));
        }
        assert!(norm(&taken_in.values()) != norm(&left_out.values()));
    }
}

/// A new rate applies to new gradients: what is remembered goes on at its own.
#[test]
fn the_learning_rate_is_inside_the_buffer() {
    let lars = Lars { momentum: 0.5, weight_decay: 0.0, trust_coefficient: 0.1, ..Lars::default() };
    let mut pushed = Pushed::new(OptimizerSpec::Lars(lars), &START, &[2, 3]);
    let first = pushed.step(&PUSH, 1.0);
    assert_near(&pushed.step(&PUSH, 0.0), &std::array::from_fn::<_, 6, _>(|i| 0.5 * first[i]));
    // Torch's form, which scales the buffer by the newest rate.
    let mut sgd = Pushed::new(OptimizerSpec::Sgd(Sgd { momentum: 0.5, ..Sgd::default() }), &START, &[2, 3]);
    sgd.step(&PUSH, 1.0);
    assert_eq!(sgd.step(&PUSH, 0.0), [0.0; 6]);
}

#[test]
fn a_rate_beyond_single_precision_is_refused_by_every_optimizer() {
    for spec in [OptimizerSpec::Lars(Lars::default()), OptimizerSpec::default()] {
        let mut pushed = Pushed::new(spec, &START, &[2, 3]);
        let error = pushed.optimizer.step(1e39).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("lr, scaled and times the weight decay, must be at most 3.4e38, got {}", 1e39)
        );
    }
}
