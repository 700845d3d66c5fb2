//! The weighted nearest-neighbour classifier over features. Nothing is learnt, and no setting is chosen here.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Bank;
use crate::{Predictions, TrainError};

/// Similarities held at a time: 64 MiB.
const BLOCK: usize = 1 << 24;

/// How neighbours vote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KnnSpec {
    /// Neighbours of each image that vote; at least 1 and at most the images to learn from.
    pub k: usize,
    /// A neighbour of cosine similarity `s` has `exp(s / temperature)` votes; > 0.
    pub temperature: f64,
}

impl Default for KnnSpec {
    /// 200 neighbours, temperature 0.07, the settings of the paper.
    fn default() -> Self {
        Self { k: 200, temperature: 0.07 }
    }
}

impl KnnSpec {
    /// Checks every field for a bank of `images` to learn from.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field, its value and what is allowed.
    pub fn check_for(&self, images: usize) -> Result<(), TrainError> {
        let wrong = |field: &str, allowed: String, got: String| {
            Err(TrainError::Spec { field: format!("knn.{field}"), allowed, got })
        };
        if self.k == 0 || self.k > images {
            let allowed = format!("between 1 and {images}, the images to learn from");
            return wrong("k", allowed, self.k.to_string());
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return wrong("temperature", "a finite number > 0".to_owned(), self.temperature.to_string());
        }
        Ok(())
    }
}

/// Classes of the images of `test` by the votes of their nearest neighbours in `train`.
///
/// With `s_i` the cosine similarity of neighbour `i` and `N_k` the `k` most similar images, class `c` has
/// `w_c = sum over i in N_k of class c of exp(s_i / temperature)` votes (Wu, Xiong, Yu and Lin, arXiv 1805.01978, section
/// 3.4). The logits are the logarithms of the classes' shares of the votes, so their softmax gives those shares. A class
/// without a vote has share `f32::MIN_POSITIVE` instead of 0, which keeps the loss finite. A feature vector of zeros has
/// similarity 0 to everything; which of equally similar images is the `k`-th is libtorch's choice.
///
/// Similarities are computed in f32, votes in f64, a block of `test` at a time.
///
/// # Errors
/// [`TrainError::Spec`] for a field outside its range, and for banks of different dimensions or classes.
pub fn knn(train: &Bank, test: &Bank, spec: &KnnSpec) -> Result<Predictions, TrainError> {
    spec.check_for(train.images())?;
    test.check_beside(train)?;
    let (known, asked) = (unit_length(train.features())?, unit_length(test.features())?);
    let (known, labels) = (known.f_tr()?, train.label_tensor()?);
    let mut logits = Vec::new();
    for images in asked.f_split((BLOCK / train.images()).max(1) as i64, 0)? {
        let (similarity, nearest) = images.f_mm(&known)?.f_topk(spec.k as i64, 1, true, false)?;
        let exponents = similarity.f_to_kind(Kind::Double)?.f_div_scalar(spec.temperature)?;
        // A softmax over the neighbours: the votes, but for a factor that their shares do not see, and without overflow.
        let votes = exponents.f_softmax(1, Kind::Double)?;
        let of = labels.f_index_select(0, &nearest.f_reshape([-1])?)?.f_view_as(&nearest)?;
        let none = Tensor::f_zeros([images.size()[0], train.classes() as i64], (Kind::Double, Device::Cpu))?;
        let shares = none.f_scatter_add(1, &of, &votes)?;
        logits.push(shares.f_clamp_min(f64::from(f32::MIN_POSITIVE))?.f_log()?.f_to_kind(Kind::Float)?);
    }
    Ok(Predictions { logits: Tensor::f_cat(&logits, 0)?, truth: test.labels().to_vec() })
}

/// Each row divided by its Euclidean length; a row of zeros stays.
fn unit_length(features: &Tensor) -> Result<Tensor, TrainError> {
    // In f64, where the square of no f32 overflows.
    let wide = features.f_to_kind(Kind::Double)?;
    let lengths = wide.f_norm_scalaropt_dim(2, [1i64], true)?.f_clamp_min(f64::MIN_POSITIVE)?;
    Ok(wide.f_div(&lengths)?.f_to_kind(Kind::Float)?)
}
