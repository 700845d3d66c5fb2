//! What TensorBoard is told of a run (`--tensorboard DIR`): figures as they come, pictures of a first batch, and at the end what the
//! network got wrong and where it puts each image. How that becomes files is panal-tensorboard's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use image::RgbImage;
use image::imageops::{FilterType, resize};
use panal_data::{AugmentSpec, DataSource, Subset, mosaic, view_rng};
use panal_models::Classifier;
use panal_report::{Prediction, RunRecord};
use panal_tensorboard::{EventError, EventWriter, MOST_POINTS, Projection};
use panal_trainers::{EpisodicEpoch, EpochLog, Log, PassLog, Silent, Split, SslEpoch, SslStep, StepLog};
use tch::{Device, Kind, Tensor};

/// Pictures of a first batch, and the most that were got wrong.
const SHOWN: usize = 16;
const COLUMNS: u32 = 4;
/// Longer side of a picture in a mosaic, and of a point's, in pixels.
const SIDE: u32 = 160;
const POINT: u32 = 48;
/// Images at a time through the network.
const BATCH: usize = 32;

/// One run of those that TensorBoard compares; without `--tensorboard` nothing is taken down.
///
/// A run does not end because its events can't be written: that is said once, and nothing more is written.
pub(crate) struct Board {
    writer: Option<EventWriter>,
    folder: PathBuf,
    /// Pictures that wait for the first event, since a run that goes on has shown them before.
    waiting: Vec<(&'static str, RgbImage)>,
    begun: bool,
    /// Steps taken, over all phases and epochs.
    steps: u64,
    last: Instant,
}

impl Board {
    /// Events of a run go to `root/run`.
    pub(crate) fn open(root: Option<&Path>, run: &str) -> Result<Self> {
        let folder = root.map(|root| root.join(run)).unwrap_or_default();
        let writer = root.map(|_| EventWriter::create(&folder)).transpose().context("--tensorboard")?;
        Ok(Self { writer, folder, waiting: Vec::new(), begun: false, steps: 0, last: Instant::now() })
    }

    /// Shows images as a first epoch sees them: `views` of each, side by side.
    pub(crate) fn show_views(&mut self, source: &dyn DataSource, views: &[&AugmentSpec], seed: u64) -> Result<()> {
        if self.writer.is_none() {
            return Ok(());
        }
        let mut pictures = Vec::new();
        for index in spread(source.len(), SHOWN / views.len()) {
            let image = source.image(index)?;
            for (view, augment) in views.iter().enumerate() {
                pictures.push(augment.check()?.picture(&image, &mut view_rng(seed, 0, index, view)));
            }
        }
        self.waiting.push(("images as they are learnt from", mosaic(&pictures, COLUMNS, SIDE)?));
        Ok(())
    }

    /// After a run: the images that it was most confidently wrong about, and the features of all, by the network as it is now.
    pub(crate) fn end(
        &mut self,
        record: &RunRecord,
        network: &Classifier,
        split: &Split,
        threads: Option<usize>,
    ) -> Result<()> {
        if self.writer.is_none() {
            return Ok(());
        }
        self.begin();
        if let Some(wrong) = mistakes(record, split.source.as_ref())? {
            let steps = self.steps;
            self.write(|writer| writer.picture(steps, "most confidently wrong", &wrong));
        }
        self.show_features(network, split, threads, &record.predictions)
    }

    /// After a run: where a backbone puts the images of `split`, and what each was taken for, if that is known.
    pub(crate) fn show_features(
        &mut self,
        network: &Classifier,
        split: &Split,
        threads: Option<usize>,
        predictions: &[Prediction],
    ) -> Result<()> {
        self.project(split.source.as_ref(), predictions, |chosen| {
            let part = Arc::new(Subset::new(split.source.clone(), chosen.to_vec())?);
            let part = Split { source: part, pipeline: split.pipeline.clone() };
            Ok(panal_trainers::features(network, &part, BATCH, threads, &mut Silent)?)
        })
    }

    /// The same for any network: `features` of the images that it is asked for, `[N, d]`.
    pub(crate) fn project(
        &mut self,
        source: &dyn DataSource,
        predictions: &[Prediction],
        features: impl FnOnce(&[usize]) -> Result<Tensor>,
    ) -> Result<()> {
        if self.writer.is_none() {
            return Ok(());
        }
        let chosen = spread(source.len(), MOST_POINTS);
        if chosen.len() < source.len() {
            tracing::info!("TensorBoard's projector is given {} of {} images", chosen.len(), source.len());
        }
        let features = features(&chosen)?;
        let dimensions = features.size()[1] as usize;
        let values: Vec<f32> = Vec::try_from(features.to_kind(Kind::Float).to_device(Device::Cpu).view(-1))?;
        let taken: HashMap<&str, usize> = predictions.iter().map(|one| (one.id.as_str(), one.predicted)).collect();
        let class = |index: usize| source.classes().get(index).cloned().unwrap_or_default();
        let (mut cells, mut pictures) = (Vec::new(), Vec::new());
        for &index in &chosen {
            let id = source.id(index);
            let predicted = taken.get(id.as_str()).map(|&predicted| class(predicted)).unwrap_or_default();
            cells.push(vec![id, class(source.label(index)), predicted]);
            pictures.push(resize(&source.image(index)?, POINT, POINT, FilterType::Triangle));
        }
        let projection = Projection {
            name: "features",
            dimensions,
            values: &values,
            columns: &["image", "class", "predicted"],
            cells: &cells,
            pictures: &pictures,
        };
        let folder = self.folder.clone();
        self.write(|_| projection.write(&folder));
        Ok(())
    }

    /// A figure about the run as a whole.
    pub(crate) fn result(&mut self, tag: &str, value: f64) {
        self.scalars(&[(tag, value)]);
    }

    /// Whatever an earlier session says of the steps that come now, TensorBoard is told to forget.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let first = if self.steps == 0 { 0 } else { self.steps + 1 };
        self.write(|writer| writer.start(first));
        for (tag, picture) in std::mem::take(&mut self.waiting) {
            if first == 0 {
                self.write(|writer| writer.picture(0, tag, &picture));
            }
        }
    }

    fn scalars(&mut self, scalars: &[(&str, f64)]) {
        self.begin();
        let steps = self.steps;
        self.write(|writer| writer.scalars(steps, scalars));
    }

    fn write(&mut self, what: impl FnOnce(&mut EventWriter) -> Result<(), EventError>) {
        let Some(writer) = &mut self.writer else { return };
        if let Err(error) = what(writer) {
            tracing::warn!("the run goes on, and TensorBoard is told nothing more of it: {error}");
            self.writer = None;
        }
    }

    /// Counts a step of so many images; images a second since the last one.
    fn stepped(&mut self, images: usize) -> f64 {
        // Said before the step counts, so that what an earlier session knew of it goes.
        self.begin();
        self.steps += 1;
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        images as f64 / seconds.max(1e-9)
    }
}

impl Log for Board {
    fn step(&mut self, step: &StepLog) {
        let speed = self.stepped(step.images);
        self.scalars(&[
            ("step/loss", step.loss),
            ("step/accuracy", step.accuracy),
            ("step/learning_rate", step.lr),
            ("step/images_per_second", speed),
        ]);
    }

    fn epoch(&mut self, epoch: &EpochLog) {
        self.scalars(&[
            ("epoch/train_loss", epoch.train_loss),
            ("epoch/train_accuracy", epoch.train_accuracy),
            ("epoch/evaluation_loss", epoch.eval.loss),
            ("epoch/evaluation_accuracy", epoch.eval.accuracy),
            ("epoch/evaluation_f1", epoch.eval.f1),
            ("epoch/seconds", epoch.seconds),
        ]);
        self.last = Instant::now();
    }

    fn ssl_step(&mut self, step: &SslStep) {
        let speed = self.stepped(step.images);
        self.scalars(&[
            ("step/loss", step.loss),
            ("step/top1", step.top1),
            ("step/top5", step.top5),
            ("step/learning_rate", step.lr),
            ("step/images_per_second", speed),
        ]);
    }

    fn ssl_epoch(&mut self, epoch: &SslEpoch) {
        let health = &epoch.health;
        let mut scalars = vec![
            ("epoch/loss", epoch.loss),
            ("epoch/top1", epoch.top1),
            ("epoch/top5", epoch.top5),
            ("epoch/alignment", health.alignment),
            ("epoch/uniformity", health.uniformity),
            ("epoch/spread", health.spread),
            ("epoch/rank", health.rank),
            ("epoch/images_per_second", epoch.images_per_second),
            ("epoch/waiting", epoch.waiting),
        ];
        scalars.extend(epoch.knn.map(|accuracy| ("epoch/nearest_neighbours", accuracy)));
        self.scalars(&scalars);
        self.last = Instant::now();
    }

    fn episodic_epoch(&mut self, epoch: &EpisodicEpoch) {
        self.scalars(&[
            ("epoch/train_loss", epoch.loss),
            ("epoch/train_accuracy", epoch.accuracy),
            ("epoch/seconds", epoch.seconds),
        ]);
        self.last = Instant::now();
    }

    fn pass(&mut self, _: &PassLog) {
        self.last = Instant::now();
    }

    fn resumed(&mut self, _: usize, _: usize, _: usize, steps: u64) {
        self.steps = steps;
    }
}

/// A run's folder, from what people call its row: `5-linear-probing-5-fine-tuning-3`.
pub(crate) fn folder_of(index: usize, row: &str) -> String {
    let words = row.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    format!("{}-{}", index + 1, words.join("-"))
}

/// At most so many of `of` indices, evenly.
fn spread(of: usize, most: usize) -> Vec<usize> {
    let some = of.min(most);
    (0..some).map(|k| k * of / some).collect()
}

/// Those that the network was surest of, and wrong; the surest first.
fn mistakes(record: &RunRecord, source: &dyn DataSource) -> Result<Option<RgbImage>> {
    let sure = |prediction: &Prediction| prediction.probabilities.get(prediction.predicted).copied().unwrap_or(0.0);
    let mut wrong: Vec<_> = record.predictions.iter().filter(|p| p.predicted != p.truth).collect();
    wrong.sort_by(|a, b| sure(b).total_cmp(&sure(a)).then_with(|| a.id.cmp(&b.id)));
    wrong.truncate(SHOWN);
    let mut pictures = Vec::new();
    for prediction in wrong {
        if let Some(index) = (0..source.len()).find(|&index| source.id(index) == prediction.id) {
            pictures.push(source.image(index)?);
        }
    }
    Ok(if pictures.is_empty() { None } else { Some(mosaic(&pictures, COLUMNS, SIDE)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_names_that_any_system_takes() {
        assert_eq!(folder_of(0, "full fine-tuning, transfer"), "1-full-fine-tuning-transfer");
        assert_eq!(folder_of(3, "linear probing + 3 augmentations"), "4-linear-probing-3-augmentations");
        assert_eq!(folder_of(1, "../é\\:x"), "2-é-x");
    }

    #[test]
    fn a_few_of_many_are_spread_over_all() {
        assert_eq!(spread(3, 8), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(0, 4), [0; 0]);
    }
}
