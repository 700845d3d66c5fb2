//! Predictions of a network over a whole data set, and their scores. Nothing learns here.

use std::cell::RefCell;
use std::sync::Arc;

use panal_data::{DataSource, Loader, LoaderSpec, Pipeline};
use panal_metrics::{Average, ConfusionMatrix};
use panal_models::Classifier;
use panal_tensor::{Precision, batch_to_tensors, pixels_for};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::again::Again;
use crate::kept::Kept;
use crate::{Log, PassLog, TrainError};

/// Images with the transform that turns them into a network's input.
#[derive(Clone)]
pub struct Split {
    /// The images and their labels.
    pub source: Arc<dyn DataSource>,
    /// What is done to each image.
    pub pipeline: Pipeline,
}

impl Split {
    /// A loader over these images in their own order, `batch` at a time, each image once, for a device.
    pub(crate) fn in_order(&self, batch: usize, threads: Option<usize>, device: Device) -> Result<Loader, TrainError> {
        let spec = LoaderSpec { batch: batch.min(self.source.len()), shuffle: false, threads, ..LoaderSpec::default() };
        Ok(Loader::new(self.source.clone(), self.pipeline.clone(), spec)?.writing_to(pixels_for(device)))
    }

    /// The label of every image, in order.
    pub fn labels(&self) -> Vec<usize> {
        (0..self.source.len()).map(|i| self.source.label(i)).collect()
    }
}

/// What a network said of every image of a split.
#[derive(Debug)]
pub struct Predictions {
    /// `[N, classes]` f32 on the CPU: unnormalised scores, row `i` for image `i`.
    pub logits: Tensor,
    /// The true class of every image.
    pub truth: Vec<usize>,
}

/// The scores of one evaluation. All averages are macro: each class counts the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean cross entropy, in nats; lower is better.
    pub loss: f64,
    /// Share of images that are right.
    pub accuracy: f64,
    /// Macro precision.
    pub precision: f64,
    /// Macro recall.
    pub recall: f64,
    /// Macro F1.
    pub f1: f64,
    /// Images that were counted.
    pub images: usize,
}

impl Predictions {
    /// The class with the highest score, for every image.
    pub fn predicted(&self) -> Result<Vec<usize>, TrainError> {
        let classes = Vec::<i64>::try_from(self.logits.f_argmax(1, false)?)?;
        Ok(classes.into_iter().map(|class| class as usize).collect())
    }

    /// Softmax of the scores: one row of `classes` probabilities for every image.
    pub fn probabilities(&self) -> Result<Vec<Vec<f32>>, TrainError> {
        Ok(Vec::<Vec<f32>>::try_from(self.logits.f_softmax(1, Kind::Float)?)?)
    }

    /// Confusion matrix over as many classes as there are scores for each image.
    ///
    /// # Errors
    /// [`TrainError::Metrics`] where a label has no score.
    pub fn confusion(&self) -> Result<ConfusionMatrix, TrainError> {
        Ok(ConfusionMatrix::from_labels(self.logits.size()[1] as usize, &self.truth, &self.predicted()?)?)
    }

    /// Loss, accuracy and macro precision, recall and F1.
    pub fn scores(&self) -> Result<Scores, TrainError> {
        let truth: Vec<i64> = self.truth.iter().map(|&class| class as i64).collect();
        let loss = panal_losses::cross_entropy(&self.logits, &Tensor::from_slice(&truth), 0.0)?;
        let confusion = self.confusion()?;
        let macro_average = confusion.average(Average::Macro);
        Ok(Scores {
            loss: loss.double_value(&[]),
            accuracy: confusion.accuracy(),
            precision: macro_average.precision,
            recall: macro_average.recall,
            f1: macro_average.f1,
            images: self.truth.len(),
        })
    }
}

/// Predictions of `model`, in evaluation mode, for every image of `split`.
///
/// # Errors
/// The first image that cannot be loaded; [`TrainError::Outputs`] where the head is for another number of classes.
pub fn evaluate(
    model: &Classifier,
    split: &Split,
    batch: usize,
    threads: Option<usize>,
    log: &mut dyn Log,
) -> Result<Predictions, TrainError> {
    check_outputs(model, split)?;
    let folded = model.folded()?;
    let logits = over_images(model.device(), split, batch, threads, EVALUATION, log, |images| folded.logits(images))?;
    Ok(Predictions { logits, truth: split.labels() })
}

const EVALUATION: &str = "evaluation";

/// A split that is evaluated on after epoch upon epoch, its images kept where they may be.
pub(crate) struct Evaluation<'a> {
    split: &'a Split,
    batch: usize,
    threads: Option<usize>,
    pub(crate) kept: Option<Kept>,
}

impl<'a> Evaluation<'a> {
    /// Most batches of which the evaluation is recorded as one graph, which takes memory for every kernel.
    const RECORDED: usize = 64;

    pub(crate) fn new(
        split: &'a Split,
        batch: usize,
        threads: Option<usize>,
        device: Device,
        log: &mut dyn Log,
    ) -> Result<Self, TrainError> {
        Ok(Self { split, batch, threads, kept: Kept::of(split, batch, threads, device, Precision::F32, log)? })
    }

    /// What `model` says of every image in evaluation mode: `[N, classes]` f32 on the CPU. `again` is for this evaluation alone.
    pub(crate) fn logits(
        &self,
        model: &Classifier,
        again: &mut Again<'_>,
        log: &mut dyn Log,
    ) -> Result<Tensor, TrainError> {
        let Some(images) = &self.kept else {
            return Ok(evaluate(model, self.split, self.batch, self.threads, log)?.logits);
        };
        let of = self.split.source.len();
        let log = RefCell::new(log);
        let tell = |done| log.borrow_mut().pass(&PassLog { what: EVALUATION, done, of });
        let work = || {
            let folded = model.folded()?;
            let parts = (0..).step_by(self.batch).zip(images.batches(self.batch)).map(|(done, images)| {
                tell(done);
                Ok(folded.logits(&images?)?)
            });
            Ok(Tensor::f_cat(&parts.collect::<Result<Vec<_>, TrainError>>()?, 0)?)
        };
        // SAFETY: `again` is the caller's word that images and model are those of every call; a model's tensors are written to and never
        // replaced.
        #[allow(unsafe_code)]
        let logits = match images.batches(self.batch).len() <= Self::RECORDED {
            true => unsafe { again.run(work) }?,
            false => work()?,
        };
        tell(of);
        Ok(logits.f_to_device(Device::Cpu)?)
    }
}

/// Pooled features of every image of `split` from the backbone in evaluation mode: `[N, d]` f32 on the CPU.
///
/// # Errors
/// The first image that cannot be loaded.
pub fn features(
    model: &Classifier,
    split: &Split,
    batch: usize,
    threads: Option<usize>,
    log: &mut dyn Log,
) -> Result<Tensor, TrainError> {
    let folded = model.folded()?;
    over_images(model.device(), split, batch, threads, "features", log, |images| folded.features(images))
}

/// Checks that the head has one output for each class of the data.
pub(crate) fn check_outputs(model: &Classifier, split: &Split) -> Result<(), TrainError> {
    let (outputs, classes) = (model.classes(), split.source.classes().len());
    if outputs != classes {
        return Err(TrainError::Outputs { outputs, classes });
    }
    Ok(())
}

/// `forward` over every image in order, the results joined along the first axis on the CPU.
fn over_images(
    device: Device,
    split: &Split,
    batch: usize,
    threads: Option<usize>,
    what: &'static str,
    log: &mut dyn Log,
    forward: impl Fn(&Tensor) -> Result<Tensor, panal_models::ModelError>,
) -> Result<Tensor, TrainError> {
    let loader = split.in_order(batch, threads, device)?;
    let read = |result: Tensor| result.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float);
    let mut parts = Vec::with_capacity(loader.batches());
    let mut done = 0;
    // Reading waits for a GPU, so that it has the next batch to compute by then.
    let mut computing = None;
    for batch in loader.epoch(0) {
        let (images, _) = batch_to_tensors(batch?, device)?;
        done += images.size()[0] as usize;
        let before = computing.replace(forward(&images)?);
        parts.extend(before.map(read).transpose()?);
        log.pass(&PassLog { what, done, of: split.source.len() });
    }
    parts.extend(computing.map(read).transpose()?);
    Ok(Tensor::f_cat(&parts, 0)?)
}
