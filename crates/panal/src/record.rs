//! What a record says that only this program knows: its compiler, what was typed, the mean over folds. The rest is `panal-trainers`'.

use panal_report::{EpochRecord, Versions};

/// Versions of what runs, the compiler's among them.
pub(crate) fn versions() -> Versions {
    Versions { rustc: option_env!("PANAL_RUSTC_VERSION").map(Into::into), ..panal_trainers::versions() }
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
