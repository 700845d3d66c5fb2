//! Conv-4 and the relation module: shapes, the three ways of batch norm, parameters from outside, and what is refused.

#![allow(clippy::unwrap_used)]

use panal_models::{Conv4, Conv4Spec, Norms, RelationHead, Statistics};
use panal_tensor::{Role, Store};
use tch::{Device, Kind, Tensor};

fn network(spec: Conv4Spec) -> (Conv4, Store) {
    let mut store = Store::new(Device::Cpu, 3);
    (Conv4::new(&spec, &mut store).unwrap(), store)
}

fn images(count: i64, spec: Conv4Spec) -> Tensor {
    let (channels, side) = (spec.channels as i64, spec.side as i64);
    let values: Vec<f32> = (0..count * channels * side * side).map(|i| (i * i % 1013) as f32 / 1013.0).collect();
    Tensor::from_slice(&values).reshape([count, channels, side, side])
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn it_is_the_network_of_the_papers() {
    let (network, store) = network(Conv4Spec::default());
    assert_eq!(network.features(&images(2, *network.spec()), Norms::Inductive).unwrap().size(), [2, 64]);
    let parameters: i64 = store.named(|_, role| role == Role::Parameter).iter().map(|(_, t)| t.numel() as i64).sum();
    // 9 * 64 + 3 * 9 * 64 * 64, and 2 * 64 a norm.
    assert_eq!(parameters, 111_680);
    let names: Vec<_> = store.iter().map(|(name, ..)| name.to_owned()).take(3).collect();
    assert_eq!(names, ["backbone.0.conv.weight", "backbone.0.norm.weight", "backbone.0.norm.bias"]);
    let wide = Conv4Spec { channels: 3, side: 84, ..Conv4Spec::default() };
    assert_eq!(wide.feature_dim(), 1600);
}

#[test]
fn norms_are_what_they_say() {
    let spec = Conv4Spec { width: 5, side: 20, pools: 3, channels: 3 };
    let (network, store) = network(spec);
    let (few, more) = (images(3, spec), images(7, spec));
    let before = store.digest().unwrap();
    let alone = network.features(&more.narrow(0, 0, 3), Norms::Inductive).unwrap();
    assert!(far(&alone, &network.features(&more, Norms::Inductive).unwrap().narrow(0, 0, 3)) < 1e-6);
    let own = network.features(&few, Norms::Transductive).unwrap();
    assert!(far(&own, &network.features(&more, Norms::Transductive).unwrap().narrow(0, 0, 3)) > 1e-3);
    assert_eq!(store.digest().unwrap(), before);
    // Training sees what the transductive way sees, and remembers it.
    assert_eq!(far(&own, &network.features(&few, Norms::Train).unwrap()), 0.0);
    assert_ne!(store.digest().unwrap(), before);
}

#[test]
fn with_its_own_parameters_from_outside_it_is_the_same_network() {
    let spec = Conv4Spec { width: 5, side: 20, pools: 3, channels: 3 };
    let (network, _) = network(spec);
    let batch = images(6, spec);
    let own = network.features(&batch, Norms::Transductive).unwrap();
    let outside = spec.features_with(&network.parameters(), &batch, Statistics::Batch).unwrap();
    assert!(far(&own, &outside) < 1e-5);
    let statistics = spec.statistics_with(&network.parameters(), &batch).unwrap();
    let given = spec.features_with(&network.parameters(), &batch, Statistics::Given(&statistics)).unwrap();
    assert!(far(&own, &given) < 1e-4);
    // In twice the precision too.
    let double: Vec<Tensor> = network.parameters().iter().map(|t| t.to_kind(Kind::Double)).collect();
    let double = spec.features_with(&double, &batch.to_kind(Kind::Double), Statistics::Batch).unwrap();
    assert!(far(&own.to_kind(Kind::Double), &double) < 1e-4);
}

#[test]
fn a_relation_is_one_number_a_pair() {
    let spec = Conv4Spec { pools: 2, width: 6, ..Conv4Spec::default() };
    let (network, mut store) = network(spec);
    let head = RelationHead::new(&spec, 8, &mut store).unwrap();
    let maps = network.maps(&images(4, spec), Norms::Inductive).unwrap();
    assert_eq!(maps.size(), [4, 6, 7, 7]);
    let pairs = Tensor::cat(&[maps.narrow(0, 0, 3), maps.narrow(0, 1, 3)], 1);
    assert_eq!(head.forward(&pairs, Norms::Inductive).unwrap().size(), [3]);
    let error = head.forward(&maps, Norms::Inductive).unwrap_err().to_string();
    assert_eq!(error, "pairs of maps must be [N, 12, 7, 7], got [4, 6, 7, 7]");
}

#[test]
fn wrong_forms_and_images_are_refused() {
    let base = Conv4Spec::default();
    for (spec, message) in [
        (Conv4Spec { channels: 2, ..base }, "channels must be 1 or 3, got 2"),
        (Conv4Spec { width: 0, ..base }, "width must be between 1 and 4096, got 0"),
        (Conv4Spec { pools: 5, ..base }, "pools must be at most 4, got 5"),
        (Conv4Spec { side: 15, ..base }, "side must be between 16 and 1024, got 15"),
    ] {
        assert_eq!(Conv4::new(&spec, &mut Store::new(Device::Cpu, 0)).unwrap_err().to_string(), message);
    }
    let (network, mut store) = network(base);
    let wrong = Tensor::zeros([2, 1, 28, 27], (Kind::Float, Device::Cpu));
    let error = network.features(&wrong, Norms::Inductive).unwrap_err().to_string();
    assert_eq!(error, "images must be [N, 1, 28, 28], got [2, 1, 28, 27]");
    let error = base.features_with(&network.parameters()[1..], &images(2, base), Statistics::Batch).unwrap_err();
    assert_eq!(error.to_string(), "the number of parameters must be 12, got 11");
    let error = base.features_with(&network.parameters(), &images(2, base), Statistics::Given(&[])).unwrap_err();
    assert_eq!(error.to_string(), "the statistics must be those of 4 blocks, got 0");
    let error = RelationHead::new(&base, 8, &mut store).unwrap_err().to_string();
    assert!(error.starts_with("the side of the maps that a relation module compares must be at least 4"), "{error}");
}
