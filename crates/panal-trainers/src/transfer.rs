//! Transfer learning in phases: probing the head over a frozen backbone, training everything, or the one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use panal_data::{Loader, LoaderSpec, keyed_rng};
use panal_models::{Classifier, Part};
use panal_optim::{Optimizer, ParamGroup, Progress};
use panal_tensor::{SideStream, pixels_for, to_device};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use crate::again::{Again, FrozenPass};
use crate::checkpoint::{self, Checkpoint, CheckpointSpec};
use crate::evaluate::{Evaluation, Predictions, Split, check_outputs, features};
use crate::feed::{AtHand, Feed};
use crate::kept::Kept;
use crate::passes::{self, Passes};
use crate::{EpochLog, Log, PhaseSpec, Scores, StepLog, TrainError};

/// Stream of the random draws inside the network (dropout, stochastic depth), apart from those of the data.
const NETWORK_STREAM: u64 = 0x6e65_7477_6f72_6b00;

/// The tensors of a checkpoint that belong to the evaluation.
const EVAL: &str = "eval";

/// A row of a lab, ready to run: data, phases and how the run is kept.
pub struct Transfer<'a> {
    /// Images to learn from.
    pub train: Split,
    /// Images to evaluate on after every epoch; never learnt from.
    pub eval: Split,
    /// What is done, in order.
    pub phases: &'a [PhaseSpec],
    /// Images a step.
    pub batch: usize,
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

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// One entry an epoch, over all phases.
    pub epochs: Vec<EpochLog>,
    /// Predictions after the last epoch.
    pub last: Predictions,
    /// Predictions after the epoch with the highest macro F1 on the evaluation split (the first of several): a selection, to be called one.
    pub best: Predictions,
    /// Which epoch that was, counted from 0.
    pub best_epoch: usize,
    /// Where the time went.
    pub seconds: Seconds,
    /// What of it was before an interruption; `None` where there was none.
    pub earlier: Option<f64>,
    /// Images that went through a training step or a feature pass, repetitions counted.
    pub images: u64,
}

/// Wall seconds of a run, by what was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Computing features of a frozen backbone, once.
    pub features: f64,
    /// Training steps, with the loading of their images.
    pub train: f64,
    /// Of these, waiting for images. On a GPU, which may have had something to compute meanwhile, it is a bound on what they held up.
    #[serde(default)]
    pub waiting: f64,
    /// Evaluation.
    pub evaluate: f64,
}

impl Seconds {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.features + self.train + self.evaluate
    }
}

/// Where a run is and what it has seen; with the tensors of the checkpoint, all that a loop carries from step to step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    phase: usize,
    epoch: usize,
    step: usize,
    running: Running,
    epochs: Vec<EpochLog>,
    best_epoch: usize,
    seconds: Seconds,
    images: u64,
    steps: u64,
}

/// Sums over the steps of the epoch so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Running {
    loss: f64,
    correct: u64,
    images: u64,
    seconds: f64,
    #[serde(default)]
    waiting: f64,
    lr: f64,
}

impl Transfer<'_> {
    /// Runs every phase on `model` and evaluates after every epoch.
    ///
    /// In a `head` phase the backbone is frozen: in evaluation mode, without gradient, its batch-norm buffers untouched; dropout before the
    /// head is off, since nothing but the last layer trains. Where the training transform draws nothing at random, each image's features
    /// are computed once for the whole phase.
    ///
    /// # Errors
    /// What the data, the network or the settings refuse; [`TrainError::Diverged`] at the first loss that is no number, after which
    /// `model` is of no more use; [`TrainError::Interrupted`] after `stop` was set.
    pub fn run(&self, model: &mut Classifier, log: &mut dyn Log) -> Result<Outcome, TrainError> {
        self.check(model)?;
        let mut keeper = Checkpoint::new(self.checkpoint);
        let mut state = State::default();
        let (mut last, mut best) = (None, None);
        let mut optimizer_state = None;
        let mut earlier = None;
        if let Some(mut restored) = keeper.restore::<State>()? {
            checkpoint::apply(model, &restored.weights("model"))?;
            let mut eval = restored.take(EVAL);
            (last, best) = (eval.swap_remove("last"), eval.swap_remove("best"));
            optimizer_state = Some(restored.take("optim")).filter(|tensors| !tensors.is_empty());
            state = restored.state;
            earlier = Some(state.seconds.total() + state.running.seconds);
            log.resumed(state.phase, state.epoch, state.step, state.steps);
        }

        let graphs = self.phases.iter().any(|phase| phase.cuda_graphs);
        let stream = if graphs { SideStream::enter(model.device())? } else { None };
        while let Some(phase) = self.phases.get(state.phase) {
            model.set_trainable(phase.train)?;
            let mut optimizer = Optimizer::new(&phase.optimizer, groups(model, phase, state.phase)?)?;
            if let Some(tensors) = optimizer_state.take() {
                optimizer.load_state(&tensors)?;
            }
            self.stop_if_asked(&mut keeper, &state, model, &optimizer, [&last, &best])?;
            // Features that are computed once, or images that are kept.
            let started = Instant::now();
            let feed = self.feed(model, phase, log)?;
            let fed = started.elapsed().as_secs_f64();
            let eval = match phase.train {
                Part::Head => {
                    let features = features(model, &self.eval, self.eval_batch, self.threads, log)?;
                    Eval::Features(features.f_to_device(model.device())?)
                }
                Part::All => {
                    Eval::Images(Evaluation::new(&self.eval, self.eval_batch, self.threads, model.device(), log)?)
                }
            };
            let both = started.elapsed().as_secs_f64();
            match phase.train {
                Part::Head => state.seconds.features += both,
                Part::All => {
                    state.seconds.train += fed;
                    state.seconds.waiting += fed;
                    state.seconds.evaluate += both - fed;
                }
            }
            self.stop_if_asked(&mut keeper, &state, model, &optimizer, [&last, &best])?;
            let stream = stream.as_ref().filter(|_| phase.cuda_graphs);
            let mut again = Again::new(stream);
            // Frozen, so that it may be folded for the whole phase.
            let mut frozen = match (phase.train, &feed) {
                (Part::Head, Feed::Images(_)) => Some(FrozenPass::new(model.folded()?, stream)),
                _ => None,
            };
            let mut passes = match phase.train {
                Part::Head => None,
                Part::All => Some(Passes::new(model, phase.label_smoothing, stream)),
            };

            while state.epoch < phase.epochs {
                let epoch = state.epochs.len();
                let steps = feed.batches();
                let mut clock = Instant::now();
                let mut batches = feed.epoch_from(epoch as u64, state.step, model.device(), phase.precision).peekable();
                loop {
                    let waiting = Instant::now();
                    let Some(examples) = batches.next() else { break };
                    state.running.waiting += waiting.elapsed().as_secs_f64();
                    let examples = examples?;
                    let mut rng = keyed_rng(self.seed, &[NETWORK_STREAM, epoch as u64, state.step as u64]);
                    let (loss, logits) = match (&mut passes, &mut frozen) {
                        (Some(passes), _) => passes.run(&examples.input, &examples.labels, &mut optimizer, &mut rng)?,
                        (None, frozen) => {
                            optimizer.zero_grad()?;
                            let features = match frozen {
                                Some(frozen) => &frozen.features(&examples.input)?,
                                None => &examples.input,
                            };
                            let logits = model.head_eval(features)?;
                            (passes::backward(&logits, &examples.labels, phase.label_smoothing)?, logits)
                        }
                    };
                    let at =
                        Progress { epoch: state.epoch, epochs: phase.epochs, step: state.step, steps_per_epoch: steps };
                    let lr = phase.lr * phase.schedule.factor(at);
                    optimizer.step(lr)?;

                    // A GPU is still at it: meanwhile it is sent the next images, and only then asked how this step went.
                    if model.device().is_cuda() {
                        let waiting = Instant::now();
                        let _ = batches.peek();
                        state.running.waiting += waiting.elapsed().as_secs_f64();
                    }
                    let troubles =
                        [passes.as_mut().and_then(Passes::trouble), frozen.as_mut().and_then(FrozenPass::trouble)];
                    troubles.into_iter().flatten().for_each(|trouble| log.warn(&unrecorded(&trouble)));
                    let images = examples.labels.size()[0] as usize;
                    let (value, right) = loss_and_correct(&loss, &logits, &examples.labels)?;
                    if !value.is_finite() {
                        return Err(diverged(value, &state, lr, &keeper));
                    }
                    log.step(&StepLog {
                        phase: state.phase,
                        epoch: state.epoch,
                        step: state.step,
                        steps,
                        lr,
                        loss: value,
                        accuracy: right as f64 / images as f64,
                        images,
                    });
                    state.tally(value, right, images, lr, &mut clock);
                    self.stop_if_asked(&mut keeper, &state, model, &optimizer, [&last, &best])?;
                    if state.step < steps && keeper.is_due() {
                        keeper.save(&state, model.store(), Some(&optimizer), EVAL, kept([&last, &best]))?;
                    }
                }
                state.running.seconds += clock.elapsed().as_secs_f64();

                let started = Instant::now();
                let logits = match &eval {
                    Eval::Features(features) => no_grad(|| model.head_eval(features))?.f_to_device(Device::Cpu)?,
                    Eval::Images(images) => images.logits(model, &mut again, log)?,
                };
                again.trouble().into_iter().for_each(|trouble| log.warn(&unrecorded(&trouble)));
                let predictions = Predictions { logits, truth: self.eval.labels() };
                let scores = predictions.scores()?;
                let is_best = state.is_best(&scores);
                log.epoch(state.end_epoch(scores, is_best, started.elapsed().as_secs_f64()));
                if is_best {
                    best = Some(predictions.logits.copy());
                }
                last = Some(predictions.logits);
                if state.epoch == phase.epochs {
                    break;
                }
                if keeper.is_worth_it() {
                    keeper.save(&state, model.store(), Some(&optimizer), EVAL, kept([&last, &best]))?;
                }
            }
            (state.phase, state.epoch) = (state.phase + 1, 0);
            if keeper.is_worth_it() {
                keeper.save(&state, model.store(), None, EVAL, kept([&last, &best]))?;
            }
        }
        model.set_trainable(Part::All)?;

        let predictions = |logits: Option<Tensor>| {
            logits.map(|logits| Predictions { logits, truth: self.eval.labels() }).ok_or_else(|| TrainError::Spec {
                field: "phases".into(),
                allowed: "at least one".into(),
                got: "none".into(),
            })
        };
        Ok(Outcome {
            last: predictions(last)?,
            best: predictions(best)?,
            best_epoch: state.best_epoch,
            seconds: state.seconds,
            earlier,
            images: state.images,
            epochs: state.epochs,
        })
    }

    /// Where it was asked to stop, keeps a checkpoint and says so.
    fn stop_if_asked(
        &self,
        keeper: &mut Checkpoint<'_>,
        state: &State,
        model: &Classifier,
        optimizer: &Optimizer,
        judged: [&Option<Tensor>; 2],
    ) -> Result<(), TrainError> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        keeper.save(state, model.store(), Some(optimizer), EVAL, kept(judged))?;
        Err(TrainError::Interrupted { steps: state.steps, checkpoint: keeper.path() })
    }

    /// Everything that can be refused before the first image is loaded.
    fn check(&self, model: &Classifier) -> Result<(), TrainError> {
        for (index, phase) in self.phases.iter().enumerate() {
            phase.check(&format!("phases[{index}]"))?;
        }
        let (train, eval) = (self.train.source.classes(), self.eval.source.classes());
        if train != eval {
            return Err(TrainError::Classes { train: train.join(", "), eval: eval.join(", ") });
        }
        check_outputs(model, &self.train)
    }

    /// The batches of a phase: features where the backbone is frozen and no draw changes an image, images otherwise, at hand where they may be.
    fn feed(&self, model: &Classifier, phase: &PhaseSpec, log: &mut dyn Log) -> Result<Feed, TrainError> {
        let spec = LoaderSpec {
            batch: self.batch,
            shuffle: true,
            seed: self.seed,
            threads: self.threads,
            ..LoaderSpec::default()
        };
        let device = model.device();
        let order =
            Loader::new(self.train.source.clone(), self.train.pipeline.clone(), spec)?.writing_to(pixels_for(device));
        let inputs = if phase.train == Part::All {
            Kept::of(&self.train, self.batch, self.threads, device, phase.precision, log)?.map(AtHand::Images)
        } else if self.train.pipeline.is_random() {
            None
        } else {
            let features = features(model, &self.train, self.eval_batch, self.threads, log)?;
            Some(AtHand::Features(features.f_to_device(device)?))
        };
        let Some(inputs) = inputs else { return Ok(Feed::Images(order)) };
        let labels: Vec<i64> = self.train.labels().into_iter().map(|class| class as i64).collect();
        let labels = to_device(&Tensor::f_from_slice(&labels)?, device)?;
        Ok(Feed::AtHand { inputs, labels, order })
    }
}

/// What a network is evaluated on after every epoch of a phase.
enum Eval<'a> {
    /// Features of a backbone that stays as it is, on the device.
    Features(Tensor),
    Images(Evaluation<'a>),
}

impl State {
    /// Counts a step that was just taken.
    fn tally(&mut self, loss: f64, correct: u64, images: usize, lr: f64, clock: &mut Instant) {
        self.running.loss += loss * images as f64;
        self.running.correct += correct;
        self.running.images += images as u64;
        self.running.lr = lr;
        self.running.seconds += clock.elapsed().as_secs_f64();
        *clock = Instant::now();
        self.images += images as u64;
        self.step += 1;
        self.steps += 1;
    }

    /// Is this the highest macro F1 so far?
    fn is_best(&self, scores: &Scores) -> bool {
        self.epochs.get(self.best_epoch).is_none_or(|best| scores.f1 > best.eval.f1)
    }

    /// Writes the epoch into the history and moves to the next.
    fn end_epoch(&mut self, eval: Scores, is_best: bool, eval_seconds: f64) -> &EpochLog {
        let running = std::mem::take(&mut self.running);
        let epoch = self.epochs.len();
        if is_best {
            self.best_epoch = epoch;
        }
        self.seconds.train += running.seconds;
        self.seconds.waiting += running.waiting;
        self.seconds.evaluate += eval_seconds;
        (self.epoch, self.step) = (self.epoch + 1, 0);
        let images = running.images as f64;
        self.epochs.push(EpochLog {
            phase: self.phase,
            epoch,
            lr: running.lr,
            train_loss: running.loss / images,
            train_accuracy: running.correct as f64 / images,
            eval,
            seconds: running.seconds + eval_seconds,
        });
        &self.epochs[epoch]
    }
}

/// Parameters that learn, in groups of one learning-rate scale each.
fn groups(model: &Classifier, phase: &PhaseSpec, index: usize) -> Result<Vec<ParamGroup>, TrainError> {
    let mut unused: Vec<&String> = phase.lr_scale.keys().collect();
    let mut groups: Vec<ParamGroup> = Vec::new();
    for (name, tensor) in model.trainable() {
        let part = if model.is_head(&name) { "head" } else { "backbone" };
        let matches =
            |prefix: &str| name == prefix || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        // The longest prefix of the name, then the part, then 1.
        let group = phase.lr_scale.keys().filter(|key| matches(key)).max_by_key(|key| key.len());
        let group = group.or_else(|| phase.lr_scale.keys().find(|key| *key == part));
        unused.retain(|key| Some(*key) != group);
        let scale = group.map_or(1.0, |key| phase.lr_scale[key]);
        let label = group.map_or("rest", String::as_str);
        match groups.iter_mut().find(|known| known.name == label) {
            Some(known) => known.params.push((name, tensor)),
            None => groups.push(ParamGroup { name: label.to_owned(), params: vec![(name, tensor)], lr_scale: scale }),
        }
    }
    match unused.first() {
        Some(key) => Err(TrainError::Spec {
            field: format!("phases[{index}].lr_scale.{key}"),
            allowed: format!(
                "`head`, `backbone` or the beginning of the name of a trained parameter of {}",
                model.arch()
            ),
            got: format!("`{key}`, which none begins with"),
        }),
        None => Ok(groups),
    }
}

/// The loss, and how many of the batch are right; read from the device together, since each reading waits for it.
pub(crate) fn loss_and_correct(loss: &Tensor, logits: &Tensor, labels: &Tensor) -> Result<(f64, u64), TrainError> {
    let right = logits.f_argmax(1, false)?.f_eq_tensor(labels)?.f_sum(Kind::Float)?;
    let both = Vec::<f32>::try_from(Tensor::f_stack(&[loss.f_detach()?.f_to_kind(Kind::Float)?, right], 0)?)?;
    let [loss, right] = both[..] else { unreachable!("two scalars were stacked") };
    Ok((f64::from(loss), right as u64))
}

/// What a user is told where work could not be recorded as a CUDA graph.
fn unrecorded(trouble: &TrainError) -> String {
    format!("{trouble}; it is done without a CUDA graph (`cuda_graphs = false` asks for none)")
}

/// What was predicted after the last epoch and after the best, where there was one.
fn kept([last, best]: [&Option<Tensor>; 2]) -> Vec<(&'static str, &Tensor)> {
    [("last", last), ("best", best)].into_iter().filter_map(|(name, tensor)| Some((name, tensor.as_ref()?))).collect()
}

fn diverged(loss: f64, state: &State, lr: f64, keeper: &Checkpoint<'_>) -> TrainError {
    let (phase, epoch, step) = (state.phase + 1, state.epoch + 1, state.step + 1);
    TrainError::Diverged { loss, phase, epoch, step, lr, kept: keeper.told() }
}
