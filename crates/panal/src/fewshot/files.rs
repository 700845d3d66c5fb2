//! Images that were named one by one, as a source of images without labels. Folders of classes are panal-data's.

use std::path::{Path, PathBuf};

use image::RgbImage;
use panal_data::{DataError, DataSource, UNLABELLED, decode_image};
use sha2::{Digest, Sha256};

/// Files, in the order that they were named.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    digests: Vec<[u8; 32]>,
    classes: [String; 1],
}

impl Files {
    /// Reads every file once, for its digest.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, DataError> {
        let digest = |path: &PathBuf| match std::fs::read(path) {
            Ok(bytes) => Ok(Sha256::digest(bytes).into()),
            Err(source) => Err(DataError::Read { path: path.clone(), source }),
        };
        let digests = paths.iter().map(digest).collect::<Result<_, _>>()?;
        Ok(Self { paths: paths.to_vec(), digests, classes: [UNLABELLED.to_owned()] })
    }

    pub(super) fn path(&self, index: usize) -> &Path {
        &self.paths[index]
    }
}

impl DataSource for Files {
    fn name(&self) -> &str {
        "queries"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.paths.len()
    }

    fn label(&self, _: usize) -> usize {
        0
    }

    fn id(&self, index: usize) -> String {
        self.paths[index].display().to_string()
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        decode_image(&self.paths[index])
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        Ok(self.digests[index])
    }
}
