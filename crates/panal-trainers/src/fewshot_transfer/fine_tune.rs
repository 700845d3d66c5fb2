//! Fine-tuning on the support set: for each episode a copy of the backbone and a new head learn from the support images, and only then see the
//! queries. The other methods, which need no images, live in the files beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use panal_data::{Episode, EpisodeItem, Subset, keyed_rng};
use panal_losses::cross_entropy;
use panal_models::{Classifier, Part};
use panal_optim::{AdamW, Optimizer, OptimizerSpec, ParamGroup};
use panal_tensor::{Weights, batch_to_tensors};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::EpisodeScores;
use super::evaluate::{Scoring, check_all};
use super::tasks::{check_positive, wrong};
use crate::{Log, PassLog, Split, TrainError};

/// What draws are keyed by, together with an episode's number.
const STREAM: u64 = 0x4649_4e45_5455_4e45;

/// How a backbone is fine-tuned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTuneSpec {
    /// Steps, each on the whole support; at least 1.
    pub epochs: usize,
    /// Learning rate of Adam, the same in every step; > 0.
    pub lr: f64,
    /// By what batch norm normalises while the copy learns.
    pub batch_norm: FineTuneNorm,
}

/// By what batch norm normalises while a copy learns. Queries are normalised by the running statistics either way, so that what is said of one
/// depends on no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FineTuneNorm {
    /// By the backbone's running statistics, which stay: evaluation mode.
    #[default]
    Running,
    /// By the support's own, which the copy's running statistics follow: training mode, stochastic depth included.
    Support,
}

impl Default for FineTuneSpec {
    /// 25 steps at 5e-5, those of Dhillon et al.; batch norm in evaluation mode, of which they say nothing.
    fn default() -> Self {
        Self { epochs: 25, lr: 5e-5, batch_norm: FineTuneNorm::default() }
    }
}

impl FineTuneSpec {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`TrainError::Spec`] with the field, its value and what is allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.epochs == 0 {
            return Err(wrong("fine_tune.epochs", "at least 1", &0));
        }
        check_positive("fine_tune.lr", self.lr)
    }
}

/// What a fine-tuned copy says of an episode.
#[derive(Debug)]
pub struct Tuned {
    /// `[Q, ways]` f32 on the CPU: scores of every query for every class, before softmax.
    pub logits: Tensor,
    /// Cross entropy on the support before each step, in nats.
    pub losses: Vec<f64>,
}

/// Fine-tunes copies of one backbone (Dhillon et al., A Baseline for Few-Shot Image Classification, arXiv 1909.02729, section 3.1 and
/// "Fine-tuning" in section 4, without the entropy of the queries, which would be transductive).
///
/// With `z(x)` the features of an image and `u(x) = relu(z(x)) / ||relu(z(x))||`, logits are `W u(x) + b`. A row of `W` begins as the
/// mean of `relu(z)` over the support of its class, brought to unit length, and `b` as 0; then backbone, `W` and `b` take steps of Adam against the cross
/// entropy of the whole support. The paper puts this head on the logits of the pretrained network where this one takes its features, which every
/// backbone has.
///
/// Nothing is drawn at random unless batch norm is in training mode, and then by (seed, episode's number).
pub struct FineTuner<'a> {
    split: &'a Split,
    spec: FineTuneSpec,
    seed: u64,
    threads: Option<usize>,
    /// What every copy begins with.
    weights: Weights,
    copy: Classifier,
}

impl<'a> FineTuner<'a> {
    /// Fine-tunes copies of the backbone of `network` on images of `split`, whose pipeline should draw nothing at random.
    /// `network` itself is read once and never written to.
    ///
    /// # Errors
    /// [`TrainError::Spec`] for a setting outside its range; what libtorch says.
    pub fn new(
        network: &Classifier,
        split: &'a Split,
        spec: FineTuneSpec,
        seed: u64,
        threads: Option<usize>,
    ) -> Result<Self, TrainError> {
        spec.check()?;
        let copied = |(name, tensor, _): (&str, &Tensor, _)| Ok((name.to_owned(), tensor.f_detach()?.copy()));
        let tensors = network.store().iter().map(copied).collect::<Result<_, TrainError>>()?;
        let weights = Weights { tensors, metadata: BTreeMap::new(), source: PathBuf::new() };
        let copy = Classifier::loaded(network.spec(), network.device(), &weights)?;
        copy.set_trainable(Part::All)?;
        Ok(Self { split, spec, seed, threads, weights, copy })
    }

    /// What a copy, fine-tuned on the support of `episode`, says of its queries.
    ///
    /// # Errors
    /// [`TrainError::Spec`] for an episode that is not of the split's images, or with one that is turned; the first image that can't be read.
    pub fn answer(&mut self, episode: &Episode) -> Result<Tuned, TrainError> {
        check_all(std::slice::from_ref(episode), &self.split.labels())?;
        self.copy.load_exact(&self.weights)?;
        let device = self.copy.device();
        let support = self.images(&episode.support)?;
        let labels: Vec<i64> = episode.support.iter().map(|item| item.label as i64).collect();
        let labels = Tensor::f_from_slice(&labels)?.f_to_device(device)?;

        let [weight, bias] = tch::no_grad(|| self.first_head(&support, &labels, episode.ways.len() as i64))?;
        let mut params = self.copy.trainable();
        params.retain(|(name, _)| !self.copy.is_head(name));
        params.extend(
            [("few_shot.weight", &weight), ("few_shot.bias", &bias)].map(|(n, t)| (n.into(), t.shallow_clone())),
        );
        let rule = OptimizerSpec::AdamW(AdamW { weight_decay: 0.0, ..AdamW::default() });
        let mut optimizer = Optimizer::new(&rule, vec![ParamGroup { name: "all".into(), params, lr_scale: 1.0 }])?;
        let mut rng = keyed_rng(self.seed, &[STREAM, episode.number]);
        let mut losses = Vec::with_capacity(self.spec.epochs);
        for _ in 0..self.spec.epochs {
            let features = match self.spec.batch_norm {
                FineTuneNorm::Running => self.copy.features_eval(&support)?,
                FineTuneNorm::Support => self.copy.features_train(&support, &mut rng)?,
            };
            let loss = cross_entropy(&unit(&features)?.f_linear(&weight, Some(&bias))?, &labels, 0.0)?;
            losses.push(loss.f_double_value(&[])?);
            optimizer.zero_grad()?;
            loss.f_backward()?;
            optimizer.step(self.spec.lr)?;
        }
        let query = self.images(&episode.query)?;
        let logits = tch::no_grad(|| -> Result<Tensor, TrainError> {
            Ok(unit(&self.copy.features_eval(&query)?)?.f_linear(&weight, Some(&bias))?)
        })?;
        Ok(Tuned { logits: logits.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?, losses })
    }

    /// What the answers to `episodes` are worth. Each takes as long as a small training.
    ///
    /// # Errors
    /// As [`answer`](Self::answer); [`TrainError::Stopped`] after `stop` was set.
    pub fn evaluate(
        &mut self,
        episodes: &[Episode],
        log: &mut dyn Log,
        stop: &AtomicBool,
    ) -> Result<EpisodeScores, TrainError> {
        check_all(episodes, &self.split.labels())?;
        let mut scoring = Scoring::new(self.split.source.classes().len());
        for episode in episodes {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Stopped { done: scoring.done(), of: episodes.len() });
            }
            let logits = self.answer(episode)?.logits.f_unsqueeze(0)?;
            scoring.add(std::slice::from_ref(episode), &logits)?;
            log.pass(&PassLog { what: "fine-tuning", done: scoring.done(), of: episodes.len() });
        }
        scoring.finish(false)
    }

    /// The head that the support makes: `[ways, d]` and `[ways]`, leaves that take gradients.
    fn first_head(&self, support: &Tensor, labels: &Tensor, ways: i64) -> Result<[Tensor; 2], TrainError> {
        let active = self.copy.features_eval(support)?.f_relu()?;
        let sums = labels.f_one_hot(ways)?.f_to_kind(Kind::Float)?.f_tr()?.f_matmul(&active)?;
        // A mean has the direction of the sum.
        let weight = unit(&sums)?.f_set_requires_grad(true)?;
        let bias = Tensor::f_zeros([ways], (Kind::Float, support.device()))?.f_set_requires_grad(true)?;
        Ok([weight, bias])
    }

    /// `[N, 3, H, W]`: these images as the network takes them.
    fn images(&self, items: &[EpisodeItem]) -> Result<Tensor, TrainError> {
        let indices: Vec<usize> = items.iter().map(|item| item.image).collect();
        let source = std::sync::Arc::new(Subset::new(self.split.source.clone(), indices)?);
        let part = Split { source, pipeline: self.split.pipeline.clone() };
        let loader = part.in_order(items.len(), self.threads, self.copy.device())?;
        let mut batches = Vec::new();
        for batch in loader.epoch(0) {
            batches.push(batch_to_tensors(batch?, self.copy.device())?.0);
        }
        Ok(Tensor::f_cat(&batches, 0)?)
    }
}

/// `relu(x)` brought to unit length, row by row; one of zeros stays.
fn unit(features: &Tensor) -> Result<Tensor, TrainError> {
    let active = features.f_relu()?;
    let lengths = active.f_norm_scalaropt_dim(2.0, [-1_i64], true)?.f_clamp_min(1e-12)?;
    Ok(active.f_div(&lengths)?)
}
