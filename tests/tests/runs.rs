//! `panal runs`: past runs are listed as they are, compared by what can be compared, and cleaned of nothing but what panal wrote.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, Said, panal, run};
use serde_json::{Value, json};

fn runs(args: &[&str], folder: &Path) -> Said {
    run(panal(&["runs"]).args(args).current_dir(folder))
}

fn parsed(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// `panal lab` of the quick lab into a folder of results of its own.
fn lab_into(place: &Place, results: &str, more: &[&str]) -> Command {
    let mut command = panal(&["lab", "--config"]);
    command.arg(place.path("quick.toml")).arg("--data").arg(place.path("images"));
    command.arg("--results").arg(place.path(results)).args(more);
    command
}

/// A safetensors file without tensors, with one key in its metadata.
fn marked(path: &Path, key: &str) {
    let header = json!({ "__metadata__": { key: "{}" } }).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// One seed of one row, as `panal lab` keeps it: two images, of which `right` are right.
fn lab_record(seed: u64, right: usize, started_at: &str) -> String {
    let prediction = |i: usize| json!({ "id": format!("{i}.jpg"), "truth": i % 2, "predicted": if i < right { i % 2 } else { 1 - i % 2 } });
    let split = |images: usize| json!({ "digest": "d".repeat(64), "per_class": [images / 2, images / 2] });
    json!({
        "format": 1, "lab": "A lab", "row": "probing", "row_index": 0,
        "data": { "id": "pictures", "title": "Pictures", "origin": "synthetic insects", "classes": ["a", "b"], "train": split(4), "evaluation": split(10) },
        "evaluation": { "kind": "validation split" },
        "model": { "arch": "resnet18", "init": "random", "parameters_total": 2, "parameters_trained": 1 },
        "seed": seed, "device": "cpu", "threads": 1, "versions": { "panal": "0.1.0", "tch": "0.24.0", "libtorch": "2.11.0" },
        "config": { "batch": 4, "row": { "phases": [{ "lr": 0.1 * right as f64 }] } }, "command": "panal lab", "started_at": started_at,
        "seconds": { "total": 2.0, "data": 0.0, "features": 0.0, "train": 1.0, "evaluate": 1.0 },
        "images_seen": 4, "images_per_second": 4.0, "epochs": [], "predictions": (0..10).map(prediction).collect::<Vec<_>>(),
    })
    .to_string()
        + "\n"
}

fn single(kind: &str, started_at: &str, accuracies: &[f64]) -> String {
    let versions = json!({ "panal": "0.1.0", "tch": "0.24.0", "libtorch": "2.11.0" });
    let common = json!({ "format": 1, "kind": kind, "title": "T", "seed": 3, "device": "cpu", "versions": versions, "command": "panal x", "started_at": started_at });
    let own = if kind == "pretraining" {
        json!({
            "config": { "model": "resnet18", "simclr": { "temperature": 0.5 } },
            "data": { "id": "photos", "title": "P", "origin": "real photographs", "images": 7, "digest": "e" },
            "seconds": { "total": 9.0, "train": 8.0 }, "epochs": [{ "loss": 5.25, "top1": 0.1, "knn": 0.5 }],
        })
    } else {
        json!({
            "config": { "data": ["characters"], "learner": { "method": { "kind": "prototypical" } }, "test": { "draw": 1 } },
            "data": { "digest": "f" }, "seconds": 5.0,
            "test": { "digest": "g", "accuracy": accuracies.iter().sum::<f64>() / accuracies.len() as f64, "per_episode": accuracies },
        })
    };
    let mut record = common;
    record.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    record.to_string()
}

const OLD: &str = "2020-01-02T03:04:05Z";
const NEW: &str = "2999-01-02T03:04:05Z";

#[test]
fn real_runs_are_listed_compared_and_cleaned() {
    let place = Place::new();
    assert_eq!(run(&mut lab_into(&place, "results", &[])).code, Some(0));
    assert_eq!(run(&mut lab_into(&place, "other", &["--lr", "0.02", "--keep-models"])).code, Some(0));
    let here = place.folder.path();
    let said = runs(&[], here);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("quick-resnet18-images#1") && said.out.contains("finished"), "{}", said.out);

    let listed = parsed(&runs(&["list", ".", "--json"], here));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    for run in listed.as_array().unwrap() {
        assert_eq!((&run["kind"], &run["state"], &run["resume"]), (&"lab".into(), &"finished".into(), &Value::Null));
        let table: Value = serde_json::from_str(
            &std::fs::read_to_string(here.join(run["path"].as_str().unwrap()).join("table.json")).unwrap(),
        )
        .unwrap();
        for (line, row) in run["rows"].as_array().unwrap().iter().zip(table.as_array().unwrap()) {
            assert_eq!((&line["what"], &line["seeds"]), (&row["row"], &json!([0, 1])));
            assert_eq!(line["f1"]["mean"], row["f1"]);
        }
    }

    let (a, b) = ("results/quick-resnet18-images", "other/quick-resnet18-images");
    let compared = parsed(&runs(&["compare", a, b, "--json"], here));
    let rows = compared["comparisons"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["row"].as_str().unwrap()).collect::<Vec<_>>(), ["all", "head"]);
    let settings: Vec<&Value> =
        rows[0]["settings"].as_array().unwrap().iter().map(|setting| &setting["setting"]).collect();
    assert_eq!(settings, ["row.phases[0].lr"]);
    assert_eq!(rows[0]["settings"][0]["values"], json!([0.01, 0.02]));
    assert_eq!(rows[0]["metrics"][0]["differences"][1]["pairs"], 2);
    assert_eq!(rows[0]["tests"][0]["samples"], 6);
    let said = runs(&["compare", &format!("{a}#1"), &format!("{a}#head")], here);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("row.phases[0].train") && said.out.contains("p = "), "{}", said.out);

    // Nothing is left by finished labs; models go when that is asked for; the whole run goes with all that panal wrote.
    assert!(runs(&["clean", "other"], here).out.contains("nothing to remove"));
    assert_eq!(parsed(&runs(&["clean", "other", "--models", "--json"], here))["items"].as_array().unwrap().len(), 4);
    assert_eq!(runs(&["clean", "other", "--models", "--yes"], here).code, Some(0));
    assert!(here.join(b).join("runs.jsonl").exists() && !here.join(b).join("models").exists());
    let said = runs(&["clean", "other", "--run", "quick-resnet18-images", "--yes"], here);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!here.join(b).exists(), "{}: {:?}", said.out, snapshot(&here.join("other")));
    assert!(here.join("other").exists() && here.join(a).join("table.json").exists());
}

#[cfg(unix)]
#[test]
fn a_run_at_work_is_left_alone_and_an_interrupted_one_says_how_to_go_on() {
    let place = Place::new();
    let long = ["--seeds", "1", "--row", "all", "--set", "row.0.phases.0.epochs=4000"];
    let mut child = place.lab(&long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let checkpoint = place.results().join("running/1-0/checkpoint-0.safetensors");
    let started = Instant::now();
    while !checkpoint.exists() {
        assert!(started.elapsed() < Duration::from_secs(240), "no checkpoint in four minutes");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(50));
    }
    let here = place.folder.path();
    assert_eq!(parsed(&runs(&["--json"], here))[0]["state"], "running");
    let said = runs(&["clean", "--yes"], here);
    assert!(said.out.contains("it is at work") && said.out.contains("nothing to remove"), "{}", said.out);
    let said = run(&mut place.lab(&long));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("another panal is at work"), "{}", said.err);
    assert!(checkpoint.exists());

    // No farewell: the worst way to end.
    child.kill().unwrap();
    child.wait().unwrap();
    let listed = parsed(&runs(&["--json"], here));
    assert_eq!((&listed[0]["state"], &listed[0]["rows"][0]["seeds"]), (&"interrupted".into(), &json!([0])));
    let resume = listed[0]["resume"].as_str().unwrap();
    assert!(resume.starts_with("panal ") && resume.ends_with(" --resume"), "{resume}");
    let said = runs(&[], here);
    assert!(said.out.contains(&format!("go on with `{resume}`")), "{}", said.out);
    // The command does what it says, typed into a shell.
    let typed = resume.replacen("panal", common::program("panal").to_str().unwrap(), 1);
    let mut resumed = Command::new("sh")
        .arg("-c")
        .arg(format!("exec {typed}"))
        .current_dir(here)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = String::new();
    let mut lines = std::io::BufReader::new(resumed.stderr.take().unwrap());
    while !err.contains("going on from") {
        let read = std::io::BufRead::read_line(&mut lines, &mut err).unwrap();
        assert!(read > 0, "it ended without going on: {err}");
    }
    Command::new("kill").args(["-INT", &resumed.id().to_string()]).status().unwrap();
    assert_eq!(resumed.wait().unwrap().code(), Some(130));

    let would = runs(&["clean"], here);
    assert!(would.out.contains("checkpoint-0.safetensors") && would.out.contains("--yes"), "{}", would.out);
    assert!(checkpoint.exists());
    assert_eq!(runs(&["clean", "--yes"], here).code, Some(0));
    assert!(!place.results().exists(), "{:?}", snapshot(here));
}

/// Runs of every kind and state; the paths of all files in them, by which panal wrote them.
fn every_kind(root: &Path) -> Vec<PathBuf> {
    let at = |path: &str| root.join(path);
    put(&at("lab/runs.jsonl"), &(lab_record(0, 8, OLD) + &lab_record(1, 9, OLD)));
    for name in ["table.md", "README.md", "index.html", "f1.svg"] {
        put(&at("lab").join(name), "synthetic insects");
    }
    put(&at("lab/runs-earlier-1.jsonl"), &lab_record(0, 7, OLD));
    marked(&at("lab/models/row1-seed0.safetensors"), "panal.model");
    marked(&at("lab/running/2-0/checkpoint-0.safetensors"), "panal.state");
    put(&at("lab/.unfinished-aB3dE6/table.md"), "half");
    put(&at("lab/.unfinished-aB3dE7.jsonl"), "half");
    put(&at("lab/running/2-0/.panal-aB3dE6.tmp"), "half");
    put(&at("trained/record.jsonl"), &lab_record(0, 6, NEW));
    marked(&at("trained/model.safetensors"), "panal.model");
    put(&at("encoder/record.json"), &single("pretraining", OLD, &[]));
    marked(&at("encoder/encoder.safetensors"), "panal.encoder");
    marked(&at("encoder/checkpoint.safetensors"), "panal.state");
    put(&at("deep/er/learner/record.json"), &single("few-shot training", NEW, &[0.5, 0.75]));
    marked(&at("deep/er/learner/learner.safetensors"), "panal.fewshot");
    marked(&at("deep/er/learner/checkpoint.safetensors"), "panal.state");
    marked(&at("stopped/running/checkpoint-0.safetensors"), "panal.state");
    let command = json!({ "format": 1, "kind": "ssl pretrain", "title": "T", "data": "photos", "model": "resnet18", "seeds": [0],
        "device": "cpu", "command": "panal x", "resume": "panal x --resume", "started_at": OLD });
    put(&at("half/running.json"), &command.to_string());
    marked(&at("half/checkpoint.safetensors"), "panal.state");
    snapshot(root).into_keys().collect()
}

/// Every path below `root`, with what is there: contents of a file, target of a link, nothing for a folder.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(snapshot(&path));
        } else if metadata.is_symlink() {
            found
                .insert(path.clone(), Some(std::fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes().to_vec()));
        } else {
            found.insert(path.clone(), Some(std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// All that `clean` can be asked for.
const ASKED: [&[&str]; 4] = [
    &[],
    &["--models"],
    &["--older-than", "30d"],
    &["--run", "lab", "--run", "trained", "--run", "encoder", "--run", "deep/er/learner", "--run", "half"],
];

#[test]
fn without_foreign_files_clean_removes_what_it_was_asked_for_and_only_with_yes() {
    let left = [
        // Leftovers and checkpoints go.
        vec![
            "deep/er/learner/learner.safetensors",
            "deep/er/learner/record.json",
            "encoder/encoder.safetensors",
            "encoder/record.json",
            "lab/README.md",
            "lab/f1.svg",
            "lab/index.html",
            "lab/models/row1-seed0.safetensors",
            "lab/runs-earlier-1.jsonl",
            "lab/runs.jsonl",
            "lab/table.md",
            "trained/model.safetensors",
            "trained/record.jsonl",
        ],
        // And models.
        vec![
            "deep/er/learner/record.json",
            "encoder/record.json",
            "lab/README.md",
            "lab/f1.svg",
            "lab/index.html",
            "lab/runs-earlier-1.jsonl",
            "lab/runs.jsonl",
            "lab/table.md",
            "trained/record.jsonl",
        ],
        // What is old, and nothing of what is not; without a record or a mark, nothing tells how old it is.
        vec![
            "deep/er/learner/checkpoint.safetensors",
            "deep/er/learner/learner.safetensors",
            "deep/er/learner/record.json",
            "stopped/running/checkpoint-0.safetensors",
            "trained/model.safetensors",
            "trained/record.jsonl",
        ],
        vec!["stopped/running/checkpoint-0.safetensors"],
    ];
    for (asked, left) in ASKED.iter().zip(left) {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("results");
        every_kind(&root);
        let before = snapshot(&root);
        let would = parsed(&runs(&[&["clean", "--json"], *asked].concat(), place.path()));
        assert_eq!(snapshot(&root), before, "{asked:?} removed without --yes");
        let did = parsed(&runs(&[&["clean", "--yes", "--json"], *asked].concat(), place.path()));
        assert_eq!(
            (&would["items"], &would["bytes"], &would["removed"]),
            (&did["items"], &did["bytes"], &false.into())
        );
        let after = snapshot(&root);
        let names: Vec<&str> = after.keys().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, left, "{asked:?}");
        let gone: u64 = before
            .iter()
            .filter(|(path, _)| !after.contains_key(*path))
            .map(|(_, text)| text.as_ref().unwrap().len() as u64)
            .sum();
        assert_eq!(did["bytes"], gone);
        if asked.contains(&"--run") {
            let mut bare: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            bare.sort();
            assert_eq!(bare, ["deep", "stopped"], "folders of runs go with them; a folder around one stays");
        }
    }
}

/// Every known name in turn belongs to another: a link to a file elsewhere, a link to a folder on the way to it, a folder of that name,
/// and files with other contents. Whatever is asked, they stay, and so does everything that is not known.
#[cfg(unix)]
#[test]
fn clean_touches_no_foreign_file_whatever_it_is_asked() {
    let names = {
        let place = tempfile::tempdir().unwrap();
        let files = every_kind(place.path());
        files.into_iter().map(|path| path.strip_prefix(place.path()).unwrap().to_owned()).collect::<Vec<_>>()
    };
    for asked in ASKED {
        for way in ["link", "linked folder", "folder", "other"] {
            let place = tempfile::tempdir().unwrap();
            let (root, outside) = (place.path().join("results"), place.path().join("outside"));
            every_kind(&root);
            every_kind(&outside);
            let mut foreign: Vec<PathBuf> = Vec::new();
            for name in &names {
                let path = root.join(name);
                let is_record = name.file_name().unwrap().to_str().unwrap().starts_with("record")
                    || name.ends_with("runs.jsonl")
                    || name.ends_with("running.json");
                let tensors = name.extension().is_some_and(|extension| extension == "safetensors");
                match way {
                    "link" if !is_record => {
                        std::fs::remove_file(&path).unwrap();
                        std::os::unix::fs::symlink(outside.join(name), &path).unwrap();
                        foreign.push(path);
                    }
                    "folder" if !is_record => {
                        std::fs::remove_file(&path).unwrap();
                        put(&path.join("mine.txt"), "mine");
                        foreign.push(path.join("mine.txt"));
                    }
                    // Names that stand for nothing by themselves are recognised by their contents.
                    "other" if tensors || name.ends_with("README.md") || name.ends_with("index.html") => {
                        std::fs::write(&path, "mine").unwrap();
                        foreign.push(path);
                    }
                    _ => {}
                }
            }
            if way == "linked folder" {
                for folder in ["lab/running", "lab/models", "stopped/running", "lab/.unfinished-aB3dE6"] {
                    std::fs::remove_dir_all(root.join(folder)).unwrap();
                    std::os::unix::fs::symlink(outside.join(folder), root.join(folder)).unwrap();
                    foreign.push(root.join(folder));
                }
                // A whole run that only a link leads to.
                std::os::unix::fs::symlink(outside.join("lab"), root.join("linked")).unwrap();
                foreign.push(root.join("linked"));
            }
            // And files that nobody knows, near to all that is.
            for name in [
                "lab/notes.txt",
                "lab/models/mine.safetensors",
                "lab/running/2-0/x",
                "lab/running/3-x/y",
                "trained/README.md",
                "encoder/table.md",
                "half/.unfinished-short",
                "lab/table.md.bak",
                "lab/runs-earlier-x.jsonl",
                "mine.txt",
                "mine/record.json",
                "mine/checkpoint.safetensors",
            ] {
                if way != "linked folder" || !name.contains("running") && !name.contains("models") {
                    put(&root.join(name), "{}");
                    foreign.push(root.join(name));
                }
            }
            let (before, elsewhere) = (snapshot(&root), snapshot(&outside));
            let said = runs(&[&["clean", "--yes"], asked].concat(), place.path());
            assert_eq!(said.code, Some(0), "{asked:?}, {way}: {}", said.err);
            let after = snapshot(&root);
            assert!(after.len() < before.len(), "{asked:?}, {way}: it removed nothing at all");
            for path in &foreign {
                assert_eq!(
                    before.get(path),
                    after.get(path),
                    "{asked:?}, {way}: {}: {}{}",
                    path.display(),
                    said.out,
                    said.err
                );
            }
            assert_eq!(snapshot(&outside), elsewhere, "{asked:?}, {way}: something outside was touched");
        }
    }
}

#[test]
fn a_broken_record_is_listed_with_its_reason_and_stops_nothing() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("results");
    every_kind(&root);
    put(&root.join("torn/runs.jsonl"), "{\"format\": 1, \"lab\": 7}\n");
    put(&root.join("later/record.json"), &single("pretraining", OLD, &[]).replace("\"format\":1", "\"format\":99"));
    put(&root.join("mad/record.jsonl"), &lab_record(0, 8, OLD).replace("\"predicted\":0", "\"predicted\":7"));
    let maml = r#"{"kind":"maml","order":"first","adapt":"head"}"#;
    let learner = single("few-shot training", OLD, &[0.5]).replace(r#"{"kind":"prototypical"}"#, maml);
    put(&root.join("anil/record.json"), &learner);
    let listed = parsed(&runs(&["--json"], place.path()));
    let state = |name: &str| {
        let of_name = |run: &&Value| run["path"].as_str().unwrap().ends_with(name);
        let run = listed.as_array().unwrap().iter().find(of_name).unwrap();
        (run["state"].as_str().unwrap().to_owned(), run["error"].as_str().unwrap_or_default().to_owned())
    };
    for (name, reason) in
        [("torn", "field `lab`"), ("later", "99, but this release reads up to 1"), ("mad", "class 7 of 2")]
    {
        let (state, error) = state(name);
        assert!(state == "broken" && error.contains(reason), "{name}: {state}: {error}");
    }
    assert_eq!(state("trained").0, "finished");
    assert_eq!(state("results/lab").0, "interrupted", "another row's checkpoint is left");
    assert_eq!(state("stopped").0, "interrupted");
    let text = runs(&["list", "results"], place.path()).out;
    assert!(
        text.contains("prototypical")
            && text.contains("first-order anil")
            && text.contains("loss 5.250")
            && text.contains("panal x --resume"),
        "{text}"
    );
    // What can't be read stays, and can't be compared.
    let said = runs(&["clean", "--run", "torn", "--yes"], place.path());
    assert!(
        said.code == Some(1) && said.err.contains("by hand") && root.join("torn/runs.jsonl").exists(),
        "{}",
        said.err
    );
    let said = runs(&["compare", "torn", "lab"], place.path());
    assert!(said.code == Some(1) && said.err.contains("line 1, field `lab`"), "{}", said.err);
}

#[test]
fn comparisons_pair_seeds_images_and_episodes() {
    let place = tempfile::tempdir().unwrap();
    let at = |path: &str| place.path().join("results").join(path);
    let lab = |rights: [usize; 3]| {
        rights.iter().enumerate().map(|(seed, &right)| lab_record(seed as u64, right, OLD)).collect::<String>()
    };
    put(&at("a/runs.jsonl"), &lab([2, 4, 3]));
    put(&at("b/runs.jsonl"), &lab([8, 10, 9]));
    put(&at("one/record.json"), &single("few-shot training", OLD, &[0.25, 0.5, 0.75, 0.5]));
    put(&at("two/record.json"), &single("few-shot training", OLD, &[0.5, 0.75, 1.0, 0.75]));
    put(&at("p/record.json"), &single("pretraining", OLD, &[]));
    put(
        &at("q/record.json"),
        &single("pretraining", OLD, &[]).replace("5.25", "5.5").replace("\"temperature\":0.5", "\"temperature\":0.1"),
    );
    let compared = parsed(&runs(&["compare", "a", "b", "--json"], place.path()));
    let row = &compared["comparisons"][0];
    let accuracy = &row["metrics"][1];
    assert_eq!(accuracy["metric"], "accuracy");
    // Every seed differs by 0.6, so the interval of the paired differences is a point; that of unpaired ones would not be.
    let difference = &accuracy["differences"][1];
    for value in [&difference["difference"], &difference["interval"][0], &difference["interval"][1]] {
        assert!((value.as_f64().unwrap() - 0.6).abs() < 1e-9, "{difference}");
    }
    // Seven to eight of ten images differ, all to one side.
    let p = row["tests"][0]["p"].as_f64().unwrap();
    assert!(p < 0.02, "{p}");

    let compared = parsed(&runs(&["compare", "one", "two", "--json"], place.path()));
    let row = &compared["comparisons"][0];
    assert_eq!(row["settings"], json!([]));
    assert_eq!(
        row["metrics"][0]["differences"][1],
        json!({ "difference": 0.25, "interval": [0.25, 0.25], "pairs": 4 })
    );
    assert_eq!(row["tests"][0]["p"], 0.125, "two of sixteen sign patterns are as far");

    let compared = parsed(&runs(&["compare", "p", "q", "--json"], place.path()));
    let row = &compared["comparisons"][0];
    assert_eq!(row["settings"], json!([{ "setting": "simclr.temperature", "values": [0.5, 0.1] }]));
    assert_eq!(row["metrics"][0]["values"], json!([5.25, 5.5]));
}

#[test]
fn bad_input_gets_one_clear_error() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("results");
    every_kind(&root);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["list", "nowhere"], 1, "no such folder: nowhere"),
        (&["list", "empty"], 1, "no runs under empty"),
        (&["list", "results/lab/runs.jsonl"], 1, "is no folder"),
        (&["clean", "nowhere"], 1, "no such folder: nowhere"),
        (&["clean", "--run", "trainde"], 1, "did you mean `trained`?"),
        (&["clean", "--older-than", "soon"], 2, "30d"),
        (&["clean", "--models", "--older-than", "30d"], 2, "cannot be used with"),
        (&["compare", "lab"], 2, "values required"),
        (&["compare", "lab", "results/lab"], 1, "is named twice"),
        (&["compare", "lab#1", "lab#probing"], 1, "is named twice"),
        (&["compare", "lab", "nowhere"], 1, "no such folder: nowhere"),
        (&["compare", "lab", "lab#9"], 1, "1  probing"),
        (&["compare", "lab", "encoder"], 1, "different kinds"),
        (&["compare", "lab", "deep"], 1, "no folder of a run"),
        (&["compare", "lab", "half"], 1, "was interrupted"),
        (&["compare", "encoder#1", "deep/er/learner"], 1, "this has none"),
    ];
    for (args, code, error) in cases {
        let said = runs(args, place.path());
        assert_eq!(said.code, Some(*code), "{args:?}: {}", said.err);
        assert!(said.err.contains(error), "{args:?}: {}", said.err);
        assert!(said.out.is_empty(), "{args:?}: {}", said.out);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&root, place.path().join("link")).unwrap();
        let said = runs(&["clean", "link", "--yes"], place.path());
        assert!(said.code == Some(1) && said.err.contains("symbolic link"), "{}", said.err);
    }
}
