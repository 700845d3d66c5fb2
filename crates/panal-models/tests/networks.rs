//! Every architecture against torchvision's numbers (tests/golden/networks.py): names, logits in evaluation and in
//! training, running statistics after the step; and some of them with the stem for small images.

mod common;

use std::sync::LazyLock;

use common::{CLASSES, NETWORKS, distance, fnv1a, images, network, numbers, rng, uniforms, values};
use panal_models::{Arch, Classifier, Stem};
use panal_tensor::Role;
use serde_json::Value;

const IMAGES: [i64; 4] = [3, 3, 64, 96];
const CIFAR_IMAGES: [i64; 4] = [3, 3, 32, 48];

/// The issue asks for 1e-4; the numbers come from float64, and measured distances stay below 3e-5.
const TOLERANCE: f64 = 1e-4;

static CIFAR: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("golden/cifar.json")).expect("the golden file is JSON"));

fn agrees_with_torchvision(arch: Arch) {
    let golden = &NETWORKS[arch as usize];
    assert_eq!(golden["arch"], arch.name());
    let network = network(arch, Stem::Imagenet, golden);
    assert_eq!(golden["num_params"], network.num_params() + (1000 - CLASSES) * (network.feature_dim() + 1));
    assert_eq!(golden["num_params"], arch.num_params());
    let preprocessing = arch.preprocessing();
    assert_eq!(golden["resize"], preprocessing.resize);
    assert_eq!(golden["crop"], preprocessing.crop);
    assert_eq!(golden["interpolation"], preprocessing.interpolation.to_string());
    agrees(&network, golden, IMAGES);
}

#[test]
fn the_stem_for_small_images() {
    assert_eq!(CIFAR.len(), 5);
    for golden in CIFAR.iter() {
        let arch = golden["arch"].as_str().expect("a name").parse().expect("an architecture");
        agrees(&network(arch, Stem::Cifar, golden), golden, CIFAR_IMAGES);
    }
}

/// Names, logits, folded logits, gradients and running statistics are those of `golden`.
fn agrees(network: &Classifier, golden: &Value, size: [i64; 4]) {
    let arch = network.arch();

    let lines: String =
        network.store().iter().map(|(name, tensor, _)| format!("{name} {:?}\n", tensor.size())).collect();
    assert_eq!(golden["names"], fnv1a(&lines).to_string(), "names and shapes differ:\n{lines}");
    assert_eq!(golden["feature_dim"], network.feature_dim());

    // Evaluation, which changes no bit of the network.
    let before = network.store().digest().expect("a digest");
    let images = images(size);
    let logits = tch::no_grad(|| network.forward_eval(&images)).expect("logits");
    let far = distance(&values(&logits), &numbers(&golden["eval"]));
    assert!(far < TOLERANCE, "{arch}: logits in evaluation are {far:e} away");
    let folded = network.folded().expect("a folded network").logits(&images).expect("logits");
    let far = distance(&values(&folded), &numbers(&golden["eval"]));
    assert!(far < TOLERANCE, "{arch}: logits of the folded network are {far:e} away");
    assert_eq!(network.store().digest().expect("a digest"), before, "{arch}: evaluation changed the network");

    // One step in training.
    let logits = network.forward_train(&images, &mut rng()).expect("logits");
    let far = distance(&values(&logits), &numbers(&golden["train"]));
    assert!(far < TOLERANCE, "{arch}: logits in training are {far:e} away");
    logits.square().sum(None).backward();
    for (name, tensor) in network.store().named(|_, role| role == Role::Parameter) {
        let gradient = tensor.grad();
        assert!(gradient.defined(), "{arch}: {name} has no gradient");
        assert!(f64::try_from(gradient.abs().sum(None)).expect("a scalar") > 0.0, "{arch}: {name} has gradient 0");
    }

    // Running statistics after the step.
    let buffer = |name: String| values(network.store().get(&name).unwrap_or_else(|| panic!("no buffer {name}")));
    let norms = golden["norms"].as_array().expect("an array");
    for norm in norms {
        let name = norm[0].as_str().expect("a name");
        for (column, leaf) in [(2, "running_mean"), (3, "running_var")] {
            let got = buffer(format!("{name}.{leaf}"));
            let probe: f64 = got.iter().zip(uniforms(&format!("probe {name}"), got.len())).map(|(x, u)| x * u).sum();
            let expected = norm[column].as_f64().expect("a number");
            let length = got.iter().map(|x| x * x).sum::<f64>().sqrt();
            let far = (probe - expected).abs() / length;
            assert!(far < TOLERANCE, "{arch}: {name}.{leaf} is {far:e} of its length away");
        }
        let steps = network.store().get(&format!("{name}.num_batches_tracked")).map(|steps| steps.int64_value(&[]));
        assert_eq!(steps, Some(1), "{arch}: {name}");
    }
    let first = norms[0][0].as_str().expect("a name");
    let full = [buffer(format!("{first}.running_mean")), buffer(format!("{first}.running_var"))].concat();
    assert!(distance(&full, &numbers(&golden["first_norm"])) < TOLERANCE, "{arch}: {first}");
}

#[test]
fn every_architecture_is_golden() {
    assert_eq!(NETWORKS.len(), Arch::ALL.len());
}

macro_rules! golden {
    ($($name:ident => $arch:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            agrees_with_torchvision(Arch::$arch);
        }
    )*};
}

golden! {
    resnet18 => Resnet18, resnet34 => Resnet34, resnet50 => Resnet50, resnet101 => Resnet101, resnet152 => Resnet152,
    wide_resnet50_2 => WideResnet50_2, resnext50_32x4d => Resnext50_32x4d, mobilenet_v2 => MobilenetV2,
    efficientnet_b0 => EfficientnetB0, efficientnet_b1 => EfficientnetB1, efficientnet_b2 => EfficientnetB2,
    efficientnet_b3 => EfficientnetB3, efficientnet_b4 => EfficientnetB4, efficientnet_b5 => EfficientnetB5,
    efficientnet_b6 => EfficientnetB6, efficientnet_b7 => EfficientnetB7, resnet10_w24 => Resnet10W24,
}
