//! What a loop tells while it runs. The loops call it in plain sight; what is drawn or written with it is the caller's business.

use serde::{Deserialize, Serialize};

use crate::{EpisodicEpoch, Scores, SslEpoch};

/// One optimisation step, after it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepLog {
    /// Phase, counted from 0.
    pub phase: usize,
    /// Epoch of the phase, counted from 0.
    pub epoch: usize,
    /// Step of the epoch, counted from 0.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Mean loss of the batch, in nats.
    pub loss: f64,
    /// Images in the batch.
    pub images: usize,
}

/// One epoch, after its evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochLog {
    /// Phase, counted from 0.
    pub phase: usize,
    /// Epoch over all phases, counted from 0.
    pub epoch: usize,
    /// Learning rate at the last step, before the scales of layer groups.
    pub lr: f64,
    /// Mean over the training images of the loss each had when its batch was trained on, in nats.
    pub train_loss: f64,
    /// Share of the training images that were right when their batch was trained on.
    pub train_accuracy: f64,
    /// Scores on the evaluation split after the epoch.
    pub eval: Scores,
    /// Wall seconds of the epoch, evaluation included.
    pub seconds: f64,
}

/// One step of self-supervised pretraining, after it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SslStep {
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Step of the epoch, counted from 0.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Loss of the batch, in nats.
    pub loss: f64,
    /// Share of views whose partner was the most similar of the batch.
    pub top1: f64,
    /// Images in the batch, each with two views.
    pub images: usize,
}

/// Work that is not training: a pass over images to compute features or to evaluate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassLog {
    /// What is done, as in "features of the training images".
    pub what: &'static str,
    /// Images done.
    pub done: usize,
    /// Images in all.
    pub of: usize,
}

/// Receives what a loop tells. Every method does nothing unless it is overridden.
pub trait Log {
    /// A step was taken.
    fn step(&mut self, _step: &StepLog) {}
    /// An epoch was trained and evaluated.
    fn epoch(&mut self, _epoch: &EpochLog) {}
    /// A step of self-supervised pretraining was taken.
    fn ssl_step(&mut self, _step: &SslStep) {}
    /// An epoch of self-supervised pretraining ended.
    fn ssl_epoch(&mut self, _epoch: &SslEpoch) {}
    /// An epoch of learning by episodes ended.
    fn episodic_epoch(&mut self, _epoch: &EpisodicEpoch) {}
    /// A batch of a pass without training is done.
    fn pass(&mut self, _pass: &PassLog) {}
    /// A checkpoint was found and the loop goes on from it.
    fn resumed(&mut self, _phase: usize, _epoch: usize, _step: usize) {}
}

/// A log that forgets everything.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Log for Silent {}
