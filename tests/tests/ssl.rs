//! `panal ssl pretrain` from end to end on small images, and wrong inputs of all of `panal ssl`.

#![allow(clippy::unwrap_used)]

mod common;

use common::ssl::{Place, json};
use common::{panal, run};
use serde_json::Value;

#[test]
fn supervised_pretraining_needs_labels_and_goes_on_to_the_bit() {
    let place = Place::new();
    let said = place.pretrain("images", "whole", &["--supervised"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("supervised: loss"), "{}", said.out);
    let short = place.pretrain("images", "other", &["--supervised", "--set", "simclr.epochs=2"]);
    assert_eq!(short.code, Some(0), "{}", short.err);
    let said = place.pretrain("images", "other", &["--supervised", "--resume"]);
    assert!(said.code == Some(1) && said.err.contains("was written by another run"), "{}", said.err);
    let before = std::fs::read(place.at("whole/encoder.safetensors")).unwrap();
    let said = place.pretrain("images", "whole", &["--supervised", "--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let seconds = &json(&std::fs::read_to_string(place.at("whole/record.json")).unwrap())["seconds"];
    assert!(seconds["total"].as_f64() >= seconds["train"].as_f64(), "{seconds}");
    assert_eq!(std::fs::read(place.at("whole/encoder.safetensors")).unwrap(), before);
    let said = place.pretrain("images/train/along", "flat", &["--supervised"]);
    assert!(said.code == Some(1) && said.err.contains("pretraining by labels needs"), "{}", said.err);
}

/// CIFAR-10's binary version with so few records: images of one brightness, that tells the label.
fn cifar(folder: &std::path::Path, records: usize) {
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("batches.meta.txt"), "ant\nbee\n").unwrap();
    for file in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        let record = |at: usize| {
            let label = (at % 2) as u8;
            let pixels = (0..3072).map(move |pixel| label * 150 + ((pixel * 7 + at * 13) % 90) as u8);
            std::iter::once(label).chain(pixels)
        };
        std::fs::write(folder.join(format!("{file}.bin")), (0..records).flat_map(record).collect::<Vec<u8>>()).unwrap();
    }
}

#[test]
fn cifar10s_own_files_are_a_data_set() {
    let place = Place::new();
    cifar(std::path::Path::new(&place.at("batches")), 4);
    let said = run(&mut panal(&["data", &place.at("batches")]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("train: 20 images") && said.out.contains("test: 4 images"), "{}", said.out);
    let said = place.pretrain("batches", "run", &["--set", "simclr.epochs=1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let encoder = place.at("run/encoder.safetensors");
    let mut command = panal(&["ssl", "eval", &place.at("batches"), "--init", &encoder, "--init", "pixels"]);
    let said = run(command.args(["--set", "knn.k=3", "--json"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let pixels = rows.as_array().unwrap().iter().find(|row| row["init"] == "pixels" && row["protocol"] == "knn");
    assert_eq!(pixels.unwrap()["accuracy"][0], 1.0, "brightness tells the label");

    let file = place.at("batches/data_batch_2.bin");
    std::fs::write(&file, &std::fs::read(&file).unwrap()[..5000]).unwrap();
    let said = place.pretrain("batches", "cut", &[]);
    assert!(said.code == Some(1) && said.err.contains("data_batch_2.bin has 5000 bytes"), "{}", said.err);
    assert!(!std::fs::exists(place.at("cut")).unwrap());

    // An archive under the name of the catalogue's that is not the one, and nothing else at hand.
    let mirror = tempfile::tempdir().unwrap();
    std::fs::write(mirror.path().join("cifar-10-binary.tar.gz"), b"not the archive").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut command = panal(&["data", "cifar10"]);
    command.env("PANAL_MIRROR", mirror.path()).env("PANAL_OFFLINE", "1").env("PANAL_CACHE", cache.path());
    let said = run(&mut command);
    assert!(said.code == Some(1) && said.err.contains("has 15 bytes where 170052171 were expected"), "{}", said.err);
}

#[test]
fn any_folder_of_images_will_do() {
    let place = Place::new();
    let flat = std::path::PathBuf::from(place.at("flat"));
    std::fs::create_dir_all(flat.join("deeper")).unwrap();
    for (index, file) in std::fs::read_dir(place.at("images/train/along")).unwrap().enumerate() {
        let to = if index % 2 == 0 { flat.clone() } else { flat.join("deeper") };
        std::fs::copy(file.unwrap().path(), to.join(format!("{index}.png"))).unwrap();
    }
    let said = place.pretrain("flat", "run", &["--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(json(&said.out)["knn"].is_null());
    assert!(said.err.contains("no nearest neighbours are asked"), "{}", said.err);
}

#[test]
fn an_interrupted_pretraining_goes_on() {
    let place = Place::new();
    let whole = place.pretrain("images", "whole", &[]);
    assert_eq!(whole.code, Some(0), "{}", whole.err);
    // One epoch, and then the rest of another run's: settings differ, so it is refused.
    let short = place.pretrain("images", "other", &["--set", "simclr.epochs=1"]);
    assert_eq!(short.code, Some(0), "{}", short.err);
    let said = place.pretrain("images", "other", &["--resume"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("was written by another run"), "{}", said.err);
    let said = place.pretrain("images", "whole", &["--resume", "--precision", "bf16"]);
    assert!(said.code == Some(1) && said.err.contains("was written by another run"), "{}", said.err);
    // The same settings: all is done, and the encoder is the same to the bit.
    let before = std::fs::read(place.at("whole/encoder.safetensors")).unwrap();
    let said = place.pretrain("images", "whole", &["--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let seconds = &json(&std::fs::read_to_string(place.at("whole/record.json")).unwrap())["seconds"];
    assert!(seconds["total"].as_f64() >= seconds["train"].as_f64(), "{seconds}");
    assert_eq!(std::fs::read(place.at("whole/encoder.safetensors")).unwrap(), before);
}

#[test]
fn mixed_precision_is_another_pretraining_and_says_so() {
    let place = Place::new();
    let said = place.pretrain("images", "mixed", &["--precision", "bf16"]);
    assert!(said.code == Some(0) && said.err.contains("bf16 on the CPU: slower than f32"), "{}", said.err);
    assert_eq!(place.pretrain("images", "single", &["--precision", "f32"]).code, Some(0));
    let precision = |run: &str| {
        let record = json(&std::fs::read_to_string(place.at(&format!("{run}/record.json"))).unwrap());
        record["config"]["simclr"]["precision"].clone()
    };
    assert_eq!((precision("mixed"), precision("single")), ("bf16".into(), Value::Null));
    let encoder = |run: &str| std::fs::read(place.at(&format!("{run}/encoder.safetensors"))).unwrap();
    assert_ne!(encoder("mixed"), encoder("single"));
}

#[test]
fn wrong_inputs_have_one_clear_error() {
    let place = Place::new();
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", "random:resnet10_w24"]);
    let said = run(command.args(["--precision", "bf16"]));
    assert!(said.code == Some(1) && said.err.contains("--precision has no meaning here"), "{}", said.err);
    for (set, expected) in [
        ("simclr.batch=1", "batch must be at least 2"),
        ("simclr.batch=13", "batch must be at most 12, the images at hand, got 13"),
        (
            "simclr.loss={ kind = \"nt_xent\", temperature = 0.0 }",
            "loss.temperature must be a finite number > 0, got 0",
        ),
        ("simclr.micro_batch=4", "micro_batch must be a divisor of batch = 6"),
        ("simclr.projector={ kind = \"mlp\", layers = 5 }", "layers must be 2 or 3"),
        ("simclr.epochz=3", "unknown field `epochz`"),
        ("share=1.5", "share must be > 0 and <= 1, got 1.5"),
        ("augment.views.ops.0.size=64", "is 44 x 40 pixels, smaller than the crop of 64 x 64"),
        ("simclr.knn.k=100", "knn.k must be between 1 and 12, the images to learn from, got 100"),
    ] {
        let said = place.pretrain("images", "out", &["--set", set]);
        assert_eq!(said.code, Some(1), "{set}: {}", said.err);
        assert!(said.err.contains(expected), "{set}: {}", said.err);
        assert!(!std::fs::exists(place.at("out/encoder.safetensors")).unwrap(), "{set}");
    }
    let said = run(&mut panal(&["ssl", "eval", &place.at("images"), "--init", "random"]));
    assert!(said.err.contains("say which network by `random:ARCH`"), "{}", said.err);
    let said = run(&mut panal(&["ssl", "eval", &place.at("images"), "--init", &place.at("tiny.toml")]));
    assert_eq!(said.code, Some(1));

    let (images, config, out) = (place.at("images"), place.at("tiny.toml"), place.at("compared"));
    let compare = |more: &[&str]| {
        let mut command = panal(&["ssl", "compare", &images, "--config", &config, "--out", &out]);
        let said = run(command.args(["--protocol", "linear"]).args(more));
        assert!(said.code == Some(1) && !std::fs::exists(&out).unwrap(), "{more:?}: {}", said.err);
        said.err
    };
    for (more, expected) in [
        (["--init", "typo", "--init", "random"].as_slice(), "--init typo is no file"),
        (["--init", "random", "--init", "random"].as_slice(), "--init random is given twice"),
        (["--set", "share=0.2"].as_slice(), "class `across` has 1 training image"),
    ] {
        let said = compare(more);
        assert!(said.contains(expected), "{said}");
    }
    let mut command = panal(&["ssl", "eval", &images, "--init", "random:resnet10_w24", "--protocol", "linear"]);
    let said = run(command.args(["--share", "0.2"]));
    assert!(said.code == Some(1) && said.err.contains("class `across` has 1 training image"), "{}", said.err);

    // A class of one image can't be split into images to learn from and images to choose by.
    for index in 1..6 {
        std::fs::remove_file(place.at(&format!("images/train/along/{index}.png"))).unwrap();
    }
    let said = compare(&[]);
    assert!(said.contains("class `along` has 1 training image"), "{said}");
    let study =
        run(&mut panal(&["ssl", "study", "colour", &images, "--out", &place.at("study"), "--preset", "photographs"]));
    assert!(study.code == Some(1) && study.err.contains("class `along` has 1 training image"), "{}", study.err);
    assert!(!std::fs::exists(place.at("study")).unwrap());
    let said =
        run(&mut panal(&["ssl", "eval", &place.at("images"), "--init", "random:resnet10_w24", "--protocol", "linear"]));
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("class `along` has 1 training image, and `Linear evaluation` needs 2 images of every class"),
        "{}",
        said.err
    );
}
