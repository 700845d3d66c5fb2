//! Linear evaluation: logistic regression on frozen features, its penalty chosen on images held out of the training split.
//! The fit itself lives in `logistic`.

use panal_data::stratified_split;
use serde::{Deserialize, Serialize};
use tch::Kind;

use super::logistic::{Problem, check_l2};
use super::{Bank, FitSpec, Logistic};
use crate::{Predictions, TrainError};

/// How the penalty is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeSpec {
    /// Penalties to choose from, as [`logistic_regression`](crate::logistic_regression) takes them; each > 0.
    pub l2: Vec<f64>,
    /// Share of each class of the training images that the penalty is chosen on; in (0, 1).
    pub validation: f64,
    /// Which images those are.
    pub seed: u64,
    /// How far each fit goes.
    pub fit: FitSpec,
}

impl Default for ProbeSpec {
    /// The paper's grid, 45 penalties from 1e-6 to 1e5, four to each power of ten; a tenth of the images, and seed 0.
    fn default() -> Self {
        let l2 = (0..45).map(|i| 10f64.powf(0.25 * f64::from(i) - 6.0)).collect();
        Self { l2, validation: 0.1, seed: 0, fit: FitSpec::default() }
    }
}

impl ProbeSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field, its value and what is allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        let wrong = |field: &str, allowed: &str, got: &dyn ToString| {
            Err(TrainError::Spec { field: format!("probe.{field}"), allowed: allowed.into(), got: got.to_string() })
        };
        if self.l2.is_empty() {
            return wrong("l2", "at least one number", &"none");
        }
        for (index, &l2) in self.l2.iter().enumerate() {
            check_l2(&format!("l2[{index}]"), l2)?;
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            return wrong("validation", "in (0, 1)", &self.validation);
        }
        self.fit.check()
    }
}

/// One penalty of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GridPoint {
    /// The penalty.
    pub l2: f64,
    /// Share of the validation images that are right.
    pub accuracy: f64,
    /// Iterations of L-BFGS, from the fit of the next larger penalty on.
    pub iterations: usize,
    /// Whether the fit ended before the iterations ran out.
    pub converged: bool,
}

/// What linear evaluation found.
#[derive(Debug)]
pub struct ProbeOutcome {
    /// Of the test images, each once.
    pub predictions: Predictions,
    /// The penalty that was chosen.
    pub l2: f64,
    /// Every penalty of the specification, in its order.
    pub grid: Vec<GridPoint>,
    /// Images of the training split that the penalty was chosen on.
    pub validation_images: usize,
    /// The classifier: fitted with that penalty to all of the training split.
    pub classifier: Logistic,
}

/// Linear evaluation of frozen features (SimCLR, arXiv 2002.05709, appendix B.8, after Kornblith, Shlens and Le, arXiv
/// 1805.08974): multinomial logistic regression with an L2 penalty by L-BFGS on features of images without augmentation.
///
/// The penalty is the one of highest accuracy on a part of `train` held out class by class, of equals the largest; then the
/// classifier is fitted anew to all of `train`. Fits go from the largest penalty to the smallest, each from the minimum of
/// the one before. `test` chooses nothing: it is looked at once, at the end.
///
/// # Errors
/// [`TrainError::Spec`] for a field outside its range, and for banks of different dimensions or classes;
/// [`TrainError::Data`] for a class with a single image to learn from.
pub fn linear_probe(train: &Bank, test: &Bank, spec: &ProbeSpec) -> Result<ProbeOutcome, TrainError> {
    spec.check()?;
    test.check_beside(train)?;
    let fold = stratified_split(train.labels(), spec.validation, spec.seed)?;
    let held_out = train.select(&fold.held_out)?;
    let problem = Problem::new(&train.select(&fold.train)?)?;

    let mut falling: Vec<usize> = (0..spec.l2.len()).collect();
    falling.sort_by(|&a, &b| spec.l2[b].total_cmp(&spec.l2[a]));
    let mut grid: Vec<(usize, GridPoint)> = Vec::with_capacity(falling.len());
    let mut before: Option<Logistic> = None;
    let mut best: Option<(f64, Logistic)> = None;
    for index in falling {
        let fit = problem.fit(spec.l2[index], before.as_ref(), &spec.fit)?;
        let accuracy = accuracy(&fit, &held_out)?;
        let Logistic { l2, iterations, converged, .. } = fit;
        grid.push((index, GridPoint { l2, accuracy, iterations, converged }));
        if best.as_ref().is_none_or(|(most, _)| accuracy > *most) {
            best = Some((accuracy, fit.shallow_clone()));
        }
        before = Some(fit);
    }
    drop(problem);
    grid.sort_by_key(|(index, _)| *index);

    let chosen = best.map(|(_, fit)| fit);
    let l2 = chosen.as_ref().map_or(spec.l2[0], |fit| fit.l2);
    let classifier = Problem::new(train)?.fit(l2, chosen.as_ref(), &spec.fit)?;
    let predictions = Predictions { logits: classifier.logits(test)?, truth: test.labels().to_vec() };
    Ok(ProbeOutcome {
        predictions,
        l2,
        grid: grid.into_iter().map(|(_, point)| point).collect(),
        validation_images: held_out.images(),
        classifier,
    })
}

/// Share of the images that `fit` has right.
fn accuracy(fit: &Logistic, bank: &Bank) -> Result<f64, TrainError> {
    let predicted = fit.logits(bank)?.f_argmax(1, false)?;
    let right = predicted.f_eq_tensor(&bank.label_tensor()?)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
    Ok(right as f64 / bank.images() as f64)
}
