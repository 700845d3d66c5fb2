//! The methods by one name each, and the one way to ask any of them. What each does lives in its own file.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::tasks::Tasks;
use super::{CosineSpec, LaplacianShotSpec, LogisticSpec, TimSpec, cosine, laplacian, logistic, nearest_mean, tim};
use crate::TrainError;

/// A way of classifying queries by a support set, over features as they are; a [`Transform`](super::Transform) goes before.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FewShotMethod {
    /// The nearest class mean: SimpleShot (arXiv 1911.04623).
    #[default]
    NearestMean,
    /// The class mean of highest cosine (arXiv 2003.04390).
    Cosine(CosineSpec),
    /// Logistic regression on the support set (arXiv 2003.11539).
    Logistic(LogisticSpec),
    /// LaplacianShot (arXiv 2006.15486). TRANSDUCTIVE: it sees all queries of a task at once.
    LaplacianShot(LaplacianShotSpec),
    /// TIM-ADM (arXiv 2008.11297). TRANSDUCTIVE: it sees all queries of a task at once.
    Tim(TimSpec),
}

impl FewShotMethod {
    /// Whether the class of a query depends on the other queries. Such a method is not to be compared with one that takes
    /// each alone, and can't be used where images come one by one.
    pub fn is_transductive(&self) -> bool {
        matches!(self, Self::LaplacianShot(_) | Self::Tim(_))
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field, its value and what is allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        match self {
            Self::NearestMean => Ok(()),
            Self::Cosine(spec) => spec.check(),
            Self::Logistic(spec) => spec.check(),
            Self::LaplacianShot(spec) => spec.check(),
            Self::Tim(spec) => spec.check(),
        }
    }

    /// Scores of every query for every class, before softmax.
    ///
    /// # Shapes
    /// - `support`: `[S, d]` f32 on the CPU, every value finite
    /// - `labels`: `S` classes, each less than `ways`, every class at least once, in any order
    /// - `query`: `[Q, d]` f32 on the CPU, every value finite
    /// - returns: `[Q, ways]` f32
    ///
    /// # Errors
    /// [`TrainError::Spec`] names what does not fit, a setting outside its range included.
    pub fn predict(
        &self,
        support: &Tensor,
        labels: &[usize],
        query: &Tensor,
        ways: usize,
    ) -> Result<Tensor, TrainError> {
        self.check()?;
        let tasks = Tasks::one(support, labels, query, ways)?;
        let tasks = if self.knows_the_origin() { tasks } else { tasks.centred()? };
        Ok(self.logits(&tasks)?.f_squeeze_dim(0)?)
    }

    /// Logits `[B, Q, ways]` f32.
    pub(crate) fn logits(&self, tasks: &Tasks) -> Result<Tensor, TrainError> {
        match self {
            Self::NearestMean => nearest_mean::logits(tasks),
            Self::Cosine(spec) => cosine::logits(tasks, spec),
            Self::Logistic(spec) => logistic::logits(tasks, spec),
            Self::LaplacianShot(spec) => laplacian::logits(tasks, spec),
            Self::Tim(spec) => tim::logits(tasks, spec),
        }
    }

    /// Whether it matters where features are zero; the others only know differences of features.
    pub(crate) fn knows_the_origin(&self) -> bool {
        matches!(self, Self::Cosine(_)) || matches!(self, Self::LaplacianShot(spec) if spec.rectify)
    }
}

/// What tables call it.
impl fmt::Display for FewShotMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NearestMean => "nearest class mean",
            Self::Cosine(_) => "cosine to class mean",
            Self::Logistic(_) => "logistic regression",
            Self::LaplacianShot(spec) if spec.rectify => "LaplacianShot, rectified (transductive)",
            Self::LaplacianShot(_) => "LaplacianShot (transductive)",
            Self::Tim(_) => "TIM-ADM (transductive)",
        })
    }
}
