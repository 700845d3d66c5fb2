//! Whether a row's probabilities mean what they say, over its seeds. The measure itself is `panal_metrics`'s, the diagram in `plot`.

use panal_metrics::{Calibration, Probabilities};

use crate::table::Spread;
use crate::{ReportError, RunRecord};

/// Bins of equal width; 15 is usual (Guo et al., arXiv 1706.04599, section 4).
const BINS: usize = 15;

/// How often a row is right where it says that it is so sure.
#[derive(Debug, Clone, PartialEq)]
pub struct Reliability {
    /// The predictions of all seeds in 15 bins.
    pub pooled: Calibration,
    /// Expected calibration error of each seed, each with bins of its own.
    pub expected_error: Spread,
}

/// The reliability of one row; `None` where a prediction has no probabilities, with a warning where they are no distribution.
pub(crate) fn reliability(runs: &[&RunRecord], warnings: &mut Vec<String>) -> Result<Option<Reliability>, ReportError> {
    let (mut all_truth, mut all_rows, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for run in runs {
        if run.predictions.iter().any(|said| said.probabilities.is_empty()) {
            return Ok(None);
        }
        let rows: Vec<&[f32]> = run.predictions.iter().map(|said| said.probabilities.as_slice()).collect();
        let truth: Vec<usize> = run.predictions.iter().map(|said| said.truth).collect();
        let probabilities = match Probabilities::from_rows(&rows) {
            Ok(probabilities) => probabilities,
            Err(error) => {
                warnings.push(format!("{}: no reliability, for seed {}: {error}", run.row, run.seed));
                return Ok(None);
            }
        };
        errors.push(Calibration::new(&truth, &probabilities, BINS)?.expected_error());
        all_truth.extend(truth);
        all_rows.extend(rows);
    }
    let pooled = Calibration::new(&all_truth, &Probabilities::from_rows(&all_rows)?, BINS)?;
    Ok(Some(Reliability { pooled, expected_error: Spread::of(errors)? }))
}
