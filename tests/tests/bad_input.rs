//! Every wrong input ends in one clear error that names what is wrong, a non-zero exit, and nothing half-written.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Place, Said, panal, run};

/// The call failed with exit code 1, said one error with all of these words, and wrote no table.
fn refused(place: &Place, said: &Said, words: &[&str]) {
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert_eq!(said.err.matches("error: ").count(), 1, "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    for word in words {
        assert!(said.err.contains(word), "`{word}` is not in: {}", said.err);
    }
    assert!(!place.results().join("table.json").exists());
}

fn spoil(place: &Place, file: &str, bytes: &[u8]) -> Said {
    std::fs::write(place.path("images/train/along").join(file), bytes).unwrap();
    run(&mut place.lab(&[]))
}

#[test]
fn no_such_folder() {
    let place = Place::new();
    let said = run(panal(&["lab", "--data", "no/such/folder"]).arg("--results").arg(place.path("results")));
    refused(&place, &said, &["no/such/folder"]);
}

#[test]
fn one_class_only() {
    let place = Place::new();
    for split in ["train", "val"] {
        std::fs::remove_dir_all(place.path("images").join(split).join("along")).unwrap();
    }
    refused(&place, &run(&mut place.lab(&[])), &["class", "train"]);
}

#[test]
fn an_empty_class() {
    let place = Place::new();
    std::fs::create_dir(place.path("images/train/nothing")).unwrap();
    refused(&place, &run(&mut place.lab(&[])), &["nothing", "train"]);
}

#[test]
fn a_class_that_the_other_split_has_not() {
    let place = Place::new();
    std::fs::rename(place.path("images/val/along"), place.path("images/val/other")).unwrap();
    refused(&place, &run(&mut place.lab(&[])), &["along", "other"]);
}

#[test]
fn a_truncated_jpeg() {
    let place = Place::new();
    let mut jpeg = Vec::new();
    let image = image::RgbImage::from_fn(200, 160, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    image.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    refused(&place, &spoil(&place, "cut.jpg", &jpeg[..jpeg.len() / 2]), &["cut.jpg", "--skip-bad"]);
}

#[test]
fn a_file_of_no_bytes() {
    let place = Place::new();
    refused(&place, &spoil(&place, "void.jpg", b""), &["void.jpg", "--skip-bad"]);
}

#[test]
fn text_named_jpg() {
    let place = Place::new();
    refused(&place, &spoil(&place, "letter.jpg", b"Dear bee, this is no photograph."), &["letter.jpg", "--skip-bad"]);
}

#[test]
fn a_png_header_that_claims_60000_by_60000() {
    let place = Place::new();
    let mut png = Vec::new();
    image::RgbImage::new(2, 2).write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    // IHDR: eight bytes of signature, four of length, four of type, then width, height, five more and a checksum.
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    refused(&place, &spoil(&place, "huge.png", &png), &["huge.png", "60"]);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn bad_files_are_left_out_and_listed_when_asked() {
    let place = Place::new();
    std::fs::write(place.path("images/train/along/letter.jpg"), b"no photograph").unwrap();
    let said = run(&mut place.lab(&["--skip-bad", "--seeds", "1", "--row", "head"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("letter.jpg"), "{}", said.err);
    let runs = std::fs::read_to_string(place.results().join("runs.jsonl")).unwrap();
    assert!(runs.contains("letter.jpg"));
}

fn with_init(place: &Place, weights: &Path) -> Said {
    let init = format!("row.1.init={}", weights.display());
    run(&mut place.lab(&["--row", "head", "--set", &init]))
}

#[test]
fn weights_for_another_architecture() {
    let place = Place::new();
    let weights = place.path("other.safetensors");
    write_tensor(&weights, "features.0.0.weight", &[8, 3, 3, 3], 0.5);
    refused(&place, &with_init(&place, &weights), &["other.safetensors", "resnet18"]);
}

#[test]
fn weights_that_are_no_numbers() {
    let place = Place::new();
    let out = place.path("model");
    let mut train = panal(&["train"]);
    train
        .arg(place.path("images"))
        .arg("--config")
        .arg(place.path("quick.toml"))
        .args(["--row", "head", "--out"])
        .arg(&out);
    assert_eq!(run(&mut train).code, Some(0));
    // The weights that were just written, but for one that is no number.
    let bytes = std::fs::read(out.join("model.safetensors")).unwrap();
    let good = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let spoilt = good.tensors().into_iter().map(|(name, tensor)| {
        let mut data = tensor.data().to_vec();
        if name == "layer1.0.conv1.weight" {
            data[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        (name, tensor.dtype(), tensor.shape().to_vec(), data)
    });
    let spoilt: Vec<_> = spoilt.collect();
    let views = spoilt.iter().map(|(name, dtype, shape, data)| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let weights = place.path("nan.safetensors");
    std::fs::write(&weights, safetensors::serialize(views, None).unwrap()).unwrap();
    refused(&place, &with_init(&place, &weights), &["nan.safetensors", "layer1.0.conv1.weight", "NaN"]);
}

#[test]
fn weights_that_are_no_weights() {
    let place = Place::new();
    let weights = place.path("letter.pth");
    std::fs::write(&weights, "Dear bee").unwrap();
    refused(&place, &with_init(&place, &weights), &["letter.pth"]);
    refused(&place, &with_init(&place, Path::new("absent.pth")), &["absent.pth"]);
}

fn write_tensor(path: &Path, name: &str, shape: &[usize], value: f32) {
    let bytes: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), shape.iter().product()).flatten().collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &bytes).unwrap();
    std::fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
}

#[test]
fn a_misspelt_key() {
    let place = Place::new();
    refused(&place, &run(&mut place.lab(&["--set", "bacth=4"])), &["`bacth`", "did you mean `batch`?"]);
    refused(
        &place,
        &run(&mut place.lab(&["--set", "row.0.phases.0.epoch=4"])),
        &["row[0].phases[0]", "did you mean `epochs`?"],
    );
    refused(&place, &run(&mut place.lab(&["--model", "resnet81"])), &["resnet81", "resnet18"]);
    refused(&place, &run(&mut place.lab(&["--row", "haed"])), &["haed", "head"]);
}

#[test]
fn settings_out_of_range() {
    let place = Place::new();
    refused(&place, &run(&mut place.lab(&["--lr", "-0.1"])), &["lr must be", "-0.1"]);
    refused(&place, &run(&mut place.lab(&["--batch", "0"])), &["batch must be", "0"]);
    refused(&place, &run(&mut place.lab(&["--seeds", "0"])), &["seeds must be", "0"]);
    refused(&place, &run(&mut place.lab(&["--folds", "1"])), &["folds", "1"]);
    for side in ["0", "-5"] {
        let said = format!("shorter_side: must be in [1, 16384], got {side}");
        refused(&place, &run(&mut place.lab(&["--set", &format!("shorter_side={side}")])), &[&said]);
    }
    for (setting, said) in [
        ("shorter_side=small", "shorter_side: must be a whole number, got \"small\""),
        ("row.0.phases.0.epochs=-3", "row[0].phases[0].epochs: must be a whole number that is not negative, got -3"),
        ("row.0.phases.0.train=1", "row[0].phases[0].train: must be a string"),
        ("row.0.phases.0.lr=fast", "row[0].phases[0].lr: must be a number, got \"fast\""),
    ] {
        let whole = run(&mut place.lab(&["--set", setting]));
        refused(&place, &whole, &[said]);
        assert!(!whole.err.contains("in `"), "the place is named once: {}", whole.err);
    }
    let small = ["shorter_side must be at least 36", "got 35"];
    refused(&place, &run(&mut place.lab(&["--set", "shorter_side=35"])), &small);
}

#[test]
fn a_batch_larger_than_the_set() {
    let place = Place::new();
    refused(&place, &run(&mut place.lab(&["--batch", "1000"])), &["batch", "12", "1000"]);
}

#[test]
fn results_that_cannot_be_written() {
    let place = Place::new();
    // A file where a folder should be: refused for every user, root too.
    std::fs::write(place.path("results"), "in the way").unwrap();
    let said = run(&mut place.lab(&[]));
    refused(&place, &said, &["cannot write results", "--results"]);
    assert_eq!(std::fs::read_to_string(place.path("results")).unwrap(), "in the way");
}

#[test]
fn a_device_that_is_not_there() {
    let place = Place::new();
    let said = run(&mut place.lab(&["--device", "cuda:7"]));
    refused(&place, &said, &["cuda"]);
    let said = run(&mut place.lab(&["--device", "abacus"]));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("abacus"), "{}", said.err);
}

#[test]
fn predicting_with_wrong_files() {
    let place = Place::new();
    let image = place.path("images/val/along/0.png");
    let predict = |model: &Path| run(panal(&["predict"]).arg(model).arg(&image));
    refused(&place, &predict(Path::new("no-model.safetensors")), &["no-model.safetensors"]);
    let weights = place.path("weights.safetensors");
    write_tensor(&weights, "conv1.weight", &[2, 3], 1.0);
    refused(&place, &predict(&weights), &["weights.safetensors", "panal train"]);
}
