//! `panal fewshot predict` and `curve` from end to end on small drawn images, and every wrong input.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Said, interrupted_after, panal, run};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// Weights that come with panal.
const INIT: &str = "insects:resnet10_w24";

struct Place(TempDir);

impl Place {
    /// `support` with stripes across and along, `more` with a class of dots, `others` with rings, and `queries` of each.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for kind in ["across", "along"] {
            place.draw(&format!("support/{kind}"), kind, 0..5);
        }
        place.draw("more/dots", "dots", 0..4);
        place.draw("others/rings", "rings", 0..6);
        for kind in ["across", "along", "dots", "rings"] {
            place.draw(&format!("queries/{kind}"), kind, 6..8);
        }
        place
    }

    fn draw(&self, folder: &str, kind: &str, numbers: std::ops::Range<u32>) {
        let folder = self.0.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for number in numbers {
            drawn(kind, number).save(folder.join(format!("{number}.png"))).unwrap();
        }
    }

    fn at(&self, below: &str) -> String {
        self.0.path().join(below).display().to_string()
    }

    fn query(&self, kind: &str) -> String {
        self.at(&format!("queries/{kind}/6.png"))
    }

    /// Arguments that begin with `@` are paths below this place.
    fn fewshot(&self, args: &[&str]) -> Said {
        let args = args.iter().map(|arg| arg.strip_prefix('@').map_or((*arg).to_owned(), |path| self.at(path)));
        run(panal(&["fewshot"]).args(args))
    }

    fn predict(&self, args: &[&str]) -> Said {
        self.fewshot(&[&["predict", "--init", INIT], args].concat())
    }
}

fn drawn(kind: &str, number: u32) -> RgbImage {
    RgbImage::from_fn(48, 44, |x, y| {
        let (x, y) = (x + 3 * number, y + 2 * number);
        let lit = match kind {
            "across" => x % 8 < 4,
            "along" => y % 8 < 4,
            "dots" => x % 8 < 4 && y % 8 < 4,
            _ => ((f64::from(x % 24) - 12.0).hypot(f64::from(y % 24) - 12.0) as u32) % 8 < 4,
        };
        let light = 150 + 10 * number as u8;
        Rgb(if lit { [light, light, 90] } else { [40, 60, 80] })
    })
}

#[track_caller]
fn json(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
}

#[track_caller]
fn refused(said: &Said, words: &str) {
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert_eq!(said.err.matches("error:").count(), 1, "{}", said.err);
    assert!(said.err.contains(words), "{}", said.err);
}

#[test]
fn the_nearest_class_wins_and_a_threshold_turns_away() {
    let place = Place::new();
    let (across, along) = (place.query("across"), place.query("along"));
    let asked = ["--support", "@support", "--query", &across, &along];
    let answers = json(&place.predict(&[&asked[..], &["--json"]].concat()));
    let answer = |index: usize| &answers["answers"][index];
    assert_eq!((&answer(0)["class"], &answer(1)["class"]), (&"across".into(), &"along".into()));
    assert_eq!((&answers["transform"], &answers["reject"]), (&"L2N".into(), &Value::Null));
    for index in [0, 1] {
        let each: Vec<f64> = answer(index)["similarities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["similarity"].as_f64().unwrap())
            .collect();
        let most = each.iter().copied().fold(f64::MIN, f64::max);
        assert_eq!(answer(index)["similarity"].as_f64(), Some(most));
        assert!(each.len() == 2 && each.iter().all(|similarity| (-1.0..=1.0).contains(similarity)));
    }
    let strict = json(&place.predict(&[&asked[..], &["--reject", "1", "--json"]].concat()));
    assert_eq!((&strict["answers"][0]["class"], &strict["reject"]), (&Value::Null, &1.0.into()));
    let said = place.predict(&asked);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains(&format!("{across}  across\n")) && said.out.contains("(5 images)"), "{}", said.out);
    let said = place.predict(&[&asked[..], &["--reject", "1"]].concat());
    assert!(said.out.contains(&format!("{across}  none\n")), "{}", said.out);
}

#[test]
fn a_saved_set_answers_as_the_folder_and_grows() {
    let place = Place::new();
    let dots = place.query("dots");
    let from_folder =
        json(&place.predict(&["--support", "@support", "--query", &dots, "--save", "@set.safetensors", "--json"]));
    // The encoder is known from the file.
    let from_file = json(&place.fewshot(&["predict", "--support", "@set.safetensors", "--query", &dots, "--json"]));
    assert_eq!(from_file["answers"], from_folder["answers"]);
    assert_ne!(from_file["answers"][0]["class"], "dots");
    let grow = ["--support", "@set.safetensors", "--grow", "@more", "--save", "@grown.safetensors"];
    assert_eq!(place.predict(&grow).code, Some(0), "no query is needed to save");
    let grown = json(&place.predict(&["--support", "@grown.safetensors", "--query", &dots, "--json"]));
    assert_eq!(grown["answers"][0]["class"], "dots");
    assert_eq!(grown["support"][2]["images"], 4);
    // What was known of the old classes stays as it was.
    for class in [0, 1] {
        let of = |answers: &Value| answers["answers"][0]["similarities"][class]["similarity"].as_f64().unwrap();
        assert!((of(&grown) - of(&from_file)).abs() < 1e-12);
    }
    // More images of a class that is there.
    place.draw("late/dots", "dots", 4..6);
    let late =
        json(&place.predict(&["--support", "@grown.safetensors", "--grow", "@late", "--query", &dots, "--json"]));
    assert_eq!(late["support"][2]["images"], 6);
    let other =
        place.fewshot(&["predict", "--init", "random:resnet10_w24", "--support", "@set.safetensors", "--query", &dots]);
    refused(&other, "the support set was made by an encoder of digest");
}

#[test]
fn a_threshold_is_chosen_on_other_classes_and_kept() {
    let place = Place::new();
    let (rings, along) = (place.query("rings"), place.query("along"));
    let asked = ["--query", &rings, &along, "--json"];
    let first = ["--support", "@support", "--calibrate", "@others", "--save", "@set.safetensors"];
    let answers = json(&place.predict(&[&first[..], &asked[..]].concat()));
    assert_eq!(answers["calibration"]["threshold"], answers["reject"]);
    assert!(answers["calibration"]["balanced_accuracy"].as_f64().unwrap() > 0.9, "{answers}");
    assert_eq!((&answers["answers"][0]["class"], &answers["answers"][1]["class"]), (&Value::Null, &"along".into()));
    let again = json(&place.predict(&[&["--support", "@set.safetensors"][..], &asked[..]].concat()));
    assert_eq!((&again["reject"], &again["answers"]), (&answers["reject"], &answers["answers"]));

    refused(
        &place.predict(&["--support", "@set.safetensors", "--calibrate", "@others", "--query", &along]),
        "--calibrate needs support images at hand",
    );
    refused(
        &place.predict(&["--support", "@support", "--calibrate", "@queries", "--query", &along]),
        "has the class across, which the support set knows",
    );
    std::fs::create_dir_all(place.at("same/stripes")).unwrap();
    std::fs::copy(place.at("support/along/1.png"), place.at("same/stripes/1.png")).unwrap();
    refused(
        &place.predict(&["--support", "@support", "--calibrate", "@same", "--query", &along]),
        "is in the support set, of class along: leave it out of --calibrate",
    );
}

#[test]
fn a_picture_shows_queries_support_and_bars() {
    let place = Place::new();
    let (across, dots) = (place.query("across"), place.query("dots"));
    let asked = ["--support", "@support", "--query", &across, &dots, "--reject", "0.9"];
    let said = place.predict(&[&asked[..], &["--picture", "@answers.png"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let picture = image::open(place.at("answers.png")).unwrap().to_rgb8();
    let has = |color: [u8; 3]| picture.pixels().any(|pixel| pixel.0 == color);
    assert!(has([0, 114, 178]) && has([213, 94, 0]) && has([20; 3]), "the winner's bar, the threshold, and text");
    assert!(picture.width() > 400 && picture.height() > 400);
    let wrong = ["--picture", "@answers.txt", "--save", "@set.safetensors"];
    refused(&place.predict(&[&asked[..], &wrong].concat()), "--picture must end in .jpg or .png");
    assert!(!Path::new(&place.at("set.safetensors")).exists(), "refused before anything is written");
    let nowhere = place.predict(&[&asked[..], &["--picture", "@nowhere/answers.png"]].concat());
    refused(&nowhere, "cannot write in");
    assert!(nowhere.out.is_empty(), "refused before the queries are answered");
}

#[test]
fn the_mean_of_other_images_can_be_taken_away() {
    let place = Place::new();
    let along = place.query("along");
    let asked = ["--support", "@support", "--query", &along];
    let answers = json(&place.predict(&[&asked[..], &["--base", "@others", "--json"]].concat()));
    assert_eq!((&answers["transform"], &answers["answers"][0]["class"]), (&"CL2N".into(), &"along".into()));
    refused(&place.predict(&[&asked[..], &["--transform", "centred-l2"]].concat()), "name them by --base");
    refused(
        &place.predict(&[&asked[..], &["--transform", "l2", "--base", "@others"]].concat()),
        "that was not asked for",
    );
    refused(&place.predict(&[&asked[..], &["--base", "@queries"]].concat()), "name images of other classes");
    let curve = ["curve", "@support", "--init", INIT, "--shots", "1", "--queries", "1", "--episodes", "2", "--json"];
    refused(&place.fewshot(&[&curve[..], &["--base", "@support"]].concat()), "byte for byte");
    let record = json(&place.fewshot(&[&curve[..], &["--base", "@others"]].concat()));
    assert_eq!(record["base_digest"].as_str().unwrap().len(), 64, "{}", record["base_digest"]);
    assert_eq!(place.predict(&["--support", "@support", "--save", "@set.safetensors"]).code, Some(0));
    let said = place.predict(&["--support", "@set.safetensors", "--query", &along, "--transform", "none"]);
    refused(&said, "has its own");
}

#[test]
fn wrong_support_and_queries_are_refused_by_name() {
    let place = Place::new();
    let along = place.query("along");
    let said = place.predict(&["--support", "@support", "--query", "@support/along/3.png"]);
    refused(&said, "is in the support set, of class along: it would find itself");
    refused(&place.predict(&["--support", "@support", "--query", "@none.png"]), "cannot read");
    std::fs::write(place.at("text.png"), "no image at all").unwrap();
    let said = place.predict(&["--support", "@support", "--query", "@text.png"]);
    refused(&said, "text.png: this is no image: it begins with the text \"no image at all\"");
    std::fs::create_dir(place.at("empty")).unwrap();
    refused(&place.predict(&["--support", "@empty", "--query", &along]), "empty");
    std::fs::create_dir_all(place.at("hollow/nothing")).unwrap();
    refused(&place.predict(&["--support", "@hollow", "--query", &along]), "nothing");
    refused(&place.predict(&["--support", "@missing", "--query", &along]), "missing");
    refused(&place.predict(&["--support", &along, "--query", &along]), "6.png");
    refused(&place.predict(&["--support", "@more", "--query", &along]), "the support set has one class (dots)");
    let one = place.predict(&["--support", "@more", "--query", &along, "--reject", "0.999"]);
    assert!(one.code == Some(0) && one.out.contains("  none\n"), "with a threshold one class will do: {}", one.err);
    refused(
        &place.predict(&["--support", "@support", "--grow", "@support", "--query", &along]),
        "is in the support set already, of class across: leave it out",
    );
    std::fs::copy(place.at("support/along/1.png"), place.at("support/across/twin.png")).unwrap();
    refused(&place.predict(&["--support", "@support", "--query", &along]), "are the same image: leave one out");
    std::fs::copy(place.at("text.png"), place.at("support/across/twin.png")).unwrap();
    refused(&place.predict(&["--support", "@support", "--query", &along]), "twin.png");
    refused(
        &place.fewshot(&["predict", "--init", "nothing", "--support", "@more", "--query", &along]),
        "--init nothing is no file",
    );
    for wrong in [&["--reject", "2"][..], &["--reject", "0.1", "--calibrate", "x"], &["--picture", "x.png"]] {
        let asked: &[&str] = if wrong[0] == "--picture" { &["--save", "x"] } else { &["--query", &along] };
        assert_eq!(place.predict(&[&["--support", "@support"][..], asked, wrong].concat()).code, Some(2));
    }
    assert_eq!(place.predict(&["--support", "@support"]).code, Some(2), "neither queries nor a file to save");
}

#[test]
fn a_curve_has_every_method_and_number_of_shots() {
    let place = Place::new();
    let asked = ["curve", "@support", "--init", INIT, "--shots", "2,1", "--queries", "3", "--episodes", "20"];
    let methods = ["--method", "nearest-mean", "--method", "tim", "--transform", "none", "--transform", "l2"];
    let run = |more: &[&str]| place.fewshot(&[&asked[..], &methods[..], more].concat());
    let said = run(&["--out", "@out", "--json"]);
    let record = json(&said);
    let points = record["points"].as_array().unwrap();
    assert_eq!(points.len(), 8);
    let shots: Vec<u64> = points.iter().map(|point| point["shots"].as_u64().unwrap()).collect();
    assert_eq!(shots, [1, 2, 1, 2, 1, 2, 1, 2]);
    for point in points {
        let scores = &point["scores"];
        assert_eq!(scores["episodes"].as_array().unwrap().len(), 20);
        assert!(scores["lower"].as_f64() <= scores["accuracy"].as_f64(), "{point}");
        let asked: u64 =
            scores["classes"].as_array().unwrap().iter().map(|class| class["queries"].as_u64().unwrap()).sum();
        assert_eq!(asked, 120);
        assert_eq!(point["transductive"], point["method"]["kind"] == "tim");
    }
    let again = json(&run(&["--json"]));
    assert_eq!(again["points"], record["points"], "the same seed, the same episodes");
    assert_ne!(json(&run(&["--seed", "1", "--json"]))["points"], record["points"]);
    let table = std::fs::read_to_string(place.at("out/curve.md")).unwrap();
    assert!(table.contains("| TIM-ADM (transductive), L2N |") && table.contains("20 episodes, seed 0"), "{table}");
    assert!(!table.contains(place.0.path().to_str().unwrap()), "no path of this machine: {table}");
    assert!(std::fs::read_to_string(place.at("out/curve.svg")).unwrap().contains("<polygon"));
    assert_eq!(std::fs::read_to_string(place.at("out/curve.csv")).unwrap().lines().count(), 9);
    let shown = run(&[]);
    assert!(shown.out.contains("| accuracy, % \\ shots | 1 | 2 |"), "{}", shown.out);
}

#[test]
fn a_curve_pairs_methods_and_fine_tunes() {
    let place = Place::new();
    for kind in ["across", "along"] {
        place.draw(&format!("many/{kind}"), kind, 0..10);
    }
    let asked = ["curve", "@many", "--init", INIT, "--shots", "1", "--queries", "1", "--episodes", "6"];
    let methods = ["--method", "nearest-mean", "--method", "laplacian-shot-rectified", "--method", "fine-tune"];
    let run = |more: &[&str]| place.fewshot(&[&asked[..], &methods[..], more].concat());
    let said = run(&["--fine-tune-episodes", "3", "--out", "@paired", "--json"]);
    let points = json(&said)["points"].as_array().unwrap().clone();
    let kinds: Vec<&str> = points.iter().map(|point| point["method"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["nearest_mean", "laplacian_shot", "fine_tune"]);
    assert_eq!(points[1]["method"]["rectify"], true);
    assert_eq!((&points[1]["transductive"], &points[2]["transductive"]), (&true.into(), &false.into()));
    let of = |point: &Value| -> Vec<f64> {
        point["scores"]["episodes"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (first, tuned) = (of(&points[0]), of(&points[2]));
    assert_eq!((first.len(), tuned.len()), (6, 3));
    // Fine-tuning is held against the same three episodes.
    let expected = tuned.iter().zip(&first).map(|(tuned, first)| tuned - first).sum::<f64>() / 3.0;
    let found = points[2]["scores"]["difference"][0].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    assert!(points[0]["scores"]["difference"].is_null());
    // Ten images of each class make five episodes of two images each.
    let apart = &points[0]["scores"]["without_replacement"];
    assert!(apart["episodes"] == 5 && apart["lower"].as_f64() <= apart["accuracy"].as_f64(), "{apart}");
    let table = std::fs::read_to_string(place.at("paired/curve.md")).unwrap();
    for text in [
        "against the first, points",
        "without replacement, % (episodes)",
        "| fine-tuning on the support (3 episodes) |",
    ] {
        assert!(table.contains(text), "{text}: {table}");
    }
    refused(&run(&["--fine-tune-episodes", "1"]), "--fine-tune-episodes must be at least 2, for an interval, got 1");
}

#[test]
#[cfg(unix)]
fn an_interrupted_curve_ends_with_130() {
    let place = Place::new();
    let out = place.at("never");
    let mut command =
        panal(&["fewshot", "curve", &place.at("support"), "--init", INIT, "--shots", "1", "--queries", "2", "-v"]);
    // Logistic regression of so many episodes takes a minute and more.
    let command = command.args(["--episodes", "50000", "--method", "logistic", "--out", &out]);
    let said = interrupted_after(command, "features: of");
    assert_eq!(said.code, Some(130), "{}", said.err);
    assert!(said.err.contains("of 50000 episodes; nothing was written"), "{}", said.err);
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_curve_that_cannot_be_drawn_is_refused_before_anything_is_computed() {
    let place = Place::new();
    let curve = |more: &[&str]| place.fewshot(&[&["curve", "@support", "--init", INIT][..], more].concat());
    refused(&curve(&["--shots", "1", "--queries", "2", "--ways", "3"]), "size.fixed.ways must be <= 2, the classes of");
    refused(&curve(&["--shots", "1", "--queries", "2", "--ways", "1"]), "size.fixed.ways must be >= 2, got 1");
    refused(
        &curve(&["--shots", "1,4", "--queries", "2"]),
        "the number of images of across must be >= 6 (for 4 to support and 2 to query), got 5",
    );
    refused(&curve(&["--shots", "1", "--queries", "2", "--episodes", "1"]), "--episodes must be at least 2");
    refused(&place.fewshot(&["curve", "@missing", "--init", INIT]), "there is no folder");
    std::fs::write(Path::new(&place.at("support/along/bad.png")), "text").unwrap();
    refused(&curve(&["--shots", "1", "--queries", "2"]), "bad.png");
    let said = curve(&["--shots", "1", "--queries", "2", "--episodes", "2", "--skip-bad"]);
    assert!(said.code == Some(0) && said.err.contains("bad.png"), "{}", said.err);
    assert_eq!(curve(&["--shots", "0"]).code, Some(2));
    assert_eq!(curve(&["--method", "magic"]).code, Some(2));
}
