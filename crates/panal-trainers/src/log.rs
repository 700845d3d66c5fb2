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
    /// Learning rate of the step, before the scales of layer groups.
    pub lr: f64,
    /// Mean loss of the batch, in nats.
    pub loss: f64,
    /// Share of the batch (of an episode's queries) that was right just before it was learnt from.
    pub accuracy: f64,
    /// Images in the batch, or in the episodes of the step.
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
    /// Learning rate of the step.
    pub lr: f64,
    /// Loss of the batch, in nats.
    pub loss: f64,
    /// Share of views whose partner was the most similar of the batch.
    pub top1: f64,
    /// Share of views whose partner was among the five most similar.
    pub top5: f64,
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
    /// Something did not go as it was asked for, and the loop goes on without it.
    fn warn(&mut self, _what: &str) {}
    /// A checkpoint was found and the loop goes on from it; so many `steps` were taken before, over all phases and epochs.
    fn resumed(&mut self, _phase: usize, _epoch: usize, _step: usize, _steps: u64) {}
}

/// Two logs are told one after the other.
impl<A: Log, B: Log> Log for (A, B) {
    fn step(&mut self, step: &StepLog) {
        self.0.step(step);
        self.1.step(step);
    }

    fn epoch(&mut self, epoch: &EpochLog) {
        self.0.epoch(epoch);
        self.1.epoch(epoch);
    }

    fn ssl_step(&mut self, step: &SslStep) {
        self.0.ssl_step(step);
        self.1.ssl_step(step);
    }

    fn ssl_epoch(&mut self, epoch: &SslEpoch) {
        self.0.ssl_epoch(epoch);
        self.1.ssl_epoch(epoch);
    }

    fn episodic_epoch(&mut self, epoch: &EpisodicEpoch) {
        self.0.episodic_epoch(epoch);
        self.1.episodic_epoch(epoch);
    }

    fn pass(&mut self, pass: &PassLog) {
        self.0.pass(pass);
        self.1.pass(pass);
    }

    fn warn(&mut self, what: &str) {
        self.0.warn(what);
        self.1.warn(what);
    }

    fn resumed(&mut self, phase: usize, epoch: usize, step: usize, steps: u64) {
        self.0.resumed(phase, epoch, step, steps);
        self.1.resumed(phase, epoch, step, steps);
    }
}

/// A log that forgets everything.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Log for Silent {}
