//! Steps and learning rates against `torch.optim`, and LARS against its equations in double precision; the numbers are made by `golden/generate.py`.

use crate::problem::{Problem, golden};
use panal_optim::{Progress, ScheduleSpec};
use serde::Deserialize;

#[test]
fn twelve_steps_are_those_of_python() {
    let golden = golden();
    assert_eq!(golden.cases.len(), 13);
    for case in &golden.cases {
        let mut problem = Problem::new(case, &case.start);
        for (step, (&lr, expected)) in golden.rates.iter().zip(&case.after).enumerate() {
            problem.step(step, lr);
            for (index, (got, expected)) in problem.params().values().zip(expected.values()).enumerate() {
                let off = (got - expected).abs();
                assert!(off <= 1e-6, "{}, step {step}, value {index}: {got}, Python has {expected}", case.name);
            }
        }
    }
}

#[test]
fn a_parameter_without_a_gradient_stays_as_it_is() {
    let golden = golden();
    for case in &golden.cases {
        let mut problem = Problem::new(case, &case.start);
        for (step, &lr) in golden.rates[..7].iter().enumerate() {
            let before = problem.params();
            problem.step(step, lr);
            assert_eq!(before.s == problem.params().s, step >= 4, "{}, step {step}", case.name);
        }
    }
}

#[derive(Deserialize)]
struct Rates {
    spec: ScheduleSpec,
    epochs: usize,
    steps_per_epoch: usize,
    per_epoch: bool,
    rates: Vec<f64>,
}

#[test]
fn learning_rates_are_torchs() {
    let cases: Vec<Rates> = serde_json::from_str(include_str!("../golden/schedules.json")).unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let Rates { spec, epochs, steps_per_epoch, .. } = case;
        spec.check_for(epochs).unwrap();
        for at in 0..epochs * steps_per_epoch {
            let (epoch, step) = (at / steps_per_epoch, at % steps_per_epoch);
            let expected = case.rates[if case.per_epoch { epoch } else { at }];
            let got = spec.factor(Progress { epoch, step, steps_per_epoch, epochs });
            assert!((got - expected).abs() < 1e-14, "{spec:?} at {epoch}/{step}: {got}, torch has {expected}");
        }
    }
}
