//! Values and gradients against those of tests/golden/contrastive.py, in f64 and in f32.

use panal_losses::{Negatives, Similarity};
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::helpers::{apart, differentiated};

fn matrix(value: &Value) -> Tensor {
    let rows = value.as_array().unwrap();
    let numbers: Vec<f64> = rows.iter().flat_map(|row| row.as_array().unwrap()).map(|x| x.as_f64().unwrap()).collect();
    Tensor::from_slice(&numbers).reshape([rows.len() as i64, -1])
}

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../golden/contrastive.json")).unwrap()
}

fn loss(case: &Value, z: &Tensor) -> Result<Tensor, panal_losses::LossError> {
    let number = |name: &str| case[name].as_f64().unwrap();
    let negatives = match case["negatives"].as_str() {
        Some("semi_hard") => Negatives::SemiHard,
        _ => Negatives::All,
    };
    match case["loss"].as_str().unwrap() {
        "nt_xent" => {
            let dot = case["similarity"] == "dot";
            let similarity = if dot { Similarity::Dot } else { Similarity::Cosine };
            panal_losses::nt_xent_with(z, similarity, number("temperature"))
        }
        "nt_logistic" => panal_losses::nt_logistic(z, negatives, number("temperature")),
        "margin_triplet" => panal_losses::margin_triplet(z, negatives, number("margin")),
        "sup_con" => {
            let labels: Vec<i64> = case["labels"].as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect();
            panal_losses::sup_con(z, &Tensor::from_slice(&labels), number("temperature"))
        }
        "info_nce" => {
            let [key, queue] = ["key", "queue"].map(|name| matrix(&case[name]).to_kind(z.kind()));
            panal_losses::info_nce(z, &key, &queue, number("temperature"))
        }
        other => panic!("no loss is called {other}"),
    }
}

#[test]
fn values_and_gradients_are_those_of_plain_loops() {
    let cases: Vec<Value> = cases().into_iter().filter(|case| case["loss"] != "measured").collect();
    assert_eq!(cases.len(), 30);
    for case in &cases {
        let z = matrix(&case["z"]);
        // The file has 12 digits. f32 has 7, of similarities over temperatures of 0.05.
        for (kind, tolerance) in [(Kind::Double, 1e-10), (Kind::Float, 1e-6)] {
            let (value, gradient) = differentiated(&z.to_kind(kind), |z| loss(case, z));
            let expected = case["value"].as_f64().unwrap();
            assert!((value - expected).abs() <= tolerance * expected.max(1.0), "{case}, {kind:?}: {value}");
            let expected = matrix(&case["gradient"]);
            let size = expected.abs().max().double_value(&[]).max(1.0);
            assert!(apart(&gradient, &expected) <= tolerance * size, "{case}, {kind:?}: {gradient}");
        }
    }
}

#[test]
fn what_is_measured_is_what_plain_loops_measure() {
    let cases: Vec<Value> = cases().into_iter().filter(|case| case["loss"] == "measured").collect();
    assert_eq!(cases.len(), 3);
    for case in &cases {
        let near = |name: &str, got: f64, tolerance: f64| {
            let expected = case[name].as_f64().unwrap();
            assert!((got - expected).abs() <= tolerance, "{name} of {case}: {got}");
        };
        for (kind, tolerance) in [(Kind::Double, 1e-10), (Kind::Float, 1e-6)] {
            let z = matrix(&case["z"]).to_kind(kind);
            let (top1, top5) = panal_losses::contrastive_accuracy(&z).unwrap();
            near("top1", top1, 1e-10);
            near("top5", top5, 1e-10);
            near("alignment", panal_losses::alignment(&z).unwrap(), tolerance);
            near("uniformity", panal_losses::uniformity(&z).unwrap(), tolerance);
        }
    }
}
