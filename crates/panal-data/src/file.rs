//! Labelled images that are files, and what makes a data set of them. Which files a data set has is for others to say.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::decode::image_size;
use crate::{DataError, DataSource, decode_bytes};

/// All that a data set of files is made of.
#[derive(Default)]
pub(crate) struct ImageFiles {
    pub(crate) name: String,
    pub(crate) classes: Vec<String>,
    /// Empty in a set without groups, and so is `group_of`, which has a group for each class.
    pub(crate) groups: Vec<String>,
    pub(crate) group_of: Vec<usize>,
    pub(crate) images: Vec<ImageFile>,
}

/// A set of files, which is a [`DataSource`] by that alone.
pub(crate) trait HasFiles: Send + Sync {
    fn files(&self) -> &ImageFiles;
}

impl<T: HasFiles> DataSource for T {
    fn name(&self) -> &str {
        &self.files().name
    }

    fn classes(&self) -> &[String] {
        &self.files().classes
    }

    fn groups(&self) -> &[String] {
        &self.files().groups
    }

    fn group(&self, class: usize) -> Option<usize> {
        self.files().group_of.get(class).copied()
    }

    fn len(&self) -> usize {
        self.files().images.len()
    }

    fn label(&self, index: usize) -> usize {
        self.files().images[index].label
    }

    fn id(&self, index: usize) -> String {
        self.files().images[index].id.clone()
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.files().images[index].decode()
    }

    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        image_size(&self.files().images[index].path)
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        self.files().images[index].digest()
    }
}

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

    /// Decodes the image, and keeps the digest of the bytes on the way, so that it is theirs and the file is read once.
    pub(crate) fn decode(&self) -> Result<RgbImage, DataError> {
        let bytes = self.read()?;
        let image = decode_bytes(&bytes, &self.path.display().to_string())?;
        self.digest.get_or_init(|| Sha256::digest(&bytes).into());
        Ok(image)
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
