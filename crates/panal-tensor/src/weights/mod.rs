//! Weight files: which format a file is in, and the tensors in it. Each format has a file of its own.

mod machine;
mod pickle;
mod pth;
mod pth_legacy;
mod safetensors;
mod state_dict;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use tch::Tensor;

pub use self::safetensors::write_safetensors;
use crate::error::{FileFault, TensorError};

/// Named tensors read from a file, on the CPU, in the file's own element types.
///
/// Tensors of one `.pth` file may share memory, as they did when they were saved: read them, don't write into them.
#[derive(Debug)]
pub struct Weights {
    /// The tensors by name, in the file's order.
    pub tensors: IndexMap<String, Tensor>,
    /// The free text of a `.safetensors` header; empty for other formats.
    pub metadata: BTreeMap<String, String>,
    /// Where they come from.
    pub source: PathBuf,
}

impl Weights {
    /// The digest that [`Store::digest`](crate::Store::digest) gives for the same tensors.
    ///
    /// # Errors
    /// [`TensorError::Torch`] for lack of memory.
    pub fn digest(&self) -> Result<String, TensorError> {
        crate::store::digest(self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))
    }
}

/// The formats, told apart by their first bytes.
enum Format {
    Safetensors,
    Pth,
    PthLegacy,
}

/// As many bytes as telling the formats apart takes.
const HEAD: usize = 512;

/// Reads a weight file: `.safetensors`, or a `.pth` as `torch.save` writes it, in its zip format or in the older one.
/// The content decides, not the name. No code of a pickle is run.
///
/// Memory is bounded by the size of the file.
///
/// # Errors
/// [`TensorError::ReadWeights`], which names the file and what is wrong with it.
pub fn read_weights(path: &Path) -> Result<Weights, TensorError> {
    let read = || -> Result<Vec<u8>, FileFault> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(HEAD as u64).read_to_end(&mut bytes)?;
        detect(&bytes, file.metadata()?.len())?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|fault| fault.reading(path))?;
    parse_weights(&bytes, path)
}

/// Reads weights from the bytes of a file; `source` only names them.
///
/// # Errors
/// As [`read_weights`].
pub fn parse_weights(bytes: &[u8], source: &Path) -> Result<Weights, TensorError> {
    let parse = || match detect(&bytes[..bytes.len().min(HEAD)], bytes.len() as u64)? {
        Format::Safetensors => safetensors::parse(bytes),
        Format::Pth => Ok((pth::parse(bytes)?, BTreeMap::new())),
        Format::PthLegacy => Ok((pth_legacy::parse(bytes)?, BTreeMap::new())),
    };
    let (tensors, metadata) = parse().map_err(|fault: FileFault| fault.reading(source))?;
    Ok(Weights { tensors, metadata, source: source.to_owned() })
}

fn detect(head: &[u8], file_len: u64) -> Result<Format, FileFault> {
    if file_len == 0 {
        return Err(FileFault::Malformed("the file is empty".to_owned()));
    }
    if safetensors::looks_like(head) {
        return Ok(Format::Safetensors);
    }
    if head.starts_with(pth::MAGIC) {
        return Ok(Format::Pth);
    }
    if head.starts_with(pth_legacy::MAGIC) {
        return Ok(Format::PthLegacy);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Err(FileFault::Unsupported(
            "the tar format of torch before 0.1.10, which is not read\n  = load it in Python and save it again"
                .to_owned(),
        ));
    }
    Err(FileFault::Unsupported(
        "neither a .safetensors nor a .pth file (by its first bytes)\n  = give weights saved by `torch.save` or safetensors"
            .to_owned(),
    ))
}
