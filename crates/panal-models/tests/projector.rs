//! Projection heads against their definition written out, and their errors.

mod common;

use common::values;
use panal_models::{ModelError, Projector, ProjectorSpec};
use tch::{Device, Kind, Tensor};

fn features() -> Tensor {
    let values: Vec<f32> = (0..5 * 6).map(|i| ((i * 7 % 11) as f32 - 5.0) / 3.0).collect();
    Tensor::from_slice(&values).reshape([5, 6])
}

fn head(spec: &ProjectorSpec) -> Projector {
    Projector::new(spec, 6, Device::Cpu, 3).expect("a valid spec")
}

fn mlp(layers: usize, batch_norm: bool) -> ProjectorSpec {
    ProjectorSpec::Mlp { layers, hidden: Some(8), out: 4, batch_norm }
}

#[test]
fn layers_are_dense_with_a_relu_between() {
    for layers in [2, 3] {
        let head = head(&mlp(layers, false));
        let mut expected = features();
        for layer in 0..layers {
            let of = |leaf: &str| head.store().get(&format!("{layer}.{leaf}")).expect("a parameter").shallow_clone();
            let before = if layer == 0 { expected } else { expected.clamp_min(0.0) };
            expected = before.matmul(&of("weight").tr()) + of("bias");
        }
        assert_eq!(expected.size(), [5, 4]);
        let got = head.forward_train(&features()).expect("embeddings");
        assert!((got - &expected).abs().max().double_value(&[]) < 1e-5);
        let got = head.forward_eval(&features()).expect("embeddings");
        assert!((got - expected).abs().max().double_value(&[]) < 1e-5);
    }
}

#[test]
fn no_head_is_the_features_and_the_hidden_width_is_theirs_unless_given() {
    let none = head(&ProjectorSpec::None {});
    assert_eq!(values(&none.forward_train(&features()).expect("features")), values(&features()));
    assert!(none.trainable().is_empty());
    let usual = head(&ProjectorSpec::default());
    let shapes: Vec<_> = usual.trainable().iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect();
    let shape = |name: &str, size: &[i64]| (name.to_owned(), size.to_vec());
    let expected =
        [shape("0.weight", &[6, 6]), shape("0.bias", &[6]), shape("1.weight", &[128, 6]), shape("1.bias", &[128])];
    assert_eq!(shapes, expected);
    assert_eq!(head(&ProjectorSpec::Linear { out: 7 }).forward_eval(&features()).expect("embeddings").size(), [5, 7]);
}

#[test]
fn batch_norm_follows_every_layer_and_moves_in_training_alone() {
    let head = head(&mlp(2, true));
    let digest = || head.store().digest().expect("a digest");
    let before = digest();
    let _ = head.forward_eval(&features()).expect("embeddings");
    assert_eq!(digest(), before);
    let out = head.forward_train(&features()).expect("embeddings");
    assert_ne!(digest(), before);
    // With weight 1 and bias 0, what comes out of the last norm has mean 0 and variance 1 in each column.
    let mean = out.mean_dim(0, false, Kind::Float).abs().max().double_value(&[]);
    assert!(mean < 1e-5, "{mean}");
    let variance = out.var_dim([0_i64].as_slice(), false, false);
    assert!((variance - 1.0).abs().max().double_value(&[]) < 1e-2);
}

#[test]
fn weights_come_back_and_others_are_refused() {
    let (mut head, other) = (head(&mlp(2, true)), Projector::new(&mlp(2, true), 6, Device::Cpu, 4).expect("a head"));
    let all = |projector: &Projector, skip: usize| {
        let tensors = projector.store().iter().skip(skip).map(|(name, tensor, _)| (name.to_owned(), tensor.copy()));
        common::weights(tensors.collect::<Vec<_>>())
    };
    assert_ne!(head.store().digest().unwrap(), other.store().digest().unwrap());
    let error = head.load_exact(&all(&other, 1)).unwrap_err();
    assert!(matches!(error, ModelError::Input { what: "the weights of a projection head", .. }), "{error}");
    head.load_exact(&all(&other, 0)).unwrap();
    assert_eq!(head.store().digest().unwrap(), other.store().digest().unwrap());
}

#[test]
fn wrong_specs_and_features_are_refused() {
    let said = |spec: ProjectorSpec| spec.check().unwrap_err().to_string();
    assert_eq!(said(ProjectorSpec::Linear { out: 0 }), "out must be between 1 and 65536, got 0");
    assert_eq!(said(mlp(1, false)), "layers must be 2 or 3 (one layer is kind = \"linear\"), got 1");
    assert_eq!(said(mlp(4, false)), "layers must be 2 or 3 (one layer is kind = \"linear\"), got 4");
    let wide = ProjectorSpec::Mlp { layers: 2, hidden: Some(1 << 20), out: 4, batch_norm: false };
    assert_eq!(said(wide), "hidden must be between 1 and 65536, got 1048576");
    let head = head(&mlp(2, false));
    for wrong in [features().narrow(1, 0, 5), features().narrow(0, 0, 0), features().to_kind(Kind::Double)] {
        assert!(matches!(head.forward_train(&wrong).unwrap_err(), ModelError::Input { what: "features", .. }));
    }
}
