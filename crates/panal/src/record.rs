//! From a finished run to the record that tables are made of. Nothing is measured or written here.

use anyhow::Result;
use panal_data::DataSource;
use panal_report::{BestEpoch, EpochRecord, MacroScores, Prediction, SplitRecord, Versions};
use panal_trainers::{Outcome, Predictions, Scores};

/// The version of tch, which does not say it itself; a test of the workspace holds it against the one that is built.
const TCH: &str = "0.24.0";

/// Versions of what runs, as far as it knows itself.
pub(crate) fn versions() -> Versions {
    Versions {
        panal: env!("CARGO_PKG_VERSION").into(),
        tch: TCH.into(),
        libtorch: panal_tensor::libtorch_version().unwrap_or_else(|| "unknown".into()),
        rustc: option_env!("PANAL_RUSTC_VERSION").map(Into::into),
    }
}

/// What was typed, wherever the program lies, quoted so that a shell reads it back as it was.
pub(crate) fn command() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(&argument.to_string_lossy()));
    ["panal".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

/// An argument for a POSIX shell: in single quotes where it holds anything that a shell may read otherwise.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// Counts and digest of one split.
pub(crate) fn split(source: &dyn DataSource) -> Result<SplitRecord> {
    Ok(SplitRecord { digest: source.digest()?, per_class: source.class_counts() })
}

/// The epochs of a run.
pub(crate) fn epochs(outcome: &Outcome) -> Vec<EpochRecord> {
    let record = |epoch: &panal_trainers::EpochLog| EpochRecord {
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
    outcome.epochs.iter().map(record).collect()
}

/// What was said of every image of `source`.
pub(crate) fn predictions(predictions: &Predictions, source: &dyn DataSource) -> Result<Vec<Prediction>> {
    let said = predictions.predicted()?.into_iter().zip(predictions.probabilities()?);
    let of_image = |(index, (predicted, probabilities))| Prediction {
        id: source.id(index),
        truth: predictions.truth[index],
        predicted,
        probabilities,
    };
    Ok(said.enumerate().map(of_image).collect())
}

/// The epoch that was best on the evaluated images themselves.
pub(crate) fn best(outcome: &Outcome, source: &dyn DataSource) -> Result<BestEpoch> {
    let epoch = &outcome.epochs[outcome.best_epoch];
    Ok(BestEpoch {
        phase: epoch.phase,
        epoch: epoch.epoch,
        criterion: "macro F1 on the evaluated images".into(),
        scores: macro_scores(&epoch.eval),
        predictions: Some(predictions(&outcome.best, source)?),
    })
}

fn macro_scores(scores: &Scores) -> MacroScores {
    MacroScores { precision: scores.precision, recall: scores.recall, f1: scores.f1, accuracy: scores.accuracy }
}

/// Epoch by epoch the mean over several runs of the same length.
pub(crate) fn mean_epochs(runs: &[Vec<EpochRecord>]) -> Vec<EpochRecord> {
    let Some(first) = runs.first() else { return Vec::new() };
    let mean = |index: usize, of: fn(&EpochRecord) -> f64| {
        runs.iter().map(|run| of(&run[index])).sum::<f64>() / runs.len() as f64
    };
    let join = |(index, epoch): (usize, &EpochRecord)| EpochRecord {
        train_loss: mean(index, |epoch| epoch.train_loss),
        train_accuracy: mean(index, |epoch| epoch.train_accuracy),
        eval_loss: mean(index, |epoch| epoch.eval_loss),
        eval_accuracy: mean(index, |epoch| epoch.eval_accuracy),
        eval_macro_f1: mean(index, |epoch| epoch.eval_macro_f1),
        seconds: mean(index, |epoch| epoch.seconds),
        ..*epoch
    };
    first.iter().enumerate().map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_an_argument_back_as_it_was() {
        assert_eq!(quoted("row.0.phases.0.epochs=12"), "row.0.phases.0.epochs=12");
        assert_eq!(quoted("linear probing"), "'linear probing'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
