//! One labelled image that is a file. Which files a data set has is for others to say.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::{DataError, decode_bytes};

/// A file, where it is and what it shows.
pub(crate) struct ImageFile {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
    pub(crate) label: usize,
    /// Known once the file has been read.
    digest: OnceLock<[u8; 32]>,
}

impl ImageFile {
    pub(crate) fn new(id: String, path: PathBuf, label: usize) -> Self {
        Self { id, path, label, digest: OnceLock::new() }
    }

    fn read(&self) -> Result<Vec<u8>, DataError> {
        fs::read(&self.path).map_err(|source| DataError::Read { path: self.path.clone(), source })
    }

    /// Decodes the image, and keeps the digest of the bytes on the way.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let bytes = self.read()?;
        decode_bytes(&bytes, &self.path.display().to_string())?;
        self.digest.get_or_init(|| Sha256::digest(&bytes).into());
        Ok(())
    }

    /// SHA-256 of the file's bytes.
    pub(crate) fn digest(&self) -> Result<[u8; 32], DataError> {
        if let Some(digest) = self.digest.get() {
            return Ok(*digest);
        }
        let digest = Sha256::digest(self.read()?).into();
        Ok(*self.digest.get_or_init(|| digest))
    }
}
