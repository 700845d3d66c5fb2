//! The safetensors format, read through the crate of that name and written here, atomically. No other format.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use indexmap::IndexMap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use crate::error::{FaultDoing, FileFault, TensorError};
use crate::raw::{byte_len, from_bytes, to_bytes};

/// The header key that holds free text in the place of a tensor.
const METADATA: &str = "__metadata__";

/// A little-endian length, then a JSON object.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.get(8) == Some(&b'{')
}

type Parsed = (IndexMap<String, Tensor>, BTreeMap<String, String>);

/// Tensors in the order of their offsets, and the metadata.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, FileFault> {
    let damaged = |error: safetensors::SafeTensorError| FileFault::Malformed(format!("safetensors: {error}"));
    let (header_len, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let data = &bytes[8 + header_len..];
    let mut infos: Vec<_> = header.tensors().into_iter().collect();
    infos.sort_by(|(a_name, a), (b_name, b)| (a.data_offsets, a_name).cmp(&(b.data_offsets, b_name)));

    let mut tensors = IndexMap::with_capacity(infos.len());
    for (name, info) in infos {
        let kind = kind_of(info.dtype).ok_or_else(|| {
            FileFault::Unsupported(format!("tensor `{name}` is of type {}, which is not read", info.dtype))
        })?;
        let shape = info.shape.iter().map(|&n| i64::try_from(n)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| FileFault::Malformed(format!("tensor `{name}` has shape {:?}", info.shape)))?;
        let (start, end) = info.data_offsets;
        let tensor = from_bytes(&data[start..end], &shape, kind).fault(format_args!("make tensor `{name}`"))?;
        tensors.insert(name, tensor);
    }
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok((tensors, metadata))
}

/// Writes tensors and free text to a `.safetensors` file, atomically: a file of that name is replaced whole or left alone,
/// also where the machine stops half-way.
///
/// Values are written in the row-major order of the shape, whatever a tensor's strides or device; read back they are
/// bit-equal. The same input gives the same bytes.
///
/// # Errors
/// [`TensorError::WriteWeights`]: for a folder that cannot be written, an element type that the format has no name for, or
/// a tensor that is called `__metadata__`; [`TensorError::Duplicate`].
pub fn write_safetensors(
    path: &Path,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<(), TensorError> {
    let mut names = HashSet::new();
    if let Some((name, _)) = tensors.iter().find(|(name, _)| !names.insert(name)) {
        return Err(TensorError::Duplicate(name.clone()));
    }
    write(path, tensors, metadata).map_err(|fault| fault.writing(path))
}

fn write(path: &Path, tensors: &[(String, Tensor)], metadata: &BTreeMap<String, String>) -> Result<(), FileFault> {
    // Widest elements first, so that every tensor begins at a multiple of its element's size.
    let mut ordered = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let kind = tensor.f_kind().fault(format_args!("tell the type of tensor `{name}`"))?;
        ordered.push((name, tensor, kind));
    }
    ordered.sort_by_key(|(_, _, kind)| std::cmp::Reverse(kind.elt_size_in_bytes()));
    let header = header(&ordered, metadata)?;

    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    let temporary = builder.prefix(".panal-").suffix(".tmp").tempfile_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file());
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (name, tensor, _) in ordered {
        out.write_all(&to_bytes(tensor).fault(format_args!("read tensor `{name}`"))?)?;
    }
    out.flush()?;
    drop(out);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // Makes the rename itself last. Some file systems cannot sync a folder; the file is whole either way.
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The header as JSON, padded with spaces to a multiple of 8 bytes.
fn header(tensors: &[(&String, &Tensor, Kind)], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, FileFault> {
    let mut fields = Map::new();
    if !metadata.is_empty() {
        fields.insert(METADATA.to_owned(), json!(metadata));
    }
    let mut start = 0;
    for (name, tensor, kind) in tensors {
        if *name == METADATA {
            return Err(FileFault::Unsupported(format!("no tensor can be called `{METADATA}` in this format")));
        }
        let dtype = dtype_of(*kind).ok_or_else(|| {
            FileFault::Unsupported(format!("tensor `{name}` is of type {kind:?}, which is not written"))
        })?;
        let shape = tensor.size();
        let len = byte_len(&shape, *kind)
            .ok_or_else(|| FileFault::Unsupported(format!("tensor `{name}` is too large: {shape:?}")))?;
        let fields_of = json!({ "dtype": dtype.to_string(), "shape": shape, "data_offsets": [start, start + len] });
        fields.insert((*name).clone(), fields_of);
        start += len;
    }
    let mut header = Value::Object(fields).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// The types that both sides have.
const TYPES: [(Dtype, Kind); 10] = [
    (Dtype::BOOL, Kind::Bool),
    (Dtype::U8, Kind::Uint8),
    (Dtype::I8, Kind::Int8),
    (Dtype::I16, Kind::Int16),
    (Dtype::I32, Kind::Int),
    (Dtype::I64, Kind::Int64),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::F32, Kind::Float),
    (Dtype::F64, Kind::Double),
];

fn kind_of(dtype: Dtype) -> Option<Kind> {
    TYPES.iter().find(|(known, _)| *known == dtype).map(|(_, kind)| *kind)
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    TYPES.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype)
}
