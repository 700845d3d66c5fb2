//! Logistic regression on the support features of each task. The fit itself lives in `frozen/logistic`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::tasks::{Tasks, check_positive};
use crate::{Bank, FitSpec, TrainError, logistic_regression};

/// How logistic regression is fitted to a support set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogisticSpec {
    /// The penalty, as [`logistic_regression`] takes it: `1 / C` of scikit-learn; > 0.
    pub l2: f64,
    /// How far a fit goes.
    pub fit: FitSpec,
}

impl Default for LogisticSpec {
    /// Penalty 1, scikit-learn's default.
    fn default() -> Self {
        Self { l2: 1.0, fit: FitSpec::default() }
    }
}

impl LogisticSpec {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        check_positive("logistic.l2", self.l2)?;
        self.fit.check()
    }
}

/// Logits `[B, Q, ways]` of a linear classifier that was fitted to the support set (Tian et al., Rethinking Few-Shot Image
/// Classification, arXiv 2003.11539, who bring features to unit length first).
pub(crate) fn logits(tasks: &Tasks, spec: &LogisticSpec) -> Result<Tensor, TrainError> {
    let mut all = Vec::with_capacity(tasks.labels.len());
    for (task, labels) in (0i64..).zip(&tasks.labels) {
        let bank = Bank::new(tasks.support.f_get(task)?, labels.clone(), tasks.ways)?;
        let fit = logistic_regression(&bank, spec.l2, &spec.fit)?;
        all.push(tasks.query.f_get(task)?.f_linear(&fit.weight, Some(&fit.bias))?);
    }
    Ok(Tensor::f_stack(&all, 0)?)
}
