//! Learning by episodes: every method learns, goes on to the bit where it was stopped, and refuses what it cannot do.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image::{Rgb, RgbImage};
use panal_data::{DataError, DataSource, EpisodeSpec, Episodes, keyed_rng};
use panal_models::Conv4Spec;
use panal_optim::ScheduleSpec;
use panal_trainers::{
    Adapt, AffineSpec, BatchNormUse, CheckpointSpec, Episodic, EpisodicRun, EpisodicSpec, FewShotImages, FewShotNet,
    FewShotSpec, Judged, Log, MethodSpec, Order, Silent, StepLog, Tone, TrainError, judge,
};
use rand::RngExt;
use tch::Device;

static GO: AtomicBool = AtomicBool::new(false);

/// Strokes at an angle of the class's own, a little apart each time.
struct Strokes {
    classes: Vec<String>,
    each: usize,
}

impl Strokes {
    fn new(classes: usize, each: usize) -> Self {
        Self { classes: (0..classes).map(|class| format!("stroke{class}")).collect(), each }
    }
}

impl DataSource for Strokes {
    fn name(&self) -> &str {
        "strokes"
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn len(&self) -> usize {
        self.classes.len() * self.each
    }
    fn label(&self, index: usize) -> usize {
        index / self.each
    }
    fn id(&self, index: usize) -> String {
        format!("{index}.png")
    }
    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let mut rng = keyed_rng(9, &[index as u64]);
        let angle =
            (self.label(index) as f64 + 0.3 * rng.random::<f64>()) / self.classes.len() as f64 * std::f64::consts::PI;
        let (sin, cos) = angle.sin_cos();
        let [x0, y0] = [(); 2].map(|()| 10.0 + 4.0 * rng.random::<f64>());
        Ok(RgbImage::from_fn(24, 24, |x, y| {
            let off = (f64::from(x) - x0) * sin - (f64::from(y) - y0) * cos;
            Rgb(if off.abs() < 2.0 { [0; 3] } else { [255; 3] })
        }))
    }
    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(index as u64).to_le_bytes());
        Ok(digest)
    }
}

fn maml(order: Order, adapt: Adapt) -> MethodSpec {
    MethodSpec::Maml { ways: 3, inner_lr: 0.1, steps: 1, eval_steps: 2, order, adapt }
}

fn methods() -> Vec<MethodSpec> {
    vec![
        MethodSpec::Prototypical {},
        MethodSpec::Matching { scale: 10.0 },
        MethodSpec::Relation { hidden: 8 },
        MethodSpec::Siamese { embedding: 12 },
        maml(Order::Second, Adapt::All),
        maml(Order::First, Adapt::All),
        maml(Order::Second, Adapt::Head),
    ]
}

fn learner(method: MethodSpec) -> FewShotSpec {
    let mut spec = FewShotSpec::new(method);
    spec.network.side = 16;
    spec.network.width = 8;
    spec
}

fn training() -> EpisodicSpec {
    EpisodicSpec {
        epochs: 2,
        steps: 3,
        tasks: 2,
        episode: EpisodeSpec { rotations: true, ..EpisodeSpec::fixed(3, 2, 2) },
        affine: Some(AffineSpec { degrees: 5.0, translate: 0.05, scale: [0.9, 1.1], shear: 5.0 }),
        schedule: ScheduleSpec::Cosine { warmup_epochs: 0, floor: 0.0 },
        ..toml::from_str("epochs = 1\nsteps = 1\nepisode = { size = { fixed = { ways = 2, shots = 1, queries = 1 } } }")
            .unwrap()
    }
}

fn run(
    method: MethodSpec,
    spec: &EpisodicSpec,
    checkpoint: Option<&CheckpointSpec>,
    log: &mut dyn Log,
    stop: &AtomicBool,
) -> Result<(EpisodicRun, FewShotNet), TrainError> {
    tch::set_num_threads(1);
    let source = Strokes::new(6, 6);
    let mut net = FewShotNet::new(&learner(method), Device::Cpu, 4)?;
    let images = FewShotImages::load(&source, 16, Tone::Ink, Device::Cpu)?;
    let episodes = Episodes::new(&source, spec.episode.clone(), 7)?;
    let training = Episodic { images: &images, episodes: &episodes, spec, seed: 7, checkpoint, stop };
    let run = training.run(&mut net, log)?;
    Ok((run, net))
}

/// What does not depend on the clock.
fn said((run, net): &(EpisodicRun, FewShotNet)) -> (Vec<(f64, f64, f64)>, u64, String) {
    let epochs = run.epochs.iter().map(|epoch| (epoch.loss, epoch.accuracy, epoch.lr)).collect();
    (epochs, run.steps, net.store().digest().unwrap())
}

/// Asks to stop after so many steps.
struct StopAfter<'a>(u64, &'a AtomicBool);

impl Log for StopAfter<'_> {
    fn step(&mut self, _: &StepLog) {
        self.0 -= 1;
        if self.0 == 0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

fn kept(path: &Path, resume: bool) -> CheckpointSpec {
    CheckpointSpec { path: path.into(), every: Duration::from_secs(3600), fingerprint: "this run".into(), resume }
}

#[test]
fn every_method_goes_on_to_the_bit() {
    for method in methods() {
        let whole = said(&run(method, &training(), None, &mut Silent, &GO).unwrap());
        for steps in [2, 3, 4] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("checkpoint.safetensors");
            let stop = AtomicBool::new(false);
            let error =
                run(method, &training(), Some(&kept(&path, false)), &mut StopAfter(steps, &stop), &stop).unwrap_err();
            assert!(matches!(error, TrainError::Interrupted { steps: taken, .. } if taken == steps), "{error}");
            let resumed = said(&run(method, &training(), Some(&kept(&path, true)), &mut Silent, &GO).unwrap());
            assert_eq!(resumed, whole, "{method:?} after {steps} steps");
        }
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    run(MethodSpec::Prototypical {}, &training(), Some(&kept(&path, false)), &mut Silent, &GO).unwrap();
    let other = CheckpointSpec { fingerprint: "another".into(), ..kept(&path, true) };
    let error = run(MethodSpec::Prototypical {}, &training(), Some(&other), &mut Silent, &GO).unwrap_err();
    assert!(matches!(error, TrainError::ForeignCheckpoint { .. }), "{error}");
    let error = run(MethodSpec::Siamese { embedding: 4 }, &training(), Some(&kept(&path, true)), &mut Silent, &GO);
    assert!(matches!(error.unwrap_err(), TrainError::BadCheckpoint { .. }));
}

#[test]
fn a_prototypical_network_learns_and_its_answers_are_counted() {
    let spec = EpisodicSpec { epochs: 1, steps: 40, tasks: 1, lr: 3e-3, affine: None, ..training() };
    let (_, net) = run(MethodSpec::Prototypical {}, &spec, None, &mut Silent, &GO).unwrap();
    let source = Strokes::new(6, 6);
    let images = FewShotImages::load(&source, 16, Tone::Ink, Device::Cpu).unwrap();
    let list = Episodes::new(&source, EpisodeSpec::fixed(3, 1, 4), 1).unwrap().list(30).unwrap();
    let before = net.store().digest().unwrap();
    let judged = judge(&net, &images, &list.episodes, &mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(net.store().digest().unwrap(), before);
    let interval = judged.interval().unwrap();
    assert!(interval.lower > 0.6, "{interval:?}");
    let asked: usize = judged.classes.iter().map(|class| class.asked).sum();
    let right: usize = judged.classes.iter().map(|class| class.right).sum();
    assert_eq!(asked, 30 * 12);
    assert!((right as f64 / asked as f64 - interval.estimate).abs() < 1e-12);
    // Inductive: a query answered alone is answered the same.
    let mut alone = list.episodes[0].clone();
    alone.query.truncate(1);
    let (one, all) = (net.logits(&images, &alone).unwrap(), net.logits(&images, &list.episodes[0]).unwrap());
    assert!((one - all.narrow(0, 0, 1)).abs().max().double_value(&[]) < 1e-4);
}

#[test]
fn transductive_answers_depend_on_the_other_queries_and_inductive_ones_do_not() {
    let source = Strokes::new(6, 6);
    let images = FewShotImages::load(&source, 16, Tone::Ink, Device::Cpu).unwrap();
    let episode = Episodes::new(&source, EpisodeSpec::fixed(3, 2, 3), 1).unwrap().episode(0).unwrap();
    let mut alone = episode.clone();
    alone.query.truncate(1);
    for method in methods() {
        for batch_norm in [BatchNormUse::Inductive, BatchNormUse::Transductive] {
            let net = FewShotNet::new(&FewShotSpec { batch_norm, ..learner(method) }, Device::Cpu, 4).unwrap();
            let (one, all) = (net.logits(&images, &alone).unwrap(), net.logits(&images, &episode).unwrap());
            assert_eq!(all.size(), [9, 3]);
            let far = (one - all.narrow(0, 0, 1)).abs().max().double_value(&[]);
            assert_eq!(far > 1e-4, batch_norm == BatchNormUse::Transductive, "{method:?} {batch_norm:?} {far}");
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let message = |method, spec: EpisodicSpec| run(method, &spec, None, &mut Silent, &GO).unwrap_err().to_string();
    let proto = MethodSpec::Prototypical {};
    let size = |ways, shots, queries| EpisodicSpec { episode: EpisodeSpec::fixed(ways, shots, queries), ..training() };
    let affine = |affine| EpisodicSpec { affine: Some(affine), ..training() };
    let still = AffineSpec { degrees: 0.0, translate: 0.0, scale: [1.0, 1.0], shear: 0.0 };
    for (method, spec, expected) in [
        (proto, size(7, 1, 1), "size.fixed.ways must be <= 6, the classes of strokes, got 7"),
        (proto, size(3, 5, 2), "the number of images of stroke0 must be >= 7 (for 5 to support and 2 to query), got 6"),
        (proto, EpisodicSpec { epochs: 0, ..training() }, "epochs must be at least 1, got 0"),
        (proto, EpisodicSpec { steps: 0, ..training() }, "steps must be at least 1, got 0"),
        (proto, EpisodicSpec { tasks: 0, ..training() }, "tasks must be at least 1, got 0"),
        (proto, EpisodicSpec { lr: -1.0, ..training() }, "lr must be a finite number > 0, got -1"),
        (proto, affine(AffineSpec { degrees: 200.0, ..still }), "affine.degrees must be in [0, 180], got 200"),
        (proto, affine(AffineSpec { translate: 1.0, ..still }), "affine.translate must be in [0, 1), got 1"),
        (proto, affine(AffineSpec { shear: 90.0, ..still }), "affine.shear must be in [0, 90), got 90"),
        (
            proto,
            affine(AffineSpec { scale: [1.2, 0.8], ..still }),
            "affine.scale must be [min, max] with 0 < min <= max, got [1.2, 0.8]",
        ),
        (MethodSpec::Matching { scale: 0.0 }, training(), "method.scale must be a finite number > 0, got 0"),
        (MethodSpec::Relation { hidden: 0 }, training(), "method.hidden must be at least 1, got 0"),
        (MethodSpec::Siamese { embedding: 0 }, training(), "method.embedding must be at least 1, got 0"),
        (
            maml(Order::Second, Adapt::All),
            size(2, 1, 1),
            "episode.size.fixed.ways must be 3, the method's `ways`, got 2",
        ),
        (
            proto,
            EpisodicSpec { episode: EpisodeSpec { disjoint: true, ..EpisodeSpec::fixed(3, 2, 2) }, ..training() },
            "epochs * steps * tasks must be at most 2, as many as share no image (`disjoint`), got 12",
        ),
    ] {
        assert_eq!(message(method, spec), expected);
    }
    let colour = FewShotSpec { tone: Tone::Colour, ..learner(proto) };
    let error = FewShotNet::new(&colour, Device::Cpu, 0).unwrap_err().to_string();
    assert_eq!(error, "network.channels must be 3, which `tone` gives, got 1");
    let flat = FewShotSpec { network: Conv4Spec::default(), ..learner(MethodSpec::Relation { hidden: 8 }) };
    let error = FewShotNet::new(&flat, Device::Cpu, 0).unwrap_err().to_string();
    assert!(error.starts_with("the side of the maps that a relation module compares must be at least 4"), "{error}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let source = Strokes::new(6, 6);
    let net = FewShotNet::new(&learner(maml(Order::First, Adapt::All)), Device::Cpu, 0).unwrap();
    let images = FewShotImages::load(&source, 16, Tone::Ink, Device::Cpu).unwrap();
    let larger = FewShotImages::load(&source, 28, Tone::Ink, Device::Cpu).unwrap();
    let episode = Episodes::new(&source, EpisodeSpec::fixed(4, 1, 1), 1).unwrap().episode(0).unwrap();
    let error = net.logits(&larger, &episode).unwrap_err().to_string();
    assert_eq!(error, "images must be 16 pixels wide and in Ink, got 28 pixels wide and in Ink");
    let error = net.logits(&images, &episode).unwrap_err().to_string();
    assert_eq!(error, "the ways of an episode must be 3, the `ways` that MAML's head was made for, got 4");
    // A class whose support is empty.
    let mut empty = Episodes::new(&source, EpisodeSpec::fixed(3, 1, 1), 1).unwrap().episode(0).unwrap();
    empty.support.remove(1);
    let error = net.logits(&images, &empty).unwrap_err().to_string();
    assert_eq!(error, "the support images of class 1 of an episode must be at least 1, got 0");
    let error = Judged::of(std::slice::from_ref(&episode), vec![vec![0; 3]]).unwrap_err().to_string();
    assert_eq!(error, "the answers to episode 0 must be 4, and at least 1, got 3");
    let error = Judged::of(&[episode], vec![]).unwrap_err().to_string();
    assert_eq!(error, "the number of episodes answered must be 1, got 0");
}

#[test]
fn specs_are_read_and_unknown_keys_refused() {
    let read = |text: &str| toml::from_str::<FewShotSpec>(text);
    let spec =
        read("method = { kind = \"maml\", ways = 5, order = \"first\" }\nbatch_norm = \"transductive\"").unwrap();
    assert_eq!(spec.batch_norm, BatchNormUse::Transductive);
    assert!(matches!(spec.method, MethodSpec::Maml { ways: 5, steps: 1, eval_steps: 3, order: Order::First, .. }));
    for text in [
        "method = { kind = \"prototypical\", scale = 1.0 }",
        "method = { kind = \"matching\" }\nnetwork = { depth = 4 }",
        "method = { kind = \"matching\" }\ncolour = 1",
        "method = { kind = \"nearest\" }",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn features_are_those_of_the_images_asked_for_whatever_is_beside_them() {
    let images = FewShotImages::load(&Strokes::new(3, 2), 16, Tone::Ink, Device::Cpu).unwrap();
    let spec = FewShotSpec { batch_norm: BatchNormUse::Transductive, ..learner(MethodSpec::Prototypical {}) };
    let net = FewShotNet::new(&spec, Device::Cpu, 0).unwrap();
    let all = net.features(&images, &[0, 1, 2, 3, 4, 5]).unwrap();
    let some = net.features(&images, &[4, 1]).unwrap();
    assert_eq!(some.size(), [2, spec.network.feature_dim() as i64]);
    for (row, index) in [(0, 4), (1, 1)] {
        let apart = (some.get(row) - all.get(index)).abs().max().double_value(&[]);
        assert!(apart < 1e-5, "image {index}: {apart}");
    }
    assert!((some.get(0) - some.get(1)).abs().max().double_value(&[]) > 1e-3);
    let said = net.features(&images, &[0, 6]).unwrap_err().to_string();
    assert_eq!(said, "the number of an image must be < 6, got 6");
}
