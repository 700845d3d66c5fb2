//! A trained model in one file: weights, and in the metadata what is needed to use them. Training happens elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use panal_data::{AugmentSpec, DataError, Pipeline, ShorterSide, decode_image};
use panal_models::{Classifier, ModelSpec};
use panal_report::RunRecord;
use panal_tensor::{read_weights, write_safetensors};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::Device;

use crate::config::Lab;

const KEY: &str = "panal.model";

/// What a model is for and how its input is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    /// Architecture and number of classes.
    pub(crate) model: ModelSpec,
    /// Names of the classes, in the order of the outputs.
    pub(crate) classes: Vec<String>,
    /// What larger images are reduced to, before the transform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shorter_side: Option<ShorterSide>,
    /// From an image to the network's input.
    pub(crate) transform: AugmentSpec,
    /// Data, settings and seed, in words and digests.
    pub(crate) origin: serde_json::Value,
}

impl Card {
    /// The card of a network that a run of `lab` made.
    pub(crate) fn new(lab: &Lab, record: &RunRecord) -> Self {
        Self {
            model: ModelSpec::new(lab.model, record.data.classes.len()).with_stem(lab.stem),
            classes: record.data.classes.clone(),
            shorter_side: lab.shorter_side,
            transform: lab.eval_augment().clone(),
            origin: json!({ "data": record.data.train, "config": record.config, "seed": record.seed, "versions": record.versions }),
        }
    }

    /// The image in the file at `path`, ready for the transform.
    pub(crate) fn read_image(&self, path: &Path) -> Result<RgbImage, DataError> {
        let image = decode_image(path)?;
        Ok(match self.shorter_side {
            Some(side) => side.reduce(image),
            None => image,
        })
    }
}

/// A model ready to be used.
pub(crate) struct Saved {
    pub(crate) card: Card,
    pub(crate) model: Classifier,
    pub(crate) pipeline: Pipeline,
}

/// Writes `model` with its card, in place of what stood there.
pub(crate) fn write(path: &Path, model: &Classifier, card: &Card) -> Result<()> {
    let tensors: Vec<_> =
        model.store().iter().map(|(name, tensor, _)| (name.to_owned(), tensor.shallow_clone())).collect();
    let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(card)?)]);
    Ok(write_safetensors(path, &tensors, &metadata)?)
}

/// Reads a model that [`write()`] wrote.
pub(crate) fn read(path: &Path, device: Device) -> Result<Saved> {
    let weights = read_weights(path)?;
    let card = weights.metadata.get(KEY).ok_or_else(|| {
        anyhow!(
            "{} holds weights but not what they are for: name a model.safetensors that `panal train` wrote",
            path.display()
        )
    })?;
    let card: Card =
        serde_json::from_str(card).with_context(|| format!("{}: its model card cannot be read", path.display()))?;
    if card.classes.len() != card.model.classes {
        anyhow::bail!(
            "{}: its card names {} classes for {} outputs",
            path.display(),
            card.classes.len(),
            card.model.classes
        );
    }
    let pipeline = card.transform.check().with_context(|| format!("{}: its transform", path.display()))?;
    let model = Classifier::loaded(&card.model, device, &weights)?;
    Ok(Saved { card, model, pipeline })
}
