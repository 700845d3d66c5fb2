//! Whether weights are those of a network, and what to say where they are not. Copying them is the store's work.

use panal_tensor::{LoadOptions, LoadReport, Store, Weights};

use crate::arch::IMAGENET_CLASSES;
use crate::layers::TRACKED;
use crate::{Arch, ModelError, ModelSpec};

pub(crate) fn is_head(arch: Arch, name: &str) -> bool {
    name.strip_prefix(arch.head()).is_some_and(|rest| matches!(rest, ".weight" | ".bias"))
}

/// See [`Classifier::load_pretrained`](crate::Classifier::load_pretrained).
pub(crate) fn pretrained(arch: Arch, store: &mut Store, weights: &Weights) -> Result<LoadReport, ModelError> {
    if let Some(mismatch) = first_mismatch(store, weights, |name| !is_head(arch, name), is_step_counter) {
        let found = match recognise(weights) {
            Some(other) if other != arch => other.to_string(),
            _ => "another network".to_owned(),
        };
        return Err(ModelError::WrongWeights { origin: weights.source.clone(), found, arch, mismatch });
    }
    let head_fits = first_mismatch(store, weights, |name| is_head(arch, name), |_| false).is_none();
    let skip = if head_fits { Vec::new() } else { vec![arch.head().to_owned()] };
    Ok(store.load(weights, &LoadOptions { skip })?)
}

/// See [`Classifier::load_exact`](crate::Classifier::load_exact).
pub(crate) fn exact(spec: &ModelSpec, store: &mut Store, weights: &Weights) -> Result<(), ModelError> {
    if let Some(mismatch) = first_mismatch(store, weights, |_| true, |_| false) {
        let (origin, arch, classes) = (weights.source.clone(), spec.arch, spec.classes);
        return Err(ModelError::NotExact { origin, arch, classes, mismatch });
    }
    store.load(weights, &LoadOptions::default())?;
    Ok(())
}

/// Older weight files lack these, and nothing that panal computes depends on them.
fn is_step_counter(name: &str) -> bool {
    name.ends_with(TRACKED)
}

/// The first of the `wanted` names that one side lacks, unless it is `optional`, or whose shapes differ.
fn first_mismatch(
    store: &Store,
    weights: &Weights,
    wanted: impl Fn(&str) -> bool,
    optional: impl Fn(&str) -> bool,
) -> Option<String> {
    for (name, tensor, _) in store.iter().filter(|(name, ..)| wanted(name)) {
        match weights.tensors.get(name) {
            Some(found) if found.size() != tensor.size() => {
                return Some(format!("`{name}` should be {:?} and is {:?}", tensor.size(), found.size()));
            }
            None if !optional(name) => return Some(format!("`{name}` is missing")),
            _ => {}
        }
    }
    let extra = weights.tensors.keys().find(|name| wanted(name) && store.get(name).is_none())?;
    Some(format!("`{extra}` is there and has no place"))
}

/// The architecture whose backbone has as many learnt values as these weights: no two have the same number.
fn recognise(weights: &Weights) -> Option<Arch> {
    Arch::ALL.into_iter().find(|&arch| {
        let learnt = |name: &str| {
            let statistic = ["running_mean", "running_var", TRACKED].into_iter().any(|end| name.ends_with(end));
            !statistic && !is_head(arch, name)
        };
        let found: usize =
            weights.tensors.iter().filter(|(name, _)| learnt(name)).map(|(_, tensor)| tensor.numel()).sum();
        found == backbone_params(arch)
    })
}

fn backbone_params(arch: Arch) -> usize {
    arch.num_params() - (arch.feature_dim() + 1) * IMAGENET_CLASSES as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_backbones_have_the_same_number_of_values() {
        let sizes: BTreeSet<usize> = Arch::ALL.into_iter().map(backbone_params).collect();
        assert_eq!(sizes.len(), Arch::ALL.len());
    }
}
