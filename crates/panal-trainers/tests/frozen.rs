//! Frozen backbones: nearest neighbours and logistic regression against NumPy and scikit-learn (`golden/frozen.py`), what
//! chooses what, what is refused, and the proof that a backbone stayed as it was.

// The lint lets test functions unwrap, not the helpers beside them.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use common::{PLAIN, network, phases, run, split};
use panal_data::{keyed_rng, stratified_split};
use panal_models::Classifier;
use panal_trainers::{
    Bank, FitSpec, KnnSpec, Logistic, ProbeSpec, Silent, TrainError, knn, linear_probe, logistic_regression, untouched,
};
use rand::RngExt;
use serde_json::Value;
use tch::{Kind, Tensor};

static GO: AtomicBool = AtomicBool::new(false);
static GOLDEN: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("golden/frozen.json")).unwrap());

fn read<T: serde::de::DeserializeOwned>(case: &Value, field: &str) -> T {
    serde_json::from_value(case[field].clone()).unwrap()
}

fn golden_bank(name: &str) -> Bank {
    let rows: Vec<Vec<f32>> = read(&GOLDEN[name], "features");
    bank(&rows, &read::<Vec<usize>>(&GOLDEN[name], "labels"), read(&GOLDEN, "classes")).unwrap()
}

fn bank(rows: &[Vec<f32>], labels: &[usize], classes: usize) -> Result<Bank, TrainError> {
    let features = Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]);
    Bank::new(features, labels.to_vec(), classes)
}

/// Overlapping clouds, one a class.
fn clouds(images: usize, key: u64) -> Bank {
    let mut rng = keyed_rng(11, &[key]);
    let labels: Vec<usize> = (0..images).map(|index| index % 3).collect();
    let rows: Vec<Vec<f32>> = labels
        .iter()
        .map(|&label| (0..6).map(|d| f32::from(d % 3 == label) + 2.5 * rng.random::<f32>()).collect())
        .collect();
    bank(&rows, &labels, 3).unwrap()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    Vec::<Vec<f64>>::try_from(tensor.to_kind(Kind::Double)).unwrap()
}

#[track_caller]
fn near(got: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((got - expected).abs() <= tolerance, "{got}, expected {expected}");
    }
}

fn message<T>(result: Result<T, TrainError>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn neighbours_vote_as_in_a_plain_loop() {
    let (train, test) = (golden_bank("train"), golden_bank("test"));
    for case in GOLDEN["knn"].as_array().unwrap() {
        let spec = KnnSpec { k: read(case, "k"), temperature: read(case, "temperature") };
        let predictions = knn(&train, &test, &spec).unwrap();
        assert_eq!(predictions.logits.size(), [11, 3]);
        assert_eq!(predictions.truth, test.labels());
        let shares: Vec<Vec<f64>> = read(case, "shares");
        // A similarity's rounding in f32 counts as often as the temperature divides it.
        let tolerance = 1e-5 * (0.07 / spec.temperature).max(1.0);
        near(&rows(&predictions.logits.softmax(1, Kind::Double)), &shares, tolerance);
        assert!(predictions.scores().unwrap().loss.is_finite(), "also where the truth has no vote");
    }
}

#[test]
fn neighbours_do_not_depend_on_length_or_on_blocks() {
    let (train, test) = (clouds(3000, 0), clouds(90, 1));
    let spec = KnnSpec { k: 50, ..KnnSpec::default() };
    let shares = |train: &Bank, test: &Bank| rows(&knn(train, test, &spec).unwrap().logits.softmax(1, Kind::Double));
    let together = shares(&train, &test);
    let longer = Bank::new(test.features() * 1e25, test.labels().to_vec(), 3).unwrap();
    near(&shares(&train, &longer), &together, 1e-4);
    // So many images to learn from that 90 do not fit into one block.
    let copies: Vec<Tensor> = (0..100).map(|_| train.features().shallow_clone()).collect();
    let many = Bank::new(Tensor::cat(&copies, 0), train.labels().repeat(100), 3).unwrap();
    let spec = KnnSpec { k: 5000, ..spec };
    let in_blocks = knn(&many, &test, &spec).unwrap();
    assert_eq!(in_blocks.truth.len(), 90);
    near(&rows(&in_blocks.logits.softmax(1, Kind::Double)), &together, 1e-4);
}

#[test]
fn a_vector_of_zeros_is_like_nothing() {
    let train = bank(&[vec![1.0, 0.0], vec![0.0, 1.0], vec![0.0, 0.0]], &[0, 1, 1], 2).unwrap();
    let test = bank(&[vec![0.0, 0.0]], &[0], 2).unwrap();
    let predictions = knn(&train, &test, &KnnSpec { k: 3, temperature: 0.07 }).unwrap();
    near(&rows(&predictions.logits.softmax(1, Kind::Double)), &[vec![1.0 / 3.0, 2.0 / 3.0]], 1e-6);
}

#[test]
fn logistic_regression_is_scikit_learns() {
    let (train, test) = (golden_bank("train"), golden_bank("test"));
    for case in GOLDEN["logistic"].as_array().unwrap() {
        let fit = logistic_regression(&train, read(case, "l2"), &FitSpec::default()).unwrap();
        assert!(fit.converged, "{case}");
        assert!((fit.objective - read::<f64>(case, "objective")).abs() < 1e-4, "{}, {case}", fit.objective);
        let probabilities = fit.logits(&test).unwrap().softmax(1, Kind::Double);
        near(&rows(&probabilities), &read::<Vec<Vec<f64>>>(case, "probabilities"), 1e-4);
        near(&rows(&fit.weight), &read::<Vec<Vec<f64>>>(case, "weight"), 2e-3);
    }
}

#[test]
fn the_loss_is_a_sum_and_the_bias_is_free() {
    let once = clouds(60, 2);
    let rows_of = Tensor::cat(&[once.features(), once.features()], 0);
    let twice = Bank::new(rows_of, once.labels().repeat(2), 3).unwrap();
    let shifted = Bank::new(once.features() + 100.0, once.labels().to_vec(), 3).unwrap();
    let fit = |bank: &Bank, l2| logistic_regression(bank, l2, &FitSpec::default()).unwrap();
    let (plain, doubled, moved) = (fit(&once, 0.5), fit(&twice, 1.0), fit(&shifted, 0.5));
    assert!((doubled.objective / plain.objective - 2.0).abs() < 1e-4);
    assert!((moved.objective / plain.objective - 1.0).abs() < 1e-4);
    let probabilities = |fit: &Logistic, bank: &Bank| rows(&fit.logits(bank).unwrap().softmax(1, Kind::Double));
    near(&probabilities(&doubled, &once), &probabilities(&plain, &once), 1e-3);
    near(&probabilities(&moved, &shifted), &probabilities(&plain, &once), 1e-3);
}

#[test]
fn features_that_are_constant_or_alone_are_no_trouble() {
    let flat = Bank::new(Tensor::from_slice(&[0.3f32; 12]).view([4, 3]), vec![0, 1, 1, 1], 2).unwrap();
    let fit = logistic_regression(&flat, 1e-6, &FitSpec::default()).unwrap();
    near(&rows(&fit.logits(&flat).unwrap().softmax(1, Kind::Double)), &vec![vec![0.25, 0.75]; 4], 1e-4);
    let single = bank(&[vec![1.0], vec![2.0]], &[0, 0], 1).unwrap();
    assert_eq!(logistic_regression(&single, 1.0, &FitSpec::default()).unwrap().objective, 0.0);
}

#[test]
fn the_penalty_is_chosen_on_images_held_out_of_the_training_split() {
    let (train, test) = (clouds(90, 3), clouds(31, 4));
    let spec = ProbeSpec { l2: vec![0.3, 1e4, 1e-2, 1e5, 3.0], validation: 0.3, seed: 7, fit: FitSpec::default() };
    let outcome = linear_probe(&train, &test, &spec).unwrap();
    assert_eq!(outcome.predictions.truth, test.labels());
    assert_eq!(outcome.predictions.logits.size(), [31, 3]);
    assert_eq!(outcome.grid.iter().map(|point| point.l2).collect::<Vec<_>>(), spec.l2);
    assert_eq!(outcome.validation_images, 27);

    // Each accuracy, from a fit of its own.
    let fold = stratified_split(train.labels(), 0.3, 7).unwrap();
    let part = |indices: &[usize]| {
        let at: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let labels = indices.iter().map(|&index| train.labels()[index]).collect();
        Bank::new(train.features().index_select(0, &Tensor::from_slice(&at)), labels, 3).unwrap()
    };
    let (fit, held_out) = (part(&fold.train), part(&fold.held_out));
    let labels: Vec<i64> = held_out.labels().iter().map(|&label| label as i64).collect();
    for point in &outcome.grid {
        let alone = logistic_regression(&fit, point.l2, &spec.fit).unwrap();
        let right = alone.logits(&held_out).unwrap().argmax(1, false).eq_tensor(&Tensor::from_slice(&labels));
        assert_eq!(point.accuracy, right.sum(Kind::Int64).int64_value(&[]) as f64 / 27.0, "{point:?}");
    }
    let most = outcome.grid.iter().fold(0f64, |most, point| most.max(point.accuracy));
    let chosen = outcome.grid.iter().filter(|point| point.accuracy == most).map(|point| point.l2);
    assert_eq!(outcome.l2, chosen.fold(0.0, f64::max), "of equals the largest");

    // The classifier is that of the whole training split.
    let whole = logistic_regression(&train, outcome.l2, &spec.fit).unwrap();
    let probabilities = |logits: &Tensor| rows(&logits.softmax(1, Kind::Double));
    near(&probabilities(&outcome.predictions.logits), &probabilities(&whole.logits(&test).unwrap()), 1e-3);
}

#[test]
fn the_test_images_choose_nothing() {
    let train = clouds(90, 3);
    let spec = ProbeSpec { l2: vec![1e-2, 1.0, 1e2], ..ProbeSpec::default() };
    let [first, second] = [5, 6].map(|key| linear_probe(&train, &clouds(30, key), &spec).unwrap());
    assert_eq!((first.l2, &first.grid), (second.l2, &second.grid));
    assert_eq!(first.classifier.weight, second.classifier.weight);
    assert_eq!(first.classifier.bias, second.classifier.bias);
}

#[test]
fn the_grid_is_the_papers() {
    let l2 = ProbeSpec::default().l2;
    assert_eq!(l2.len(), 45);
    assert!((l2[0] / 1e-6 - 1.0).abs() < 1e-12 && (l2[44] / 1e5 - 1.0).abs() < 1e-12);
    assert!(l2.windows(2).all(|pair| (pair[1] / pair[0] / 10f64.powf(0.25) - 1.0).abs() < 1e-12));
    assert_eq!(KnnSpec::default(), KnnSpec { k: 200, temperature: 0.07 });
    let spec: ProbeSpec = toml::from_str("seed = 3\nfit = { max_iter = 9 }").unwrap();
    assert_eq!((spec.seed, spec.fit.max_iter, spec.l2), (3, 9, l2));
    assert!(toml::from_str::<ProbeSpec>("l1 = [1.0]").is_err());
}

#[test]
fn banks_that_are_none_are_refused() {
    let features = || Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).view([3, 2]);
    let said = |features: Tensor, labels: &[usize], classes| message(Bank::new(features, labels.to_vec(), classes));
    let shape = "bank.features must be [N, d] of Float on Cpu, neither of them 0, got ";
    assert_eq!(said(features().view([6]), &[0], 1), format!("{shape}[6] of Float on Cpu"));
    assert_eq!(said(features().to_kind(Kind::Double), &[0; 3], 1), format!("{shape}[3, 2] of Double on Cpu"));
    assert_eq!(said(features().narrow(0, 0, 0), &[], 1), format!("{shape}[0, 2] of Float on Cpu"));
    assert_eq!(said(features(), &[0; 4], 1), "bank.labels must be as many as there are features, 3, got 4");
    assert_eq!(said(features(), &[0, 2, 1], 2), "bank.labels[1] must be < 2, the classes, got 2");
    for bad in [f32::NAN, f32::INFINITY] {
        let features = features() * Tensor::from_slice(&[1.0, bad]);
        assert_eq!(said(features, &[0; 3], 1), "bank.features must be finite numbers, got 3 that are not");
    }
}

#[test]
fn wrong_settings_are_refused() {
    let (train, test) = (clouds(12, 0), clouds(6, 1));
    let near = |k, temperature| message(knn(&train, &test, &KnnSpec { k, temperature }));
    assert_eq!(near(13, 0.07), "knn.k must be between 1 and 12, the images to learn from, got 13");
    assert_eq!(near(0, 0.07), "knn.k must be between 1 and 12, the images to learn from, got 0");
    assert_eq!(near(3, 0.0), "knn.temperature must be a finite number > 0, got 0");
    assert_eq!(near(3, f64::NAN), "knn.temperature must be a finite number > 0, got NaN");

    let probe = |spec: ProbeSpec| message(linear_probe(&train, &test, &spec));
    let spec = ProbeSpec::default;
    assert_eq!(probe(ProbeSpec { l2: vec![], ..spec() }), "probe.l2 must be at least one number, got none");
    assert_eq!(probe(ProbeSpec { l2: vec![1.0, -1.0], ..spec() }), "probe.l2[1] must be a finite number > 0, got -1");
    assert_eq!(probe(ProbeSpec { validation: 1.0, ..spec() }), "probe.validation must be in (0, 1), got 1");
    let fit = FitSpec { max_iter: 0, ..FitSpec::default() };
    assert_eq!(probe(ProbeSpec { fit, ..spec() }), "probe.max_iter must be at least 1, got 0");
    let fit = FitSpec { tolerance: 0.0, ..FitSpec::default() };
    assert_eq!(probe(ProbeSpec { fit, ..spec() }), "probe.tolerance must be a finite number > 0, got 0");
    assert_eq!(
        message(logistic_regression(&train, f64::INFINITY, &FitSpec::default())),
        "probe.l2 must be a finite number > 0, got inf"
    );

    let narrow = bank(&[vec![1.0], vec![2.0]], &[0, 1], 3).unwrap();
    let fewer = Bank::new(test.features().shallow_clone(), vec![0; 6], 2).unwrap();
    let k = KnnSpec { k: 3, temperature: 0.07 };
    let dim = "bank.dim must be 6, as of the bank to learn from, got 1";
    let classes = "bank.classes must be 3, as of the bank to learn from, got 2";
    assert_eq!(message(knn(&train, &narrow, &k)), dim);
    assert_eq!(message(knn(&train, &fewer, &k)), classes);
    assert_eq!(message(linear_probe(&train, &narrow, &spec())), dim);
    assert_eq!(message(linear_probe(&train, &fewer, &spec())), classes);
    let fit = logistic_regression(&train, 1.0, &FitSpec::default()).unwrap();
    assert_eq!(message(fit.logits(&narrow)), dim);

    let alone = bank(&[vec![1.0], vec![2.0], vec![3.0]], &[0, 0, 1], 2).unwrap();
    let single = linear_probe(&alone, &alone, &spec());
    assert_eq!(message(single), "the smallest class to be split must be of at least 2 images, got 1");
    let huge = bank(&[vec![3e38], vec![-3e38]], &[0, 1], 2).unwrap();
    assert_eq!(
        message(logistic_regression(&huge, 1.0, &FitSpec::default())),
        "bank.features must be of a size whose square is finite in single precision, got a variance of inf"
    );
}

#[test]
fn every_protocol_counts_each_test_image_once_and_leaves_the_backbone_alone() {
    let mut model = network("resnet10_w24", 0);
    let (train, test) = (split(20, 1, PLAIN), split(13, 2, PLAIN));
    let digest = model.backbone_digest().unwrap();
    let [near, probe] = untouched(&mut model, |model| {
        let train = Bank::of(model, &train, 8, Some(1), &mut Silent)?;
        let test = Bank::of(model, &test, 8, Some(1), &mut Silent)?;
        let spec = ProbeSpec { l2: vec![0.1, 1.0], validation: 0.2, ..ProbeSpec::default() };
        let k = KnnSpec { k: 5, ..KnnSpec::default() };
        Ok([knn(&train, &test, &k)?, linear_probe(&train, &test, &spec)?.predictions])
    })
    .unwrap();
    for predictions in [near, probe] {
        assert_eq!(predictions.truth, test.labels());
        assert_eq!(predictions.scores().unwrap().images, 13);
    }
    let probing = untouched(&mut model, |model| {
        run(model, PLAIN, &phases("{ epochs = 1, train = 'head', lr = 0.1 }"), None, &GO)
    });
    assert_eq!(probing.unwrap().last.truth.len(), 12);
    assert_eq!(model.backbone_digest().unwrap(), digest);
}

#[test]
fn a_backbone_that_moved_is_found_out() {
    let mut model = network("resnet10_w24", 0);
    let moved = |result: Result<(), TrainError>| match result.unwrap_err() {
        TrainError::BackboneMoved { before, after } => assert!(before != after && before.len() == 64),
        other => panic!("{other}"),
    };
    moved(untouched(&mut model, |model| {
        run(model, PLAIN, &phases("{ epochs = 1, train = 'all', lr = 0.01 }"), None, &GO).map(drop)
    }));
    // Batch norm's running statistics alone.
    moved(untouched(&mut model, |model| {
        let images = Tensor::ones([2, 3, 32, 32], (Kind::Float, model.device()));
        let forward = |model: &Classifier| model.forward_train(&images, &mut keyed_rng(0, &[])).map(drop);
        Ok(tch::no_grad(|| forward(model))?)
    }));
    let said = message(untouched(&mut model, |_| {
        Err::<(), _>(TrainError::Spec { field: "a".into(), allowed: "b".into(), got: "c".into() })
    }));
    assert_eq!(said, "a must be b, got c");
}
