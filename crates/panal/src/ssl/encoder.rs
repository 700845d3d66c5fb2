//! An encoder in one file: the backbone's weights, and in the metadata what is needed to use them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use panal_data::AugmentSpec;
use panal_models::{Classifier, ModelSpec};
use panal_tensor::{Weights, read_weights, write_safetensors};
use serde::{Deserialize, Serialize};

const KEY: &str = "panal.encoder";

/// What an encoder is and how its input is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    /// The architecture; its number of classes says nothing, for the head was left out.
    pub(crate) model: ModelSpec,
    /// From an image to the network's input.
    pub(crate) transform: AugmentSpec,
    /// How it was pretrained: settings, data, seed, versions.
    pub(crate) origin: serde_json::Value,
}

/// Writes the backbone of `model` with its card, in place of what stood there.
pub(crate) fn write(path: &Path, model: &Classifier, card: &Card) -> Result<()> {
    let backbone = model.store().iter().filter(|(name, ..)| !model.is_head(name));
    let tensors: Vec<_> = backbone.map(|(name, tensor, _)| (name.to_owned(), tensor.shallow_clone())).collect();
    let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(card)?)]);
    Ok(write_safetensors(path, &tensors, &metadata)?)
}

/// Reads an encoder that [`write()`] wrote.
pub(crate) fn read(path: &Path) -> Result<(Card, Weights)> {
    let weights = read_weights(path)?;
    let card = weights.metadata.get(KEY).ok_or_else(|| {
        anyhow!(
            "{} holds weights but no encoder: name an encoder.safetensors that `panal ssl pretrain` wrote",
            path.display()
        )
    })?;
    let card = serde_json::from_str(card).with_context(|| format!("{}: its card cannot be read", path.display()))?;
    Ok((card, weights))
}
