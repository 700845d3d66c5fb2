//! The zip format of `torch.save` (torch 1.6 and later): `data.pkl`, and each storage as an entry of its own.

use std::io::{Cursor, Read};

use indexmap::IndexMap;
use tch::Tensor;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::{machine, state_dict};
use crate::error::FileFault;

/// The first bytes of a zip file with entries.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

pub(super) fn parse(bytes: &[u8]) -> Result<IndexMap<String, Tensor>, FileFault> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut archive = Archive { archive, folder: String::new(), left: bytes.len() };
    archive.folder = archive.find_folder()?;

    if archive.has("byteorder") && archive.read("byteorder")? != b"little" {
        return Err(FileFault::Unsupported("saved on a big-endian machine, which is not read".to_owned()));
    }
    let program = archive.read("data.pkl")?;
    let pickle = machine::read(&program, &mut 0)?;
    state_dict::tensors(&pickle, |storage| {
        let name = format!("data/{}", storage.key);
        let bytes = if storage.numel == 0 && !archive.has(&name) { Vec::new() } else { archive.read(&name)? };
        state_dict::elements(storage, &bytes)
    })
}

struct Archive<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder that everything lies in, with a slash at the end.
    folder: String,
    /// Bytes that may still be read. Entries that share bytes could otherwise hold more than the file.
    left: usize,
}

impl Archive<'_> {
    /// The folder that `data.pkl` lies in; torch names it after the file.
    fn find_folder(&self) -> Result<String, FileFault> {
        if self.archive.has_duplicate_names() {
            return Err(FileFault::Malformed("zip: two entries have the same name".to_owned()));
        }
        let mut folder = None;
        for name in self.archive.file_names() {
            let name = name.map_err(damaged)?;
            if name.ends_with("/constants.pkl") {
                return Err(FileFault::Unsupported(
                    "a TorchScript program, not weights\n  = save `model.state_dict()` with torch.save".to_owned(),
                ));
            }
            if name.strip_suffix("/data.pkl").is_some_and(|folder| !folder.contains('/')) {
                folder = Some(name.trim_end_matches("data.pkl").to_owned());
            }
        }
        folder.ok_or_else(|| {
            FileFault::Unsupported("a zip archive without data.pkl: not written by torch.save".to_owned())
        })
    }

    fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&format!("{}{name}", self.folder)).is_some()
    }

    /// One entry, its checksum verified.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, FileFault> {
        let mut entry = self
            .archive
            .by_name(&format!("{}{name}", self.folder))
            .map_err(|error| FileFault::Malformed(format!("zip entry {name:?}: {error}")))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(FileFault::Unsupported(format!(
                "zip entry {name:?} is compressed, which torch.save never does"
            )));
        }
        let size = usize::try_from(entry.size()).ok().filter(|&size| size <= self.left);
        let size = size.ok_or_else(|| FileFault::Truncated {
            part: format!("zip entry {name:?}"),
            needed: entry.size(),
            left: self.left as u64,
        })?;
        self.left -= size;
        let mut bytes = Vec::with_capacity(size);
        // To the very end, where the checksum is compared; one byte more than promised shows a wrong size.
        (&mut entry)
            .take(size as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| FileFault::Malformed(format!("zip entry {name:?}: {error}")))?;
        if bytes.len() != size {
            return Err(FileFault::Malformed(format!(
                "zip entry {name:?} should hold {size} bytes, got {}",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn damaged(error: ZipError) -> FileFault {
    FileFault::Malformed(format!("zip: {error}"))
}
