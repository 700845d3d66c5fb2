//! `panal fewshot` from end to end on small drawn images: training, resuming, the table, replayed episodes, and wrong inputs.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Said, panal, run};
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
    let (list, out) = (place.at("episodes.jsonl"), place.at("found.json"));
    let said = place.eval(&[&proto, &siamese, &anil, "--write-episodes", &list, "--out", &out]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for row in [
        "| prototypical, seed 0 |",
        "| siamese, seed 0 |",
        "| anil, seed 0 |",
        "| modified Hausdorff |",
        "| nearest pixels |",
    ] {
        assert!(said.out.contains(row), "{row}: {}", said.out);
    }
    let found = json(&std::fs::read_to_string(&out).unwrap());
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0]["accuracy"], trained["accuracy"]);
    assert!(rows[0]["difference"].is_null() && rows[1]["difference"].is_array());
    let asked: u64 =
        rows[4]["per_class"].as_array().unwrap().iter().map(|class| class["asked"].as_u64().unwrap()).sum();
    assert_eq!(asked, 5 * 6);

    // The list replayed gives what it gave; several learners of a name are summed up.
    let said = place.eval(&[&proto, &proto, "--replay", &list, "--no-floors", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let again = json(&said.out);
    assert_eq!(again["rows"].as_array().unwrap().len(), 2);
    assert_eq!(again["rows"][0]["per_episode"], rows[0]["per_episode"]);
    assert_eq!(again["rows"][1]["difference"], serde_json::json!([0.0, 0.0, 0.0]));
    assert_eq!(again["seeds"][0]["median"], rows[0]["accuracy"]);
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
