//! Run records written by hand, for the tests. Their numbers mean nothing.

use panal_report::{
    BestEpoch, DataRecord, EpochRecord, Evaluation, ExcludedFile, FORMAT, MacroScores, ModelRecord, Origin, Prediction,
    RunRecord, Seconds, SplitRecord, Versions, WeightsRecord,
};
use serde_json::json;

/// A run of row `index` with `seed`, judged on images whose `(truth, predicted)` are given.
pub(crate) fn run(index: usize, row: &str, seed: u64, classes: &[&str], pairs: &[(usize, usize)]) -> RunRecord {
    let per_class = |class: usize| pairs.iter().filter(|(truth, _)| *truth == class).count();
    let counts: Vec<usize> = (0..classes.len()).map(per_class).collect();
    RunRecord {
        format: FORMAT,
        lab: "Ants and bees".to_owned(),
        row: row.to_owned(),
        row_index: index,
        data: DataRecord {
            id: "hymenoptera_data".to_owned(),
            title: "Hymenoptera".to_owned(),
            origin: Origin::RealPhotographs,
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
            train: SplitRecord { digest: "7a11".to_owned(), per_class: counts.iter().map(|count| count + 5).collect() },
            evaluation: SplitRecord { digest: "e7a1".to_owned(), per_class: counts },
            excluded: vec![ExcludedFile {
                path: "train/ants/imageNotFound.gif".to_owned(),
                reason: "not an image file".to_owned(),
            }],
        },
        evaluation: Evaluation::ValidationSplit,
        model: ModelRecord {
            arch: "mobilenet_v2".to_owned(),
            init: "imagenet1k".to_owned(),
            weights: Some(WeightsRecord { id: "mobilenet_v2-imagenet1k".to_owned(), digest: "3e19".to_owned() }),
            parameters_total: 2_226_434,
            parameters_trained: 2562,
        },
        seed,
        device: "cpu".to_owned(),
        threads: 2,
        versions: Versions {
            panal: "0.1.0".to_owned(),
            tch: "0.24.0".to_owned(),
            libtorch: "2.11.0".to_owned(),
            rustc: Some("1.89.0".to_owned()),
        },
        config: json!({"batch": 16, "phases": [{"epochs": 3, "train": "head"}]}),
        command: format!("panal lab tutorial --row {} --seed {seed}", index + 1),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        seconds: Seconds {
            total: 10.0 + seed as f64,
            data: 1.0,
            features: 4.0,
            train: 3.0,
            waiting: Some(0.5),
            evaluate: 2.0,
        },
        images_seen: 732,
        images_per_second: 244.0,
        energy: None,
        phases: Vec::new(),
        epochs: Vec::new(),
        predictions: pairs
            .iter()
            .enumerate()
            .map(|(i, &(truth, predicted))| Prediction {
                id: format!("val/{}/{i}.jpg", classes[truth]),
                truth,
                predicted,
                probabilities: Vec::new(),
            })
            .collect(),
        best: None,
    }
}

/// An epoch with a loss that falls and scores that rise.
pub(crate) fn epoch(phase: usize, epoch: usize, score: f64) -> EpochRecord {
    EpochRecord {
        phase,
        epoch,
        learning_rate: 1e-3,
        train_loss: 1.1 - score,
        train_accuracy: score,
        eval_loss: 1.2 - score,
        eval_accuracy: score,
        eval_macro_f1: score - 0.01,
        seconds: 1.5,
    }
}

/// A best epoch with the same value for every score.
pub(crate) fn best(epoch: usize, score: f64) -> BestEpoch {
    BestEpoch {
        phase: 0,
        epoch,
        criterion: "macro F1".to_owned(),
        scores: MacroScores { precision: score, recall: score, f1: score, accuracy: score },
        predictions: None,
    }
}

/// The same run with a probability for each class: `sure(image)` for the predicted one, the rest shared by the others.
pub(crate) fn with_probabilities(mut run: RunRecord, sure: impl Fn(usize) -> f32) -> RunRecord {
    let classes = run.data.classes.len();
    for (image, prediction) in run.predictions.iter_mut().enumerate() {
        prediction.probabilities = vec![(1.0 - sure(image)) / (classes as f32 - 1.0).max(1.0); classes];
        prediction.probabilities[prediction.predicted] = sure(image);
    }
    run
}
