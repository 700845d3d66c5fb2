//! Grad-CAM against PyTorch's numbers (tests/golden/grad_cam.py), and its laws.

mod common;

use common::{CLASSES, NETWORKS, distance, images, network, numbers, values};
use panal_models::{Arch, Classifier, ModelError, Stem};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const IMAGES: [i64; 4] = [3, 3, 64, 96];
const TOLERANCE: f64 = 1e-4;

fn golden_network(arch: Arch) -> Classifier {
    network(arch, Stem::Imagenet, &NETWORKS[arch as usize])
}

/// Every class of the golden test asked of every image.
fn all_classes(network: &Classifier, images: &Tensor) -> Tensor {
    let each = images.repeat_interleave_self_int(CLASSES as i64, 0, None);
    let classes: Vec<usize> = (0..images.size()[0]).flat_map(|_| 0..CLASSES).collect();
    network.grad_cam(&each, &classes).expect("maps").maps
}

#[test]
fn maps_are_those_of_pytorch_s_hooks() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("golden/grad_cam.json")).expect("JSON");
    assert_eq!(golden.len(), 5);
    for golden in &golden {
        let arch: Arch = golden["arch"].as_str().expect("a name").parse().expect("an architecture");
        let maps = all_classes(&golden_network(arch), &images(IMAGES));
        assert_eq!(serde_json::json!(maps.size()), golden["size"], "{arch}");
        let expected = numbers(&golden["maps"]);
        assert!(expected.iter().any(|value| *value > 0.0));
        let far = distance(&values(&maps), &expected);
        assert!(far < TOLERANCE, "{arch}: {far:e} away");
    }
}

#[test]
fn nothing_of_the_network_changes_and_no_surroundings_matter() {
    let network = golden_network(Arch::MobilenetV2);
    let images = images(IMAGES);
    let before = network.store().digest().expect("a digest");
    let alone = network.grad_cam(&images, &[0, 1, 2]).expect("maps");
    let within = tch::no_grad(|| network.grad_cam(&images, &[0, 1, 2])).expect("maps");
    assert_eq!(values(&alone.maps), values(&within.maps));
    assert_eq!(network.store().digest().expect("a digest"), before);
    assert!(
        network.trainable().iter().all(|(_, parameter)| !parameter.grad().defined()),
        "no parameter has a gradient"
    );
    let logits = tch::no_grad(|| network.forward_eval(&images)).expect("logits");
    assert_eq!(values(&alone.logits), values(&logits));
    assert!(!alone.maps.requires_grad() && !alone.logits.requires_grad());
}

/// The pooled maps enter the logit linearly, so that the unrectified sum of a map is the logit less the head's bias. Where a
/// head has only positive weights, as every map of a ReLU is, nothing is rectified.
#[test]
fn with_a_positive_head_the_places_add_up_to_the_logit() {
    let mut network = golden_network(Arch::Resnet18);
    tch::no_grad(|| {
        let store = network.store_mut();
        let _ = store.get("fc.weight").expect("a weight").shallow_clone().abs_();
    });
    let bias = values(network.store().get("fc.bias").expect("a bias"));
    let said = network.grad_cam(&images(IMAGES), &[1, 1, 4]).expect("maps");
    let sums = values(&said.maps.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Float));
    let logits = values(&said.logits);
    for (image, class) in [1, 1, 4].into_iter().enumerate() {
        let expected = logits[image * CLASSES + class] - bias[class];
        assert!((sums[image] - expected).abs() < 1e-4 * expected.abs().max(1.0), "{} {expected}", sums[image]);
    }
}

#[test]
fn what_it_cannot_answer_is_refused() {
    let network = golden_network(Arch::Resnet10W24);
    let images = images(IMAGES);
    let said = |images: &Tensor, classes: &[usize]| match network.grad_cam(images, classes) {
        Err(error @ ModelError::Input { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(said(&images, &[0, 1]), "classes must be as many as the 3 images, got 2");
    assert_eq!(said(&images, &[0, 5, 1]), "classes must be below the number of classes, 5, got 5");
    assert!(
        said(&Tensor::zeros([2, 1, 64, 96], (Kind::Float, Device::Cpu)), &[0, 1])
            .starts_with("images must be [N, 3, H, W]")
    );
}
