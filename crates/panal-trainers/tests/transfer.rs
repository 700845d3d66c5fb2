//! The transfer loop: what learns, what stays frozen, what is refused.

#![allow(clippy::print_stderr)] // a test that skips says so

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{PLAIN, RANDOM, Stripes, model, network, phases, run, split};
use image::RgbImage;
use panal_data::{Cached, DataError, DataSource};
use panal_models::{Classifier, ModelSpec};
use panal_tensor::{DeviceChoice, Precision};
use panal_trainers::{Log, Outcome, Part, PhaseSpec, Silent, Split, TrainError, Transfer};
use tch::{Device, Kind, Tensor};

static GO: AtomicBool = AtomicBool::new(false);

/// Every parameter and buffer outside the head, as it is now.
fn backbone(model: &Classifier) -> Vec<(String, Tensor)> {
    model
        .store()
        .iter()
        .filter(|(name, _, _)| !model.is_head(name))
        .map(|(name, tensor, _)| (name.to_owned(), tensor.detach().copy()))
        .collect()
}

fn head(model: &Classifier) -> Vec<Tensor> {
    model
        .store()
        .iter()
        .filter(|(name, _, _)| model.is_head(name))
        .map(|(_, tensor, _)| tensor.detach().copy())
        .collect()
}

#[test]
fn probing_moves_the_head_and_not_a_bit_of_the_backbone() {
    for ops in [PLAIN, RANDOM] {
        let mut model = model(0);
        let (before, head_before) = (backbone(&model), head(&model));
        let outcome = run(&mut model, ops, &phases("{ epochs = 2, train = 'head', lr = 0.1 }"), None, &GO).unwrap();
        assert!(before.len() > 200, "parameters and batch-norm buffers are compared");
        for ((name, before), (_, after)) in before.iter().zip(backbone(&model)) {
            assert_eq!(*before, after, "{name} moved");
        }
        assert!(
            head_before.iter().zip(head(&model)).any(|(before, after)| *before != after),
            "the head learnt nothing"
        );
        assert_eq!(outcome.epochs.len(), 2);
        assert_eq!(outcome.last.truth.len(), 12);
    }
}

#[test]
fn features_computed_once_give_the_same_head_as_images_passed_each_time() {
    // A flip that never happens is a random draw all the same, so images take the long way.
    let long_way = format!("{PLAIN}, {{ op = 'horizontal_flip', p = 1e-12 }}");
    let phases = phases("{ epochs = 3, train = 'head', lr = 0.1 }");
    let (mut cached, mut passed) = (model(0), model(0));
    run(&mut cached, PLAIN, &phases, None, &GO).unwrap();
    run(&mut passed, &long_way, &phases, None, &GO).unwrap();
    for (cached, passed) in head(&cached).iter().zip(head(&passed)) {
        assert!((cached - passed).abs().max().double_value(&[]) < 1e-5);
    }
}

#[test]
fn fine_tuning_moves_weights_and_running_statistics() {
    let mut model = model(0);
    let before = backbone(&model);
    run(&mut model, PLAIN, &phases("{ epochs = 1, train = 'all', lr = 0.05 }"), None, &GO).unwrap();
    let after = backbone(&model);
    for part in ["features.0.0.weight", "features.0.1.running_mean", "features.18.1.num_batches_tracked"] {
        let find = |tensors: &[(String, Tensor)]| tensors.iter().find(|(name, _)| name == part).unwrap().1.copy();
        assert_ne!(find(&before), find(&after), "{part} did not move");
    }
}

/// Images that count how often they are asked for.
struct Counted {
    source: Arc<Stripes>,
    asked: AtomicUsize,
}

impl DataSource for Counted {
    fn name(&self) -> &str {
        self.source.name()
    }
    fn classes(&self) -> &[String] {
        self.source.classes()
    }
    fn len(&self) -> usize {
        self.source.len()
    }
    fn label(&self, index: usize) -> usize {
        self.source.label(index)
    }
    fn id(&self, index: usize) -> String {
        self.source.id(index)
    }
    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.source.image(index)
    }
    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        self.source.content_digest(index)
    }
}

#[test]
fn images_that_no_draw_changes_are_asked_for_once_by_all_runs_where_their_views_are_kept() {
    let counted = |len, key| Arc::new(Counted { source: Stripes::new(len, key), asked: AtomicUsize::new(0) });
    let phases = phases("{ epochs = 3, train = 'all', lr = 0.01 }");
    for (ops, times_in_training) in [(PLAIN, 1), (RANDOM, 2 * 3)] {
        let expected = run(&mut model(0), ops, &phases, None, &GO).unwrap();
        let (train, eval) = (counted(20, 1), counted(12, 2));
        // No room for the images themselves.
        let [train_views, eval_views] =
            [&train, &eval].map(|images| Arc::new(Cached::new(images.clone(), 0).with_views(1 << 30)));
        for _ in 0..2 {
            let transfer = Transfer {
                train: Split { source: train_views.clone(), ..split(20, 1, ops) },
                eval: Split { source: eval_views.clone(), ..split(12, 2, PLAIN) },
                phases: &phases,
                batch: 8,
                eval_batch: 5,
                seed: 3,
                threads: Some(1),
                checkpoint: None,
                stop: &GO,
            };
            let outcome = transfer.run(&mut model(0), &mut Silent).unwrap();
            for (expected, epoch) in expected.epochs.iter().zip(&outcome.epochs) {
                assert_eq!((expected.train_loss, expected.eval.loss), (epoch.train_loss, epoch.eval.loss));
            }
        }
        let asked = [train, eval].map(|images| images.asked.load(Ordering::Relaxed));
        assert_eq!(asked, [20 * times_in_training, 12]);
    }
}

/// More images than `run` has, enough to learn what tells them apart.
fn learn_stripes(model: &mut Classifier, phases: &[PhaseSpec]) -> Outcome {
    let transfer = Transfer {
        train: split(64, 1, PLAIN),
        eval: split(32, 2, PLAIN),
        phases,
        batch: 8,
        eval_batch: 32,
        seed: 3,
        threads: Some(1),
        checkpoint: None,
        stop: &GO,
    };
    transfer.run(model, &mut Silent).expect("a run")
}

#[test]
fn stripes_are_learnt() {
    let mut model = network("resnet18", 0);
    let phases = phases("{ epochs = 5, train = 'all', lr = 0.005, schedule = { kind = 'cosine', warmup_epochs = 1 } }");
    let outcome = learn_stripes(&mut model, &phases);
    let (first, last) = (&outcome.epochs[0], &outcome.epochs[4]);
    assert!(last.train_loss < 0.5 * first.train_loss, "{} to {}", first.train_loss, last.train_loss);
    assert!(last.eval.accuracy >= 0.9, "{:?}", outcome.epochs);
    assert_eq!((outcome.images, last.eval.images), (5 * 64, 32));
}

#[test]
fn mixed_precision_learns_and_leaves_everything_that_is_kept_in_single_precision() {
    let phases = phases(
        "{ epochs = 5, train = 'all', lr = 0.005, precision = 'bf16', schedule = { kind = 'cosine', warmup_epochs = 1 } }",
    );
    let single = [PhaseSpec { precision: Precision::F32, ..phases[0].clone() }];
    let (mut model, mut other) = (network("resnet18", 0), network("resnet18", 0));
    let outcome = learn_stripes(&mut model, &phases);
    learn_stripes(&mut other, &single);
    assert_ne!(model.store().digest().unwrap(), other.store().digest().unwrap(), "nothing was computed otherwise");
    assert!(outcome.epochs[4].eval.accuracy >= 0.9, "{:?}", outcome.epochs);
    assert!(outcome.seconds.waiting > 0.0 && outcome.seconds.waiting < outcome.seconds.train, "{:?}", outcome.seconds);
    let single = [Kind::Float, Kind::Int64];
    assert!(model.store().iter().all(|(_, tensor, _)| single.contains(&tensor.kind())));
    assert_eq!(outcome.last.logits.kind(), Kind::Float);
}

/// A run that goes as it was asked for.
struct Unwarned;

impl Log for Unwarned {
    fn warn(&mut self, what: &str) {
        panic!("{what}");
    }
}

/// The loss of every epoch, in training and in evaluation, of a small run of `ops` on a device.
fn losses(device: Device, ops: &str, phase: &str) -> Vec<f64> {
    let phases = phases(phase);
    let spec = ModelSpec::new("mobilenet_v2".parse().expect("a name"), 2);
    let mut model = Classifier::new(&spec, device, 0).expect("a network");
    // Batches of 8, 8, 8 and 4, so that one comes beside those that are recorded.
    let transfer = Transfer {
        train: split(28, 1, ops),
        eval: split(12, 2, PLAIN),
        phases: &phases,
        batch: 8,
        eval_batch: 5,
        seed: 3,
        threads: Some(1),
        checkpoint: None,
        stop: &GO,
    };
    let outcome = transfer.run(&mut model, &mut Unwarned).expect("a run");
    assert_eq!(outcome.images, 28 * outcome.epochs.len() as u64);
    outcome.epochs.iter().flat_map(|epoch| [epoch.train_loss, epoch.eval.loss]).collect()
}

const ALL: &str = "{ epochs = 3, train = 'all', lr = 0.005 }";
const GRAPHLESS: &str = "{ epochs = 3, train = 'all', lr = 0.005, cuda_graphs = false }";
const HEAD: &str = "{ epochs = 3, train = 'head', lr = 0.05 }";
const GRAPHLESS_HEAD: &str = "{ epochs = 3, train = 'head', lr = 0.05, cuda_graphs = false }";

#[test]
fn cuda_graphs_change_nothing_on_a_cpu() {
    assert!(phases(ALL)[0].cuda_graphs && !phases(GRAPHLESS)[0].cuda_graphs);
    assert!(!toml::to_string(&phases(ALL)[0]).unwrap().contains("cuda_graphs"));
    for (ops, phase, graphless) in [(PLAIN, ALL, GRAPHLESS), (RANDOM, HEAD, GRAPHLESS_HEAD)] {
        assert_eq!(losses(Device::Cpu, ops, phase), losses(Device::Cpu, ops, graphless));
    }
}

#[test]
fn cuda_graphs_and_kept_images_learn_the_same() {
    let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
        eprintln!("skipped: no CUDA device");
        return;
    };
    // A flip that never happens is a random draw all the same, so images are loaded in every epoch.
    let loaded = format!("{PLAIN}, {{ op = 'horizontal_flip', p = 1e-12 }}");
    // A GPU sums gradients in no fixed order.
    let alike = |one: &[f64], other: &[f64]| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one - other).abs() < 2e-2 * other)
    };
    for (phase, graphless) in [(ALL, GRAPHLESS), (HEAD, GRAPHLESS_HEAD)] {
        let plain = losses(device, &loaded, graphless);
        for (ops, phase) in [(PLAIN, graphless), (PLAIN, phase), (&loaded, phase)] {
            let other = losses(device, ops, phase);
            assert!(alike(&plain, &other), "{ops}, {phase}: {plain:?}, {other:?}");
        }
    }
}

#[test]
fn the_best_epoch_is_the_first_of_the_highest_f1() {
    let mut model = model(1);
    let outcome = run(&mut model, PLAIN, &phases("{ epochs = 4, train = 'head', lr = 0.05 }"), None, &GO).unwrap();
    let f1: Vec<f64> = outcome.epochs.iter().map(|epoch| epoch.eval.f1).collect();
    let highest = f1.iter().copied().fold(f64::MIN, f64::max);
    assert_eq!(outcome.best_epoch, f1.iter().position(|&f1| f1 == highest).unwrap());
    assert_eq!(outcome.best.scores().unwrap().f1, highest);
    assert_eq!(outcome.last.scores().unwrap().f1, f1[3]);
}

#[test]
fn layer_groups_learn_at_their_own_rate() {
    let text = "{ epochs = 1, train = 'all', lr = 0.01, lr_scale = { backbone = 1e-9, 'features.18' = 1.0 } }";
    let mut model = model(0);
    let before = backbone(&model);
    run(&mut model, PLAIN, &phases(text), None, &GO).unwrap();
    let moved = |part: &str| {
        let find = |tensors: &[(String, Tensor)]| tensors.iter().find(|(name, _)| name == part).unwrap().1.copy();
        (find(&before) - find(&backbone(&model))).abs().max().double_value(&[])
    };
    assert!(moved("features.0.0.weight") < 1e-6);
    assert!(moved("features.18.0.weight") > 1e-5);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = |text: &str, expected: &str| {
        let error = run(&mut model(0), PLAIN, &phases(text), None, &GO).unwrap_err().to_string();
        assert!(error.contains(expected), "`{error}` does not say `{expected}`");
    };
    refused("{ epochs = 0, train = 'head', lr = 0.1 }", "phases[0].epochs must be at least 1, got 0");
    refused("{ epochs = 1, train = 'head', lr = -0.1 }", "phases[0].lr must be a finite number > 0, got -0.1");
    refused("{ epochs = 1, train = 'head', lr = nan }", "phases[0].lr must be a finite number > 0, got NaN");
    refused("{ epochs = 1, train = 'all', lr = 0.1, lr_scale = { layer4 = 0.1 } }", "phases[0].lr_scale.layer4");
    refused(
        "{ epochs = 1, train = 'all', lr = 0.1, label_smoothing = 1.0 }",
        "label_smoothing must be in [0, 1), got 1",
    );
    let phases = phases("{ epochs = 1, train = 'head', lr = 0.1 }");
    assert_eq!(phases[0].train, Part::Head);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_says_where() {
    let text = "{ epochs = 3, train = 'all', lr = 1e30 }";
    let error = run(&mut model(0), PLAIN, &phases(text), None, &GO).unwrap_err();
    let TrainError::Diverged { loss, lr, .. } = &error else { panic!("{error}") };
    assert!(!loss.is_finite());
    assert_eq!(*lr, 1e30);
    assert!(error.to_string().contains("lower the learning rate"));
}
