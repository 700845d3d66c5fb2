//! What several tests need: where the fixtures are, the files of the mirror, folders of images made on the spot, a source that needs no files.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{ImageFormat, Rgb, RgbImage};
use panal_data::{DataError, DataSource};

/// The folder of fixtures, and what `decode.py` put there.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/decode").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file of numbers that a script beside it made.
pub(crate) fn golden_text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// A zip archive of the mirror, unpacked; nothing and a loud line where it is not there.
pub(crate) fn unpacked(archive: &str) -> Option<tempfile::TempDir> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mirror");
    let mirror = std::env::var_os("PANAL_MIRROR").map_or(beside, PathBuf::from);
    let Ok(file) = File::open(mirror.join(archive)) else {
        // Not by println! or eprintln!, whose words the test runner keeps back.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no {archive} in {}; set PANAL_MIRROR", mirror.display());
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(file).unwrap().extract(folder.path()).unwrap();
    Some(folder)
}

/// An image whose pixels tell `seed`, rows and columns apart.
pub(crate) fn picture(width: u32, height: u32, seed: usize) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(seed * 37) as u8, (x * 11) as u8, (y * 7 + x) as u8]))
}

/// Writes an image as PNG, and makes the folders above it.
pub(crate) fn write_png(root: &Path, name: &str, seed: usize) -> PathBuf {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture(9 + seed as u32 % 5, 7, seed).save_with_format(&path, ImageFormat::Png).unwrap();
    path
}

/// Images in memory, 0, 1, 2, 0, 1 ... by class, that count how often they are asked for and misbehave on demand.
pub(crate) struct Painted {
    pub(crate) images: usize,
    pub(crate) classes: Vec<String>,
    pub(crate) asked: AtomicUsize,
    /// This image is an error.
    pub(crate) broken: Option<usize>,
    /// This image makes the source panic.
    pub(crate) panics: Option<usize>,
}

impl Painted {
    pub(crate) fn new(images: usize) -> Self {
        let classes = ["ants", "bees", "wasps"].map(str::to_owned).to_vec();
        Self { images, classes, asked: AtomicUsize::new(0), broken: None, panics: None }
    }
}

impl DataSource for Painted {
    fn name(&self) -> &str {
        "painted"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.images
    }

    fn label(&self, index: usize) -> usize {
        index % 3
    }

    fn id(&self, index: usize) -> String {
        format!("{}/{index}.png", self.classes[self.label(index)])
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.broken == Some(index) {
            return Err(DataError::Decode { name: self.id(index), reason: "it was painted so".to_owned() });
        }
        assert_ne!(self.panics, Some(index), "the painter fell off the ladder");
        Ok(picture(20 + index as u32 % 7, 15, index))
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        Ok([index as u8; 32])
    }
}
