//! Steps against the equations of the modules in double precision: for tensors longer than any vector register, of every length of tail and every
//! element type.

use panal_optim::{AdamW, Optimizer, OptimizerSpec, ParamGroup, Sgd};
use tch::{Device, Kind, Tensor};

const LR: f64 = 0.05;
const STEPS: i32 = 5;

/// One parameter and what is remembered of it, value by value.
struct Value {
    p: f64,
    first: f64,
    second: f64,
}

fn expected(spec: &OptimizerSpec, value: &mut Value, gradient: f64, t: i32) {
    match *spec {
        OptimizerSpec::Sgd(Sgd { momentum, nesterov, weight_decay, .. }) => {
            let gradient = gradient + weight_decay * value.p;
            value.first = momentum * value.first + gradient;
            value.p -= LR * if nesterov { gradient + momentum * value.first } else { value.first };
        }
        OptimizerSpec::AdamW(AdamW { beta1, beta2, eps, weight_decay, .. }) => {
            value.p *= 1.0 - LR * weight_decay;
            value.first = beta1 * value.first + (1.0 - beta1) * gradient;
            value.second = beta2 * value.second + (1.0 - beta2) * gradient * gradient;
            let unbiased = (value.second / (1.0 - beta2.powi(t))).sqrt() + eps;
            value.p -= LR / (1.0 - beta1.powi(t)) * value.first / unbiased;
        }
        OptimizerSpec::Lars(_) => unreachable!("LARS is not made of one operation"),
    }
}

#[test]
fn every_element_moves_as_the_equations_say() {
    let sgd = Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.1, decay_bias_and_norm: true };
    let specs = [
        OptimizerSpec::Sgd(Sgd { momentum: 0.0, ..sgd }),
        OptimizerSpec::Sgd(Sgd { weight_decay: 0.0, ..sgd }),
        OptimizerSpec::Sgd(sgd),
        OptimizerSpec::Sgd(Sgd { nesterov: true, ..sgd }),
        OptimizerSpec::AdamW(AdamW { weight_decay: 0.1, ..AdamW::default() }),
    ];
    // What five roundings of values up to 2 may come to.
    let kinds = [(Kind::Double, 1e-7), (Kind::Float, 1e-6), (Kind::Half, 1e-2), (Kind::BFloat16, 8e-2)];
    for (spec, (kind, tolerance)) in specs.iter().flat_map(|spec| kinds.map(|kind| (spec, kind))) {
        for length in [1_i64, 7, 35, 64, 70, 131, 1000] {
            let at = Tensor::arange(length, (Kind::Double, Device::Cpu));
            // Values that the element type holds exactly, as the equations get them.
            let rounded = |values: Tensor| values.to_kind(kind);
            let parameter = rounded((&at * 0.7).sin() * 2.0).set_requires_grad(true);
            let gradient = rounded((&at * 1.3).cos());
            let list = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double)).unwrap();
            let mut values: Vec<Value> =
                list(&parameter).into_iter().map(|p| Value { p, first: 0.0, second: 0.0 }).collect();
            let params = vec![("p".to_owned(), parameter.shallow_clone())];
            let mut optimizer =
                Optimizer::new(spec, vec![ParamGroup { name: "all".into(), params, lr_scale: 1.0 }]).unwrap();
            for t in 1..=STEPS {
                optimizer.zero_grad().unwrap();
                (&parameter * &gradient).sum(Kind::Double).backward();
                optimizer.step(LR).unwrap();
                for (value, gradient) in values.iter_mut().zip(list(&gradient)) {
                    expected(spec, value, gradient, t);
                }
            }
            for (index, (got, Value { p, .. })) in list(&parameter).into_iter().zip(&values).enumerate() {
                assert!((got - p).abs() <= tolerance, "{spec:?}, {kind:?}, element {index} of {length}: {got}, {p}");
            }
        }
    }
}
