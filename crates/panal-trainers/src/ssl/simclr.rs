//! SimCLR's Algorithm 1 (Chen et al. 2020, arXiv 2002.05709): two views of each image, an encoder, a projection head, a
//! contrastive loss.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use panal_models::{Classifier, Projector};
use panal_optim::{Optimizer, ParamGroup, Progress};
use serde::{Deserialize, Serialize};

use super::step::{Net, Told};
use super::{Health, SimClrSpec, Views};
use crate::checkpoint::{self, Checkpoint, CheckpointSpec};
use crate::frozen::{Bank, knn};
use crate::{Log, Split, SslStep, TrainError};

/// Images to look at while features are learnt. Nothing is chosen by what is seen.
#[derive(Clone)]
pub struct Watch {
    /// The neighbours.
    pub train: Split,
    /// What they are asked of.
    pub eval: Split,
}

/// A pretraining, ready to run.
pub struct SimClr<'a> {
    /// Images to learn from.
    pub views: Views,
    /// What is done.
    pub spec: &'a SimClrSpec,
    /// Where nearest neighbours are looked for every so often, if anywhere.
    pub watch: Option<&'a Watch>,
    /// Images at a time where nothing is learnt.
    pub eval_batch: usize,
    /// Key of every random draw.
    pub seed: u64,
    /// Threads that load images; `None` for one a core.
    pub threads: Option<usize>,
    /// Where checkpoints are kept, if anywhere.
    pub checkpoint: Option<&'a CheckpointSpec>,
    /// Set to stop after the step that is running.
    pub stop: &'a AtomicBool,
}

/// How a pretraining went.
#[derive(Debug, Clone, PartialEq)]
pub struct Pretrained {
    /// One entry an epoch.
    pub epochs: Vec<SslEpoch>,
    /// Images that went through the network; each has two views.
    pub images: u64,
    /// Optimisation steps.
    pub steps: u64,
    /// Wall seconds of all steps, loading included.
    pub seconds: f64,
    /// What of it was before an interruption; `None` where there was none.
    pub earlier: Option<f64>,
}

/// One epoch of pretraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SslEpoch {
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// Learning rate at the last step.
    pub lr: f64,
    /// Mean loss over the steps, in nats.
    pub loss: f64,
    /// Share of views whose partner was the most similar of the batch, mean over the steps.
    pub top1: f64,
    /// Share of views whose partner was among the five most similar, mean over the steps.
    pub top5: f64,
    /// Of the features and embeddings of the last step.
    pub health: Health,
    /// Accuracy of nearest neighbours on the watched images, where they were asked.
    pub knn: Option<f64>,
    /// Images a second through training steps, loading included.
    pub images_per_second: f64,
    /// Share of the steps' time in which the network waited for views.
    pub waiting: f64,
    /// Wall seconds of the steps.
    pub seconds: f64,
}

/// Where a run is and what it has seen; with the tensors of the checkpoint, all that the loop carries from step to step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    epoch: usize,
    step: usize,
    steps: u64,
    running: Running,
    epochs: Vec<SslEpoch>,
    images: u64,
    seconds: f64,
}

/// Sums over the steps of the epoch so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Running {
    loss: f64,
    top1: f64,
    top5: f64,
    seconds: f64,
    /// Of these, seconds in which the network waited for views.
    waiting: f64,
    lr: f64,
    /// Known after the last step.
    health: Health,
}

impl SimClr<'_> {
    /// Trains `encoder` and `projector` together. Afterwards the encoder is what is wanted; the head may be thrown away.
    ///
    /// # Errors
    /// What the data, the networks or the settings refuse; [`TrainError::SmallImage`]; [`TrainError::Diverged`] at the first
    /// loss that is no number, after which the networks are of no more use; [`TrainError::NotFinite`] for a weight that is
    /// none; [`TrainError::Interrupted`] after `stop` was set.
    pub fn run(
        &self,
        encoder: &mut Classifier,
        projector: &mut Projector,
        log: &mut dyn Log,
    ) -> Result<Pretrained, TrainError> {
        let spec = self.spec;
        let steps = self.check()?;
        let micro_batches = spec.batch / spec.micro_batch();
        let mut keeper = Checkpoint::new(self.checkpoint);
        let mut state = State::default();
        let mut earlier = None;
        let mut optimizer = Optimizer::new(&spec.optimizer, vec![parameters(encoder, projector)])?;
        if let Some(mut restored) = keeper.restore::<State>()? {
            checkpoint::apply(encoder, &restored.weights("model"))?;
            projector.load_exact(&restored.weights("projector")).map_err(|error| restored.bad(&error))?;
            optimizer.load_state(&restored.take("optim"))?;
            state = restored.state;
            earlier = Some(state.seconds + state.running.seconds);
            log.resumed(0, state.epoch, state.step, state.steps);
        }
        let feed = self.views.feed(spec.micro_batch(), self.seed, self.threads, encoder.device())?;
        let base = spec.lr_scaling.scale(spec.lr, spec.batch);

        while state.epoch < spec.epochs {
            let mut clock = Instant::now();
            let mut views = feed.steps_from(state.epoch as u64, state.step, micro_batches);
            while state.step < steps {
                let parts = views.take()?;
                state.running.waiting += clock.elapsed().as_secs_f64();
                let net = Net::new(encoder, projector, spec.precision);
                optimizer.zero_grad()?;
                let at = [state.epoch as u64, state.step as u64];
                let taken = net.gradient(&parts, &spec.loss, self.seed, at)?;
                drop(parts);
                state.running.waiting += taken.waited;
                let progress =
                    Progress { epoch: state.epoch, epochs: spec.epochs, step: state.step, steps_per_epoch: steps };
                let lr = base * spec.schedule.factor(progress);
                optimizer.step(lr)?;

                // A GPU is still at it: meanwhile it is sent the next views, and only then asked how this step went.
                if encoder.device().is_cuda() && state.step + 1 < steps {
                    let waiting = Instant::now();
                    views.prepare()?;
                    state.running.waiting += waiting.elapsed().as_secs_f64();
                }
                let Told { loss, top1, top5 } = taken.told(spec.loss.similarity())?;
                if !loss.is_finite() {
                    return Err(diverged(loss, &state, lr, &keeper));
                }
                log.ssl_step(&SslStep {
                    epoch: state.epoch,
                    epochs: spec.epochs,
                    step: state.step,
                    steps,
                    lr,
                    loss,
                    top1,
                    top5,
                    images: spec.batch,
                });
                state.tally(loss, [top1, top5], spec.batch, lr, clock);
                if state.step == steps {
                    state.running.health = Health::of(&taken.h, &taken.z)?;
                }
                let stop = self.stop.load(Ordering::Relaxed);
                if stop || state.step == steps || keeper.is_due() {
                    // A gradient can overflow where the loss has not; such weights are never kept.
                    if !is_finite(encoder, projector)? {
                        let (epoch, step) = (state.epoch + 1, state.step);
                        return Err(TrainError::NotFinite { epoch, step, lr, kept: keeper.told() });
                    }
                    if stop || state.step < steps {
                        save(&mut keeper, &state, encoder, projector, &optimizer)?;
                    }
                }
                if stop {
                    return Err(TrainError::Interrupted { steps: state.steps, checkpoint: keeper.path() });
                }
                clock = Instant::now();
            }
            let knn = self.knn(encoder, state.epoch, log)?;
            log.ssl_epoch(state.end_epoch(steps, spec.batch, knn));
            // The last one stays: it holds the projection head.
            if state.epoch == spec.epochs || keeper.is_worth_it() {
                save(&mut keeper, &state, encoder, projector, &optimizer)?;
            }
        }
        let State { epochs, images, steps, seconds, .. } = state;
        Ok(Pretrained { epochs, images, steps, seconds, earlier })
    }

    /// Everything that can be refused before the first step; returns the steps of an epoch.
    fn check(&self) -> Result<usize, TrainError> {
        self.spec.check()?;
        let images = self.views.source.len();
        if self.spec.batch > images {
            return Err(TrainError::Spec {
                field: "batch".into(),
                allowed: format!("at most {images}, the images at hand"),
                got: self.spec.batch.to_string(),
            });
        }
        if let (Some(watch), Some(knn)) = (self.watch, &self.spec.knn) {
            knn.spec().check_for(watch.train.source.len())?;
        }
        self.views.check()?;
        Ok(images / self.spec.batch)
    }

    /// What nearest neighbours make of the features, in the epochs in which they are asked.
    fn knn(&self, encoder: &Classifier, epoch: usize, log: &mut dyn Log) -> Result<Option<f64>, TrainError> {
        let (Some(watch), Some(knn_watch)) = (self.watch, &self.spec.knn) else { return Ok(None) };
        if !(epoch + 1).is_multiple_of(knn_watch.every) && epoch + 1 != self.spec.epochs {
            return Ok(None);
        }
        let mut bank = |split: &Split| Bank::of(encoder, split, self.eval_batch, self.threads, log);
        let (train, eval) = (bank(&watch.train)?, bank(&watch.eval)?);
        Ok(Some(knn(&train, &eval, &knn_watch.spec())?.scores()?.accuracy))
    }
}

impl State {
    /// Counts a step that was just taken.
    fn tally(&mut self, loss: f64, [top1, top5]: [f64; 2], images: usize, lr: f64, clock: Instant) {
        self.running.loss += loss;
        self.running.top1 += top1;
        self.running.top5 += top5;
        self.running.lr = lr;
        self.running.seconds += clock.elapsed().as_secs_f64();
        self.images += images as u64;
        self.step += 1;
        self.steps += 1;
    }

    /// Writes the epoch into the history and moves to the next.
    fn end_epoch(&mut self, steps: usize, batch: usize, knn: Option<f64>) -> &SslEpoch {
        let running = std::mem::take(&mut self.running);
        let epoch = self.epoch;
        let mean = |sum: f64| sum / steps as f64;
        self.seconds += running.seconds;
        self.epochs.push(SslEpoch {
            epoch,
            lr: running.lr,
            loss: mean(running.loss),
            top1: mean(running.top1),
            top5: mean(running.top5),
            health: running.health,
            knn,
            images_per_second: (steps * batch) as f64 / running.seconds,
            waiting: running.waiting / running.seconds,
            seconds: running.seconds,
        });
        (self.epoch, self.step) = (epoch + 1, 0);
        &self.epochs[epoch]
    }
}

/// Every parameter of the encoder but the classifier's own head, and those of the projection head.
fn parameters(encoder: &Classifier, projector: &Projector) -> ParamGroup {
    let mut params = encoder.trainable();
    params.retain(|(name, _)| !encoder.is_head(name));
    params.extend(projector.trainable().into_iter().map(|(name, tensor)| (format!("projector.{name}"), tensor)));
    ParamGroup { name: "all".into(), params, lr_scale: 1.0 }
}

/// Whether every parameter and buffer still is a number.
fn is_finite(encoder: &Classifier, projector: &Projector) -> Result<bool, TrainError> {
    for (_, tensor, _) in encoder.store().iter().chain(projector.store().iter()) {
        if tensor.is_floating_point() && tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn save(
    keeper: &mut Checkpoint<'_>,
    state: &State,
    encoder: &Classifier,
    projector: &Projector,
    optimizer: &Optimizer,
) -> Result<(), TrainError> {
    keeper.save(
        state,
        encoder.store(),
        Some(optimizer),
        "projector",
        projector.store().iter().map(|(name, tensor, _)| (name, tensor)),
    )
}

fn diverged(loss: f64, state: &State, lr: f64, keeper: &Checkpoint<'_>) -> TrainError {
    TrainError::Diverged { loss, phase: 1, epoch: state.epoch + 1, step: state.step + 1, lr, kept: keeper.told() }
}
