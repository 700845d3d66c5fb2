//! From a pickle to named tensors: which dictionary holds the weights, and every view checked against its storage.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use indexmap::IndexMap;
use tch::{Device, Tensor};

use super::pickle::{Pickle, Storage, Value, View};
use crate::error::{FaultDoing, FileFault};
use crate::raw::{byte_len, from_bytes};

/// Where training scripts put the state dict when they save more than that.
const NESTED: [&str; 3] = ["state_dict", "model", "model_state_dict"];

/// A whole storage as a flat tensor.
pub(super) fn elements(storage: &Storage, bytes: &[u8]) -> Result<Tensor, FileFault> {
    let Storage { key, kind, numel, .. } = storage;
    let shape = [*numel as i64];
    if byte_len(&shape, *kind) != Some(bytes.len()) {
        let got = bytes.len();
        return Err(FileFault::Malformed(format!("storage {key:?} should hold {numel} {kind:?}, got {got} bytes")));
    }
    from_bytes(bytes, &shape, *kind).fault(format_args!("make storage {key:?}"))
}

/// The named tensors of a state dict, or of one nested in a dictionary under one of [`NESTED`].
///
/// `read` makes the whole storage of a key as a flat tensor; it is asked once for each key. Tensors of one storage share
/// its memory.
pub(super) fn tensors(
    pickle: &Pickle,
    mut read: impl FnMut(&Storage) -> Result<Tensor, FileFault>,
) -> Result<IndexMap<String, Tensor>, FileFault> {
    let mut storages: HashMap<&str, Tensor> = HashMap::new();
    let mut tensors = IndexMap::new();
    for (name, value) in entries(pickle)? {
        let name = pickle.text(*name).ok_or_else(|| {
            FileFault::Unsupported(format!("a key of the state dict is {}, not a string", pickle.describe(*name)))
        })?;
        let (view, storage) = pickle.tensor(*value).ok_or_else(|| {
            let found = pickle.describe(*value);
            FileFault::Unsupported(format!(
                "entry `{}` of the state dict is {found}, not a tensor",
                name.escape_debug()
            ))
        })?;
        let elements = match storages.entry(&storage.key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(read(storage)?),
        };
        tensors.insert(name.to_owned(), look(name, view, storage, elements)?);
    }
    if tensors.is_empty() {
        return Err(FileFault::Unsupported("the state dict is empty: it holds no tensor".to_owned()));
    }
    Ok(tensors)
}

fn entries(pickle: &Pickle) -> Result<&[(Value, Value)], FileFault> {
    let nested = NESTED.iter().find_map(|key| pickle.field(pickle.root, key).and_then(|value| pickle.dict(value)));
    nested.or_else(|| pickle.dict(pickle.root)).ok_or_else(|| {
        let found = pickle.describe(pickle.root);
        FileFault::Unsupported(format!(
            "holds {found}, not a state dict\n  = save `model.state_dict()` with torch.save"
        ))
    })
}

/// The tensor that a view describes, after checking that it stays inside its storage.
fn look(name: &str, view: &View, storage: &Storage, elements: &Tensor) -> Result<Tensor, FileFault> {
    let wrong = |what: &str| FileFault::Malformed(format!("tensor `{}` {what}", name.escape_debug()));
    if elements.f_kind().ok() != Some(storage.kind) || elements.numel() != storage.numel {
        return Err(wrong("disagrees with another one about their storage"));
    }
    if view.shape.len() != view.stride.len() || view.shape.iter().chain(&view.stride).any(|&n| n < 0) {
        return Err(wrong("has an impossible shape or stride"));
    }
    // With lengths of at least 1, so that a tensor without elements has a sensible shape too.
    let numel = view.shape.iter().try_fold(1i64, |numel, &len| numel.checked_mul(len.max(1)));
    let numel = numel.ok_or_else(|| wrong("has an impossible shape"))?;
    let doing = format_args!("make tensor `{name}`");
    if view.shape.contains(&0) {
        return Tensor::f_empty(&view.shape, (storage.kind, Device::Cpu)).fault(doing);
    }

    let steps = view.shape.iter().zip(&view.stride).try_fold(view.offset, |last, (&len, &stride)| {
        (len - 1).checked_mul(stride).and_then(|steps| last.checked_add(steps))
    });
    let (first, available) = (storage.part.0 as i64, storage.part.1 as i64);
    if view.offset < 0 || steps.is_none_or(|last| last >= available) {
        return Err(wrong("reaches beyond its storage"));
    }
    if numel > available {
        // An expanded view: legal in torch, but no weight, and a few bytes of it can ask for any amount of memory.
        return Err(FileFault::Unsupported(format!(
            "tensor `{name}` repeats elements of its storage: save a clone of it"
        )));
    }
    elements.f_as_strided(&view.shape, &view.stride, first + view.offset).fault(doing)
}
