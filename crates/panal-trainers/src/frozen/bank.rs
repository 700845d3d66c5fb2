//! Features of a whole split with their labels, checked once. What is done with them lives in `knn` and `probe`.

use panal_models::Classifier;
use tch::{Device, Kind, Tensor};

use crate::{Log, Split, TrainError, features};

/// Features of every image of a split, computed once, and the images' classes.
#[derive(Debug)]
pub struct Bank {
    features: Tensor,
    labels: Vec<usize>,
    classes: usize,
}

impl Bank {
    /// Takes features that were computed elsewhere.
    ///
    /// # Shapes
    /// - `features`: `[N, d]` f32 on the CPU, every value finite; row `i` for the image of class `labels[i]`
    /// - `labels`: `N` classes, each less than `classes`
    ///
    /// # Errors
    /// [`TrainError::Spec`] naming what does not fit.
    #[expect(clippy::needless_pass_by_value, reason = "what a bank holds is its own")]
    pub fn new(features: Tensor, labels: Vec<usize>, classes: usize) -> Result<Self, TrainError> {
        let wrong = |field: &str, allowed: String, got: String| {
            Err(TrainError::Spec { field: format!("bank.{field}"), allowed, got })
        };
        let (size, kind, device) = (features.size(), features.kind(), features.device());
        let fits = matches!(size[..], [images, d] if images > 0 && d > 0);
        if !(fits && kind == Kind::Float && device == Device::Cpu) {
            let allowed = "[N, d] of Float on Cpu, neither of them 0".to_owned();
            return wrong("features", allowed, format!("{size:?} of {kind:?} on {device:?}"));
        }
        if labels.len() as i64 != size[0] {
            return wrong("labels", format!("as many as there are features, {}", size[0]), labels.len().to_string());
        }
        if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
            return wrong(&format!("labels[{index}]"), format!("< {classes}, the classes"), label.to_string());
        }
        let infinite = features.f_isfinite()?.f_logical_not()?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        if infinite > 0 {
            return wrong("features", "finite numbers".to_owned(), format!("{infinite} that are not"));
        }
        Ok(Self { features: features.f_detach()?.f_contiguous()?, labels, classes })
    }

    /// Features of every image of `split` from the backbone of `model`, in evaluation mode.
    ///
    /// # Errors
    /// The first image that cannot be loaded; [`TrainError::Spec`] where a feature is not finite.
    pub fn of(
        model: &Classifier,
        split: &Split,
        batch: usize,
        threads: Option<usize>,
        log: &mut dyn Log,
    ) -> Result<Self, TrainError> {
        let features = features(model, split, batch, threads, log)?;
        Self::new(features, split.labels(), split.source.classes().len())
    }

    /// `[N, d]` f32 on the CPU.
    pub fn features(&self) -> &Tensor {
        &self.features
    }

    /// The class of every image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Number of classes, whether or not an image is of each.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of images; at least 1.
    pub fn images(&self) -> usize {
        self.labels.len()
    }

    /// Length of a feature vector; at least 1.
    pub fn dim(&self) -> usize {
        self.features.size()[1] as usize
    }

    /// The images at `indices`, in that order.
    pub(crate) fn select(&self, indices: &[usize]) -> Result<Self, TrainError> {
        let rows: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let features = self.features.f_index_select(0, &Tensor::f_from_slice(&rows)?)?;
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Ok(Self { features, labels, classes: self.classes })
    }

    /// The labels as `[N]` i64.
    pub(crate) fn label_tensor(&self) -> Result<Tensor, TrainError> {
        let labels: Vec<i64> = self.labels.iter().map(|&label| label as i64).collect();
        Ok(Tensor::f_from_slice(&labels)?)
    }

    /// Refuses a bank of other features or classes than those learnt from.
    pub(crate) fn check_beside(&self, train: &Self) -> Result<(), TrainError> {
        let wrong = |field: &str, allowed: usize, got: usize| {
            let allowed = format!("{allowed}, as of the bank to learn from");
            Err(TrainError::Spec { field: format!("bank.{field}"), allowed, got: got.to_string() })
        };
        if self.dim() != train.dim() {
            return wrong("dim", train.dim(), self.dim());
        }
        if self.classes != train.classes {
            return wrong("classes", train.classes, self.classes);
        }
        Ok(())
    }
}
