//! A few-shot learner in one file: its weights, and in the metadata what is needed to use them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use panal_tensor::{Weights, read_weights, write_safetensors};
use panal_trainers::{FewShotNet, FewShotSpec};
use serde::{Deserialize, Serialize};
use tch::Device;

const KEY: &str = "panal.fewshot";

/// What a learner is, and where it comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    /// The learner.
    pub(crate) spec: FewShotSpec,
    /// What it is called in tables.
    pub(crate) name: String,
    /// Seed of its training.
    pub(crate) seed: u64,
    /// SHA-256 of the images that it learnt from, as [`DataSource::digest`](panal_data::DataSource::digest) has it.
    pub(crate) trained_on: String,
    /// How it was trained: settings, data, seed, versions.
    pub(crate) origin: serde_json::Value,
}

/// Writes a learner with its card, in place of what stood there.
pub(crate) fn write(path: &Path, net: &FewShotNet, card: &Card) -> Result<()> {
    let tensors: Vec<_> =
        net.store().iter().map(|(name, tensor, _)| (name.to_owned(), tensor.shallow_clone())).collect();
    let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(card)?)]);
    Ok(write_safetensors(path, &tensors, &metadata)?)
}

/// Reads a learner that [`write()`] wrote.
pub(crate) fn read(path: &Path, device: Device) -> Result<(Card, FewShotNet)> {
    let weights: Weights = read_weights(path)?;
    let card = weights.metadata.get(KEY).ok_or_else(|| {
        anyhow!(
            "{} holds weights but no few-shot learner: name a learner.safetensors that `panal fewshot train` wrote",
            path.display()
        )
    })?;
    let card: Card =
        serde_json::from_str(card).with_context(|| format!("{}: its card cannot be read", path.display()))?;
    let mut net = FewShotNet::new(&card.spec, device, 0).with_context(|| format!("in {}", path.display()))?;
    net.load_exact(&weights).with_context(|| format!("in {}", path.display()))?;
    Ok((card, net))
}
