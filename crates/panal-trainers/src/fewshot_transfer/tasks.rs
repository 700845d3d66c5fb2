//! Tasks of one shape side by side, checked, and what every method asks of them. Which class a query is of, the methods say.

use tch::{Device, Kind, Tensor};

use crate::TrainError;

/// `B` tasks, each of `S` support images, `Q` queries and `ways` classes.
pub(crate) struct Tasks {
    /// `[B, S, d]` f32.
    pub(crate) support: Tensor,
    /// Classes of the support images, task by task.
    pub(crate) labels: Vec<Vec<usize>>,
    /// `[B, Q, d]` f32.
    pub(crate) query: Tensor,
    pub(crate) ways: usize,
}

impl Tasks {
    /// One task; see [`FewShotMethod::predict`](super::FewShotMethod::predict).
    pub(crate) fn one(support: &Tensor, labels: &[usize], query: &Tensor, ways: usize) -> Result<Self, TrainError> {
        if ways < 2 {
            return Err(wrong("ways", "at least 2", &ways));
        }
        let dim = check_features("support", support, None)?;
        check_features("query", query, Some(dim))?;
        if labels.len() as i64 != support.size()[0] {
            let allowed = format!("as many as there are support images, {}", support.size()[0]);
            return Err(wrong("labels", &allowed, &labels.len()));
        }
        if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| **label >= ways) {
            return Err(wrong(&format!("labels[{index}]"), &format!("< {ways}, the classes"), label));
        }
        if let Some(class) = (0..ways).find(|class| !labels.contains(class)) {
            return Err(wrong("labels", "of every class at least once", &format!("none of class {class}")));
        }
        Ok(Self { support: support.f_unsqueeze(0)?, labels: vec![labels.to_vec()], query: query.f_unsqueeze(0)?, ways })
    }

    /// The same tasks with the mean of a task's support as the origin, so that distances keep their digits.
    pub(crate) fn centred(self) -> Result<Self, TrainError> {
        let mean = self.support.f_mean_dim(1i64, true, Kind::Double)?.f_to_kind(Kind::Float)?;
        Ok(Self { support: self.support.f_sub(&mean)?, query: self.query.f_sub(&mean)?, ..self })
    }

    /// `[B, S, ways]` f32: 1 where the support image is of the class.
    pub(crate) fn one_hot(&self) -> Result<Tensor, TrainError> {
        let labels: Vec<i64> = self.labels.iter().flatten().map(|&label| label as i64).collect();
        let labels = Tensor::f_from_slice(&labels)?.f_view([self.labels.len() as i64, -1])?;
        Ok(labels.f_one_hot(self.ways as i64)?.f_to_kind(Kind::Float)?)
    }

    /// `[B, ways, d]`: the mean of `values` (`[B, S, d]`, one for each support image) over each class.
    pub(crate) fn class_means(&self, values: &Tensor) -> Result<Tensor, TrainError> {
        let one_hot = self.one_hot()?;
        let shares = one_hot.f_div(&one_hot.f_sum_dim_intlist(1i64, true, Kind::Float)?)?;
        Ok(shares.f_transpose(1, 2)?.f_bmm(values)?)
    }
}

/// `-||x - m||^2` of every `x` (`[B, N, d]`) and `m` (`[B, ways, d]`), but for `-||x||^2`, which a softmax over `m` does not see.
pub(crate) fn nearness(x: &Tensor, m: &Tensor) -> Result<Tensor, TrainError> {
    let squares = m.f_square()?.f_sum_dim_intlist(2i64, false, Kind::Float)?.f_unsqueeze(1)?;
    Ok(x.f_bmm(&m.f_transpose(1, 2)?)?.f_mul_scalar(2.0)?.f_sub(&squares)?)
}

/// Each vector of the last axis divided by its Euclidean length; one of zeros stays.
pub(crate) fn unit_length(x: &Tensor) -> Result<Tensor, TrainError> {
    // In f64, where the square of no f32 overflows.
    let wide = x.f_to_kind(Kind::Double)?;
    let lengths = wide.f_norm_scalaropt_dim(2, [-1i64], true)?.f_clamp_min(f64::MIN_POSITIVE)?;
    Ok(wide.f_div(&lengths)?.f_to_kind(Kind::Float)?)
}

/// Refuses anything but `[N, d]` of finite f32 on the CPU, and says what `d` is.
pub(crate) fn check_features(field: &str, features: &Tensor, dim: Option<i64>) -> Result<i64, TrainError> {
    let (size, kind, device) = (features.size(), features.kind(), features.device());
    let fits = |d: i64| d > 0 && dim.is_none_or(|dim| d == dim);
    match size[..] {
        [n, d] if n > 0 && fits(d) && kind == Kind::Float && device == Device::Cpu => {
            let infinite = features.f_isfinite()?.f_logical_not()?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
            if infinite > 0 {
                return Err(wrong(field, "finite numbers", &format!("{infinite} that are not")));
            }
            Ok(d)
        }
        _ => {
            let d = dim.map_or("d".to_owned(), |dim| dim.to_string());
            let allowed = format!("[N, {d}] of Float on Cpu, neither of them 0");
            Err(wrong(field, &allowed, &format!("{size:?} of {kind:?} on {device:?}")))
        }
    }
}

pub(crate) fn wrong(field: &str, allowed: &str, got: &dyn ToString) -> TrainError {
    TrainError::Spec { field: format!("few_shot.{field}"), allowed: allowed.into(), got: got.to_string() }
}

/// Refuses what is no finite number above 0.
pub(crate) fn check_positive(field: &str, value: f64) -> Result<(), TrainError> {
    if value > 0.0 && value.is_finite() { Ok(()) } else { Err(wrong(field, "a finite number > 0", &value)) }
}
