//! What can go wrong while training, said so that the reader knows what to do next. Nothing is trained here.

use std::path::PathBuf;

/// An error of a training loop or of its parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A field of a specification is out of its range.
    #[error("{field} must be {allowed}, got {got}")]
    Spec {
        /// Path of the field, as in `phases[0].lr`.
        field: String,
        /// The range or the values that are allowed.
        allowed: String,
        /// What was given.
        got: String,
    },

    /// The loss stopped being a finite number.
    #[error(
        "the loss became {loss} in phase {phase}, epoch {epoch}, step {step}, at learning rate {lr:e}: lower the learning rate\n  = {kept}"
    )]
    Diverged {
        /// The value: NaN or an infinity.
        loss: f64,
        /// Phase, counted from 1.
        phase: usize,
        /// Epoch of the phase, counted from 1.
        epoch: usize,
        /// Step of the epoch, counted from 1.
        step: usize,
        /// Learning rate of the step.
        lr: f64,
        /// Which checkpoint holds the last good state, or that there is none.
        kept: String,
    },

    /// A weight stopped being a finite number, though the loss had not.
    #[error(
        "a weight became NaN or infinite in epoch {epoch}, step {step}, at learning rate {lr:e}: lower the learning rate\n  = {kept}"
    )]
    NotFinite {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step of the epoch, counted from 1.
        step: usize,
        /// Learning rate of the step.
        lr: f64,
        /// Which checkpoint holds the last good state, or that there is none.
        kept: String,
    },

    /// The caller asked to stop; where a checkpoint is kept, it holds the state after the last whole step.
    #[error("interrupted after {steps} steps{}", checkpoint.as_ref().map(|p| format!("; go on with --resume from {}", p.display())).unwrap_or_default())]
    Interrupted {
        /// Optimisation steps taken, all phases together.
        steps: u64,
        /// The checkpoint that was written.
        checkpoint: Option<PathBuf>,
    },

    /// The caller asked to stop between two episodes of an evaluation.
    #[error("interrupted after {done} of {of} episodes; nothing was written")]
    Stopped {
        /// Episodes that were answered.
        done: usize,
        /// Episodes asked for.
        of: usize,
    },

    /// A checkpoint exists but belongs to another run.
    #[error("{} was written by another run ({what} differs): delete it, or run without --resume", path.display())]
    ForeignCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: String,
    },

    /// A checkpoint cannot be read as one.
    #[error("{} is no usable checkpoint: {why}; delete it, or run without --resume", path.display())]
    BadCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// Training and evaluation data do not have the same classes.
    #[error(
        "the training images have classes [{train}], the evaluation images [{eval}]: they must be the same, in the same order"
    )]
    Classes {
        /// Classes of the training split.
        train: String,
        /// Classes of the evaluation split.
        eval: String,
    },

    /// An image that would have to be blown up to be cropped.
    #[error(
        "{id} is {width} x {height} pixels, smaller than the crop of {columns} x {rows}: leave it out, or lower the crop's `size`"
    )]
    SmallImage {
        /// The image.
        id: String,
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
        /// Height of the crop, in pixels.
        rows: u32,
        /// Width of the crop, in pixels.
        columns: u32,
    },

    /// The model does not have as many outputs as the data has classes.
    #[error("the model has {outputs} outputs, the data {classes} classes: build the model for these classes")]
    Outputs {
        /// Outputs of the head.
        outputs: usize,
        /// Classes of the data.
        classes: usize,
    },

    /// Something that was to leave the backbone alone changed it.
    #[error("the backbone was to stay as it is, but its digest was {before} and is {after}: load its weights anew")]
    BackboneMoved {
        /// The digest before.
        before: String,
        /// The digest after.
        after: String,
    },

    /// A support set holds the features of another encoder.
    #[error(
        "the support set was made by an encoder of digest {made}, and this one has {got}: use that encoder, or make the set anew"
    )]
    ForeignEncoder {
        /// Digest of the encoder that made the set.
        made: String,
        /// Digest of the one at hand.
        got: String,
    },

    /// A file cannot be read as a support set.
    #[error("{} is no support set: {why}; name a file that `SupportSet::write` made", path.display())]
    BadSupportSet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// Images could not be loaded.
    #[error(transparent)]
    Data(#[from] panal_data::DataError),

    /// Views could not be made on the device.
    #[error(transparent)]
    Augment(#[from] panal_augment::AugmentError),

    /// A device, weight file or checkpoint failed.
    #[error(transparent)]
    Tensor(#[from] panal_tensor::TensorError),

    /// The network refused its input or specification.
    #[error(transparent)]
    Model(#[from] panal_models::ModelError),

    /// The optimizer refused its specification or state.
    #[error(transparent)]
    Optim(#[from] panal_optim::OptimError),

    /// The loss refused its input.
    #[error(transparent)]
    Loss(#[from] panal_losses::LossError),

    /// Predictions could not be scored.
    #[error(transparent)]
    Metrics(#[from] panal_metrics::MetricsError),

    /// The record of a run contradicts itself.
    #[error(transparent)]
    Report(#[from] panal_report::ReportError),

    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
