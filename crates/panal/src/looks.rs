//! What is looked at of a network right after its run, for the page: where the evidence lay in its surest mistakes, and the features of the
//! evaluated images. Kept in a file beside the records, since the page is made anew from all runs. Drawing is in `extras`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use panal_data::{DataSource, Subset};
use panal_models::Classifier;
use panal_report::{MOST_MISTAKES, RunRecord};
use panal_tensor::{pixels_to_tensor, read_weights, write_safetensors};
use panal_trainers::{Predictions, Silent, Split};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::overlay::Map;

/// Images whose features are kept: so many points a figure can show, and a page can hold as pictures.
const MOST_POINTS: usize = 300;
const KEY: &str = "panal.look";

/// What was seen of one run.
pub(crate) struct Look {
    pub(crate) card: Card,
    /// Of each mistake, the maps of the predicted and of the true class.
    pub(crate) evidence: Vec<[Map; 2]>,
    /// A row for each of the card's images; none where features were not asked for.
    pub(crate) features: Vec<Vec<f32>>,
}

/// What the numbers are of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// The run: row, seed and start, as in its record.
    row: String,
    seed: u64,
    started_at: String,
    pub(crate) mistakes: Vec<Seen>,
    pub(crate) images: Vec<Seen>,
}

/// An image, its class, and the class that it was said to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) truth: usize,
    pub(crate) predicted: usize,
}

impl Look {
    /// Looks at `network` and what it said of `split`. Which run it is, [`Look::of_run`] adds.
    pub(crate) fn at(
        network: &Classifier,
        split: &Split,
        said: &Predictions,
        with_features: bool,
        threads: Option<usize>,
    ) -> Result<Self> {
        let seen = |index: usize, predicted: &[usize]| Seen {
            id: split.source.id(index),
            truth: said.truth[index],
            predicted: predicted[index],
        };
        let predicted = said.predicted()?;
        let mistakes = surest_mistakes(said, &predicted)?;
        let evidence = evidence(network, split, said, &predicted, &mistakes)?;
        let mut look = Self { card: Card::default(), evidence, features: Vec::new() };
        look.card.mistakes = mistakes.iter().map(|&index| seen(index, &predicted)).collect();
        if with_features {
            let all = split.source.len();
            let count = all.min(MOST_POINTS);
            let indices: Vec<usize> = (0..count).map(|i| i * all / count).collect();
            look.card.images = indices.iter().map(|&index| seen(index, &predicted)).collect();
            let some: Arc<dyn DataSource> = Arc::new(Subset::new(split.source.clone(), indices)?);
            let some = Split { source: some, pipeline: split.pipeline.clone() };
            let features = panal_trainers::features(network, &some, 32, threads, &mut Silent)?;
            look.features = Vec::<Vec<f32>>::try_from(features)?;
        }
        Ok(look)
    }

    /// Adds what a later fold's network showed; its features take the place of the earlier ones, for each fold has its own.
    pub(crate) fn join(&mut self, other: Self) {
        self.card.mistakes.extend(other.card.mistakes);
        self.evidence.extend(other.evidence);
        (self.card.images, self.features) = (other.card.images, other.features);
    }

    /// Says of which run this is.
    pub(crate) fn of_run(mut self, record: &RunRecord) -> Self {
        self.card.row.clone_from(&record.row);
        (self.card.seed, self.card.started_at) = (record.seed, record.started_at.clone());
        self
    }

    /// Writes it, in place of what stood there.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut tensors = Vec::new();
        if let Some([first, _]) = self.evidence.first() {
            let values: Vec<f32> = self.evidence.iter().flatten().flat_map(|map| map.values.iter().copied()).collect();
            let size = [self.evidence.len(), 2, first.height, first.width].map(|side| side as i64);
            tensors.push(("evidence".to_owned(), Tensor::f_from_slice(&values)?.f_reshape(size)?));
        }
        if let Some(first) = self.features.first() {
            let size = [self.features.len() as i64, first.len() as i64];
            tensors.push(("features".to_owned(), Tensor::f_from_slice(&self.features.concat())?.f_reshape(size)?));
        }
        let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(&self.card)?)]);
        Ok(write_safetensors(path, &tensors, &metadata)?)
    }

    /// Reads what [`write`](Self::write) wrote of this very run; `None` where there is nothing, or it is of another.
    pub(crate) fn read(path: &Path, record: &RunRecord) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let file = read_weights(path)?;
        let card = file.metadata.get(KEY).with_context(|| format!("{} says not what it is of", path.display()))?;
        let card: Card = serde_json::from_str(card).with_context(|| format!("cannot read {}", path.display()))?;
        if (&card.row, card.seed, &card.started_at) != (&record.row, record.seed, &record.started_at) {
            return Ok(None);
        }
        let mut look = Self { card, evidence: Vec::new(), features: Vec::new() };
        if let Some(evidence) = file.tensors.get("evidence") {
            let maps = maps(&evidence.f_flatten(0, 1)?)?;
            let mut maps = maps.into_iter();
            while let (Some(predicted), Some(truth)) = (maps.next(), maps.next()) {
                look.evidence.push([predicted, truth]);
            }
        }
        if let Some(features) = file.tensors.get("features") {
            look.features = Vec::<Vec<f32>>::try_from(features)?;
        }
        let whole = look.evidence.len() == look.card.mistakes.len()
            && (look.features.is_empty() || look.features.len() == look.card.images.len());
        anyhow::ensure!(whole, "{} does not hold what it says", path.display());
        Ok(Some(look))
    }
}

/// The images that it was most sure of and wrong about, in the order in which the report ranks them.
fn surest_mistakes(said: &Predictions, predicted: &[usize]) -> Result<Vec<usize>> {
    let probabilities = said.probabilities()?;
    let sure = |index: &usize| probabilities[*index][predicted[*index]];
    let mut wrong: Vec<usize> = (0..predicted.len()).filter(|&i| predicted[i] != said.truth[i]).collect();
    wrong.retain(|index| sure(index).is_finite());
    wrong.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
    // The report breaks ties by name, which this order does not know: all that are as sure as the last are kept.
    if let Some(least) = wrong.get(MOST_MISTAKES - 1).map(sure) {
        wrong.retain(|index| sure(index) >= least);
    }
    Ok(wrong)
}

/// Where the evidence for the predicted and the true class lies in these images.
fn evidence(
    network: &Classifier,
    split: &Split,
    said: &Predictions,
    predicted: &[usize],
    indices: &[usize],
) -> Result<Vec<[Map; 2]>> {
    // What a random transform gave the network is gone; another draw would explain another input.
    if indices.is_empty() || split.pipeline.is_random() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for indices in indices.chunks(MOST_MISTAKES) {
        let view = |i: usize, place: &mut [f32]| Ok(split.source.view(indices[i], &split.pipeline, place)?);
        let images = inputs(split.pipeline.size(), indices.len(), view, network.device())?;
        let ask = |class: &dyn Fn(usize) -> usize| -> Result<Vec<Map>> {
            let classes: Vec<usize> = indices.iter().map(|&index| class(index)).collect();
            maps(&network.grad_cam(&images, &classes)?.maps)
        };
        let of_predicted = ask(&|index| predicted[index])?;
        let of_truth = ask(&|index| said.truth[index])?;
        found.extend(of_predicted.into_iter().zip(of_truth).map(|(predicted, truth)| [predicted, truth]));
    }
    Ok(found)
}

/// A network's input of `count` images of a size, each written by `view` into its place.
pub(crate) fn inputs(
    (height, width): (u32, u32),
    count: usize,
    view: impl Fn(usize, &mut [f32]) -> Result<()>,
    device: Device,
) -> Result<Tensor> {
    let (height, width) = (height as usize, width as usize);
    let mut pixels = vec![0.0; count * height * width * 3];
    for (i, place) in pixels.chunks_exact_mut(height * width * 3).enumerate() {
        view(i, place)?;
    }
    Ok(pixels_to_tensor(&pixels, [count, height, width], device)?)
}

/// `[N, h, w]` as maps.
pub(crate) fn maps(tensor: &Tensor) -> Result<Vec<Map>> {
    let size = tensor.size();
    let [_, height, width] = size[..] else { anyhow::bail!("maps must be [N, h, w], got {size:?}") };
    let rows = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_flatten(1, -1)?;
    let rows = Vec::<Vec<f32>>::try_from(rows)?;
    Ok(rows.into_iter().map(|values| Map { values, height: height as usize, width: width as usize }).collect())
}
