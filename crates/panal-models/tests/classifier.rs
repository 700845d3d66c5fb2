//! What a classifier promises beside its numbers: modes, freezing, initial values, randomness, and errors for bad input.

mod common;

use common::{distance, images, rng, values};
use panal_models::{Arch, Classifier, Masks, ModelError, ModelSpec, Part};
use panal_tensor::{Role, is_channels_last};
use tch::{Device, Kind, Tensor};

fn fresh(arch: Arch, classes: usize) -> Classifier {
    Classifier::new(&ModelSpec::new(arch, classes), Device::Cpu, 7).expect("a valid spec")
}

/// Every tensor but those that `leave_out` names, as the bytes of its values.
fn bits(network: &Classifier, leave_out: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let bytes = |tensor: &Tensor| Vec::<u8>::try_from(tensor.reshape([-1]).view_dtype(Kind::Uint8));
    tch::no_grad(|| {
        let kept = network.store().named(|name, _| !leave_out(name)).into_iter();
        kept.map(|(name, tensor)| (name, bytes(&tensor).expect("bytes"))).collect()
    })
}

/// Features of images and the gradient of a sum of them in every parameter, in f32 or in mixed precision.
fn features_and_gradients(network: &Classifier, kind: Kind) -> (Tensor, Vec<(String, Tensor)>) {
    let images = images([8, 3, 96, 80]).to_kind(kind);
    let features = network.features_train(&images, &mut rng()).expect("features");
    // A sum that weighs every image otherwise: batch norm takes out what is the same in all.
    let weights = common::images([1, 1, 8, network.feature_dim() as i64]).view_as(&features);
    (&features * weights).sum(Kind::Float).backward();
    let backbone = network.trainable().into_iter().filter(|(name, _)| !network.is_head(name));
    (features.detach(), backbone.map(|(name, tensor)| (name, tensor.grad())).collect())
}

#[test]
fn images_in_bfloat16_make_it_compute_in_mixed_precision() {
    let cosine = |a: &Tensor, b: &Tensor| {
        let [a, b] = [a, b].map(|tensor| tensor.reshape([-1]).to_kind(Kind::Double));
        (a.dot(&b) / (a.norm() * b.norm())).double_value(&[])
    };
    // Cosines of features and of gradients with those in f32, in training. With torch.autocast (tests/golden/mixed_precision.py)
    // they are 0.9998 and 0.93, 0.985 and 0.48, 0.997 and 0.988: a MobileNetV2 of random weights magnifies any rounding.
    for (arch, of_features, of_gradients) in
        [(Arch::Resnet18, 0.999, 0.9), (Arch::MobilenetV2, 0.97, 0.3), (Arch::EfficientnetB0, 0.99, 0.97)]
    {
        let (single, mixed) = (fresh(arch, 3), fresh(arch, 3));
        let images = images([4, 3, 48, 40]);
        let rounded = images.to_kind(Kind::BFloat16);
        let exact = tch::no_grad(|| mixed.features_eval(&images)).unwrap();
        let evaluated = tch::no_grad(|| mixed.features_eval(&rounded)).unwrap();
        let folded = mixed.folded().unwrap().features(&rounded).unwrap();
        for close in [&evaluated, &folded] {
            assert_eq!(close.kind(), Kind::Float);
            let similar = cosine(&exact, close);
            assert!(similar > 0.999, "{arch}: features in evaluation have cosine {similar}");
        }
        let rounded_alone = tch::no_grad(|| mixed.features_eval(&rounded.to_kind(Kind::Float))).unwrap();
        assert_ne!(values(&evaluated), values(&rounded_alone), "{arch}: only the images were rounded");
        assert_eq!(mixed.forward_eval(&rounded).unwrap().kind(), Kind::Float);

        let (wanted, gradients) = features_and_gradients(&single, Kind::Float);
        let (features, got) = features_and_gradients(&mixed, Kind::BFloat16);
        let similar = cosine(&wanted, &features);
        assert!(similar > of_features, "{arch}: features in training have cosine {similar}");
        assert!(got.iter().all(|(_, gradient)| gradient.kind() == Kind::Float), "{arch}: gradients are f32");
        let joined = |gradients: &[(String, Tensor)]| {
            Tensor::cat(&gradients.iter().map(|(_, tensor)| tensor.reshape([-1])).collect::<Vec<_>>(), 0)
        };
        let similar = cosine(&joined(&gradients), &joined(&got));
        assert!(similar > of_gradients, "{arch}: gradients have cosine {similar}");
        for (name, tensor, role) in mixed.store().iter() {
            let counter = name.ends_with("num_batches_tracked");
            assert_eq!(tensor.kind(), if counter { Kind::Int64 } else { Kind::Float }, "{arch}: {name}, a {role:?}");
        }
    }
}

#[test]
fn probing_leaves_every_bit_of_the_backbone_alone() {
    for arch in [Arch::Resnet18, Arch::MobilenetV2, Arch::EfficientnetB0] {
        let network = fresh(arch, 3);
        network.set_trainable(Part::Head).unwrap();
        let names: Vec<String> = network.trainable().into_iter().map(|(name, _)| name).collect();
        let head = if arch == Arch::Resnet18 { "fc" } else { "classifier.1" };
        assert_eq!(names, [format!("{head}.weight"), format!("{head}.bias")]);

        let before = bits(&network, |name| network.is_head(name));
        for _ in 0..2 {
            let features = network.features_eval(&images([2, 3, 40, 56])).unwrap();
            assert!(!features.requires_grad());
            let loss = network.head_train(&features, &mut rng()).unwrap().square().sum(None);
            loss.backward();
            tch::no_grad(|| {
                for (_, mut parameter) in network.trainable() {
                    let step = parameter.grad() * 0.1;
                    let _ = parameter.g_sub_(&step);
                }
            });
        }
        assert_eq!(bits(&network, |name| network.is_head(name)), before, "{arch}");
        assert!(network.store().named(|name, _| !network.is_head(name)).iter().all(|(_, t)| !t.grad().defined()));

        network.set_trainable(Part::All).unwrap();
        let parameters = network.store().named(|_, role| role == Role::Parameter).len();
        assert_eq!(network.trainable().len(), parameters);
    }
}

#[test]
fn only_training_moves_running_statistics_and_only_the_backbones() {
    let network = fresh(Arch::MobilenetV2, 3);
    let before = bits(&network, |_| false);
    let x = images([2, 3, 40, 56]);
    let features = network.features_eval(&x).unwrap();
    let logits = network.head_eval(&features).unwrap();
    assert_eq!(values(&network.forward_eval(&x).unwrap()), values(&logits));
    let _ = network.head_train(&features, &mut rng()).unwrap();
    assert_eq!(bits(&network, |_| false), before);

    let _ = network.features_train(&x, &mut rng()).unwrap();
    let after = bits(&network, |_| false);
    for ((name, then), (_, now)) in before.iter().zip(&after) {
        let statistic = name.contains("running_") || name.ends_with("num_batches_tracked");
        assert_eq!(then != now, statistic, "{name}");
    }
}

#[test]
fn a_folded_network_has_no_gradient_and_its_head_goes_on_learning() {
    let network = fresh(Arch::Resnet18, 3);
    let x = images([2, 3, 40, 56]);
    let folded = network.folded().unwrap();
    let (features, logits) = (folded.features(&x).unwrap(), folded.logits(&x).unwrap());
    assert!(!features.requires_grad() && !logits.requires_grad());
    assert!(distance(&values(&features), &values(&network.features_eval(&x).unwrap())) < 1e-5);

    let mut head = network.store().get("fc.bias").unwrap().shallow_clone();
    tch::no_grad(|| {
        let _ = head.g_add_scalar_(1.0);
    });
    let moved: Vec<f64> = values(&logits).iter().map(|x| x + 1.0).collect();
    assert!(distance(&values(&folded.logits(&x).unwrap()), &moved) < 1e-5);

    let _ = network.features_train(&x, &mut rng()).unwrap();
    assert_eq!(values(&folded.features(&x).unwrap()), values(&features), "the backbone is as it was when folded");
    assert_ne!(values(&network.folded().unwrap().features(&x).unwrap()), values(&features));
    let expected = values(&network.forward_eval(&x).unwrap());
    let folded = network.into_folded().unwrap();
    assert!(distance(&values(&folded.logits(&x).unwrap()), &expected) < 1e-5);
    for wrong in [&[3, 40, 40][..], &[0, 3, 224, 224], &[100, 4, 224, 224]] {
        let error = folded.logits(&Tensor::zeros(wrong, (Kind::Float, Device::Cpu))).unwrap_err().to_string();
        assert!(error.contains(&format!("{wrong:?}")), "{error}");
    }
}

#[test]
fn masks_come_from_the_generator_handed_in_and_from_nowhere_else() {
    let x = images([4, 3, 40, 56]);
    let network = fresh(Arch::EfficientnetB0, 3);
    let logits = |torch_seed, generator: &mut _| {
        tch::manual_seed(torch_seed);
        let logits = values(&network.forward_train(&x, generator).unwrap());
        (logits, values(&Tensor::rand([3], (Kind::Float, Device::Cpu))))
    };
    tch::manual_seed(1);
    let torch_next = values(&Tensor::rand([3], (Kind::Float, Device::Cpu)));
    let (first, next) = logits(1, &mut rng());
    assert_eq!(next, torch_next, "a draw was made from torch's generator");
    assert_eq!(logits(2, &mut rng()).0, first);

    let mut moved_on = rng();
    let again = logits(1, &mut moved_on).0;
    assert_eq!(again, first);
    assert_ne!(logits(1, &mut moved_on).0, first);
}

#[test]
fn kept_masks_stay_in_their_place_and_are_those_of_the_generator() {
    let x = images([4, 3, 40, 56]);
    let network = fresh(Arch::EfficientnetB0, 3);
    let mut generator = rng();
    let drawn = [0, 1].map(|_| values(&network.forward_train(&x, &mut generator).unwrap()));
    assert_ne!(drawn[0], drawn[1]);

    let mut generator = rng();
    let (logits, mut masks) = network.forward_keeping(&x, &mut generator).unwrap();
    let kept = |masks: &Masks| values(&network.forward_kept(&x, masks).unwrap());
    assert_eq!([values(&logits), kept(&masks)], [drawn[0].clone(), drawn[0].clone()]);
    masks.draw(&mut generator).unwrap();
    assert_eq!(kept(&masks), drawn[1]);

    let error = network.forward_kept(&images([5, 3, 40, 56]), &masks).unwrap_err().to_string();
    assert!(error.contains("the pass wants a mask [5, 1, 1, 1] of Float"), "{error}");
    assert!(network.forward_kept(&x, &Masks::default()).unwrap_err().to_string().contains("kept is None"));
}

#[test]
fn dropout_acts_on_the_head_and_stochastic_depth_on_the_backbone() {
    let x = images([4, 3, 40, 56]);
    let differ = |arch, dropout, stochastic_depth| {
        let spec = ModelSpec { dropout, stochastic_depth, ..ModelSpec::new(arch, 3) };
        let network = Classifier::new(&spec, Device::Cpu, 7).unwrap();
        let features = Tensor::ones([4, network.feature_dim() as i64], (Kind::Float, Device::Cpu));
        let mut generator = rng();
        let mut masked = || values(&network.features_train(&x, &mut generator).unwrap());
        let backbone = masked() != masked();
        let head = network.head_train(&features, &mut rng()).unwrap() != network.head_eval(&features).unwrap();
        (backbone, head)
    };
    // torchvision's defaults: ResNet has neither, MobileNetV2 dropout, EfficientNet both.
    assert_eq!(differ(Arch::Resnet18, None, None), (false, false));
    assert_eq!(differ(Arch::MobilenetV2, None, None), (false, true));
    assert_eq!(differ(Arch::EfficientnetB0, None, None), (true, true));
    assert_eq!(differ(Arch::Resnet18, Some(0.5), None), (false, true));
    assert_eq!(differ(Arch::EfficientnetB0, Some(0.0), None), (true, false));
    assert_eq!(differ(Arch::EfficientnetB0, None, Some(0.0)), (false, true));
}

#[test]
fn a_seed_gives_the_same_network_and_another_seed_another() {
    let digest = |seed| {
        let spec = ModelSpec::new(Arch::MobilenetV2, 2);
        Classifier::new(&spec, Device::Cpu, seed).unwrap().store().digest().unwrap()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn the_backbones_digest_sees_parameters_and_buffers_and_not_the_head() {
    for (arch, parameter, buffer, head) in [
        (Arch::Resnet18, "layer4.1.conv2.weight", "bn1.running_var", "fc.bias"),
        (Arch::MobilenetV2, "features.0.0.weight", "features.18.1.num_batches_tracked", "classifier.1.weight"),
    ] {
        let mut network = fresh(arch, 2);
        let digest = |network: &Classifier| network.backbone_digest().unwrap();
        let add = |network: &mut Classifier, name: &str| {
            let mut tensor = network.store_mut().get(name).unwrap().shallow_clone();
            let _ = tch::no_grad(|| tensor.g_add_scalar_(1));
        };
        let before = digest(&network);
        assert_ne!(before, network.store().digest().unwrap());
        add(&mut network, head);
        assert_eq!(digest(&network), before, "{head}");
        add(&mut network, parameter);
        let moved = digest(&network);
        assert_ne!(moved, before, "{parameter}");
        add(&mut network, buffer);
        assert_ne!(digest(&network), moved, "{buffer}");
    }
}

#[test]
fn fresh_parameters_have_the_spread_of_torchvisions() {
    let of = |network: &Classifier, name: &str| values(network.store().get(name).unwrap());
    let std = |values: &[f64]| (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt();
    let largest = |values: &[f64]| values.iter().fold(0f64, |most, x| most.max(x.abs()));
    let near = |got: f64, expected: f64| assert!((got / expected - 1.0).abs() < 0.03, "{got}, not {expected}");

    let resnet = fresh(Arch::Resnet18, 1000);
    near(std(&of(&resnet, "conv1.weight")), (2.0 / (64.0 * 49.0f64)).sqrt());
    near(std(&of(&resnet, "layer4.1.conv2.weight")), (2.0 / (512.0 * 9.0f64)).sqrt());
    assert!(of(&resnet, "layer4.1.bn2.weight").iter().all(|x| *x == 1.0));
    near(largest(&of(&resnet, "fc.weight")), 1.0 / 512f64.sqrt());
    near(largest(&of(&resnet, "fc.bias")), 1.0 / 512f64.sqrt());

    let mobilenet = fresh(Arch::MobilenetV2, 1000);
    near(std(&of(&mobilenet, "features.1.conv.0.0.weight")), (2.0 / (32.0 * 9.0f64)).sqrt());
    near(std(&of(&mobilenet, "classifier.1.weight")), 0.01);
    assert_eq!(largest(&of(&mobilenet, "classifier.1.bias")), 0.0);

    let efficientnet = fresh(Arch::EfficientnetB0, 1000);
    near(largest(&of(&efficientnet, "classifier.1.weight")), 1.0 / 1000f64.sqrt());
    assert_eq!(largest(&of(&efficientnet, "classifier.1.bias")), 0.0);
    assert_eq!(largest(&of(&efficientnet, "features.1.0.block.1.fc1.bias")), 0.0);

    // Another number of classes is a new torch.nn.Linear, whatever the family.
    for arch in [Arch::MobilenetV2, Arch::EfficientnetB0] {
        let network = fresh(arch, 40);
        near(largest(&of(&network, "classifier.1.weight")), 1.0 / 1280f64.sqrt());
        assert!((0.0..1.0 / 1280f64.sqrt()).contains(&std(&of(&network, "classifier.1.bias"))));
    }
}

#[test]
fn on_the_cpu_everything_is_channels_last() {
    let network = fresh(Arch::EfficientnetB0, 2);
    for (name, tensor) in network.store().named(|_, _| true) {
        assert!(tensor.dim() != 4 || is_channels_last(&tensor), "{name}");
    }
}

#[test]
fn a_spec_is_checked_once() {
    let refused = |spec: ModelSpec| Classifier::new(&spec, Device::Cpu, 0).unwrap_err().to_string();
    let plain = ModelSpec::new(Arch::Resnet18, 2);
    for classes in [0, 1, 100_001] {
        let message = format!("classes must be between 2 and 100000, got {classes}");
        assert_eq!(refused(ModelSpec { classes, ..plain.clone() }), message);
    }
    assert_eq!(refused(ModelSpec { dropout: Some(1.0), ..plain.clone() }), "dropout must be >= 0 and < 1, got 1");
    assert_eq!(
        refused(ModelSpec { stochastic_depth: Some(f64::NAN), ..ModelSpec::new(Arch::EfficientnetB0, 2) }),
        "stochastic_depth must be >= 0 and < 1, got NaN"
    );
    assert_eq!(
        refused(ModelSpec { stochastic_depth: Some(0.1), ..plain }),
        "stochastic_depth must be absent for resnet18, which has none, got 0.1"
    );
}

#[test]
fn a_spec_has_a_text_form() {
    let text = "arch = \"efficientnet_b3\"\nclasses = 4\ndropout = 0.1\n";
    let spec: ModelSpec = toml::from_str(text).unwrap();
    assert_eq!(spec, ModelSpec { dropout: Some(0.1), ..ModelSpec::new(Arch::EfficientnetB3, 4) });
    assert_eq!(toml::to_string(&spec).unwrap(), text);

    let refused = |text: &str| toml::from_str::<ModelSpec>(text).unwrap_err().to_string();
    assert!(refused("arch = \"resnet18\"\nclases = 4").contains("unknown field `clases`"));
    assert!(refused("arch = \"resnet8\"\nclasses = 4").contains("unknown model `resnet8`: did you mean `resnet18`?"));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let message = |name: &str| name.parse::<Arch>().unwrap_err().to_string();
    assert!(message("ResNet18").starts_with("unknown model `ResNet18`: did you mean `resnet18`?\n"));
    assert!(message("mobilenetv2").starts_with("unknown model `mobilenetv2`: did you mean `mobilenet_v2`?\n"));
    assert!(message("efficientnet-b4").contains("did you mean `efficientnet_b4`?"));
    let far = message("vit");
    assert!(far.starts_with("unknown model `vit`\n  = the models are resnet18, resnet34,"), "{far}");
    assert!(matches!("".parse::<Arch>(), Err(ModelError::UnknownArch { .. })));
}

#[test]
fn input_of_another_form_is_refused() {
    let network = fresh(Arch::Resnet18, 3);
    let float = (Kind::Float, Device::Cpu);
    let eval = |x: &Tensor| network.forward_eval(x).unwrap_err().to_string();
    assert_eq!(
        eval(&Tensor::zeros([2, 1, 40, 40], float)),
        "images must be [N, 3, H, W] of Float or BFloat16 on Cpu, none of them empty, got [2, 1, 40, 40] of Float on Cpu"
    );
    assert!(eval(&Tensor::zeros([3, 40, 40], float)).contains("got [3, 40, 40]"));
    assert!(eval(&Tensor::zeros([0, 3, 40, 40], float)).contains("got [0, 3, 40, 40]"));
    assert!(eval(&Tensor::zeros([2, 3, 40, 40], (Kind::Uint8, Device::Cpu))).contains("of Uint8"));
    let features = network.head_eval(&Tensor::zeros([2, 511], float)).unwrap_err().to_string();
    assert!(features.starts_with("features must be [N, 512] of Float on Cpu"), "{features}");

    // Batch norm needs two values a channel in training; evaluation does not mind.
    let smallest = Tensor::zeros([1, 3, 32, 32], float);
    let before = bits(&network, |_| false);
    assert_eq!(
        network.forward_train(&smallest, &mut rng()).unwrap_err().to_string(),
        "a training batch must be two images or more, or one larger than 32 x 32, got one image of 32 x 32"
    );
    assert_eq!(bits(&network, |_| false), before);
    assert_eq!(network.forward_eval(&smallest).unwrap().size(), [1, 3]);
    assert_eq!(network.forward_train(&Tensor::zeros([1, 3, 33, 32], float), &mut rng()).unwrap().size(), [1, 3]);
}
