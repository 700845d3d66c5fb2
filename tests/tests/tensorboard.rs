//! `--tensorboard`: what a run writes is what TensorBoard's own reader finds, also when the run was killed and went on.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, panal, run, ssl};
use serde_json::Value;

/// What TensorBoard reads in a run's folder; a loud word where there is no Python that has it.
fn read(folder: &Path) -> Option<Value> {
    let Some(python) = std::env::var_os("PANAL_TENSORBOARD_PYTHON") else {
        eprintln!("SKIPPED: no TensorBoard to read with; set PANAL_TENSORBOARD_PYTHON, as `cargo xtask test` does");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard/read.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn event_files(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains("tfevents")).count()
}

fn steps(found: &Value, tag: &str) -> Vec<u64> {
    found["scalars"][tag].as_array().unwrap().iter().map(|event| event[0].as_u64().unwrap()).collect()
}

#[test]
fn a_run_that_was_killed_and_went_on_shows_every_step_once() {
    let place = Place::new();
    let board = place.path("board");
    let long = ["--seeds", "1", "--row", "all", "--set", "row.0.phases.0.epochs=20", "--tensorboard"];
    let mut child = place.lab(&long).arg(&board).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (folder, started) = (board.join("1-all/seed-0"), Instant::now());
    while !place.results().join("running/1-0/checkpoint-0.safetensors").exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint in two minutes");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(event_files(&folder), 1);

    let said = run(place.lab(&long).arg(&board).arg("--resume"));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("going on from"), "{}", said.err);
    assert_eq!(event_files(&folder), 2);

    let runs = std::fs::read_to_string(place.results().join("runs.jsonl")).unwrap();
    let record: Value = serde_json::from_str(runs.lines().next().unwrap()).unwrap();
    // What it took before the kill is not known; how long it took is.
    assert!(record["energy"].is_null());
    let seconds = &record["seconds"];
    assert!(seconds["total"].as_f64() > seconds["train"].as_f64(), "{seconds}");
    let epochs = record["epochs"].as_array().unwrap();
    let Some(found) = read(&folder) else { return };
    // 12 images, 4 a step.
    for tag in ["step/loss", "step/accuracy", "step/learning_rate", "step/images_per_second"] {
        assert_eq!(steps(&found, tag), (1..=60).collect::<Vec<_>>(), "{tag}");
    }
    for (tag, field) in [
        ("epoch/train_loss", "train_loss"),
        ("epoch/train_accuracy", "train_accuracy"),
        ("epoch/evaluation_loss", "eval_loss"),
        ("epoch/evaluation_f1", "eval_macro_f1"),
    ] {
        assert_eq!(steps(&found, tag), (1..=20).map(|epoch| 3 * epoch).collect::<Vec<_>>(), "{tag}");
        for (event, epoch) in found["scalars"][tag].as_array().unwrap().iter().zip(epochs) {
            let (told, recorded) = (event[1].as_f64().unwrap(), epoch[field].as_f64().unwrap());
            assert_eq!(told, f64::from(recorded as f32), "{tag} at {}", event[0]);
        }
    }
    // 12 pictures in lines of 4, 160 pixels and a gap of 3 around each.
    assert_eq!(found["images"]["images as they are learnt from"], serde_json::json!([[0, 664, 498]]));
    let points = &found["embeddings"][0];
    let lines = |name: &Value| std::fs::read_to_string(folder.join(name.as_str().unwrap())).unwrap().lines().count();
    assert_eq!((lines(&points["tensors"]), lines(&points["metadata"])), (6, 7), "6 images, and a heading");
    assert_eq!(points["side"], serde_json::json!([48, 48]));
    let sprite = image::open(folder.join(points["sprite"].as_str().unwrap())).unwrap();
    assert_eq!((sprite.width(), sprite.height()), (144, 144), "a square, as the projector wants it");
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_training() {
    let place = Place::new();
    let file = place.path("quick.toml");
    let said = run(place.lab(&["--row", "head", "--tensorboard"]).arg(&file));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("--tensorboard") && said.err.contains("quick.toml"), "{}", said.err);
    assert!(!place.results().join("table.json").exists());
}

#[test]
fn pretraining_tells_of_its_loss_its_health_and_both_views() {
    let place = Place::new();
    std::fs::write(place.path("tiny.toml"), ssl::CONFIG).unwrap();
    let mut command = panal(&["ssl", "pretrain"]);
    command.arg(place.path("images")).arg("--config").arg(place.path("tiny.toml"));
    command.arg("--out").arg(place.path("encoder")).arg("--tensorboard").arg(place.path("board"));
    let said = run(command.args(["--set", "simclr.epochs=2"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let record = std::fs::read_to_string(place.path("encoder/record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let Some(found) = read(&place.path("board/tiny/seed-0")) else { return };
    assert_eq!(steps(&found, "step/top5"), [1, 2, 3, 4]);
    assert_eq!(steps(&found, "epoch/nearest_neighbours"), [4]);
    let rank = record["epochs"][1]["health"]["rank"].as_f64().unwrap();
    assert_eq!(found["scalars"]["epoch/rank"][1], serde_json::json!([4, f64::from(rank as f32)]));
    // Two views of eight images.
    assert_eq!(found["images"]["images as they are learnt from"], serde_json::json!([[0, 664, 664]]));
    let points = found["embeddings"][0]["metadata"].as_str().unwrap();
    let points = std::fs::read_to_string(place.path("board/tiny/seed-0").join(points)).unwrap();
    assert_eq!(points.lines().count(), 7, "the 6 images that were not learnt from, and a heading");
}
