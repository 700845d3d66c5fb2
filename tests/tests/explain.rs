//! `panal explain` from end to end: pictures of the evidence, and what it says to bad input; and the lab's page with the same.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{Place, panal, run};
use serde_json::Value;

/// A quick model of two classes, trained where `Place` lies.
fn model(place: &Place) -> PathBuf {
    let out = place.path("model");
    let said = run(panal(&["train"])
        .arg(place.path("images"))
        .arg("--config")
        .arg(place.path("quick.toml"))
        .args(["--row", "head", "--out"])
        .arg(&out));
    assert_eq!(said.code, Some(0), "{}", said.err);
    out.join("model.safetensors")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_image_gets_a_picture_of_the_evidence() {
    let place = Place::new();
    let (model, out) = (model(&place), place.path("evidence"));
    let said = run(panal(&["explain", "--json"])
        .arg(&model)
        .arg(place.path("images/val"))
        .args(["--class", "along", "--out"])
        .arg(&out));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let explained: Value = serde_json::from_str(&said.out).unwrap();
    let explained = explained.as_array().unwrap();
    assert_eq!(explained.len(), 6);
    // Both classes have an image of each name, so these get numbers.
    let numbered: Vec<String> = (0..3).flat_map(|i| [format!("{i}-along-2.png"), format!("{i}-along.png")]).collect();
    assert_eq!(names(&out), numbered);
    let mut lit = 0;
    for said in explained {
        assert_eq!(said["class"], "along");
        assert!((0.0..=1.0).contains(&said["probability"].as_f64().unwrap()));
        let picture = image::open(said["picture"].as_str().unwrap()).unwrap().to_rgb8();
        // The network's 32 by 32 pixels, twice.
        assert_eq!(picture.dimensions(), (64, 32));
        // Colour on the right is evidence; the rest is grey.
        let colored = (0..32).flat_map(|y| (32..64).map(move |x| (x, y))).any(|(x, y)| {
            let [red, green, blue] = picture.get_pixel(x, y).0;
            red != green || green != blue
        });
        assert_eq!(colored, said["evidence"].as_bool().unwrap(), "{said}");
        lit += usize::from(colored);
    }
    assert!(lit > 0, "nothing speaks for a class in any image");

    // For the most probable class, with words; `predict` says the same of it.
    let image = place.path("images/val/across/1.png");
    let said = run(panal(&["explain"]).arg(&model).arg(&image).arg("--out").arg(place.path("one")));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let predicted = run(panal(&["predict", "--top", "1"]).arg(&model).arg(&image));
    let [class, probability] = predicted.out.split_whitespace().skip(1).collect::<Vec<_>>()[..] else {
        panic!("{}", predicted.out)
    };
    assert!(said.out.contains(class) && said.out.contains(&probability[..5]), "{} {}", said.out, predicted.out);
    assert_eq!(names(&place.path("one")), [format!("1-{class}.png")]);
}

#[test]
fn bad_input_gets_one_error_and_leaves_nothing() {
    let place = Place::new();
    let (model, out) = (model(&place), place.path("evidence"));
    let explain =
        |image: &Path, more: &[&str]| run(panal(&["explain"]).arg(&model).arg(image).arg("--out").arg(&out).args(more));
    let image = place.path("images/val/along/0.png");
    let said = explain(&image, &["--class", "alnog"]);
    assert_eq!(said.code, Some(1));
    let expected =
        "error: --class: the model knows no class `alnog` (did you mean `along`?); its classes are across, along\n";
    assert!(said.err.ends_with(expected), "{}", said.err);
    assert!(!out.exists());

    // A good image and a torn one: no picture of either.
    let bytes = std::fs::read(&image).unwrap();
    let torn = place.path("torn.png");
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    let said = run(panal(&["explain"]).arg(&model).arg(&image).arg(&torn).arg("--out").arg(&out));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("torn.png") && said.err.contains("--skip-bad"), "{}", said.err);
    assert_eq!(names(&out), [""; 0]);
    let said = run(panal(&["explain", "--skip-bad"]).arg(&model).arg(&image).arg(&torn).arg("--out").arg(&out));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(names(&out).len(), 1);

    let said = explain(&place.path("none.png"), &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("cannot read") && said.err.contains("none.png"), "{}", said.err);
    let said = run(panal(&["explain"]).arg(&image).arg(&image).arg("--out").arg(&out));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("0.png"), "{}", said.err);
    // A file where the folder should be.
    let said = run(panal(&["explain"]).arg(&model).arg(&image).arg("--out").arg(&torn));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("cannot make") && said.err.contains("torn.png"), "{}", said.err);
}

#[test]
fn the_page_of_a_lab_shows_evidence_features_and_energy() {
    let place = Place::new();
    // A rate of next to nothing keeps the networks ignorant, so that they are wrong about some image.
    let said = run(place.lab(&["--lr", "1e-9"]).args(["--grid-intensity", "100", "--grid-source", "a test's grid"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let page = || std::fs::read_to_string(place.results().join("index.html")).unwrap();
    let whole = page();
    assert!(whole.contains("where the evidence for") && whole.contains("Grad-CAM"));
    // Six images are too few for t-SNE, and enough for principal components.
    assert!(
        whole.contains("by principal components") && said.err.contains("at least 7 images for t-SNE"),
        "{}",
        said.err
    );
    assert!(whole.contains("100 g/kWh (a test&#39;s grid)"));
    let runs = std::fs::read_to_string(place.results().join("runs.jsonl")).unwrap();
    for line in runs.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let energy = &record["energy"];
        assert!(energy["joules"].as_f64().unwrap() > 0.0, "{energy}");
        let grams = energy["joules"].as_f64().unwrap() / 3.6e6 * 100.0;
        assert!((energy["grams_co2"].as_f64().unwrap() - grams).abs() < 1e-12, "{energy}");
        assert!(["measured", "estimated"].contains(&energy["method"].as_str().unwrap()), "{energy}");
    }
    // Made anew from what is kept, nothing is missing; without what is kept, only that.
    let again = ["--lr", "1e-9", "--resume"];
    assert_eq!(run(&mut place.lab(&again)).code, Some(0));
    assert_eq!(page().matches("where the evidence for").count(), whole.matches("where the evidence for").count());
    std::fs::remove_dir_all(place.results().join("looks")).unwrap();
    assert_eq!(run(&mut place.lab(&again)).code, Some(0));
    assert!(!page().contains("where the evidence for") && page().contains("Most confidently wrong"));
}

#[test]
fn a_grid_that_cannot_be_is_refused() {
    let place = Place::new();
    for (words, expected) in [
        (["--grid-intensity", "-3"], "the grid's intensity must be 0 to 2000 g of CO2 for each kWh, got -3"),
        (["--grid-intensity", "green"], "not a number"),
        (["--core-watts", "0"], "watts of a core must be above 0, at most 1000, got 0"),
    ] {
        let said = run(&mut place.lab(&words));
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(expected), "{}", said.err);
    }
    assert!(!place.results().exists());
}
