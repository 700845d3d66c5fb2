//! A run that was killed, at whatever moment, and resumed ends with the same bits as one that was left alone.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{RANDOM, model, phases, run};
use panal_data::keyed_rng;
use panal_trainers::{CheckpointSpec, Log, Outcome, StepLog, TrainError};
use rand::RngExt;

static GO: AtomicBool = AtomicBool::new(false);
const FOLDER: &str = "PANAL_TEST_RESUME_FOLDER";
const PHASES: &str = "{ epochs = 2, train = 'head', lr = 0.05, schedule = { kind = 'cosine' } }, \
     { epochs = 3, train = 'all', lr = 0.01, optimizer = { kind = 'adamw' }, schedule = { kind = 'step', every = 2, gamma = 0.1 } }";

fn spec(folder: &Path) -> CheckpointSpec {
    CheckpointSpec {
        path: folder.join("run.safetensors"),
        every: Duration::ZERO,
        fingerprint: "a run".into(),
        resume: true,
    }
}

/// Digest of the final weights, and everything the outcome says that is no time.
fn end_state(checkpoint: Option<&CheckpointSpec>) -> (String, String) {
    tch::set_num_threads(1);
    let mut model = model(0);
    let outcome = run(&mut model, RANDOM, &phases(PHASES), checkpoint, &GO).unwrap();
    (model.store().digest().unwrap(), describe(&outcome))
}

fn describe(outcome: &Outcome) -> String {
    let epochs: Vec<_> =
        outcome.epochs.iter().map(|e| (e.phase, e.epoch, e.lr, e.train_loss, e.train_accuracy, e.eval)).collect();
    let logits = |predictions: &panal_trainers::Predictions| Vec::<Vec<f32>>::try_from(&predictions.logits).unwrap();
    format!(
        "{epochs:?} {:?} {:?} {} {}",
        logits(&outcome.last),
        logits(&outcome.best),
        outcome.best_epoch,
        outcome.images
    )
}

/// Not a test by itself: the process that `killed_at_random_moments` starts and kills.
#[test]
fn child_that_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (digest, description) = end_state(Some(&spec(Path::new(&folder))));
    std::fs::write(Path::new(&folder).join("end"), format!("{digest}\n{description}")).unwrap();
}

#[test]
fn killed_at_random_moments() {
    let (digest, description) = end_state(None);
    let start = |folder: &Path| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child_that_is_killed"])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // How long it takes on this machine when it is left alone: a kill comes before half of that is over, so that two come in any case.
    let alone = tempfile::tempdir().unwrap();
    let clock = Instant::now();
    assert!(start(alone.path()).wait().unwrap().success());
    let mut wait = clock.elapsed().mul_f64(0.2)..clock.elapsed().mul_f64(0.45);

    let folder = tempfile::tempdir().unwrap();
    let mut rng = keyed_rng(11, &[]);
    let mut kills = 0;
    let end = folder.path().join("end");
    while !end.exists() {
        let mut child = start(folder.path());
        if kills < 6 {
            std::thread::sleep(rng.random_range(wait.clone()));
            if child.try_wait().unwrap().is_none() {
                // SIGKILL: nothing can be tidied up.
                child.kill().unwrap();
                kills += 1;
            }
            if !folder.path().join("run.safetensors").exists() {
                // Killed before the first checkpoint: give it longer.
                wait = wait.start.mul_f64(1.2)..wait.end.mul_f64(1.2);
            }
        }
        child.wait().unwrap();
    }
    assert!(kills >= 2, "the run ended after {kills} kills");
    let end = std::fs::read_to_string(end).unwrap();
    let (resumed_digest, resumed) = end.split_once('\n').unwrap();
    assert_eq!(resumed, description);
    assert_eq!(resumed_digest, digest);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() <= 2 + kills, "killed writes leave at most one temporary file each: {left:?}");
}

/// Asks to stop after a number of steps.
struct StopAfter<'a>(usize, &'a AtomicBool);

impl Log for StopAfter<'_> {
    fn step(&mut self, _: &StepLog) {
        self.0 -= 1;
        self.1.store(self.0 == 0, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn stopped_after_any_step() {
    tch::set_num_threads(1);
    let (digest, description) = end_state(None);
    for steps in [1, 3, 6, 8, 11] {
        let folder = tempfile::tempdir().unwrap();
        let spec = CheckpointSpec { every: Duration::from_secs(3600), ..spec(folder.path()) };
        let stop = AtomicBool::new(false);
        let (phases, mut first) = (phases(PHASES), model(0));
        let transfer = panal_trainers::Transfer {
            train: common::split(20, 1, RANDOM),
            eval: common::split(12, 2, common::PLAIN),
            phases: &phases,
            batch: 8,
            eval_batch: 5,
            seed: 3,
            threads: Some(1),
            checkpoint: Some(&spec),
            stop: &stop,
        };
        let error = transfer.run(&mut first, &mut StopAfter(steps, &stop)).unwrap_err();
        assert!(
            matches!(error, TrainError::Interrupted { steps: taken, checkpoint: Some(_) } if taken == steps as u64),
            "{error}"
        );
        assert_eq!(end_state(Some(&spec)), (digest.clone(), description.clone()), "stopped after {steps} steps");
    }
}

#[test]
fn a_checkpoint_of_another_run_or_a_broken_one_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mine = spec(folder.path());
    let short = phases("{ epochs = 1, train = 'head', lr = 0.1 }");
    run(&mut model(0), RANDOM, &short, Some(&mine), &GO).unwrap();
    let bytes = std::fs::read(&mine.path).unwrap();

    let other = CheckpointSpec { fingerprint: "another run".into(), ..mine.clone() };
    let error = run(&mut model(0), RANDOM, &short, Some(&other), &GO).unwrap_err();
    assert!(matches!(error, TrainError::ForeignCheckpoint { .. }), "{error}");
    assert_eq!(std::fs::read(&mine.path).unwrap(), bytes);

    for broken in [&bytes[..0], &bytes[..100], &bytes[..bytes.len() / 2], b"no checkpoint at all"] {
        std::fs::write(&mine.path, broken).unwrap();
        let error = run(&mut model(0), RANDOM, &short, Some(&mine), &GO).unwrap_err();
        assert!(matches!(error, TrainError::BadCheckpoint { .. }), "{error}");
        assert_eq!(std::fs::read(&mine.path).unwrap(), broken);
    }
}
