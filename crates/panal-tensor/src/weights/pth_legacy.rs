//! The older format of `torch.save` (torch 0.1.10 to 1.5): five pickles in a row, then the raw storages.

use std::collections::HashMap;

use indexmap::IndexMap;
use tch::{Kind, Tensor};

use super::pickle::Value;
use super::{machine, state_dict};
use crate::error::FileFault;

/// The first pickle: the number 0x1950a86a20f9469cfc6c.
pub(super) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The second pickle: the only version there has been.
const PROTOCOL: i64 = 1001;

pub(super) fn parse(bytes: &[u8]) -> Result<IndexMap<String, Tensor>, FileFault> {
    let mut at = MAGIC.len();
    let version = machine::read(bytes, &mut at)?;
    if version.root != Value::Int(PROTOCOL) {
        return Err(FileFault::Unsupported(format!("not version {PROTOCOL} of torch's older format")));
    }
    let system = machine::read(bytes, &mut at)?;
    if system.field(system.root, "little_endian") != Some(Value::Bool(true)) {
        return Err(FileFault::Unsupported("not saved on a little-endian machine".to_owned()));
    }
    let object = machine::read(bytes, &mut at)?;
    let keys = machine::read(bytes, &mut at)?;

    // The storages have no index: where one ends follows from the type that the object gave it.
    let kinds: HashMap<&str, Kind> = object.storages().map(|storage| (storage.key.as_str(), storage.kind)).collect();
    let mut raw = HashMap::new();
    let keys_list = keys.items(keys.root).ok_or_else(|| damaged("the list of storages is missing"))?;
    for key in keys_list {
        let key = keys.text(*key).ok_or_else(|| damaged("the key of a storage is not a string"))?;
        let kind = *kinds.get(key).ok_or_else(|| damaged("a storage belongs to no tensor"))?;
        let numel = take(bytes, &mut at, 8, key)?;
        let numel = u64::from_le_bytes(numel.try_into().map_err(|_| damaged("a storage has no length"))?);
        let len = usize::try_from(numel).ok().and_then(|numel| numel.checked_mul(kind.elt_size_in_bytes()));
        let len = len.ok_or_else(|| damaged("a storage has an impossible length"))?;
        raw.insert(key, take(bytes, &mut at, len, key)?);
    }
    state_dict::tensors(&object, |storage| {
        let bytes = raw.get(storage.key.as_str()).ok_or_else(|| damaged("the elements of a storage are missing"))?;
        state_dict::elements(storage, bytes)
    })
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, len: usize, key: &str) -> Result<&'a [u8], FileFault> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let taken = rest.get(..len).ok_or_else(|| FileFault::Truncated {
        part: format!("storage {key:?}"),
        needed: len as u64,
        left: rest.len() as u64,
    })?;
    *at += len;
    Ok(taken)
}

fn damaged(what: &str) -> FileFault {
    FileFault::Malformed(format!("torch's older format: {what}"))
}
