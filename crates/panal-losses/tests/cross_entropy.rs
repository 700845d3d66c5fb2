//! Cross entropy against torch's numbers (tests/golden/cross_entropy.py), its laws, and its errors.

use panal_losses::{LossError, cross_entropy};
use proptest::prelude::*;
use serde_json::Value;
use tch::{Kind, Tensor};

fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().expect("a number") as f32],
    }
}

#[test]
fn value_and_gradient_are_those_of_torch() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/cross_entropy.json")).unwrap();
    assert_eq!(cases.len(), 6);
    for case in &cases {
        let labels: Vec<i64> = case["labels"].as_array().unwrap().iter().map(|label| label.as_i64().unwrap()).collect();
        let rows = labels.len() as i64;
        let logits = Tensor::from_slice(&floats(&case["logits"])).reshape([rows, -1]).set_requires_grad(true);
        let loss = cross_entropy(&logits, &Tensor::from_slice(&labels), case["smoothing"].as_f64().unwrap()).unwrap();
        loss.backward();
        let expected = case["loss"].as_f64().unwrap();
        let got = loss.double_value(&[]);
        assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{case}: {got}");
        let gradient = Vec::<f32>::try_from(logits.grad().reshape([-1])).unwrap();
        let expected = floats(&case["gradient"]);
        assert_eq!(gradient.len(), expected.len());
        for (got, expected) in gradient.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-6, "{case}: {got} against {expected}");
        }
    }
}

#[test]
fn each_wrong_argument_has_its_error() {
    let logits = Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu));
    let labels = Tensor::from_slice(&[0_i64, 2]);
    let of = |logits: &Tensor, labels: &Tensor, smoothing| cross_entropy(logits, labels, smoothing).unwrap_err();

    assert!(matches!(of(&logits.get(0), &labels, 0.0), LossError::Logits { .. }));
    assert!(matches!(of(&logits.narrow(0, 0, 0), &labels.narrow(0, 0, 0), 0.0), LossError::Logits { .. }));
    assert!(matches!(of(&logits, &labels.narrow(0, 0, 1), 0.0), LossError::Labels { rows: 2, .. }));
    assert!(matches!(of(&logits, &labels.to_kind(Kind::Float), 0.0), LossError::Labels { kind: Kind::Float, .. }));
    for smoothing in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(of(&logits, &labels, smoothing), LossError::LabelSmoothing(_)), "{smoothing}");
    }
    // -100 is the label that torch leaves out without a word.
    for label in [-100, -1, 3] {
        let error = of(&logits, &Tensor::from_slice(&[0, label]), 0.0);
        assert!(matches!(error, LossError::Label { position: 1, value, classes: 3 } if value == label), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Adding a constant to a row changes nothing, equal logits cost log C nats, and smoothing is linear in s.
    #[test]
    fn laws(
        rows in prop::collection::vec(prop::collection::vec(-20.0f64..20.0, 4), 1..6),
        shift in -50.0f64..50.0,
        smoothing in 0.0f64..=1.0,
        label in 0i64..4,
    ) {
        let n = rows.len() as i64;
        let logits = Tensor::from_slice(&rows.concat()).reshape([n, 4]);
        let labels = Tensor::full([n], label, (Kind::Int64, tch::Device::Cpu));
        let loss = |logits: &Tensor, smoothing| cross_entropy(logits, &labels, smoothing).unwrap().double_value(&[]);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;

        prop_assert!(near(loss(&logits, smoothing), loss(&(&logits + shift), smoothing)));
        prop_assert!(near(loss(&(&logits * 0.0), smoothing), 4.0f64.ln()));
        let mixed = (1.0 - smoothing) * loss(&logits, 0.0) + smoothing * loss(&logits, 1.0);
        prop_assert!(near(loss(&logits, smoothing), mixed));
    }
}
