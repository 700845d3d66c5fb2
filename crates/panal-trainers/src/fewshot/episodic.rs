//! Learning by episodes (Vinyals et al., arXiv 1606.04080, section 2.2; Snell et al., arXiv 1703.05175, Algorithm 1): draw a task,
//! answer it, learn from the answer. Every method shares this loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use panal_data::{Episodes, keyed_rng};
use panal_optim::{Optimizer, ParamGroup, Progress};
use serde::{Deserialize, Serialize};

use super::images::FewShotImages;
use super::net::FewShotNet;
use super::spec::{EpisodicSpec, wrong};
use crate::checkpoint::{Checkpoint, CheckpointSpec};
use crate::transfer::loss_and_correct;
use crate::{Log, StepLog, TrainError};

/// What a method's own draws are keyed by.
const METHOD_STREAM: u64 = 0x4645_5753_484f_5400;

/// A training by episodes, ready to run.
#[derive(Debug)]
pub struct Episodic<'a> {
    /// The images to learn from.
    pub images: &'a FewShotImages,
    /// Episodes of them, drawn as [`EpisodicSpec::episode`] says.
    pub episodes: &'a Episodes,
    /// What is done.
    pub spec: &'a EpisodicSpec,
    /// Key of every random draw but those of the episodes, which have their own.
    pub seed: u64,
    /// Where checkpoints are kept, if anywhere.
    pub checkpoint: Option<&'a CheckpointSpec>,
    /// Set to stop after the step that is running.
    pub stop: &'a AtomicBool,
}

/// How a training went.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodicRun {
    /// One entry an epoch.
    pub epochs: Vec<EpisodicEpoch>,
    /// Optimisation steps.
    pub steps: u64,
    /// Wall seconds of all steps.
    pub seconds: f64,
}

/// One epoch of training by episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodicEpoch {
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// Learning rate at the last step.
    pub lr: f64,
    /// Mean loss over the episodes.
    pub loss: f64,
    /// Mean accuracy over the episodes, each answered just before it was learnt from.
    pub accuracy: f64,
    /// Wall seconds of the steps.
    pub seconds: f64,
}

/// Where a run is and what it has seen; with the tensors of the checkpoint, all that the loop carries from step to step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    epoch: usize,
    step: usize,
    steps: u64,
    loss: f64,
    accuracy: f64,
    lr: f64,
    seconds: f64,
    epochs: Vec<EpisodicEpoch>,
}

impl Episodic<'_> {
    /// Trains `net`.
    ///
    /// # Errors
    /// What the episodes, the learner or the settings refuse; [`TrainError::Diverged`] at the first loss that is no number;
    /// [`TrainError::Interrupted`] after `stop` was set.
    pub fn run(&self, net: &mut FewShotNet, log: &mut dyn Log) -> Result<EpisodicRun, TrainError> {
        let spec = self.spec;
        self.check(net)?;
        let mut keeper = Checkpoint::new(self.checkpoint);
        let mut state = State::default();
        let all = ParamGroup { name: "all".into(), params: net.trainable(), lr_scale: 1.0 };
        let mut optimizer = Optimizer::new(&spec.optimizer, vec![all])?;
        if let Some(mut restored) = keeper.restore::<State>()? {
            net.load_exact(&restored.weights("model")).map_err(|error| restored.bad(&error))?;
            optimizer.load_state(&restored.take("optim"))?;
            state = restored.state;
            log.resumed(0, state.epoch, state.step, state.steps);
        }

        while state.epoch < spec.epochs {
            while state.step < spec.steps {
                let clock = Instant::now();
                let progress =
                    Progress { epoch: state.epoch, epochs: spec.epochs, step: state.step, steps_per_epoch: spec.steps };
                let lr = spec.lr * spec.schedule.factor(progress);
                optimizer.zero_grad()?;
                let (loss, accuracy, images) = self.learn(net, state.steps)?;
                if !loss.is_finite() {
                    let (epoch, step) = (state.epoch + 1, state.step + 1);
                    return Err(TrainError::Diverged { loss, phase: 1, epoch, step, lr, kept: keeper.told() });
                }
                optimizer.step(lr)?;

                let (epoch, step, steps) = (state.epoch, state.step, spec.steps);
                log.step(&StepLog { phase: 0, epoch, step, steps, lr, loss, accuracy, images });
                state.tally(loss, accuracy, lr, clock);
                let stop = self.stop.load(Ordering::Relaxed);
                if stop || (state.step < spec.steps && keeper.is_due()) {
                    save(&mut keeper, &state, net, &optimizer)?;
                }
                if stop {
                    return Err(TrainError::Interrupted { steps: state.steps, checkpoint: keeper.path() });
                }
            }
            log.episodic_epoch(state.end_epoch(spec.steps));
            if keeper.is_worth_it() {
                save(&mut keeper, &state, net, &optimizer)?;
            }
        }
        let seconds = state.epochs.iter().map(|epoch| epoch.seconds).sum();
        Ok(EpisodicRun { epochs: state.epochs, steps: state.steps, seconds })
    }

    /// The gradient of one step, the mean over its episodes; returns their mean loss and accuracy, and how many images they have.
    fn learn(&self, net: &FewShotNet, step: u64) -> Result<(f64, f64, usize), TrainError> {
        let tasks = self.spec.tasks as u64;
        let (mut all_loss, mut all_accuracy, mut images) = (0.0, 0.0, 0);
        for number in step * tasks..(step + 1) * tasks {
            let episode = self.episodes.episode(number)?;
            images += episode.support.len() + episode.query.len();
            let task = match &self.spec.affine {
                Some(affine) => self.images.bent_task(&episode, affine, self.seed)?,
                None => self.images.task(&episode)?,
            };
            let (loss, logits) = net.loss(&task, &mut keyed_rng(self.seed, &[METHOD_STREAM, number]))?;
            loss.f_div_scalar(tasks as f64)?.f_backward()?;
            let (loss, right) = loss_and_correct(&loss, &logits, &task.truth)?;
            all_loss += loss / tasks as f64;
            all_accuracy += right as f64 / (logits.size()[0] * tasks as i64) as f64;
            if !all_loss.is_finite() {
                break;
            }
        }
        Ok((all_loss, all_accuracy, images))
    }

    /// Everything that can be refused before the first step.
    fn check(&self, net: &FewShotNet) -> Result<(), TrainError> {
        let spec = self.spec;
        spec.check(net.spec())?;
        net.check_images(self.images)?;
        let needed = spec.epochs * spec.steps * spec.tasks;
        match self.episodes.available() {
            Some(available) if available < needed => {
                let allowed = format!("at most {available}, as many as share no image (`disjoint`)");
                Err(wrong("epochs * steps * tasks", allowed, needed))
            }
            _ => Ok(()),
        }
    }
}

impl State {
    /// Counts a step that was just taken.
    fn tally(&mut self, loss: f64, accuracy: f64, lr: f64, clock: Instant) {
        self.loss += loss;
        self.accuracy += accuracy;
        self.lr = lr;
        self.seconds += clock.elapsed().as_secs_f64();
        self.step += 1;
        self.steps += 1;
    }

    /// Writes the epoch into the history and moves to the next.
    fn end_epoch(&mut self, steps: usize) -> &EpisodicEpoch {
        let (epoch, mean) = (self.epoch, |sum: f64| sum / steps as f64);
        let (loss, accuracy) = (mean(self.loss), mean(self.accuracy));
        self.epochs.push(EpisodicEpoch { epoch, lr: self.lr, loss, accuracy, seconds: self.seconds });
        (self.epoch, self.step, self.loss, self.accuracy, self.seconds) = (epoch + 1, 0, 0.0, 0.0, 0.0);
        &self.epochs[epoch]
    }
}

fn save(keeper: &mut Checkpoint<'_>, state: &State, net: &FewShotNet, optimizer: &Optimizer) -> Result<(), TrainError> {
    keeper.save(state, net.store(), Some(optimizer), "", [])
}
