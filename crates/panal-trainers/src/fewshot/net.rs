//! A few-shot learner: a backbone, a method over it, and the parameters of both in one store. How it is trained lives in `episodic`.

use std::fmt::Debug;

use panal_data::Episode;
use panal_losses::cross_entropy;
use panal_models::{Conv4, ModelError, Norms};
use panal_tensor::{LoadOptions, Role, Store, Weights};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::images::FewShotImages;
use super::maml::{Maml, Rule};
use super::matching::Matching;
use super::prototypical::Prototypical;
use super::relation::Relation;
use super::siamese::Siamese;
use super::spec::{FewShotSpec, MethodSpec, wrong};
use super::task::Task;
use crate::TrainError;

/// Images at a time through the backbone where there is no episode.
const AT_ONCE: usize = 256;

/// What a method makes of an episode.
pub(super) trait Method: Debug {
    /// How well each query fits each class, `[Q, ways]`; the largest wins.
    fn logits(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<Tensor, TrainError>;

    /// The loss to go down, a scalar, and the logits that it comes from; cross entropy of the logits, unless a method has its own.
    /// What is drawn for it comes from `rng`.
    fn loss(&self, backbone: &Conv4, task: &Task, rng: &mut ChaCha8Rng) -> Result<(Tensor, Tensor), TrainError> {
        let _ = rng;
        let logits = self.logits(backbone, task, Norms::Train)?;
        Ok((cross_entropy(&logits, &task.truth, 0.0)?, logits))
    }
}

/// A learner of few-shot tasks.
#[derive(Debug)]
pub struct FewShotNet {
    spec: FewShotSpec,
    store: Store,
    backbone: Conv4,
    method: Box<dyn Method>,
}

impl FewShotNet {
    /// A learner whose parameters are drawn from `seed`.
    ///
    /// # Errors
    /// What [`FewShotSpec::check`] finds; [`TrainError::Model`] where the device fails.
    pub fn new(spec: &FewShotSpec, device: Device, seed: u64) -> Result<Self, TrainError> {
        spec.check()?;
        let mut store = Store::new(device, seed);
        let backbone = Conv4::new(&spec.network, &mut store)?;
        let features = spec.network.feature_dim();
        let method: Box<dyn Method> = match spec.method {
            MethodSpec::Prototypical {} => Box::new(Prototypical),
            MethodSpec::Matching { scale } => Box::new(Matching { scale }),
            MethodSpec::Relation { hidden } => Box::new(Relation::new(&spec.network, hidden, &mut store)?),
            MethodSpec::Siamese { embedding } => Box::new(Siamese::new(features, embedding, &mut store)?),
            MethodSpec::Maml { ways, inner_lr, steps, eval_steps, order, adapt } => Box::new(Maml {
                head: Maml::head(features, ways, &mut store)?,
                rule: Rule { lr: inner_lr, steps, order, adapt },
                eval_steps,
                batch_norm: spec.batch_norm,
            }),
        };
        Ok(Self { spec: spec.clone(), store, backbone, method })
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &FewShotSpec {
        &self.spec
    }

    /// The parameters and buffers.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Handles on the parameters, by name.
    #[must_use]
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        self.store.named(|_, role| role == Role::Parameter)
    }

    /// Loads every parameter and buffer from weights that hold these and nothing else.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] for a shape that differs or a NaN; [`TrainError::Model`] where names are missing or left over, with
    /// nothing loaded.
    pub fn load_exact(&mut self, weights: &Weights) -> Result<(), TrainError> {
        let mut own: Vec<&str> = self.store.iter().map(|(name, ..)| name).collect();
        let mut given: Vec<&str> = weights.tensors.keys().map(String::as_str).collect();
        own.sort_unstable();
        given.sort_unstable();
        if own != given {
            return Err(TrainError::Model(ModelError::Input {
                what: "the weights of a few-shot learner",
                expected: format!("[{}]", own.join(", ")),
                got: format!("[{}]", given.join(", ")),
            }));
        }
        self.store.load(weights, &LoadOptions::default())?;
        Ok(())
    }

    /// How well each query of an episode fits each of its classes; the largest wins. Nothing of the learner changes.
    ///
    /// # Shapes
    /// - returns: `[queries, ways]` f32
    ///
    /// # Errors
    /// An episode that is not one of `images`, images made for another network, or that the method can't take.
    pub fn logits(&self, images: &FewShotImages, episode: &Episode) -> Result<Tensor, TrainError> {
        self.check_images(images)?;
        let norms = self.spec.batch_norm.norms();
        tch::no_grad(|| self.method.logits(&self.backbone, &images.task(episode)?, norms))
    }

    /// What the backbone makes of some of `images`, one by one: batch norm is inductive, whatever the learner's is.
    ///
    /// # Shapes
    /// - returns: `[indices.len(), d]` f32
    ///
    /// # Errors
    /// An index that is not one of `images`, or images made for another network.
    pub fn features(&self, images: &FewShotImages, indices: &[usize]) -> Result<Tensor, TrainError> {
        self.check_images(images)?;
        let some = |part: &[usize]| Ok(self.backbone.features(&images.as_they_are(part)?, Norms::Inductive)?);
        let parts: Vec<Tensor> = tch::no_grad(|| indices.chunks(AT_ONCE).map(some).collect::<Result<_, TrainError>>())?;
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// The loss of a task and its logits; batch norm learns too.
    pub(super) fn loss(&self, task: &Task, rng: &mut ChaCha8Rng) -> Result<(Tensor, Tensor), TrainError> {
        self.method.loss(&self.backbone, task, rng)
    }

    pub(super) fn check_images(&self, images: &FewShotImages) -> Result<(), TrainError> {
        let side = self.spec.network.side as i64;
        if images.side() != side || images.tone() != self.spec.tone {
            let name = |side: i64, tone| format!("{side} pixels wide and in {tone:?}");
            return Err(wrong("images", name(side, self.spec.tone), name(images.side(), images.tone())));
        }
        Ok(())
    }
}

/// Support and query in one batch, the support first.
pub(super) fn joined(task: &Task) -> Result<Tensor, TrainError> {
    Ok(Tensor::f_cat(&[&task.support, &task.query], 0)?)
}

/// Features of the support, `[S, d]`, and of the queries, `[Q, d]`.
pub(super) fn embedded(backbone: &Conv4, task: &Task, norms: Norms) -> Result<[Tensor; 2], TrainError> {
    let features = backbone.features(&joined(task)?, norms)?;
    let (support, query) = (task.support.size()[0], task.query.size()[0]);
    Ok([features.f_narrow(0, 0, support)?, features.f_narrow(0, support, query)?])
}
