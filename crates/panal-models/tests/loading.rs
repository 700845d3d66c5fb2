//! Loading weights: what is taken, what is left, and the one error for weights that belong elsewhere.

mod common;

use common::{distance, images, mirrored, values, weights};
use panal_models::{Arch, Classifier, ModelError, ModelSpec};
use panal_tensor::{Weights, read_weights, write_safetensors};
use tch::{Device, Tensor};

fn fresh(arch: Arch, classes: usize, seed: u64) -> Classifier {
    Classifier::new(&ModelSpec::new(arch, classes), Device::Cpu, seed).expect("a valid spec")
}

/// A copy of what the network holds, but for names that `leave_out` accepts.
fn saved(network: &Classifier, leave_out: impl Fn(&str) -> bool) -> Weights {
    let tensors = network.store().named(|name, _| !leave_out(name)).into_iter();
    weights(tensors.map(|(name, tensor)| (name, tensor.detach().copy())))
}

fn same(a: &Classifier, b: &Classifier, name: &str) -> bool {
    a.store().get(name).expect("a name") == b.store().get(name).expect("a name")
}

/// Loading is refused with this message and changes nothing.
fn refused(network: &mut Classifier, weights: &Weights) -> String {
    let before = network.store().digest().expect("a digest");
    let error = network.load_pretrained(weights).expect_err("these weights do not fit");
    assert_eq!(network.store().digest().expect("a digest"), before, "something was loaded");
    error.to_string()
}

#[test]
fn the_head_is_loaded_where_the_number_of_classes_agrees() {
    let pretrained = fresh(Arch::Resnet18, 4, 1);
    let mut network = fresh(Arch::Resnet18, 4, 2);
    let report = network.load_pretrained(&saved(&pretrained, |_| false)).unwrap();
    assert!(report.is_exact() && report.skipped.is_empty());
    assert_eq!(report.matched.len(), 122);
    assert_eq!(network.store().digest().unwrap(), pretrained.store().digest().unwrap());
}

#[test]
fn the_head_stays_fresh_where_it_does_not() {
    let pretrained = fresh(Arch::Resnet18, 4, 1);
    let untouched = fresh(Arch::Resnet18, 2, 2);
    let mut network = fresh(Arch::Resnet18, 2, 2);
    for file in [saved(&pretrained, |_| false), saved(&pretrained, |name| pretrained.is_head(name))] {
        let report = network.load_pretrained(&file).unwrap();
        assert!(report.is_exact());
        assert_eq!(report.matched.len(), 120);
        assert_eq!(report.skipped, ["fc.weight", "fc.bias"]);
        assert!(same(&network, &untouched, "fc.weight") && same(&network, &untouched, "fc.bias"));
        assert!(same(&network, &pretrained, "layer4.1.conv2.weight"));
    }
}

#[test]
fn a_network_made_of_weights_is_one_that_was_drawn_and_loaded() {
    let source = fresh(Arch::Resnet18, 4, 1);
    let file = saved(&source, |name| name.ends_with("num_batches_tracked"));
    for classes in [4, 2] {
        let mut expected = fresh(Arch::Resnet18, classes, 2);
        let expected_report = expected.load_pretrained(&file).unwrap();
        let spec = ModelSpec::new(Arch::Resnet18, classes);
        let (network, report) = Classifier::pretrained(&spec, Device::Cpu, 2, &file).unwrap();
        assert_eq!(report, expected_report);
        assert_eq!(network.store().digest().unwrap(), expected.store().digest().unwrap(), "{classes} classes");
        assert_eq!(network.trainable().len(), expected.trainable().len());
    }
    let loaded = Classifier::loaded(source.spec(), Device::Cpu, &saved(&source, |_| false)).unwrap();
    assert_eq!(loaded.store().digest().unwrap(), source.store().digest().unwrap());
    // What is not whole is refused, so that no value stays undrawn.
    let holed = saved(&source, |name| name == "layer1.0.conv1.weight");
    let spec = ModelSpec::new(Arch::Resnet18, 2);
    assert!(matches!(Classifier::pretrained(&spec, Device::Cpu, 2, &holed), Err(ModelError::WrongWeights { .. })));
    assert!(matches!(Classifier::loaded(source.spec(), Device::Cpu, &holed), Err(ModelError::NotExact { .. })));
}

#[test]
fn step_counters_may_be_missing() {
    let pretrained = fresh(Arch::Resnet18, 4, 1);
    let mut network = fresh(Arch::Resnet18, 4, 2);
    let old = saved(&pretrained, |name| name.ends_with("num_batches_tracked"));
    let report = network.load_pretrained(&old).unwrap();
    assert_eq!(report.missing.len(), 20);
    assert!(report.missing.iter().all(|name| name.ends_with("num_batches_tracked")));
    assert!(matches!(network.load_exact(&old), Err(ModelError::NotExact { .. })));
}

#[test]
fn weights_of_another_network_are_named_and_refused() {
    let mut network = fresh(Arch::Resnet18, 2, 2);
    for (other, mismatch) in [
        (Arch::MobilenetV2, "`conv1.weight` is missing"),
        (Arch::Resnet34, "`layer1.2.conv1.weight` is there and has no place"),
        (Arch::Resnet50, "`layer1.0.conv1.weight` should be [64, 64, 3, 3] and is [64, 64, 1, 1]"),
    ] {
        assert_eq!(
            refused(&mut network, &saved(&fresh(other, 1000, 1), |_| false)),
            format!("weights.pth: these are weights for {other}, not resnet18: first mismatch: {mismatch}")
        );
    }

    let mut strange = saved(&network, |_| false);
    strange.tensors.insert("layer5.0.conv1.weight".to_owned(), Tensor::from(1f32));
    assert_eq!(
        refused(&mut network, &strange),
        "weights.pth: these are weights for another network, not resnet18: first mismatch: \
         `layer5.0.conv1.weight` is there and has no place"
    );
    let incomplete = saved(&network, |name| name == "layer2.0.bn1.running_var");
    assert!(refused(&mut network, &incomplete).ends_with("first mismatch: `layer2.0.bn1.running_var` is missing"));
    assert!(refused(&mut network, &weights([])).contains("`conv1.weight` is missing"));
}

#[test]
fn a_nan_is_refused_and_named() {
    let mut network = fresh(Arch::Resnet18, 2, 2);
    let damaged = saved(&network, |_| false);
    let _ = damaged.tensors["layer3.0.bn1.weight"].get(17).fill_(f64::NAN);
    let message = refused(&mut network, &damaged);
    assert!(message.contains("`layer3.0.bn1.weight` in weights.pth: the value at index [17] is NaN"), "{message}");
}

#[test]
fn a_checkpoint_comes_back_bit_for_bit() {
    let trained = fresh(Arch::EfficientnetB0, 3, 1);
    let _ = trained.forward_train(&images([2, 3, 40, 56]), &mut common::rng()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    write_safetensors(&path, &trained.store().named(|_, _| true), &Default::default()).unwrap();

    let read = read_weights(&path).unwrap();
    let mut network = fresh(Arch::EfficientnetB0, 3, 2);
    network.load_exact(&read).unwrap();
    assert_eq!(network.store().digest().unwrap(), trained.store().digest().unwrap());

    let message = fresh(Arch::EfficientnetB0, 2, 2).load_exact(&read).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "{}: these weights do not fill efficientnet_b0 with 2 classes: first mismatch: \
             `classifier.1.weight` should be [2, 1280] and is [3, 1280]",
            path.display()
        )
    );
}

#[test]
fn real_imagenet_weights_give_torchvisions_logits() {
    let Some(path) = mirrored("mobilenet_v2-imagenet1k.safetensors") else { return };
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/mirror.json")).unwrap();
    let numbers = |key: &str| golden[key].as_array().unwrap().iter().filter_map(serde_json::Value::as_f64).collect();
    let (shape, expected): (Vec<f64>, Vec<f64>) = (numbers("shape"), numbers("logits"));
    let shape = [0, 1, 2, 3].map(|axis| shape[axis] as i64);

    let mut network = fresh(Arch::MobilenetV2, 1000, 0);
    let report = network.load_pretrained(&read_weights(&path).unwrap()).unwrap();
    assert!(report.is_exact() && report.skipped.is_empty());
    let logits = tch::no_grad(|| network.forward_eval(&images(shape))).unwrap();
    assert_eq!(logits.size(), [shape[0], 1000]);
    let far = distance(&values(&logits), &expected);
    assert!(far < 1e-4, "{far:e}");
}
