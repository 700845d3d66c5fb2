//! What a run's record says of images, networks and outcomes. Nothing is measured or written here.

use panal_data::{DataError, DataSource};
use panal_models::{Classifier, Part};
use panal_report::{
    BestEpoch, EpochRecord, MacroScores, ModelRecord, Prediction, SplitRecord, Versions, WeightsRecord,
};

use crate::{Outcome, PhaseSpec, Predictions, TrainError};

/// The version of tch, which does not say it itself; a test of the workspace holds it against the one that is built.
const TCH: &str = "0.24.0";

/// Versions of what runs, as far as a library knows them: the compiler's is left out.
pub fn versions() -> Versions {
    Versions {
        panal: env!("CARGO_PKG_VERSION").into(),
        tch: TCH.into(),
        libtorch: panal_tensor::libtorch_version().unwrap_or_else(|| "unknown".into()),
        rustc: None,
    }
}

/// Counts and digest of one split.
///
/// # Errors
/// The first image that cannot be read.
pub fn split_record(source: &dyn DataSource) -> Result<SplitRecord, DataError> {
    Ok(SplitRecord { digest: source.digest()?, per_class: source.class_counts() })
}

/// The network of a run of these phases: what it is, what it began with, and how many parameters some phase trained.
pub fn model_record(
    model: &Classifier,
    init: &str,
    weights: Option<WeightsRecord>,
    phases: &[PhaseSpec],
) -> ModelRecord {
    let parameters = |counts: &dyn Fn(&str) -> bool| -> u64 {
        let named = model.store().named(|name, role| role == panal_tensor::Role::Parameter && counts(name));
        named.iter().map(|(_, tensor)| tensor.numel() as u64).sum()
    };
    let all = phases.iter().any(|phase| phase.train == Part::All);
    ModelRecord {
        arch: model.arch().to_string(),
        init: init.to_owned(),
        weights,
        parameters_total: parameters(&|_| true),
        parameters_trained: parameters(&|name| all || model.is_head(name)),
    }
}

impl PhaseSpec {
    /// The phase in words: `5 epochs of head`, `3 epochs of all`.
    pub fn title(&self) -> String {
        let part = match self.train {
            Part::Head => "head",
            Part::All => "all",
        };
        format!("{} epochs of {part}", self.epochs)
    }
}

impl Predictions {
    /// What was said of every image of `source`, the images that these predictions are of, in its order.
    ///
    /// # Errors
    /// [`TrainError::Torch`] for lack of memory.
    pub fn records(&self, source: &dyn DataSource) -> Result<Vec<Prediction>, TrainError> {
        let said = self.predicted()?.into_iter().zip(self.probabilities()?);
        let of_image = |(index, (predicted, probabilities))| Prediction {
            id: source.id(index),
            truth: self.truth[index],
            predicted,
            probabilities,
        };
        Ok(said.enumerate().map(of_image).collect())
    }
}

impl Outcome {
    /// The epochs of the run.
    pub fn epoch_records(&self) -> Vec<EpochRecord> {
        let record = |epoch: &crate::EpochLog| EpochRecord {
            phase: epoch.phase,
            epoch: epoch.epoch,
            learning_rate: epoch.lr,
            train_loss: epoch.train_loss,
            train_accuracy: epoch.train_accuracy,
            eval_loss: epoch.eval.loss,
            eval_accuracy: epoch.eval.accuracy,
            eval_macro_f1: epoch.eval.f1,
            seconds: epoch.seconds,
        };
        self.epochs.iter().map(record).collect()
    }

    /// The epoch that was best on the images of `source`, the evaluation split of the run.
    ///
    /// # Errors
    /// [`TrainError::Torch`] for lack of memory.
    pub fn best_record(&self, source: &dyn DataSource) -> Result<BestEpoch, TrainError> {
        let epoch = &self.epochs[self.best_epoch];
        let scores = &epoch.eval;
        Ok(BestEpoch {
            phase: epoch.phase,
            epoch: epoch.epoch,
            criterion: "macro F1 on the evaluated images".into(),
            scores: MacroScores {
                precision: scores.precision,
                recall: scores.recall,
                f1: scores.f1,
                accuracy: scores.accuracy,
            },
            predictions: Some(self.best.records(source)?),
        })
    }
}
