//! `panal ssl` from end to end on small images: pretraining, evaluation, the table, a study, and wrong inputs.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Place as Lab, Said, panal, run, stripes};
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = r#"
name = "tiny"
title = "A tiny pretraining"
data = "unused"
model = "resnet10_w24"
stem = "cifar"
eval_batch = 5
[augment.views]
ops = [{ op = "random_resized_crop", size = 16, scale = [0.3, 1.0] }, { op = "horizontal_flip", p = 0.5 }]
[augment.evaluation]
ops = [{ op = "resize", size = [16, 16] }]
[simclr]
epochs = 3
batch = 6
projector = { kind = "mlp", hidden = 16, out = 8 }
optimizer = { kind = "sgd" }
lr = 0.05
lr_scaling = "none"
schedule = { kind = "constant" }
knn = { every = 2, k = 3 }
"#;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        stripes(&place.0.path().join("images"));
        std::fs::write(place.0.path().join("tiny.toml"), CONFIG).unwrap();
        place
    }

    fn at(&self, below: &str) -> String {
        self.0.path().join(below).display().to_string()
    }

    fn pretrain(&self, data: &str, out: &str, more: &[&str]) -> Said {
        let (data, out, config) = (self.at(data), self.at(out), self.at("tiny.toml"));
        run(panal(&["ssl", "pretrain", &data, "--out", &out, "--config", &config]).args(more))
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn pretrain_judge_and_tabulate() {
    let place = Place::new();
    for seed in ["0", "1"] {
        let said = place.pretrain("images", &format!("run{seed}"), &["--seed", seed, "--json"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(json(&said.out)["loss"].as_f64().unwrap().is_finite());
    }
    let record = json(&std::fs::read_to_string(place.at("run1/record.json")).unwrap());
    assert_eq!((&record["seed"], &record["steps"], &record["images_seen"]), (&1.into(), &6.into(), &36.into()));
    let epochs = record["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 3);
    assert_eq!(epochs.iter().map(|epoch| epoch["knn"].is_null()).collect::<Vec<_>>(), [true, false, false]);
    assert!(epochs[2]["health"]["rank"].as_f64().unwrap() >= 1.0);

    let (first, second) = (place.at("run0/encoder.safetensors"), place.at("run1/encoder.safetensors"));
    let out = place.at("judged.json");
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", &first, "--init", &second]);
    command.args(["--init", "random", "--seeds", "2", "--out", &out, "--json"]);
    command.args([
        "--protocol",
        "knn",
        "--protocol",
        "linear",
        "--protocol",
        "linear-sgd",
        "--protocol",
        "finetune-10",
    ]);
    command.args([
        "--set",
        "knn.k=3",
        "--set",
        "finetune.epochs=1",
        "--set",
        "scratch.epochs=1",
        "--set",
        "linear_sgd.epochs=2",
        "--set",
        "batch=4",
    ]);
    let said = run(&mut command);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        // Both encoders are of one pretraining, so they share a row; random features have two seeds.
        assert_eq!((row["accuracy"].as_array().unwrap().len(), &row["images"]), (2, &6.into()), "{row}");
    }

    let said = run(&mut panal(&[
        "ssl",
        "eval",
        &place.at("images"),
        "--init",
        &first,
        "--init",
        "pixels",
        "--set",
        "knn.k=3",
        "--share",
        "0.5",
    ]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("a share of 0.5 of the training images: 6"), "{}", said.err);
    assert!(said.out.contains("Nearest neighbours") && said.out.contains("pixels"), "{}", said.out);

    let said = run(&mut panal(&["ssl", "table", &out, "--out", &place.at("table")]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("| Linear evaluation: tiny |") && said.out.contains("**"), "{}", said.out);
    assert_eq!(std::fs::read_dir(place.at("table")).unwrap().count(), 3);
}

#[test]
fn what_is_not_one_thing_is_not_averaged() {
    let place = Place::new();
    let pretrain = |out: &str, more: &[&str]| {
        let said = place.pretrain("images", out, more);
        assert_eq!(said.code, Some(0), "{}", said.err);
        place.at(&format!("{out}/encoder.safetensors"))
    };
    let first = pretrain("run", &[]);
    let other = pretrain("other", &["--set", "simclr.lr=0.02"]);
    let judge = |inits: &[&str], more: &[&str]| {
        let mut command = panal(&["ssl", "eval", &place.at("images"), "--protocol", "knn", "--set", "knn.k=3"]);
        for init in inits {
            command.args(["--init", init]);
        }
        run(command.args(more))
    };
    let said = judge(&[&first, &other], &[]);
    assert!(said.code == Some(1) && said.err.contains("differ in settings or images"), "{}", said.err);
    let said = judge(&[&first, &first], &[]);
    assert!(said.code == Some(1) && said.err.contains("is given twice"), "{}", said.err);
    let copy = place.at("copy.safetensors");
    std::fs::copy(&first, &copy).unwrap();
    let said = judge(&[&first, &copy], &[]);
    assert!(said.code == Some(1) && said.err.contains("the same seed"), "{}", said.err);
    let said = judge(&[&first, "random", "random"], &[]);
    assert!(said.code == Some(1) && said.err.contains("--init random is given twice"), "{}", said.err);
    let said = judge(&[&first], &["--lr", "0.1"]);
    assert!(said.code == Some(1) && said.err.contains("--lr has no meaning here"), "{}", said.err);
    let said = judge(&[&first, "pixels"], &["--protocol", "finetune"]);
    assert!(said.code == Some(1) && said.err.contains("pixels have no backbone"), "{}", said.err);
    let said = judge(&["random:resnet10_w24"], &["--seed", "18446744073709551615"]);
    assert!(said.code == Some(1) && said.err.contains("leaves no room for 3 seeds"), "{}", said.err);

    let (one, two) = (place.at("one.json"), place.at("two.json"));
    assert_eq!(judge(&[&first], &["--out", &one]).code, Some(0));
    assert_eq!(judge(&["random:resnet10_w24"], &["--out", &two, "--set", "batch=3"]).code, Some(0));
    let said = run(&mut panal(&["ssl", "table", &one, &one]));
    assert!(said.code == Some(1) && said.err.contains("was judged twice"), "{}", said.err);
    let said = run(&mut panal(&["ssl", "table", &one, &two]));
    assert!(said.code == Some(1) && said.err.contains("can't share a column"), "{}", said.err);

    // An encoder for small images is not for a row of a lab that begins in another way, though only ResNets' shapes tell.
    let lab = Lab::new();
    let init = format!("row.0.init={first}");
    let said = run(&mut lab.lab(&["--model", "resnet10_w24", "--seeds", "1", "--row", "1", "--set", &init]));
    assert!(
        said.code == Some(1) && said.err.contains(r#"pretrained with stem = "cifar", and here it is "imagenet""#),
        "{}",
        said.err
    );
    let said = run(&mut lab.lab(&[
        "--model",
        "resnet10_w24",
        "--seeds",
        "1",
        "--row",
        "1",
        "--set",
        &init,
        "--set",
        "stem=cifar",
    ]));
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[test]
fn rows_of_several_files_are_one_thing() {
    let place = Place::new();
    let judged = |out: &str, pretraining: &[&str], more: &[&str]| {
        let said = place.pretrain("images", out, pretraining);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let (encoder, file) = (place.at(&format!("{out}/encoder.safetensors")), place.at(&format!("{out}.json")));
        let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", &encoder, "--out", &file]);
        let said = run(command.args(["--protocol", "knn", "--set", "knn.k=3", "--seeds", "1"]).args(more));
        assert_eq!(said.code, Some(0), "{}", said.err);
        file
    };
    let first = judged("first", &[], &["--init", "random"]);
    let second = judged("second", &["--seed", "1"], &[]);
    let short = judged("short", &["--seed", "2", "--set", "simclr.epochs=1"], &[]);
    let other = judged(
        "other",
        &["--set", "name=other", "--set", "stem=imagenet", "--set", "simclr.epochs=1"],
        &["--init", "random", "--seed", "5"],
    );
    let table = |files: &[&str]| run(panal(&["ssl", "table"]).args(files));
    let said = table(&[&first, &second]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for (file, name) in [(&short, "tiny"), (&other, "random")] {
        let said = table(&[&first, file]);
        let expected = format!("{first} and {file} both judge `{name}` on `images`");
        assert!(said.code == Some(1) && said.err.contains(&expected), "{}", said.err);
    }
}

#[test]
fn what_no_seed_decides_is_judged_once() {
    let place = Place::new();
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", "insects:resnet10_w24"]);
    command.args(["--init", "random:resnet10_w24", "--seeds", "2", "--protocol", "knn", "--protocol", "linear-sgd"]);
    let said = run(command.args(["--set", "knn.k=3", "--set", "linear_sgd.epochs=1", "--json"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let runs = |row: &Value| row["accuracy"].as_array().unwrap().len();
    let found: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (row["protocol"].as_str().unwrap(), runs(row))).collect();
    assert_eq!(found, [("knn", 1), ("knn", 2), ("linear-sgd", 2), ("linear-sgd", 2)]);
}

#[test]
fn an_interrupted_evaluation_goes_on() {
    let place = Place::new();
    let said = place.pretrain("images", "run", &["--set", "simclr.epochs=1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let (encoder, out) = (place.at("run/encoder.safetensors"), place.at("judged.json"));
    let judge = |more: &[&str]| {
        let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", &encoder, "--init", "random"]);
        command.args(["--seeds", "2", "--protocol", "knn", "--protocol", "linear", "--out", &out]);
        run(command.args(more))
    };
    let said = judge(&["--set", "knn.k=3"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let mut file = json(&std::fs::read_to_string(&out).unwrap());
    let whole = file["judgements"].as_array().unwrap().clone();
    assert_eq!((whole.len(), file.get("missing")), (6, None));

    // As a kill after the second judgement leaves it.
    file["judgements"] = whole[..2].into();
    file["missing"] = 4.into();
    std::fs::write(&out, file.to_string()).unwrap();
    let said = run(&mut panal(&["ssl", "table", &out]));
    assert!(said.code == Some(0) && said.err.contains("4 of its judgements are missing"), "{}", said.err);
    let said = judge(&["--set", "knn.k=4", "--resume"]);
    assert!(said.code == Some(1) && said.err.contains("was judged with other settings"), "{}", said.err);
    assert_eq!(json(&std::fs::read_to_string(&out).unwrap()), file, "a refusal leaves the file as it was");
    let said = judge(&["--set", "knn.k=3", "--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("2 judgements are known"), "{}", said.err);
    let found = json(&std::fs::read_to_string(&out).unwrap());
    let correct =
        |judgements: &[Value]| -> Vec<Value> { judgements.iter().map(|one| one["correct"].clone()).collect() };
    assert_eq!(correct(found["judgements"].as_array().unwrap()), correct(&whole));
    assert_eq!(found.get("missing"), None);

    // More may be asked for, but what was judged has to be named.
    let mut command = panal(&["ssl", "eval", &place.at("images"), "--init", "random:resnet10_w24", "--resume"]);
    let said = run(command.args(["--out", &out, "--set", "knn.k=3"]));
    assert!(said.code == Some(1) && said.err.contains("also judged \"tiny\""), "{}", said.err);
    let said = run(&mut panal(&["ssl", "eval", &place.at("images"), "--init", &encoder, "--resume"]));
    assert!(said.code == Some(1) && said.err.contains("name it by --out"), "{}", said.err);
}

#[test]
fn one_command_makes_the_table_beside_supervised_and_random() {
    let place = Place::new();
    let (data, config, out) = (place.at("images"), place.at("tiny.toml"), place.at("out"));
    let compare = |more: &[&str]| {
        let mut command = panal(&["ssl", "compare", &data, "--config", &config, "--out", &out, "--supervised"]);
        command.args(["--seeds", "2", "--set", "simclr.epochs=2", "--judge", "knn.k=3", "--judge", "batch=4"]);
        command.args(["--judge", "finetune.epochs=1", "--judge", "scratch.epochs=2"]);
        run(command.args(more))
    };
    let said = compare(&["--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let rows = json(&said.out);
    let found: Vec<(&str, &str, usize)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (text("protocol"), text("init"), row["accuracy"].as_array().unwrap().len())
        })
        .collect();
    let of = |protocol| {
        [(protocol, "tiny", 2), (protocol, "tiny, supervised", 2), (protocol, "random", 2), (protocol, "pixels", 1)]
    };
    assert_eq!(found, [of("knn"), of("linear")].concat());
    let record = json(&std::fs::read_to_string(place.at("out/supervised-1/record.json")).unwrap());
    assert_eq!((&record["kind"], &record["config"]["supervised"]), (&"supervised pretraining".into(), &true.into()));
    let epochs = record["epochs"].as_array().unwrap();
    assert!(epochs.len() == 2 && epochs[1]["train_loss"].as_f64().unwrap().is_finite(), "{record}");
    let labels = std::fs::read(place.at("out/supervised-1/encoder.safetensors")).unwrap();
    assert_ne!(labels, std::fs::read(place.at("out/simclr-1/encoder.safetensors")).unwrap());

    // What is there is not made again, and more can be asked for: the rows of Table 8.
    let said = compare(&["--protocol", "linear", "--protocol", "finetune"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.matches("encoder.safetensors is known").count() == 4, "{}", said.err);
    assert!(said.err.contains("14 judgements are known"), "{}", said.err);
    let table = std::fs::read_to_string(place.at("out/table.md")).unwrap();
    for row in [
        "Linear evaluation: tiny |",
        "Linear evaluation: tiny, supervised",
        "Linear evaluation: random",
        "Fine-tuned: tiny |",
        "Fine-tuned: tiny, supervised",
        "Fine-tuned: random",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(!table.contains("Fine-tuned: pixels"), "{table}");
    // An encoder that could not share their table is refused before anything is pretrained for it.
    let (other, encoder) = (place.at("other"), place.at("out/simclr-0/encoder.safetensors"));
    let mut command = panal(&["ssl", "compare", &data, "--config", &config, "--out", &other, "--init", &encoder]);
    let said = run(command.args(["--protocol", "linear"]));
    assert!(said.code == Some(1) && said.err.contains("both called `tiny` but differ in settings"), "{}", said.err);
    assert!(!std::fs::exists(&other).unwrap());
    let said = compare(&["--set", "simclr.micro_batch=3"]);
    assert!(said.code == Some(1) && said.err.contains("no meaning where supervised = true"), "{}", said.err);
}

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
    cifar(&place.0.path().join("batches"), 4);
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
    let flat = place.0.path().join("flat");
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
    // The same settings: all is done, and the encoder is the same to the bit.
    let before = std::fs::read(place.at("whole/encoder.safetensors")).unwrap();
    let said = place.pretrain("images", "whole", &["--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let seconds = &json(&std::fs::read_to_string(place.at("whole/record.json")).unwrap())["seconds"];
    assert!(seconds["total"].as_f64() >= seconds["train"].as_f64(), "{seconds}");
    assert_eq!(std::fs::read(place.at("whole/encoder.safetensors")).unwrap(), before);
}

#[test]
fn a_study_makes_a_table_and_a_plot_and_goes_on() {
    let place = Place::new();
    let study = r#"
title = "Temperatures"
plot = "lines"
[rows]
name = "similarity"
[[rows.value]]
label = "cosine"
set = { "simclr.loss" = { kind = "nt_xent", similarity = "cosine" } }
[[rows.value]]
label = "dot"
set = { "simclr.loss" = { kind = "nt_xent", similarity = "dot" } }
[columns]
name = "epochs"
[[columns.value]]
label = "100"
set = { "simclr.epochs" = 100 }
cpu = { label = "1", set = { "simclr.epochs" = 1 } }
[[columns.value]]
label = "200"
set = { "simclr.epochs" = 200 }
cpu = { label = "2", set = { "simclr.epochs" = 2 } }
"#;
    std::fs::write(place.at("study.toml"), study).unwrap();
    let varied = study.replace("set = { \"simclr.epochs\" = 2 }", "set = { share = 0.5 }");
    assert_ne!(varied, study);
    std::fs::write(place.at("varied.toml"), varied).unwrap();
    let (file, data, config, out) =
        (place.at("varied.toml"), place.at("images"), place.at("tiny.toml"), place.at("out"));
    let said = run(&mut panal(&["ssl", "study", &file, &data, "--config", &config, "--out", &out]));
    assert!(said.code == Some(1) && said.err.contains("can't vary `data` or `share`"), "{}", said.err);
    assert!(!std::fs::exists(&out).unwrap());
    let again = || {
        let (study, data, config, out) =
            (place.at("study.toml"), place.at("images"), place.at("tiny.toml"), place.at("out"));
        run(&mut panal(&["ssl", "study", &study, &data, "--config", &config, "--out", &out]))
    };
    let said = again();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.contains("| similarity \\ epochs | 1 | 2 |")
            || said.out.contains("| similarity \\\\ epochs | 1 | 2 |"),
        "{}",
        said.out
    );
    let cells = std::fs::read_to_string(place.at("out/study.json")).unwrap();
    assert_eq!(json(&cells).as_array().unwrap().len(), 4);
    let svg = std::fs::read_to_string(place.at("out/study.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Temperatures") && svg.contains("cosine"));
    let said = again();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("is known"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(place.at("out/study.json")).unwrap(), cells);
}

#[test]
fn a_study_counts_the_seeds_that_have_a_score() {
    let place = Place::new();
    let study = r#"
title = "Rates"
plot = "lines"
set = { "simclr.epochs" = 2 }
[columns]
name = "rate"
[[columns.value]]
label = "small"
set = { "simclr.lr" = 0.01 }
[[columns.value]]
label = "huge"
set = { "simclr.lr" = 1e30 }
"#;
    std::fs::write(place.at("rates.toml"), study).unwrap();
    let run_study = |more: &[&str]| {
        let (study, data, config, out) =
            (place.at("rates.toml"), place.at("images"), place.at("tiny.toml"), place.at("out"));
        run(panal(&["ssl", "study", &study, &data, "--config", &config, "--out", &out]).args(more))
    };
    let said = run_study(&["--lr", "0.5"]);
    assert!(
        said.code == Some(1) && said.err.contains("--lr 0.5: the study varies `simclr.lr` (rate: small, huge)"),
        "{}",
        said.err
    );
    let said = run_study(&["--set", "augment.evaluation.ops.0.size=[24, 24]"]);
    assert!(
        said.code == Some(1) && said.err.contains("views are of 16 x 16 pixels, and images are evaluated at 24 x 24"),
        "{}",
        said.err
    );
    assert!(!std::fs::exists(place.at("out")).unwrap());

    // What the study fixes, the command line changes.
    let said = run_study(&["--set", "simclr.epochs=1", "--seed", "5", "--protocol", "knn"]);
    assert!(said.code == Some(1) && said.err.contains("knn.k"), "{}", said.err);
    let said = run_study(&["--set", "simclr.epochs=1", "--seed", "5"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let table = std::fs::read_to_string(place.at("out/study.md")).unwrap();
    assert!(table.contains(" 1 epochs unless varied"), "{table}");
    assert!(table.contains("— (0 of 1 seed; the loss is no number)"), "{table}");
    let csv = std::fs::read_to_string(place.at("out/study.csv")).unwrap();
    assert!(csv.starts_with("row,column,seed,score\n,small,5,0.") && csv.ends_with(",huge,5,\n"), "{csv}");
}

#[test]
fn every_built_in_study_and_preset_can_be_read() {
    let place = Place::new();
    for study in ["batch-epochs", "augmentations", "temperature", "head", "colour"] {
        for budget in ["cpu", "full"] {
            // All combinations are checked before the data are looked for.
            let said =
                run(&mut panal(&["ssl", "study", study, "nowhere", "--budget", budget, "--out", &place.at("out")]));
            assert_eq!(said.code, Some(1));
            assert!(said.err.contains("there is no folder nowhere"), "{study}, {budget}: {}", said.err);
        }
    }
    let mut command = panal(&["ssl", "study", "augmentations", "nowhere", "--preset", "photographs"]);
    let said = run(command.args(["--out", &place.at("out")]));
    assert!(said.err.contains("views are of 32 x 32 pixels, and images are evaluated at 64 x 64"), "{}", said.err);
    for preset in ["cifar10-cpu", "cifar10-gpu", "photographs", "study-cpu"] {
        let said = run(&mut panal(&["ssl", "pretrain", "nowhere", "--preset", preset, "--out", &place.at("out")]));
        assert!(said.err.contains("there is no folder nowhere"), "{preset}: {}", said.err);
    }
}

#[test]
fn wrong_inputs_have_one_clear_error() {
    let place = Place::new();
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
