//! Support sets: what they say, how they grow, and their file.

use panal_trainers::{EncoderCard, RejectThreshold, SupportSet, Transform};
use serde_json::json;
use tch::Tensor;

use crate::tasks::*;

fn card(digest: &str) -> EncoderCard {
    EncoderCard { digest: digest.into(), card: json!({ "init": "random:resnet18" }) }
}

fn names(class: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{class}-{index}")).collect()
}

fn support_set(transform: Transform) -> (SupportSet, Task) {
    let task = task(4, 5, 14);
    let mut set = SupportSet::new(card("a"), transform);
    for class in 0..3 {
        set.grow(["fly", "bee", "ant"][class], &of_class(&task, class), &names(&class.to_string(), 4)).unwrap();
    }
    (set, task)
}

fn of_class(task: &Task, class: usize) -> Tensor {
    let of = task.support.iter().zip(&task.labels).filter(|(_, label)| **label == class);
    tensor(&of.map(|(x, _)| x.clone()).collect::<Rows>())
}

#[test]
fn a_support_set_knows_the_cosines_to_class_means() {
    let (set, task) = support_set(Transform::None);
    assert_eq!((set.classes(), set.counts()), (vec!["fly", "bee", "ant"], vec![4, 4, 4]));
    let cosine = |x: &[f64], m: &[f64]| dot(x, m) / (dot(x, x) * dot(m, m)).sqrt();
    let means = means(&task);
    let expected: Rows = task.query.iter().map(|x| means.iter().map(|m| cosine(x, m)).collect()).collect();
    near(&rows(&set.similarities(&tensor(&task.query)).unwrap()), &expected, 1e-6);
    // An image without itself: the mean of the other three.
    let left_out = rows(&set.similarities_left_out("bee", &of_class(&task, 1)).unwrap());
    let bees = rows(&of_class(&task, 1));
    let others: Vec<f64> = (0..DIM).map(|d| (bees[0][d] + bees[1][d] + bees[3][d]) / 3.0).collect();
    near(
        &left_out[2..3].to_vec(),
        &vec![vec![cosine(&bees[2], &means[0]), cosine(&bees[2], &others), cosine(&bees[2], &means[2])]],
        1e-6,
    );
}

#[test]
fn a_support_set_grows_as_if_it_had_been_made_at_once() {
    for transform in [Transform::None, Transform::L2, Transform::CentredL2 { mean: vec![0.5; DIM] }] {
        let (whole, task) = support_set(transform.clone());
        let mut grown = SupportSet::new(card("a"), transform);
        for class in 0..3 {
            let (name, images) = (["fly", "bee", "ant"][class], names(&class.to_string(), 4));
            let features = of_class(&task, class);
            grown.grow(name, &features.narrow(0, 0, 1), &images[..1]).unwrap();
            grown.grow(name, &features.narrow(0, 1, 3), &images[1..]).unwrap();
        }
        let query = tensor(&task.query);
        near(&rows(&grown.similarities(&query).unwrap()), &rows(&whole.similarities(&query).unwrap()), 1e-12);
        assert_eq!(grown.counts(), whole.counts());
    }
}

#[test]
fn a_support_set_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    let (mut set, task) = support_set(Transform::CentredL2 { mean: vec![0.1; DIM] });
    set.reject = Some(0.25);
    set.write(&path).unwrap();
    let mut read = SupportSet::read(&path).unwrap();
    assert_eq!((read.classes(), read.counts(), read.reject), (set.classes(), set.counts(), Some(0.25)));
    assert_eq!((read.encoder(), read.transform()), (set.encoder(), set.transform()));
    assert_eq!((read.class_of("1-3"), read.class_of("1-4")), (Some("bee"), None));
    let query = tensor(&task.query);
    assert_eq!(rows(&read.similarities(&query).unwrap()), rows(&set.similarities(&query).unwrap()));
    read.grow("wasp", &of_class(&task, 0), &names("wasp", 4)).unwrap();
    assert_eq!(read.similarities(&query).unwrap().size(), [5, 4]);
    read.check_encoder(&card("a")).unwrap();
    assert_eq!(
        message(read.check_encoder(&card("b"))),
        "the support set was made by an encoder of digest a, and this one has b: use that encoder, or make the set anew"
    );
}

#[test]
fn a_support_set_refuses_what_does_not_fit() {
    let (mut set, task) = support_set(Transform::L2);
    let features = of_class(&task, 0);
    let said = message(set.grow("wasp", &features, &names("wasp", 3)));
    assert_eq!(said, "few_shot.support images must be as many as there are features, 4, got 3");
    let mut twice = names("wasp", 4);
    twice[2] = "1-1".into();
    let said = message(set.grow("wasp", &features, &twice));
    assert_eq!(
        said,
        "few_shot.support images[2] of wasp must be an image that is not in the set, of bee, already, got 1-1"
    );
    twice[2] = twice[1].clone();
    assert!(message(set.grow("wasp", &features, &twice)).contains("not in the set, of wasp"));
    assert!(message(set.grow("wasp", &features.narrow(1, 0, 3), &names("wasp", 4))).contains("[N, 7]"));
    assert_eq!(set.classes().len(), 3, "refused, it stays as it was");
    assert!(message(set.similarities(&features.narrow(1, 0, 3))).contains("few_shot.query must be [N, 7]"));
    let said = message(set.similarities_left_out("wasp", &features));
    assert_eq!(said, "few_shot.class must be one of fly, bee, ant, got wasp");
    set.grow("wasp", &features.narrow(0, 0, 1), &names("wasp", 1)).unwrap();
    let said = message(set.similarities_left_out("wasp", &features.narrow(0, 0, 1)));
    assert_eq!(said, "few_shot.images of wasp must be at least 2, to leave one out, got 1");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    let none = SupportSet::new(card("a"), Transform::None);
    assert_eq!(message(none.write(&path)), "few_shot.the support set must be of at least one class, got none");
    assert!(message(none.similarities(&features)).contains("at least one class"));
    assert!(message(SupportSet::read(&path)).contains("set.safetensors"));
    let tensors = [("sums".to_owned(), Tensor::from_slice(&[1f64, 2.0]).view([1, 2]))];
    let bad = |card: &str| {
        let metadata = [("panal.support_set".to_owned(), card.to_owned())].into_iter().collect();
        panal_tensor::write_safetensors(&path, &tensors, &metadata).unwrap();
        message(SupportSet::read(&path))
    };
    assert!(bad("{}").contains("is no support set: its card: missing field"));
    let card = |format: &str, classes: serde_json::Value| {
        json!({ "format": format, "encoder": { "digest": "a", "card": null }, "transform": { "kind": "l2" },
                "reject": null, "classes": classes })
        .to_string()
    };
    assert!(bad(&card("other", json!([]))).contains("its format must be `panal support set 1`, got `other`"));
    let format = "panal support set 1";
    assert!(
        bad(&card(format, json!([["a", ["x"]], ["b", ["y"]]]))).contains("`sums` is [1, 2] of Double for 2 classes")
    );
    assert!(bad(&card(format, json!([["a", []]]))).contains("class a is there twice, or without images"));
}

#[test]
fn the_threshold_is_the_best_between_known_and_unknown() {
    let best = RejectThreshold::choose(&[0.9, 0.8, 0.7], &[0.1, 0.3]).unwrap();
    assert_eq!(best, RejectThreshold { threshold: 0.5, balanced_accuracy: 1.0 });
    // By hand: at 0.775 two of four known are lost and all unknown are away, which is more than the 17/24 at 0.5.
    let mixed = RejectThreshold::choose(&[0.9, 0.8, 0.7, 0.2], &[0.1, 0.3, 0.75]).unwrap();
    assert!((mixed.threshold - 0.775).abs() < 1e-12 && mixed.balanced_accuracy == 0.75, "{mixed:?}");
    // Of equals the widest gap: between 0.1 and 0.2 as good as between 0.3 and 0.8.
    let wide = RejectThreshold::choose(&[0.2, 0.8], &[0.1, 0.3]).unwrap();
    assert!((wide.threshold - 0.55).abs() < 1e-12, "{wide:?}");
    // The other way round nothing helps, so everything is kept.
    let worse = RejectThreshold::choose(&[0.1], &[0.9]).unwrap();
    assert_eq!(worse, RejectThreshold { threshold: 0.1, balanced_accuracy: 0.5 });
    assert_eq!(RejectThreshold::choose(&[0.4], &[0.4]).unwrap().balanced_accuracy, 0.5);
    let said = |known: &[f64], unknown: &[f64]| message(RejectThreshold::choose(known, unknown));
    assert_eq!(said(&[], &[0.1]), "few_shot.known similarities must be at least one, got 0");
    assert_eq!(said(&[0.1], &[]), "few_shot.unknown similarities must be at least one, got 0");
    assert_eq!(said(&[0.1], &[f64::NAN]), "few_shot.unknown similarities must be finite numbers, got NaN");
}
