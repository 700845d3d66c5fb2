//! The store: initial values, loading, freezing, digests.

use std::collections::HashMap;
use std::path::Path;

use panal_tensor::{Init, LoadOptions, Role, Store, TensorError, Weights, is_channels_last};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::bits;

fn weights(tensors: &[(&str, Tensor)]) -> Weights {
    Weights {
        tensors: tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())).collect(),
        metadata: [].into(),
        source: Path::new("some/file.pth").to_owned(),
    }
}

/// A small network: a convolution, a batch norm, a linear layer.
fn store() -> Store {
    let mut store = Store::new(Device::Cpu, 5).with_channels_last();
    let _ = store.parameter("conv.weight", &[4, 3, 2, 5], Init::KaimingNormalFanOut).unwrap();
    let _ = store.buffer("bn.running_mean", &Tensor::zeros([4], (Kind::Float, Device::Cpu))).unwrap();
    let _ = store.buffer("bn.num_batches_tracked", &Tensor::from(0i64)).unwrap();
    let _ = store.parameter("fc.weight", &[2, 4], Init::linear(4)).unwrap();
    let _ = store.parameter("fc.bias", &[2], Init::linear(4)).unwrap();
    store
}

#[test]
fn values_follow_from_seed_and_name_alone() {
    let draw = |seed, names: &[&str]| -> HashMap<String, Vec<u32>> {
        let mut store = Store::new(Device::Cpu, seed);
        let make = |name: &&str| ((*name).to_owned(), bits(&store.parameter(name, &[3, 7], Init::linear(7)).unwrap()));
        names.iter().map(make).collect()
    };
    let forth = draw(1, &["a", "b", "c"]);
    tch::manual_seed(99);
    assert_eq!(forth, draw(1, &["c", "b", "a"]));
    assert_ne!(forth["a"], forth["b"]);
    assert_ne!(forth["a"], draw(2, &["a"])["a"]);
    // Nor does the layout in memory matter.
    let conv = |store: Store| {
        let mut store = store;
        bits(&store.parameter("w", &[4, 3, 2, 5], Init::KaimingNormalFanOut).unwrap())
    };
    assert_eq!(conv(Store::new(Device::Cpu, 1)), conv(Store::new(Device::Cpu, 1).with_channels_last()));
}

/// Mean, spread and bounds over 72,000 draws; a mean of n draws with deviation s is within 5 s / sqrt(n) of its own.
#[test]
fn draws_have_the_stated_distribution() {
    let shape = [40, 25, 9, 8];
    let n = 72_000.0f64;
    let fan_out: f64 = 40.0 * 72.0;
    let mut store = Store::new(Device::Cpu, 3);
    let mut draw = |name: &str, init| {
        let tensor = tch::no_grad(|| store.parameter(name, &shape, init).unwrap().to_kind(Kind::Double));
        let stat = |tensor: Tensor| tensor.double_value(&[]);
        tch::no_grad(|| (stat(tensor.mean(None)), stat(tensor.std(true)), stat(tensor.abs().max())))
    };
    for (name, init, want) in [
        ("kaiming", Init::KaimingNormalFanOut, (2.0 / fan_out).sqrt()),
        ("normal", Init::Normal { std: 0.01 }, 0.01),
        ("uniform", Init::Uniform { bound: 0.3 }, 0.3 / 3f64.sqrt()),
        ("linear", Init::linear(1800), 1.0 / (3.0 * 1800.0f64).sqrt()),
    ] {
        let (mean, std, largest) = draw(name, init);
        assert!(mean.abs() < 5.0 * want / n.sqrt(), "{name}: mean {mean}");
        assert!((std / want - 1.0).abs() < 0.02, "{name}: std {std}, want {want}");
        let sigmas = largest / want;
        match init {
            Init::Uniform { bound } => assert!(largest <= bound * (1.0 + 1e-6) && largest > 0.999 * bound, "{name}"),
            _ => assert!((3.5..6.5).contains(&sigmas), "{name}: largest draw at {sigmas} sigmas"),
        }
    }
    assert_eq!(draw("zeros", Init::Zeros), (0.0, 0.0, 0.0));
    assert_eq!(draw("ones", Init::Ones), (1.0, 0.0, 1.0));
    assert_eq!(draw("constant", Init::Constant(-0.5)), (-0.5, 0.0, 0.5));
}

#[test]
fn impossible_parameters_are_refused() {
    let mut store = store();
    let mut refuse = |name: &str, shape: &[i64], init| store.parameter(name, shape, init).unwrap_err().to_string();
    assert!(refuse("fc.bias", &[2], Init::Zeros).contains("`fc.bias` is there twice"));
    assert!(refuse("a", &[-1], Init::Zeros).contains("[-1]"));
    assert!(refuse("a", &[i64::MAX, 9], Init::Zeros).contains("impossible"));
    assert!(refuse("a", &[2], Init::KaimingNormalFanOut).contains("two dimensions"));
    assert!(refuse("a", &[2], Init::Uniform { bound: -1.0 }).contains("bound must be finite and >= 0, got -1"));
    assert!(refuse("a", &[2], Init::Normal { std: f64::NAN }).contains("std must be finite and >= 0, got NaN"));
    assert!(refuse("a", &[2], Init::Constant(f64::INFINITY)).contains("finite"));
    assert_eq!(store.len(), 5);
}

#[test]
fn the_store_lists_what_it_holds() {
    let store = store();
    let roles: Vec<_> = store.iter().map(|(name, _, role)| (name, role)).collect();
    assert_eq!(
        roles,
        [
            ("conv.weight", Role::Parameter),
            ("bn.running_mean", Role::Buffer),
            ("bn.num_batches_tracked", Role::Buffer),
            ("fc.weight", Role::Parameter),
            ("fc.bias", Role::Parameter),
        ]
    );
    let head = store.named(|name, role| role == Role::Parameter && name.starts_with("fc."));
    assert_eq!(head.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["fc.weight", "fc.bias"]);
    assert_eq!(head[0].1.data_ptr(), store.get("fc.weight").unwrap().data_ptr());
    assert!(store.get("nothing").is_none());
}

#[test]
fn parameters_are_leaves_with_gradients_and_buffers_are_not() {
    let store = store();
    for (name, tensor, role) in store.iter() {
        assert_eq!(tensor.requires_grad(), role == Role::Parameter, "{name}");
        assert!(tensor.is_leaf(), "{name}");
    }
    assert_eq!(store.set_trainable(|name| name.starts_with("fc.")).unwrap(), 2);
    let conv = store.get("conv.weight").unwrap();
    let fc = store.get("fc.weight").unwrap();
    assert!(!conv.requires_grad() && fc.requires_grad());
    (conv.sum(Kind::Float) * fc.sum(Kind::Float)).backward();
    assert!(fc.grad().defined() && !conv.grad().defined());
    store.freeze().unwrap();
    assert!(store.iter().all(|(_, tensor, _)| !tensor.requires_grad()));
}

#[test]
fn loading_copies_in_place_and_reports() {
    let mut store = store();
    let (conv, mean) =
        (store.get("conv.weight").unwrap().shallow_clone(), store.get("bn.running_mean").unwrap().shallow_clone());
    let values = Tensor::arange(120, (Kind::Double, Device::Cpu)).view([4, 3, 2, 5]);
    let bias = bits(store.get("fc.bias").unwrap());
    let file = weights(&[
        ("conv.weight", values.shallow_clone()),
        ("extra", Tensor::from(1.0)),
        ("bn.num_batches_tracked", Tensor::from(41i32)),
        ("bn.running_mean", Tensor::from_slice(&[1.5f32, 2.0, -3.0, 0.25]).to_kind(Kind::BFloat16)),
        ("fc.weight", Tensor::from_slice(&[f32::NAN; 8]).view([2, 4])),
    ]);
    let report = store.load(&file, &LoadOptions { skip: vec!["fc.weight".into(), "conv.wei".into()] }).unwrap();
    assert_eq!(report.matched, ["conv.weight", "bn.running_mean", "bn.num_batches_tracked"]);
    assert_eq!(report.missing, ["fc.bias"]);
    assert_eq!(report.unexpected, ["extra"]);
    assert_eq!(report.skipped, ["fc.weight"]);
    assert!(!report.is_exact());
    // The handles that a network took earlier see the new values, in their own type and layout.
    assert!(conv.equal(&values.to_kind(Kind::Float)) && conv.kind() == Kind::Float);
    assert!(is_channels_last(&conv) && !conv.is_contiguous() && conv.requires_grad() && conv.is_leaf());
    assert_eq!(Vec::<f32>::try_from(&mean).unwrap(), [1.5, 2.0, -3.0, 0.25]);
    assert_eq!(store.get("bn.num_batches_tracked").unwrap().int64_value(&[]), 41);
    assert_eq!(bits(store.get("fc.bias").unwrap()), bias);
    // A prefix skips all below it.
    let report = store.load(&file, &LoadOptions { skip: vec!["fc".into(), "bn".into()] }).unwrap();
    assert_eq!(report.skipped.len(), 4);
}

/// A file that does not fit changes nothing at all.
#[test]
fn loading_is_all_or_nothing() {
    let mut store = store();
    let before = store.digest().unwrap();
    let good = Tensor::zeros([4, 3, 2, 5], (Kind::Float, Device::Cpu));
    let wrong = weights(&[
        ("conv.weight", good.shallow_clone()),
        ("fc.weight", Tensor::zeros([1000, 4], (Kind::Float, Device::Cpu))),
    ]);
    let error = store.load(&wrong, &LoadOptions::default()).unwrap_err();
    assert!(matches!(&error, TensorError::ShapeMismatch { name, .. } if name == "fc.weight"));
    let message = error.to_string();
    assert!(message.contains("tensor `fc.weight` in some/file.pth: expected shape [2, 4], got [1000, 4]"), "{message}");
    assert!(message.contains("another architecture"), "{message}");

    for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let bias = good.copy();
        let _ = bias.get(2).get(1).get(0).get(3).fill_(value);
        let _ = bias.get(3).fill_(value);
        let bad = weights(&[("bn.running_mean", Tensor::ones([4], (Kind::Float, Device::Cpu))), ("conv.weight", bias)]);
        let message = store.load(&bad, &LoadOptions::default()).unwrap_err().to_string();
        assert!(
            message
                .contains(&format!("tensor `conv.weight` in some/file.pth: the value at index [2, 1, 0, 3] is {text}")),
            "{message}"
        );
    }
    // Finite in the file, too large for the network's type.
    let huge = weights(&[("bn.running_mean", Tensor::from_slice(&[0.0, 0.0, 1e300, 0.0]))]);
    let message = store.load(&huge, &LoadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("[2] is inf once converted"), "{message}");
    assert_eq!(store.digest().unwrap(), before);
}

#[test]
fn copying_another_store_makes_them_equal() {
    let (mut a, mut b) = (store(), Store::new(Device::Cpu, 6));
    for (name, tensor, role) in a.iter() {
        let _ = match role {
            Role::Parameter => b.parameter(name, &tensor.size(), Init::Constant(2.0)).unwrap(),
            Role::Buffer => b.buffer(name, &tensor.ones_like()).unwrap(),
        };
    }
    assert_ne!(a.digest().unwrap(), b.digest().unwrap());
    a.copy_from(&b).unwrap();
    assert_eq!(a.digest().unwrap(), b.digest().unwrap());
    assert!(is_channels_last(a.get("conv.weight").unwrap()));
    let _ = b.buffer("more", &Tensor::from(1.0)).unwrap();
    assert!(matches!(a.copy_from(&b), Err(TensorError::Unknown(name)) if name == "more"));
    assert!(matches!(b.copy_from(&a), Err(TensorError::Unknown(name)) if name == "more"));
}

#[test]
fn the_digest_ignores_order_and_layout() {
    let mut turned = Store::new(Device::Cpu, 5);
    let _ = turned.parameter("fc.bias", &[2], Init::linear(4)).unwrap();
    let _ = turned.parameter("conv.weight", &[4, 3, 2, 5], Init::KaimingNormalFanOut).unwrap();
    let _ = turned.buffer("bn.num_batches_tracked", &Tensor::from(0i64)).unwrap();
    let _ = turned.parameter("fc.weight", &[2, 4], Init::linear(4)).unwrap();
    let _ = turned.buffer("bn.running_mean", &Tensor::zeros([4], (Kind::Float, Device::Cpu))).unwrap();
    assert_eq!(turned.digest().unwrap(), store().digest().unwrap());
}

proptest! {
    /// One bit of one value, or another type or shape of the same bytes, changes the digest.
    #[test]
    fn the_digest_sees_every_bit(values in prop::collection::vec(any::<i32>(), 6), at in 0usize..6, bit in 0u32..32) {
        let digest = |tensor: &Tensor| {
            let mut store = Store::new(Device::Cpu, 0);
            let _ = store.buffer("b", tensor).unwrap();
            store.digest().unwrap()
        };
        let tensor = Tensor::from_slice(&values);
        let mut flipped = values.clone();
        flipped[at] ^= 1 << bit;
        let flipped = Tensor::from_slice(&flipped);
        prop_assert_ne!(digest(&tensor), digest(&flipped));
        prop_assert_ne!(digest(&tensor.view_dtype(Kind::Float)), digest(&flipped.view_dtype(Kind::Float)));
        prop_assert_ne!(digest(&tensor), digest(&tensor.view_dtype(Kind::Float)));
        prop_assert_ne!(digest(&tensor), digest(&tensor.view([2, 3])));
        prop_assert_eq!(digest(&tensor), digest(&Tensor::from_slice(&values)));
    }
}
