//! Where the elements of parameters, gradients and what is remembered lie in memory must not matter; fused steps go through memory, not by strides.

use panal_optim::{AdamW, Lars, OptimError, Optimizer, OptimizerSpec, ParamGroup, Sgd};
use tch::{Kind, Tensor};

fn specs() -> [OptimizerSpec; 3] {
    [
        OptimizerSpec::Sgd(Sgd { nesterov: true, weight_decay: 0.1, ..Sgd::default() }),
        OptimizerSpec::AdamW(AdamW::default()),
        OptimizerSpec::Lars(Lars { trust_coefficient: 0.1, ..Lars::default() }),
    ]
}

fn optimizer(spec: &OptimizerSpec, params: &[&Tensor]) -> Result<Optimizer, OptimError> {
    let params = params.iter().enumerate().map(|(i, tensor)| (i.to_string(), tensor.shallow_clone())).collect();
    Optimizer::new(spec, vec![ParamGroup { name: "all".into(), params, lr_scale: 1.0 }])
}

fn numbers(shape: &[i64], kind: Kind) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (kind, tch::Device::Cpu)) * 0.7).sin().reshape(shape)
}

/// The same elements in channels-last order.
fn channels_last(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

#[test]
fn no_layout_changes_a_step() {
    let (start, push) = (numbers(&[4, 3, 2, 5], Kind::Float), numbers(&[4, 3, 2, 5], Kind::Float) * 0.5);
    for spec in specs() {
        let plain = start.copy().set_requires_grad(true);
        // Contiguous, then channels-last; its gradient the other way round; its memory as it was before.
        let mut moved = start.copy().set_requires_grad(true);
        let (mut of_plain, mut of_moved) = (optimizer(&spec, &[&plain]).unwrap(), optimizer(&spec, &[&moved]).unwrap());
        for step in 0..4 {
            if step == 2 {
                let turned = channels_last(&moved.detach());
                moved.set_data(&turned);
            }
            for (parameter, optimizer) in [(&plain, &mut of_plain), (&moved, &mut of_moved)] {
                optimizer.zero_grad().unwrap();
                (parameter * &push * f64::from(step + 1)).sum(Kind::Float).backward();
            }
            if step == 3 {
                let turned = moved.grad().contiguous();
                assert_ne!(turned.stride(), moved.grad().stride());
                moved.grad().set_data(&turned);
            }
            of_plain.step(0.1).unwrap();
            of_moved.step(0.1).unwrap();
            let off = (&plain - &moved).abs().max().double_value(&[]);
            assert!(off < 1e-6, "{spec:?}, step {step}: {off}");
        }
        assert!((&plain - &start).abs().max().double_value(&[]) > 0.01, "{spec:?} moved nothing");
    }
}

#[test]
fn element_types_may_differ_between_parameters() {
    for spec in specs() {
        let single = numbers(&[2, 3], Kind::Float).set_requires_grad(true);
        let double = numbers(&[2, 3], Kind::Double).set_requires_grad(true);
        let mut optimizer = optimizer(&spec, &[&single, &double]).unwrap();
        for _ in 0..3 {
            optimizer.zero_grad().unwrap();
            (single.square().sum(Kind::Double) + double.square().sum(Kind::Double)).backward();
            optimizer.step(0.1).unwrap();
        }
        let off = (single.to_kind(Kind::Double) - &double).abs().max().double_value(&[]);
        assert!(off < 1e-6, "{spec:?}: {off}");
    }
}

#[test]
fn sparse_gradients_are_made_dense() {
    for spec in specs() {
        let [dense, sparse] = [false, true].map(|sparse| {
            let parameter = numbers(&[5, 4], Kind::Float).set_requires_grad(true);
            let mut optimizer = optimizer(&spec, &[&parameter]).unwrap();
            for _ in 0..2 {
                optimizer.zero_grad().unwrap();
                let rows = Tensor::embedding(&parameter, &Tensor::from_slice(&[3_i64, 1, 3]), -1, false, sparse);
                rows.square().sum(Kind::Float).backward();
                assert_eq!(parameter.grad().is_sparse(), sparse);
                optimizer.step(0.1).unwrap();
            }
            parameter.detach()
        });
        assert!((&dense - &sparse).abs().max().double_value(&[]) < 1e-6, "{spec:?}");
        assert_ne!(dense, numbers(&[5, 4], Kind::Float));
    }
}

#[test]
fn an_element_type_may_change_between_steps() {
    for spec in specs() {
        let [kept, changed] = [false, true].map(|change| {
            let mut parameter = numbers(&[2, 3], Kind::Float).set_requires_grad(true);
            let mut optimizer = optimizer(&spec, &[&parameter]).unwrap();
            for step in 0..3 {
                if change && step == 1 {
                    let double = parameter.detach().to_kind(Kind::Double);
                    optimizer.zero_grad().unwrap();
                    parameter.set_data(&double);
                }
                optimizer.zero_grad().unwrap();
                parameter.square().sum(Kind::Double).backward();
                optimizer.step(0.1).unwrap();
            }
            parameter.detach().to_kind(Kind::Double)
        });
        assert!((&kept - &changed).abs().max().double_value(&[]) < 1e-6, "{spec:?}");
    }
}

#[test]
fn parameters_with_gaps_or_shared_places_are_refused() {
    let gaps = || numbers(&[6], Kind::Float).slice(0, 0, 6, 2).detach().set_requires_grad(true);
    let shared = || numbers(&[1, 3], Kind::Float).expand([4, 3], false).detach().set_requires_grad(true);
    for parameter in [gaps(), shared()] {
        let error = optimizer(&OptimizerSpec::default(), &[&parameter]).unwrap_err();
        assert!(error.to_string().starts_with("parameter 0 is not dense"), "{error}");
    }
    // Also where a parameter becomes so afterwards: nothing moves, and no step is counted.
    let (first, mut second) =
        (numbers(&[3], Kind::Float).set_requires_grad(true), numbers(&[3], Kind::Float).set_requires_grad(true));
    let mut optimizer = optimizer(&OptimizerSpec::default(), &[&first, &second]).unwrap();
    (&first + &second).sum(Kind::Float).backward();
    second.set_data(&gaps().detach());
    assert!(matches!(optimizer.step(0.1), Err(OptimError::NotDense { name }) if name == "1"));
    assert!(first.equal(&numbers(&[3], Kind::Float)));
    assert_eq!(optimizer.state().unwrap()[0].1.int64_value(&[]), 0);
}
