//! SimCLR's loop: it learns, it goes on to the bit where it was stopped, and it refuses what it cannot do.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{PLAIN, Stripes, split};
use panal_data::AugmentSpec;
use panal_models::{Classifier, ModelSpec, Projector, Stem};
use panal_optim::{LrScaling, OptimizerSpec, ScheduleSpec, Sgd};
use panal_tensor::Precision;
use panal_trainers::{
    AugmentOn, CheckpointSpec, ContrastiveLoss, KnnWatch, Log, Pretrained, SimClr, SimClrSpec, SslEpoch, SslStep,
    TrainError, Views, Watch,
};
use tch::Device;

static GO: AtomicBool = AtomicBool::new(false);
const SIDE: u32 = 16;

fn spec() -> SimClrSpec {
    SimClrSpec {
        optimizer: OptimizerSpec::default(),
        lr: 0.05,
        lr_scaling: LrScaling::None,
        schedule: ScheduleSpec::Cosine { warmup_epochs: 1, floor: 0.0 },
        knn: Some(KnnWatch { every: 2, k: 5, temperature: 0.1 }),
        ..SimClrSpec::new(4, 8)
    }
}

fn views() -> Views {
    Views { source: Stripes::new(20, 1), augment: AugmentSpec::simclr(SIDE, 0.5), second: None, on: AugmentOn::Auto }
}

fn networks(spec: &SimClrSpec) -> (Classifier, Projector) {
    let model = ModelSpec::new("resnet10_w24".parse().unwrap(), 2).with_stem(Stem::Cifar);
    let encoder = Classifier::new(&model, Device::Cpu, 5).unwrap();
    let projector = Projector::new(&spec.projector, encoder.feature_dim(), Device::Cpu, 5).unwrap();
    (encoder, projector)
}

/// Everything said of a run that is no time, and the digests of both networks.
fn end_state(
    spec: &SimClrSpec,
    checkpoint: Option<&CheckpointSpec>,
    log: &mut dyn Log,
    stop: &AtomicBool,
) -> Result<(Pretrained, String), TrainError> {
    tch::set_num_threads(1);
    let (mut encoder, mut projector) = networks(spec);
    let watch = Watch { train: split(20, 1, PLAIN), eval: split(12, 2, PLAIN) };
    let simclr = SimClr {
        views: views(),
        spec,
        watch: Some(&watch),
        eval_batch: 7,
        seed: 3,
        threads: Some(1),
        checkpoint,
        stop,
    };
    let mut pretrained = simclr.run(&mut encoder, &mut projector, log)?;
    let timeless = |epoch: &mut SslEpoch| (epoch.seconds, epoch.images_per_second, epoch.waiting) = (0.0, 0.0, 0.0);
    pretrained.epochs.iter_mut().for_each(timeless);
    pretrained.seconds = 0.0;
    pretrained.earlier = None;
    let digests = encoder.store().digest().unwrap() + &projector.store().digest().unwrap();
    Ok((pretrained, digests))
}

#[test]
fn the_loss_falls_and_every_epoch_is_told() {
    struct Count(usize, usize);
    impl Log for Count {
        fn ssl_step(&mut self, step: &SslStep) {
            assert!(step.steps == 2 && step.images == 8 && step.epochs == 12);
            self.0 += 1;
        }
        fn ssl_epoch(&mut self, _: &SslEpoch) {
            self.1 += 1;
        }
    }
    let mut count = Count(0, 0);
    let spec = SimClrSpec { epochs: 12, ..spec() };
    let (pretrained, _) = end_state(&spec, None, &mut count, &GO).unwrap();
    // 20 images make two batches of 8; the rest of an epoch is left out.
    assert_eq!((count.0, count.1), (24, 12));
    assert_eq!((pretrained.steps, pretrained.images, pretrained.epochs.len()), (24, 192, 12));
    let (first, last) = (&pretrained.epochs[0], &pretrained.epochs[11]);
    assert!(last.loss < first.loss - 0.1, "{} to {}", first.loss, last.loss);
    assert!(pretrained.epochs.iter().all(|epoch| epoch.top5 >= epoch.top1 && epoch.health.rank >= 1.0));
    let asked: Vec<bool> = pretrained.epochs.iter().map(|epoch| epoch.knn.is_some()).collect();
    assert_eq!(asked, (0..12).map(|epoch| epoch % 2 == 1).collect::<Vec<_>>());
}

#[test]
fn two_passes_learn_from_the_whole_batch() {
    // Micro-batches change what batch norm sees, and nothing else; the head has none, so only the encoder's count.
    let whole = end_state(&spec(), None, &mut panal_trainers::Silent, &GO).unwrap();
    let parts = SimClrSpec { micro_batch: Some(4), ..spec() };
    let parted = end_state(&parts, None, &mut panal_trainers::Silent, &GO).unwrap();
    assert_eq!((parted.0.steps, parted.0.images), (whole.0.steps, whole.0.images));
    assert!((parted.0.epochs[0].loss - whole.0.epochs[0].loss).abs() < 0.3);
    assert_ne!(parted.1, whole.1);
}

#[test]
fn views_drawn_on_the_device_are_the_same_in_both_passes() {
    let spec = SimClrSpec { epochs: 3, micro_batch: Some(4), ..spec() };
    let run = |on| {
        let (mut encoder, mut projector) = networks(&spec);
        let simclr = SimClr {
            views: Views { on, ..views() },
            spec: &spec,
            watch: None,
            eval_batch: 7,
            seed: 3,
            threads: Some(1),
            checkpoint: None,
            stop: &GO,
        };
        simclr.run(&mut encoder, &mut projector, &mut panal_trainers::Silent).unwrap()
    };
    // Kept on the host, or drawn anew for each pass: were those other views, the gradient would belong to none of the two.
    let (kept, drawn) = (run(AugmentOn::Cpu), run(AugmentOn::Device));
    for (kept, drawn) in kept.epochs.iter().zip(&drawn.epochs) {
        assert!((kept.loss - drawn.loss).abs() < 0.05, "{} and {}", kept.loss, drawn.loss);
        assert!(drawn.waiting > 0.0 && drawn.waiting < 1.0, "{}", drawn.waiting);
    }
}

/// Asks to stop after a number of steps.
struct StopAfter<'a>(usize, &'a AtomicBool);

impl Log for StopAfter<'_> {
    fn ssl_step(&mut self, _: &SslStep) {
        self.0 -= 1;
        self.1.store(self.0 == 0, Ordering::SeqCst);
    }
}

#[test]
fn stopped_after_any_step_it_ends_with_the_same_bits() {
    let variants =
        [spec(), SimClrSpec { micro_batch: Some(2), ..spec() }, SimClrSpec { precision: Precision::Bf16, ..spec() }];
    for spec in variants {
        let whole = end_state(&spec, None, &mut panal_trainers::Silent, &GO).unwrap();
        for steps in [1, 2, 5, 8] {
            let folder = tempfile::tempdir().unwrap();
            let checkpoint = CheckpointSpec {
                path: folder.path().join("run.safetensors"),
                every: Duration::from_secs(3600),
                fingerprint: "a run".into(),
                resume: true,
            };
            let stop = AtomicBool::new(false);
            let error = end_state(&spec, Some(&checkpoint), &mut StopAfter(steps, &stop), &stop).unwrap_err();
            assert!(
                matches!(error, TrainError::Interrupted { steps: taken, checkpoint: Some(_) } if taken == steps as u64)
            );
            let resumed = end_state(&spec, Some(&checkpoint), &mut panal_trainers::Silent, &GO).unwrap();
            assert_eq!(resumed, whole, "stopped after {steps} steps");
        }
    }
}

#[test]
fn views_made_on_the_device_are_those_of_the_loader() {
    let spec = SimClrSpec { epochs: 2, ..spec() };
    let run = |on, second: Option<AugmentSpec>| {
        let (mut encoder, mut projector) = networks(&spec);
        let views = Views { on, second, ..views() };
        let simclr = SimClr {
            views,
            spec: &spec,
            watch: None,
            eval_batch: 7,
            seed: 3,
            threads: Some(1),
            checkpoint: None,
            stop: &GO,
        };
        simclr.run(&mut encoder, &mut projector, &mut panal_trainers::Silent)
    };
    // The same draws, and pixels that differ by their rounding.
    let (cpu, device) = (run(AugmentOn::Cpu, None).unwrap(), run(AugmentOn::Device, None).unwrap());
    let far = (cpu.epochs[0].loss - device.epochs[0].loss).abs();
    assert!(far > 0.0 && far < 0.05, "{} and {}", cpu.epochs[0].loss, device.epochs[0].loss);
    // On the CPU nothing is gained by it, so it is not chosen by itself.
    assert_eq!(run(AugmentOn::Auto, None).unwrap().epochs[0].loss, cpu.epochs[0].loss);

    let plain = AugmentSpec::plain(SIDE, SIDE);
    let error = run(AugmentOn::Device, Some(plain.clone())).unwrap_err();
    assert!(error.to_string().contains("augment_on must be `cpu` or `auto`"), "{error}");
    assert_ne!(run(AugmentOn::Cpu, Some(plain)).unwrap().epochs[0].loss, cpu.epochs[0].loss);
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let said = |spec: SimClrSpec| spec.check().unwrap_err().to_string();
    assert!(said(SimClrSpec { batch: 1, ..spec() }).starts_with("batch must be at least 2"));
    assert_eq!(said(SimClrSpec { epochs: 0, ..spec() }), "epochs must be at least 1, got 0");
    assert_eq!(
        said(SimClrSpec { micro_batch: Some(3), ..spec() }),
        "micro_batch must be a divisor of batch = 8, at least 2, got 3"
    );
    for temperature in [0.0, -0.5, f64::NAN] {
        let loss = ContrastiveLoss::NtXent { temperature, similarity: Default::default() };
        assert!(said(SimClrSpec { loss, ..spec() }).starts_with("loss.temperature must be a finite number > 0, got"));
    }
    let knn = Some(KnnWatch { every: 0, k: 5, temperature: 0.1 });
    assert_eq!(said(SimClrSpec { knn, ..spec() }), "knn.every must be at least 1, got 0");

    let run = |spec: &SimClrSpec| end_state(spec, None, &mut panal_trainers::Silent, &GO).unwrap_err();
    let error = run(&SimClrSpec { batch: 21, ..spec() }).to_string();
    assert_eq!(error, "batch must be at most 20, the images at hand, got 21");
    let knn = Some(KnnWatch { every: 1, k: 21, temperature: 0.1 });
    assert!(run(&SimClrSpec { knn, ..spec() }).to_string().contains("knn.k"));
}

#[test]
fn a_loss_that_is_no_number_stops_with_the_step_and_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointSpec {
        path: folder.path().join("run.safetensors"),
        every: Duration::ZERO,
        fingerprint: "a run".into(),
        resume: false,
    };
    let wild = SimClrSpec { lr: 1e30, schedule: ScheduleSpec::Constant {}, ..spec() };
    let error = end_state(&wild, Some(&checkpoint), &mut panal_trainers::Silent, &GO).unwrap_err();
    let TrainError::Diverged { loss, step, lr, kept, .. } = error else { panic!("{error}") };
    assert!(!loss.is_finite() && step > 1 && lr == 1e30, "{loss}, step {step}, {lr}");
    assert!(kept.contains("run.safetensors"), "{kept}");
}

#[test]
fn weights_that_are_no_numbers_are_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let checkpoint =
        CheckpointSpec { path: path.clone(), every: Duration::ZERO, fingerprint: "a run".into(), resume: false };
    // Batch norm's weights of 1 move by the decay and, in Nesterov's form, by 0.9 of it again: 5.7e38 is no number of single precision.
    let optimizer = OptimizerSpec::Sgd(Sgd { nesterov: true, weight_decay: 1.0, ..Sgd::default() });
    let wild = SimClrSpec { lr: 3e38, optimizer, schedule: ScheduleSpec::Constant {}, ..spec() };
    let error = end_state(&wild, Some(&checkpoint), &mut panal_trainers::Silent, &GO).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { epoch: 1, step: 1, lr: 3e38, .. }), "{error}");
    assert!(error.to_string().contains("no checkpoint was kept"), "{error}");
    assert!(!path.exists());
}

#[test]
fn an_image_smaller_than_the_crop_is_named() {
    let (mut encoder, mut projector) = networks(&spec());
    let augment = AugmentSpec::simclr(64, 0.5);
    let simclr = SimClr {
        views: Views {
            source: Arc::new(panal_data::Cached::new(Stripes::new(20, 1), 1 << 20)),
            augment,
            second: None,
            on: AugmentOn::Cpu,
        },
        spec: &spec(),
        watch: None,
        eval_batch: 7,
        seed: 3,
        threads: Some(1),
        checkpoint: None,
        stop: &GO,
    };
    let error = simclr.run(&mut encoder, &mut projector, &mut panal_trainers::Silent).unwrap_err();
    assert!(matches!(error, TrainError::SmallImage { width: 40, height: 36, rows: 64, columns: 64, .. }), "{error}");
    assert!(error.to_string().contains(".png is 40 x 36 pixels, smaller than the crop of 64 x 64"), "{error}");
}
