//! Multinomial logistic regression with an L2 penalty on features, to its minimum. Which penalty is best is asked in `probe`.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Bank;
use super::lbfgs::{Limits, minimise};
use crate::TrainError;

/// f32 values of a block of features: 2 MiB, so that a block stays in the cache between its two products.
const BLOCK: usize = 1 << 19;
/// Least variance of a feature, as a share of the largest, that it is scaled by.
const LEAST_VARIANCE: f64 = 1e-6;
/// A fit ends where an iteration lowers the objective by no more than this share: about what rounding in f32 leaves of it.
const LEAST_DECREASE: f64 = 1e-9;

/// How far a fit goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitSpec {
    /// Iterations of L-BFGS at most; at least 1.
    pub max_iter: usize,
    /// Ends where no element of the gradient is larger, the objective taken a image and the coefficients in units of their
    /// own curvature, so that the scale of the features does not matter; > 0.
    pub tolerance: f64,
}

impl Default for FitSpec {
    /// 500 iterations, tolerance 1e-5.
    fn default() -> Self {
        Self { max_iter: 500, tolerance: 1e-5 }
    }
}

impl FitSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field, its value and what is allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.max_iter == 0 {
            return Err(wrong("max_iter", "at least 1", &self.max_iter));
        }
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return Err(wrong("tolerance", "a finite number > 0", &self.tolerance));
        }
        Ok(())
    }
}

/// A fitted linear classifier.
#[derive(Debug)]
pub struct Logistic {
    /// `[classes, d]` f32.
    pub weight: Tensor,
    /// `[classes]` f32.
    pub bias: Tensor,
    /// The penalty it was fitted with.
    pub l2: f64,
    /// The minimum of the objective that [`logistic_regression`] describes.
    pub objective: f64,
    /// Iterations of L-BFGS.
    pub iterations: usize,
    /// Whether the fit ended before the iterations ran out.
    pub converged: bool,
}

impl Logistic {
    /// Another handle on the same coefficients.
    pub(crate) fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone(), ..*self }
    }

    /// Scores of every image, before softmax.
    ///
    /// # Shapes
    /// - returns: `[N, classes]` f32
    ///
    /// # Errors
    /// [`TrainError::Spec`] for features of another dimension.
    pub fn logits(&self, bank: &Bank) -> Result<Tensor, TrainError> {
        let dim = self.weight.size()[1];
        if bank.dim() as i64 != dim {
            return Err(TrainError::Spec {
                field: "bank.dim".into(),
                allowed: format!("{dim}, as of the bank to learn from"),
                got: bank.dim().to_string(),
            });
        }
        Ok(bank.features().f_linear(&self.weight, Some(&self.bias))?)
    }
}

/// Fits `weight` and `bias` by L-BFGS to the minimum of
/// `sum over images i of -log softmax(weight x_i + bias)[y_i] + l2 / 2 * (sum of squares of weight)`.
///
/// The loss is a sum over images, not a mean, and the bias has no penalty: so `l2 = 1 / C` in scikit-learn's
/// `LogisticRegression`. The features are taken as they are, neither standardised nor of unit length. Inside, they are
/// centred and the coefficients scaled by their curvature at 0, which helps L-BFGS and leaves the minimum where it was.
/// Products are in f32, their sums over blocks of images and everything else in f64.
///
/// # Errors
/// [`TrainError::Spec`] for a field outside its range, and for features so large that their squares overflow.
pub fn logistic_regression(bank: &Bank, l2: f64, spec: &FitSpec) -> Result<Logistic, TrainError> {
    spec.check()?;
    check_l2("l2", l2)?;
    Problem::new(bank)?.fit(l2, None, spec)
}

/// Refuses a penalty that is not a finite number above 0.
pub(crate) fn check_l2(field: &str, l2: f64) -> Result<(), TrainError> {
    if l2 > 0.0 && l2.is_finite() { Ok(()) } else { Err(wrong(field, "a finite number > 0", &l2)) }
}

fn wrong(field: &str, allowed: &str, got: &dyn ToString) -> TrainError {
    TrainError::Spec { field: format!("probe.{field}"), allowed: allowed.into(), got: got.to_string() }
}

/// Features of a bank, made ready for any number of fits.
pub(crate) struct Problem {
    /// Centred features `[B, d]` and one-hot labels `[B, classes]`, both f32.
    blocks: Vec<(Tensor, Tensor)>,
    /// Mean and variance of each feature.
    mean: Vec<f64>,
    variance: Vec<f64>,
    images: usize,
    classes: usize,
}

impl Problem {
    pub(crate) fn new(bank: &Bank) -> Result<Self, TrainError> {
        let classes = bank.classes();
        let mean = bank.features().f_mean_dim(0i64, true, Kind::Double)?.f_to_kind(Kind::Float)?;
        let centred = bank.features().f_sub(&mean)?;
        let targets = bank.label_tensor()?.f_one_hot(classes as i64)?.f_to_kind(Kind::Float)?;
        let rows = (BLOCK / bank.dim()).max(1) as i64;
        let blocks: Vec<_> = centred.f_split(rows, 0)?.into_iter().zip(targets.f_split(rows, 0)?).collect();
        let mut squares = Tensor::f_zeros([bank.dim() as i64], (Kind::Double, Device::Cpu))?;
        for (features, _) in &blocks {
            squares = squares.f_add(&features.f_square()?.f_sum_dim_intlist(0i64, false, Kind::Double)?)?;
        }
        let images = bank.images();
        let variance: Vec<f64> = values(&squares)?.into_iter().map(|square| square / images as f64).collect();
        if let Some(got) = variance.iter().find(|variance| !variance.is_finite()) {
            let allowed = "of a size whose square is finite in single precision".into();
            return Err(TrainError::Spec {
                field: "bank.features".into(),
                allowed,
                got: format!("a variance of {got}"),
            });
        }
        Ok(Self { blocks, mean: values(&mean)?, variance, images, classes })
    }

    /// The minimum for a penalty, from 0 or from another fit on.
    pub(crate) fn fit(&self, l2: f64, from: Option<&Logistic>, spec: &FitSpec) -> Result<Logistic, TrainError> {
        let (classes, dim) = (self.classes, self.mean.len());
        let scale = self.scale(l2);
        let scale_of = |index: usize| scale[if index < classes * dim { index % dim } else { dim }];
        let mut start = vec![0.0; classes * (dim + 1)];
        if let Some(from) = from {
            start = [values(&from.weight)?, values(&from.bias)?].concat();
            self.move_bias(&mut start, 1.0);
            start.iter_mut().enumerate().for_each(|(index, value)| *value *= scale_of(index));
        }
        let limits = Limits { iterations: spec.max_iter, gradient: spec.tolerance, decrease: LEAST_DECREASE };
        let images = self.images as f64;
        let minimum = minimise(start, limits, |scaled, gradient| {
            let coefficients: Vec<f64> =
                scaled.iter().enumerate().map(|(index, value)| value / scale_of(index)).collect();
            let objective = self.objective(&coefficients, l2, gradient)?;
            gradient.iter_mut().enumerate().for_each(|(index, value)| *value /= scale_of(index) * images);
            Ok::<_, TrainError>(objective / images)
        })?;
        let mut coefficients: Vec<f64> =
            minimum.x.iter().enumerate().map(|(index, value)| value / scale_of(index)).collect();
        self.move_bias(&mut coefficients, -1.0);
        let (weight, bias) = self.tensors(&coefficients)?;
        let (objective, iterations) = (minimum.value * images, minimum.iterations);
        Ok(Logistic { weight, bias, l2, objective, iterations, converged: minimum.converged })
    }

    /// The square root of the objective's curvature, an image, at coefficients of 0: of each feature, and of the bias.
    fn scale(&self, l2: f64) -> Vec<f64> {
        let share = 1.0 / self.classes.max(2) as f64;
        let of_softmax = share * (1.0 - share);
        let largest = self.variance.iter().fold(0.0, |most: f64, variance| most.max(*variance));
        let of_feature =
            |variance: &f64| (of_softmax * variance.max(LEAST_VARIANCE * largest) + l2 / self.images as f64).sqrt();
        self.variance.iter().map(of_feature).chain([of_softmax.sqrt()]).collect()
    }

    /// Adds `sign` times weight · mean to the bias: from features as they are to centred ones, or back.
    fn move_bias(&self, coefficients: &mut [f64], sign: f64) {
        let (weight, bias) = coefficients.split_at_mut(self.classes * self.mean.len());
        for (bias, weight) in bias.iter_mut().zip(weight.chunks(self.mean.len())) {
            *bias += sign * weight.iter().zip(&self.mean).map(|(weight, mean)| weight * mean).sum::<f64>();
        }
    }

    /// `[classes, d]` and `[classes]`, f32.
    fn tensors(&self, coefficients: &[f64]) -> Result<(Tensor, Tensor), TrainError> {
        let coefficients: Vec<f32> = coefficients.iter().map(|&value| value as f32).collect();
        let (weight, bias) = coefficients.split_at(self.classes * self.mean.len());
        let weight = Tensor::f_from_slice(weight)?.f_view([self.classes as i64, self.mean.len() as i64])?;
        Ok((weight, Tensor::f_from_slice(bias)?))
    }

    /// The objective on centred features; writes its gradient.
    fn objective(&self, coefficients: &[f64], l2: f64, gradient: &mut [f64]) -> Result<f64, TrainError> {
        let (weight, bias) = self.tensors(coefficients)?;
        let weight = weight.f_tr()?;
        let mut loss = 0.0;
        gradient.fill(0.0);
        let (of_weight, of_bias) = gradient.split_at_mut(self.classes * self.mean.len());
        for (features, targets) in &self.blocks {
            let log_softmax = bias.f_addmm(features, &weight)?.f_log_softmax(1, Kind::Float)?;
            loss -= log_softmax.f_mul(targets)?.f_sum(Kind::Double)?.f_double_value(&[])?;
            let error = log_softmax.f_exp()?.f_sub(targets)?;
            add(of_weight, &error.f_tr()?.f_mm(features)?)?;
            add(of_bias, &error.f_sum_dim_intlist(0i64, false, Kind::Double)?)?;
        }
        let weight = &coefficients[..of_weight.len()];
        of_weight.iter_mut().zip(weight).for_each(|(gradient, weight)| *gradient += l2 * weight);
        Ok(loss + 0.5 * l2 * weight.iter().map(|weight| weight * weight).sum::<f64>())
    }
}

/// The values of a tensor, row by row.
fn values(tensor: &Tensor) -> Result<Vec<f64>, TrainError> {
    let flat = tensor.f_to_kind(Kind::Double)?.f_contiguous()?.f_view([-1])?;
    Ok(Vec::<f64>::try_from(flat)?)
}

fn add(to: &mut [f64], tensor: &Tensor) -> Result<(), TrainError> {
    to.iter_mut().zip(values(tensor)?).for_each(|(to, value)| *to += value);
    Ok(())
}
