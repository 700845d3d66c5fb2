//! A lab's rows by `Lab`: what each record says, and that a row is the run of `Transfer` that it describes.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::AtomicBool;

use common::{PLAIN, RANDOM, Stripes, phases, split};
use panal_data::AugmentSpec;
use panal_models::{Classifier, ModelSpec};
use panal_report::{Origin, Table};
use panal_tensor::Weights;
use panal_trainers::{Lab, LabImages, LabRow, Silent, Start, TrainError, Transfer};
use tch::Device;

const ARCH: &str = "resnet10_w24";

/// Weights of a network of another seed, as if it had been pretrained.
fn pretrained() -> Weights {
    let network = Classifier::new(&ModelSpec::new(ARCH.parse().unwrap(), 1000), Device::Cpu, 9).unwrap();
    let tensors = network.store().iter().map(|(name, tensor, _)| (name.to_owned(), tensor.detach().copy())).collect();
    Weights { tensors, metadata: Default::default(), source: "folder/weights.safetensors".into() }
}

fn spec(ops: &str) -> AugmentSpec {
    toml::from_str(&format!("ops = [{ops}]")).unwrap()
}

fn lab() -> Lab {
    Lab {
        title: "Stripes".into(),
        images: LabImages::new("stripes", Origin::NotStated, Stripes::new(16, 1), Stripes::new(12, 2)).unwrap(),
        evaluation: spec(PLAIN),
        arch: ARCH.parse().unwrap(),
        pretrained: pretrained(),
        pretrained_on: "another seed".into(),
        batch: 8,
        seed: 3,
        device: Device::Cpu,
        command: "cargo test".into(),
    }
}

fn row(index: usize, name: &str, start: Start, augment: &str, text: &str) -> LabRow {
    LabRow { index, name: name.into(), start, augment: spec(augment), phases: phases(text) }
}

#[test]
fn a_row_is_the_run_that_it_describes_and_its_record_says_so() {
    let lab = lab();
    let both = row(
        1,
        "both",
        Start::Pretrained,
        RANDOM,
        "{ epochs = 1, train = 'head', lr = 0.1 }, { epochs = 2, train = 'all', lr = 0.01 }",
    );
    let run = lab.run(&both, &mut Silent).unwrap();

    let mut model = Classifier::new(&ModelSpec::new(lab.arch, 2), Device::Cpu, 3).unwrap();
    model.load_pretrained(&lab.pretrained).unwrap();
    let outcome = Transfer {
        train: split(16, 1, RANDOM),
        eval: split(12, 2, PLAIN),
        phases: &both.phases,
        batch: 8,
        eval_batch: 32,
        seed: 3,
        threads: None,
        checkpoint: None,
        stop: &AtomicBool::new(false),
    }
    .run(&mut model, &mut Silent)
    .unwrap();
    assert_eq!(run.model.store().digest().unwrap(), model.store().digest().unwrap());
    let record = &run.record;
    let said: Vec<usize> = record.predictions.iter().map(|prediction| prediction.predicted).collect();
    assert_eq!(said, outcome.last.predicted().unwrap());
    assert_eq!(record.phases, ["1 epochs of head", "2 epochs of all"]);
    assert_eq!((record.row_index, record.seed, record.epochs.len()), (1, 3, 3));
    assert_eq!((record.data.train.images(), record.data.evaluation.images()), (16, 12));
    assert_eq!(record.model.init, "another seed");
    assert_eq!(record.model.weights.as_ref().unwrap().id, "weights.safetensors");
    assert_eq!(record.model.parameters_trained, record.model.parameters_total);
    let best = record.best.as_ref().unwrap();
    assert_eq!((best.phase, best.epoch), (record.epochs[outcome.best_epoch].phase, outcome.best_epoch));
    assert_eq!(record.config["row"]["start"], "pretrained");
}

#[test]
fn rows_become_one_table_in_their_own_order() {
    let lab = lab();
    let phase = "{ epochs = 1, train = 'head', lr = 0.1 }";
    let rows = [row(1, "second", Start::Random, PLAIN, phase), row(0, "first", Start::Pretrained, PLAIN, phase)];
    let records: Vec<_> = rows.iter().map(|row| lab.run(row, &mut Silent).unwrap().record).collect();
    assert_eq!((records[0].model.init.as_str(), &records[0].model.weights), ("random", &None));
    // 192 features and a bias for each of two classes.
    assert!(records.iter().all(|record| record.model.parameters_trained == 2 * 193));
    let table = Table::new(&records).unwrap();
    assert_eq!(table.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let labels = |images: LabImages| images.record.classes;
    let images = LabImages::new("stripes", Origin::NotStated, Stripes::new(4, 1), Stripes::new(4, 2)).unwrap();
    assert_eq!(labels(images), ["across", "along"]);
    let other = std::sync::Arc::new(panal_data::Insects::lab(0).unwrap()[0].clone());
    let error = LabImages::new("mixed", Origin::NotStated, Stripes::new(4, 1), other).unwrap_err();
    assert!(matches!(error, TrainError::Classes { .. }), "{error}");

    let mut wrong = lab();
    wrong.arch = "resnet18".parse().unwrap();
    let phase = "{ epochs = 1, train = 'head', lr = 0.1 }";
    let error = wrong.run(&row(0, "row", Start::Pretrained, PLAIN, phase), &mut Silent).unwrap_err().to_string();
    assert!(error.contains("weights.safetensors"), "{error}");
}
