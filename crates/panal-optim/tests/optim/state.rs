//! What an optimizer remembers, saved and restored: bit for bit, or refused with the tensor's name.

use crate::problem::{Problem, golden};
use indexmap::IndexMap;
use panal_optim::{AdamW, Lars, OptimError, Optimizer, OptimizerSpec, ParamGroup, Sgd};
use tch::{Kind, Tensor};

#[test]
fn restored_midway_the_rest_is_bit_identical() {
    let golden = golden();
    for case in &golden.cases {
        for cut in 0..=golden.rates.len() {
            let mut whole = Problem::new(case, &case.start);
            let mut saved = None;
            for (step, &lr) in golden.rates.iter().enumerate() {
                if step == cut {
                    saved = Some((whole.params(), whole.optimizer.state().unwrap()));
                }
                whole.step(step, lr);
            }
            // Saved states are copies: the steps that followed must not have moved them.
            let (params, state) = saved.unwrap_or_else(|| (whole.params(), whole.optimizer.state().unwrap()));
            let mut resumed = Problem::new(case, &params);
            resumed.optimizer.load_state(&state.into_iter().collect()).unwrap();
            for (step, &lr) in golden.rates.iter().enumerate().skip(cut) {
                resumed.step(step, lr);
            }
            assert_eq!(resumed.params(), whole.params(), "{}, cut before step {cut}", case.name);
            let (resumed, whole) = (resumed.optimizer.state().unwrap(), whole.optimizer.state().unwrap());
            for ((name, got), (expected_name, expected)) in resumed.iter().zip(&whole) {
                assert!(name == expected_name && got.equal(expected), "{}, cut before step {cut}: {name}", case.name);
            }
        }
    }
}

#[test]
fn names_shapes_and_counts_are_as_documented() {
    let golden = golden();
    for case in &golden.cases {
        let mut problem = Problem::new(case, &case.start);
        (0..6).for_each(|step| problem.step(step, 0.1));
        let state: IndexMap<String, Tensor> = problem.optimizer.state().unwrap().into_iter().collect();
        let remembered: &[&str] = match case.spec {
            OptimizerSpec::Sgd(Sgd { momentum: 0.0, .. }) | OptimizerSpec::Lars(Lars { momentum: 0.0, .. }) => &[],
            OptimizerSpec::Sgd(_) | OptimizerSpec::Lars(_) => &["momentum_buffer"],
            OptimizerSpec::AdamW(_) => &["exp_avg", "exp_avg_sq"],
        };
        assert_eq!(state.len(), 3 * (1 + remembered.len()), "{}", case.name);
        for (name, shape, steps) in [("w", vec![3, 5], 6), ("b", vec![3], 6), ("s", vec![3], 4)] {
            assert_eq!(state[&format!("{name}.step")].int64_value(&[]), steps);
            for what in remembered {
                assert_eq!(state[&format!("{name}.{what}")].size(), shape);
            }
        }
    }
}

#[test]
fn another_optimizers_state_is_refused_and_changes_nothing() {
    let golden = golden();
    let case = golden.cases.iter().find(|case| case.name == "momentum").unwrap();
    let mut problem = Problem::new(case, &case.start);
    (0..3).for_each(|step| problem.step(step, 0.1));
    let good: IndexMap<String, Tensor> = problem.optimizer.state().unwrap().into_iter().collect();
    let changed = |change: fn(&mut IndexMap<String, Tensor>)| {
        let mut state: IndexMap<_, _> = good.iter().map(|(name, tensor)| (name.clone(), tensor.zeros_like())).collect();
        change(&mut state);
        state
    };
    let cases = [
        (
            changed(|s| drop(s.swap_remove("s.step"))),
            "the saved state has no s.step; it was saved from other parameters or by another optimizer",
        ),
        (changed(|s| drop(s.swap_remove("w.momentum_buffer"))), "the saved state has no w.momentum_buffer"),
        (
            changed(|s| drop(s.insert("w.exp_avg".into(), Tensor::from(1_i64)))),
            "the saved state holds w.exp_avg, which this optimizer does not",
        ),
        (
            changed(|s| drop(s.insert("w.momentum_buffer".into(), Tensor::zeros([5, 3], tch::kind::FLOAT_CPU)))),
            "w.momentum_buffer of the saved state must be Float [3, 5], got Float [5, 3]",
        ),
        (
            changed(|s| {
                drop(s.insert("b.momentum_buffer".into(), Tensor::zeros([3], (Kind::Double, tch::Device::Cpu))));
            }),
            "b.momentum_buffer of the saved state must be Float [3], got Double [3]",
        ),
        (
            changed(|s| drop(s.insert("b.step".into(), Tensor::from(-1_i64)))),
            "the number of steps of the saved state must be >= 0, got -1",
        ),
    ];
    for (state, message) in cases {
        let error = problem.optimizer.load_state(&state).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
        let now = problem.optimizer.state().unwrap();
        assert!(now.iter().all(|(name, tensor)| tensor.equal(&good[name])), "changed by a refused state: {error}");
    }
}

#[test]
fn parameters_that_cannot_be_optimized_are_refused() {
    let leaf = || Tensor::zeros([2], tch::kind::FLOAT_CPU).set_requires_grad(true);
    let make = |params: Vec<(&str, Tensor)>, lr_scale| {
        let params = params.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        Optimizer::new(&OptimizerSpec::default(), vec![ParamGroup { name: "all".into(), params, lr_scale }])
    };
    assert!(matches!(make(vec![], 1.0), Err(OptimError::NoParameters)));
    assert!(
        matches!(make(vec![("a", leaf()), ("a", leaf())], 1.0), Err(OptimError::Duplicate { name }) if name == "a")
    );
    assert!(matches!(make(vec![("a", leaf() * 2.0)], 1.0), Err(OptimError::NotLeaf { name }) if name == "a"));
    assert_eq!(make(vec![("a", leaf())], 0.0).unwrap_err().to_string(), "lr_scale must be a finite number > 0, got 0");
    for lr in [-0.1, f64::NAN, f64::INFINITY] {
        let error = make(vec![("a", leaf())], 1.0).unwrap().step(lr).unwrap_err().to_string();
        assert_eq!(error, format!("lr must be a finite number >= 0, got {lr}"));
    }
}

#[test]
fn a_rate_of_zero_moves_nothing_even_where_the_gradient_is_zero() {
    for spec in [OptimizerSpec::default(), OptimizerSpec::AdamW(AdamW::default()), OptimizerSpec::Lars(Lars::default())]
    {
        let parameter = Tensor::from_slice(&[1.5_f32, -2.0]).set_requires_grad(true);
        let params = vec![("a".to_owned(), parameter.shallow_clone())];
        let mut optimizer =
            Optimizer::new(&spec, vec![ParamGroup { name: "all".into(), params, lr_scale: 1.0 }]).unwrap();
        (&parameter * Tensor::from_slice(&[0.0_f32, 1.0])).sum(Kind::Float).backward();
        optimizer.step(0.0).unwrap();
        assert!(parameter.equal(&Tensor::from_slice(&[1.5_f32, -2.0])), "{spec:?}");
    }
}

#[test]
fn memory_has_the_layout_of_its_parameter() {
    let channels_last = Tensor::zeros([4, 2, 3, 5], tch::kind::FLOAT_CPU).permute([0, 3, 1, 2]).set_requires_grad(true);
    let group =
        || ParamGroup { name: "all".into(), params: vec![("a".into(), channels_last.shallow_clone())], lr_scale: 1.0 };
    let mut optimizer = Optimizer::new(&OptimizerSpec::default(), vec![group()]).unwrap();
    let contiguous = optimizer.state().unwrap().into_iter().map(|(name, tensor)| (name, tensor.contiguous())).collect();
    optimizer.load_state(&contiguous).unwrap();
    assert_eq!(optimizer.state().unwrap()[1].1.stride(), channels_last.stride());
}
