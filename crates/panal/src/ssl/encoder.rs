//! An encoder in one file: the backbone's weights, and in the metadata what is needed to use them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use panal_data::AugmentSpec;
use panal_models::{Classifier, ModelSpec, Stem};
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

/// Refuses weights of an encoder that begins in another way: the shapes alone need not tell.
pub(crate) fn check_stem(weights: &Weights, stem: Stem) -> Result<()> {
    let Some(card) = weights.metadata.get(KEY) else { return Ok(()) };
    let path = weights.source.display();
    let card: Card = serde_json::from_str(card).with_context(|| format!("{path}: its card cannot be read"))?;
    if card.model.stem != stem {
        let said = |stem| serde_json::to_string(&stem);
        bail!(
            "{path} was pretrained with stem = {}, and here it is {}: set `stem`",
            said(card.model.stem)?,
            said(stem)?
        );
    }
    Ok(())
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
