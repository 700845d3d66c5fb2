//! `panal fewshot` from end to end on small drawn images: training, resuming, the table, replayed episodes, and wrong inputs.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Said, interrupted_after, panal, run};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = r#"
name = "tiny"
title = "Tiny strokes"
data = ["FIRST", "SECOND"]
[learner]
method = { kind = "prototypical" }
network = { side = 16, width = 8 }
[training]
epochs = 2
steps = 3
episode = { size = { fixed = { ways = 3, shots = 1, queries = 2 } }, rotations = true }
affine = { degrees = 5, translate = 0.05, scale = [0.9, 1.1], shear = 5 }
[test]
data = "TEST"
[test.draw]
episodes = 5
episode = { size = { fixed = { ways = 3, shots = 1, queries = 2 } } }
"#;

/// Characters of one group: a stroke of an own angle each, black on white, four drawings.
fn group(root: &Path, name: &str, first: u32, characters: u32) {
    for character in first..first + characters {
        let folder = root.join(name).join(format!("character{character:02}"));
        std::fs::create_dir_all(&folder).unwrap();
        let (sin, cos) = (f64::from(character) * 0.37).sin_cos();
        for drawing in 0..4_u32 {
            let (x0, y0) = (12.0 + f64::from(drawing), 11.0 + 0.5 * f64::from(character % 3));
            let image = RgbImage::from_fn(26, 26, |x, y| {
                let off = (f64::from(x) - x0) * sin - (f64::from(y) - y0) * cos;
                Rgb(if off.abs() < 1.8 { [0; 3] } else { [255; 3] })
            });
            image.save(folder.join(format!("{drawing}.png"))).unwrap();
        }
    }
}

struct Place(TempDir);

impl Place {
    /// Two sets that share a group byte for byte, and a test set that shares another with the first.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let root = place.0.path();
        for (set, groups) in [("first", ["one", "two"]), ("second", ["one", "three"]), ("test", ["two", "four"])] {
            for name in groups {
                let first = ["one", "two", "three", "four"].iter().position(|known| *known == name).unwrap() as u32 * 4;
                group(&root.join(set), name, first, 4);
            }
        }
        let config = [("FIRST", "first"), ("SECOND", "second"), ("TEST", "test")]
            .into_iter()
            .fold(CONFIG.to_owned(), |text, (key, set)| text.replace(key, &place.at(set)));
        std::fs::write(root.join("tiny.toml"), config).unwrap();
        place
    }

    fn at(&self, below: &str) -> String {
        self.0.path().join(below).display().to_string()
    }

    fn train(&self, out: &str, more: &[&str]) -> Said {
        let (out, config) = (self.at(out), self.at("tiny.toml"));
        run(panal(&["fewshot", "train", "--config", &config, "--out", &out]).args(more))
    }

    fn eval(&self, more: &[&str]) -> Said {
        run(panal(&["fewshot", "eval", "--config", &self.at("tiny.toml")]).args(more))
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn train_and_compare_on_the_same_episodes() {
    let place = Place::new();
    let said = place.train("proto", &["--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    // The second set's `one` is the first's, and the test's `two` too.
    assert!(said.err.contains("the group one is in both sets, byte for byte: 16 images"), "{}", said.err);
    assert!(said.err.contains("48 images of 12 classes"), "{}", said.err);
    assert!(said.err.contains("16 images of 4 classes"), "{}", said.err);
    let trained = json(&said.out);
    let record = json(&std::fs::read_to_string(place.at("proto/record.json")).unwrap());
    assert_eq!((&record["steps"], &record["data"]["classes"]), (&6.into(), &12.into()));
    assert_eq!(record["epochs"].as_array().unwrap().len(), 2);

    for (method, name) in [("siamese", "siamese"), ("anil", "anil")] {
        let said = place.train(method, &["--method", method]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.starts_with(&format!("{name}: accuracy ")), "{}", said.out);
    }
    let [proto, siamese, anil] =
        ["proto", "siamese", "anil"].map(|run| place.at(&format!("{run}/learner.safetensors")));
    let (list, out, table) = (place.at("episodes.jsonl"), place.at("found.json"), place.at("table.md"));
    let said = place.eval(&[&proto, &siamese, &anil, "--write-episodes", &list, "--out", &out, "--markdown", &table]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let table = std::fs::read_to_string(&table).unwrap();
    for name in ["prototypical", "siamese", "anil", "modified Hausdorff", "nearest pixels"] {
        assert!(table.contains(&format!("| {name} |")) && said.out.contains(&format!("\n{name} ")), "{name}: {table}");
    }
    let found = json(&std::fs::read_to_string(&out).unwrap());
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0]["accuracy"], trained["accuracy"]);
    assert!(rows[0]["difference"].is_null() && rows[1]["difference"].is_array());
    assert!(rows[0]["calibration_error"].is_f64() && rows[4]["calibration_error"].is_null());
    let asked: u64 =
        rows[4]["per_class"].as_array().unwrap().iter().map(|class| class["asked"].as_u64().unwrap()).sum();
    assert_eq!(asked, 5 * 6);

    // The list replayed gives what it gave.
    let said = place.eval(&[&proto, "--replay", &list, "--no-floors", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let again = json(&said.out);
    assert_eq!(again["rows"].as_array().unwrap().len(), 1);
    assert_eq!(again["rows"][0]["per_episode"], rows[0]["per_episode"]);
    let said = place.eval(&[&proto, &proto]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("are the same training, prototypical with seed 0: name one of them"), "{}", said.err);
}

#[test]
fn trainings_that_differ_in_their_seed_are_one_row() {
    let place = Place::new();
    let mut learners = Vec::new();
    for (run, more) in [("a", &["--seed", "0"][..]), ("b", &["--seed", "5"]), ("c", &["--set", "training.lr=0.1"])] {
        assert_eq!(place.train(run, more).code, Some(0));
        learners.push(place.at(&format!("{run}/learner.safetensors")));
    }
    let [a, b, c] = &learners[..] else { unreachable!() };
    // Test images enough for some episodes that share none.
    group(&place.0.path().join("test"), "five", 30, 16);
    let said = place.eval(&[b, a, c, "--no-floors", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let found = json(&said.out);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{}", said.out);
    let numbers =
        |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
    let trainings = rows[0]["trainings"].as_array().unwrap();
    assert_eq!((&trainings[0]["seed"], &trainings[1]["seed"]), (&0.into(), &5.into()));
    let each: Vec<Vec<f64>> = trainings.iter().map(|training| numbers(&training["per_episode"])).collect();
    let mean: Vec<f64> = each[0].iter().zip(&each[1]).map(|(a, b)| (a + b) / 2.0).collect();
    assert_eq!(numbers(&rows[0]["per_episode"]), mean);
    let over = &rows[0]["over_seeds"];
    assert_eq!(over["seeds"], 2);
    assert!(over["min"].as_f64() <= over["median"].as_f64() && over["median"].as_f64() <= over["max"].as_f64());
    let asked: u64 =
        rows[0]["per_class"].as_array().unwrap().iter().map(|class| class["asked"].as_u64().unwrap()).sum();
    assert_eq!(asked, 2 * 5 * 6);
    // Another setting is another method, and says which.
    let name = rows[1]["name"].as_str().unwrap();
    assert!(name.starts_with("prototypical of ") && name.ends_with("/c"), "{name}");
    let other = numbers(&rows[1]["per_episode"]);
    let difference: f64 = other.iter().zip(&mean).map(|(other, first)| other - first).sum::<f64>() / 5.0;
    assert!((rows[1]["difference"][0].as_f64().unwrap() - difference).abs() < 1e-12);
    // Without replacement there are six episodes: each takes 3 of 20 classes, and 3 of a class's 4 images.
    let apart = &rows[0]["without_replacement"];
    assert_eq!(apart["episodes"], 6, "{apart}");
    assert_eq!(numbers(&apart["per_episode"]).len(), 6);
    assert!(rows[1]["without_replacement"]["difference"].is_array());

    // Drawn so from the beginning, they are all there is.
    let apart = ["--set", "test.draw.episode.disjoint=true", "--set", "test.draw.episodes=6"];
    let said = place.eval(&[&[a.as_str(), "--no-floors", "--json"][..], &apart].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(json(&said.out)["rows"][0]["without_replacement"].is_null());
    let said = place.eval(&[a, "--set", "test.draw.episode.disjoint=true", "--set", "test.draw.episodes=7"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the number of episodes must be <= 6, as many as share no image, got 7"), "{}", said.err);
}

#[test]
#[cfg(unix)]
fn an_interrupted_evaluation_ends_with_one_line_and_writes_nothing() {
    let place = Place::new();
    assert_eq!(place.train("a", &[]).code, Some(0));
    let (learner, out) = (place.at("a/learner.safetensors"), place.at("found.json"));
    for learners in [&[learner.as_str(), "--no-floors"][..], &[]] {
        let mut command = panal(&["fewshot", "eval", "--config", &place.at("tiny.toml"), "--out", &out]);
        let command = command.args(["--set", "test.draw.episodes=200000"]).args(learners);
        let said = interrupted_after(command, "to be judged by");
        assert_eq!(said.code, Some(130), "{}", said.err);
        assert_eq!(said.err.matches("error: ").count(), 1, "{}", said.err);
        assert!(said.err.contains("of 200000 episodes; nothing was written"), "{}", said.err);
        assert!(said.out.is_empty() && !Path::new(&out).exists());
    }
}

#[test]
fn a_finished_run_resumes_to_the_same_learner() {
    let place = Place::new();
    for more in [&[][..], &["--resume"]] {
        assert_eq!(place.train("run", more).code, Some(0));
        std::fs::copy(place.at("run/learner.safetensors"), place.at(&format!("kept{}", more.len()))).unwrap();
    }
    assert_eq!(std::fs::read(place.at("kept0")).unwrap(), std::fs::read(place.at("kept1")).unwrap());
    let said = place.train("run", &["--resume", "--seed", "1"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("was written by another run"), "{}", said.err);
}

#[test]
fn wrong_inputs_are_refused_by_name() {
    let place = Place::new();
    for (set, message) in [
        ("training.episode.size.fixed.ways=49", "size.fixed.ways must be <= 48, the classes of"),
        ("training.episode.size.fixed.shots=3", "must be >= 5 (for 3 to support and 2 to query), got 4"),
        ("test.draw.episode.size.fixed.ways=5", "size.fixed.ways must be <= 4, the classes of"),
        ("test.draw.episodes=1", "test.draw.episodes must be at least 2, got 1"),
        ("learner.method.scale=2", "learner.method: unknown field `scale`"),
        ("training.lr=0", "lr must be a finite number > 0, got 0"),
        ("learner.network.side=4", "side must be between 16 and 1024, got 4"),
        ("data=[]", "data must name at least one data set to learn from, got none"),
        ("test.data=nowhere", "there is no folder nowhere"),
    ] {
        let said = place.train("wrong", &["--set", set]);
        assert_eq!(said.code, Some(1), "{set}: {}", said.err);
        assert!(said.err.contains(message), "{set}: {}", said.err);
    }
    let said = place.eval(&[&place.at("tiny.toml")]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("tiny.toml"), "{}", said.err);
    std::fs::write(place.at("first/one/character00/9.png"), b"no image").unwrap();
    let said = place.train("wrong", &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("9.png"), "{}", said.err);
}

#[test]
fn what_cannot_be_written_or_answered_is_refused_before_the_work() {
    let place = Place::new();
    for option in ["--out", "--markdown", "--write-episodes"] {
        let said = place.eval(&[option, &place.at("nowhere/found")]);
        assert_eq!(said.code, Some(1), "{option}");
        assert!(said.err.contains("cannot write in") && !said.err.contains("to be judged by"), "{}", said.err);
    }
    for (command, option) in [
        ("train", "--batch=3"),
        ("eval", "--batch=3"),
        ("eval", "--resume"),
        ("eval", "--lr=1"),
        ("eval", "--checkpoint-every=9"),
    ] {
        let said = if command == "train" { place.train("out", &[option]) } else { place.eval(&[option]) };
        assert_eq!(said.code, Some(2), "{command} {option}");
        assert!(said.err.contains("unexpected argument"), "{}", said.err);
    }
    let said = place.train("out", &["--method", "anil", "--set", "test.draw.episode.size.fixed.ways=4"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("test.draw.episode.size.fixed.ways must be 3, as learner.method.ways"), "{}", said.err);
}

#[test]
fn drawings_without_black_get_no_hausdorff_floor() {
    let place = Place::new();
    let grey = place.0.path().join("test/four/character12/0.png");
    RgbImage::from_pixel(20, 30, Rgb([90; 3])).save(&grey).unwrap();
    let said = place.eval(&["--set", "test.draw.episodes=30", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("four/character12/0.png has none"), "{}", said.err);
    let rows = json(&said.out)["rows"].as_array().unwrap().clone();
    assert_eq!((rows.len(), &rows[0]["name"]), (1, &"nearest pixels".into()));
}

#[test]
fn tensorboards_projector_is_given_the_images_of_the_test() {
    let place = Place::new();
    let said = place.train("out", &["--tensorboard", &place.at("board")]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let run = place.0.path().join("board/tiny-prototypical/seed-0");
    let points = std::fs::read_to_string(run.join("projector/metadata.tsv")).unwrap();
    let points: Vec<Vec<&str>> = points.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(points[0], ["image", "class", "predicted"]);
    assert_eq!(points.len(), 1 + 16, "4 characters of 4 drawings");
    assert!(points[1..].iter().all(|point| point[0].contains("four") && point[1].contains("character")), "{points:?}");
    let vectors = std::fs::read_to_string(run.join("projector/tensors.tsv")).unwrap();
    let width = vectors.lines().next().unwrap().split('\t').count();
    assert_eq!((vectors.lines().count(), width), (16, 8), "features of a network 8 wide");
}

#[test]
fn frozen_encoders_answer_the_episodes_of_the_learners() {
    let place = Place::new();
    assert_eq!(place.train("out", &[]).code, Some(0));
    let (learner, list) = (place.at("out/learner.safetensors"), place.at("episodes.json"));
    let alone = place.eval(&[&learner, "--no-floors", "--write-episodes", &list, "--json"]);
    let init = ["--init", "random:resnet10_w24", "--method", "nearest-mean", "--method", "cosine"];
    let said = place.eval(&[&[&*learner, "--no-floors", "--replay", &list, "--json"][..], &init].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = |said: &Said| serde_json::from_str::<Value>(&said.out).unwrap()["rows"].as_array().unwrap().clone();
    let (alone, rows) = (rows(&alone), rows(&said));
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["per_episode"], alone[0]["per_episode"]);
    for (row, method) in rows[1..].iter().zip(["nearest class mean", "cosine"]) {
        let name = row["name"].as_str().unwrap();
        assert!(name.contains("random:resnet10_w24") && name.contains(method), "{name}");
        assert_eq!(row["per_episode"].as_array().unwrap().len(), 5);
        assert!(row["difference"].is_array() && row["calibration_error"].is_number());
    }
    let said = place.eval(&["--init", "random:resnet10_w24", "--method", "fine-tune"]);
    assert!(said.code == Some(1) && said.err.contains("panal fewshot curve"), "{}", said.err);
    let said = place.eval(&["--method", "cosine"]);
    assert!(said.code == Some(2) && said.err.contains("--init"), "{}", said.err);
}
