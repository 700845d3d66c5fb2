//! How features are judged: each protocol on what it is asked of. Which, and where the results go, is `eval`'s.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use panal_data::augment::Op;
use panal_data::transforms::{RandomHorizontalFlip, RandomResizedCrop, Size};
use panal_data::{AugmentSpec, DataSource, Loader, LoaderSpec, Subset};
use panal_models::Classifier;
use panal_trainers::{Bank, PhaseSpec, Predictions, Split, Transfer, knn, linear_probe, untouched};
use tch::{Device, Kind, Tensor};

use super::init::Init;
use super::judgements::Judgement;
use super::protocol::{Protocol, Settings};
use crate::console::{Console, RunLog};
use crate::data::Data;
use crate::interrupt;

/// What every evaluation shares.
pub(super) struct Judge<'a> {
    pub(super) settings: &'a Settings,
    pub(super) data: &'a Data,
    pub(super) device: Device,
    pub(super) threads: Option<usize>,
    pub(super) console: &'a Console,
}

impl Judge<'_> {
    /// Every protocol on one init with one seed; each judgement is handed to `keep` as soon as it is made. Features are computed
    /// once for those that need them, and the backbone is proven not to have moved under those that may not touch it.
    pub(super) fn all(
        &self,
        init: &Init,
        protocols: &[Protocol],
        seed: u64,
        keep: &mut dyn FnMut(Judgement) -> Result<()>,
    ) -> Result<()> {
        let (on_features, by_training): (Vec<_>, Vec<_>) =
            protocols.iter().copied().partition(|protocol| protocol.is_on_features());
        if !on_features.is_empty() {
            interrupt::heed();
            let [train, eval] = self.banks(init, seed)?;
            for protocol in on_features {
                interrupt::heed();
                let clock = Instant::now();
                let (predictions, l2) = match protocol {
                    Protocol::Knn => (knn(&train, &eval, &self.settings.knn)?, None),
                    _ => {
                        let outcome = linear_probe(&train, &eval, &self.settings.linear)?;
                        (outcome.predictions, Some(outcome.l2))
                    }
                };
                keep(self.judged(init, protocol, seed, &predictions, l2, clock)?)?;
            }
        }
        for protocol in by_training {
            let clock = Instant::now();
            let predictions = self.trained(init, protocol, seed)?;
            keep(self.judged(init, protocol, seed, &predictions, None, clock)?)?;
        }
        Ok(())
    }

    /// The one judgement of one protocol.
    pub(super) fn one(&self, init: &Init, protocol: Protocol, seed: u64) -> Result<Judgement> {
        let mut made = None;
        self.all(init, &[protocol], seed, &mut |judgement| {
            made = Some(judgement);
            Ok(())
        })?;
        made.context("a protocol makes a judgement")
    }

    /// What came of one evaluation, once every image is known to have been counted.
    fn judged(
        &self,
        init: &Init,
        protocol: Protocol,
        seed: u64,
        predictions: &Predictions,
        l2: Option<f64>,
        clock: Instant,
    ) -> Result<Judgement> {
        let predicted = predictions.predicted()?;
        let images = self.data.eval.len();
        ensure!(
            predicted.len() == images && predictions.truth.len() == images,
            "{} predictions for {images} images: this is a mistake in panal",
            predicted.len()
        );
        let correct: Vec<bool> = predicted.iter().zip(&predictions.truth).map(|(said, truth)| said == truth).collect();
        let accuracy = correct.iter().filter(|right| **right).count() as f64 / images as f64;
        tracing::info!("{}, seed {seed}: {protocol} {accuracy:.3}", init.name);
        let seconds = clock.elapsed().as_secs_f64();
        Ok(Judgement { init: init.name.clone(), protocol, seed, accuracy, correct, l2, seconds })
    }

    /// Features of the training and of the evaluated images.
    fn banks(&self, init: &Init, seed: u64) -> Result<[Bank; 2]> {
        let [train, eval] = [&self.data.train, &self.data.eval];
        let split = |source: &Arc<dyn DataSource>| -> Result<Split> {
            Ok(Split { source: source.clone(), pipeline: init.transform.check()? })
        };
        let splits = [split(train)?, split(eval)?];
        let Some(mut network) = init.network(train.classes().len(), self.device, seed)? else {
            let [train, eval] = &splits;
            return Ok([self.pixels(train)?, self.pixels(eval)?]);
        };
        let mut log = self.log(init, seed, &[]);
        let batch = self.settings.eval_batch;
        Ok(untouched(&mut network, |network| {
            let [train, eval] = &splits;
            Ok([
                Bank::of(network, train, batch, self.threads, &mut log)?,
                Bank::of(network, eval, batch, self.threads, &mut log)?,
            ])
        })?)
    }

    /// Normalised pixels as features.
    fn pixels(&self, split: &Split) -> Result<Bank> {
        let batch = self.settings.eval_batch.min(split.source.len());
        let spec = LoaderSpec { batch, threads: self.threads, ..LoaderSpec::default() };
        let loader = Loader::new(split.source.clone(), split.pipeline.clone(), spec)?;
        let mut rows = Vec::new();
        for batch in loader.epoch(0) {
            let (images, _) = panal_tensor::batch_to_tensors(batch?, Device::Cpu)?;
            rows.push(images.f_flatten(1, -1)?.f_to_kind(Kind::Float)?);
        }
        let classes = split.source.classes().len();
        Ok(Bank::new(Tensor::f_cat(&rows, 0)?, split.labels(), classes)?)
    }

    /// Predictions of a network that was trained by the protocol's phase.
    fn trained(&self, init: &Init, protocol: Protocol, seed: u64) -> Result<Predictions> {
        let phase = self.settings.phase(protocol, init.is_random());
        let Some(mut network) = init.network(self.data.train.classes().len(), self.device, seed)? else {
            bail!("{}: pixels have no backbone, so `{protocol}` is not for them", init.name);
        };
        let train = self.labelled(protocol.labels(), seed)?;
        let transfer = Transfer {
            train: Split { source: train.clone(), pipeline: augmented(&init.transform)?.check()? },
            eval: Split { source: self.data.eval.clone(), pipeline: init.transform.check()? },
            phases: std::slice::from_ref(phase),
            batch: self.settings.batch.min(train.len()),
            eval_batch: self.settings.eval_batch,
            seed,
            threads: self.threads,
            checkpoint: None,
            stop: &interrupt::watch(),
        };
        let mut log = self.log(init, seed, std::slice::from_ref(phase));
        let mut run = |network: &mut Classifier| transfer.run(network, &mut log);
        let outcome = if protocol.is_frozen() { untouched(&mut network, run)? } else { run(&mut network)? };
        Ok(outcome.last)
    }

    /// The training images whose labels may be used.
    fn labelled(&self, share: f64, seed: u64) -> Result<Arc<dyn DataSource>> {
        let train = &self.data.train;
        if share >= 1.0 {
            return Ok(train.clone());
        }
        let labels: Vec<usize> = (0..train.len()).map(|index| train.label(index)).collect();
        let part = panal_data::stratified_share(&labels, train.classes(), share, seed)?;
        Ok(Arc::new(Subset::new(train.clone(), part)?))
    }

    fn log<'a>(&'a self, init: &Init, seed: u64, phases: &'a [PhaseSpec]) -> RunLog<'a> {
        RunLog::new(self.console, format!("{}, seed {seed}", init.name), phases)
    }
}

/// Random crops of the size that `transform` ends in, and flips; what SimCLR fine-tunes with.
pub(super) fn augmented(transform: &AugmentSpec) -> Result<AugmentSpec> {
    let (height, width) = transform.check().context("the transform of an encoder")?.size();
    let crop = RandomResizedCrop::new(Size::Both([height, width]));
    let ops = vec![Op::RandomResizedCrop(crop), Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 0.5 })];
    Ok(AugmentSpec { ops, ..transform.clone() })
}
