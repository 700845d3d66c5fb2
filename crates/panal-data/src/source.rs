//! What a set of labelled images is, whatever it comes from, and a part of one. Reading files lives in `folder`.

use std::sync::Arc;

use image::RgbImage;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{DataError, Pipeline, keyed_rng};

/// A set of labelled images in a fixed order, read one at a time from any thread.
///
/// An index at or beyond [`len`](Self::len) is a mistake of the caller and panics, as with a slice.
pub trait DataSource: Send + Sync {
    /// What the set is called in logs and tables.
    fn name(&self) -> &str;
    /// The names of the classes; a label is an index into them.
    fn classes(&self) -> &[String];
    /// The number of images.
    fn len(&self) -> usize;
    /// The class of image `index`, less than `classes().len()`.
    fn label(&self, index: usize) -> usize;
    /// The name of image `index`, unique in the set: for a file, its path below the folder with `/` between the parts.
    fn id(&self, index: usize) -> String;
    /// The pixels of image `index`.
    ///
    /// # Errors
    /// The image cannot be read or decoded; the error names it.
    fn image(&self, index: usize) -> Result<RgbImage, DataError>;
    /// SHA-256 of what image `index` is made from: the bytes of its file.
    ///
    /// # Errors
    /// The image cannot be read; the error names it.
    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError>;

    /// Width and height of image `index`, in pixels. A source of files knows them without decoding the image; where this is not
    /// defined it is decoded.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        let mut size = (0, 0);
        self.look_at(index, &mut |image| size = image.dimensions())?;
        Ok(size)
    }

    /// Shows the pixels of image `index` to `look`, which saves a copy where they are in memory already.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    fn look_at(&self, index: usize, look: &mut dyn FnMut(&RgbImage)) -> Result<(), DataError> {
        look(&self.image(index)?);
        Ok(())
    }

    /// Writes into `out` what `pipeline`, which is not [random](Pipeline::is_random), makes of image `index`: `[height, width, 3]`
    /// of [`Pipeline::size`]. A source may keep that; it is the same to the last bit.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    ///
    /// # Panics
    /// Unless `out` has `height * width * 3` places.
    fn view(&self, index: usize, pipeline: &Pipeline, out: &mut [f32]) -> Result<(), DataError> {
        self.look_at(index, &mut |image| pipeline.apply(image, &mut keyed_rng(0, &[]), out))
    }

    /// Whether there are no images at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the groups that the classes belong to, such as alphabets of characters; none where there are no groups.
    fn groups(&self) -> &[String] {
        &[]
    }

    /// The group of a class, an index into [`groups`](Self::groups); `None` where there are no groups.
    fn group(&self, class: usize) -> Option<usize> {
        let _ = class;
        None
    }

    /// How many images each class has.
    fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        for index in 0..self.len() {
            counts[self.label(index)] += 1;
        }
        counts
    }

    /// SHA-256, in hexadecimal, of the whole set: of every image in order, its id's length in bytes and its label as
    /// eight little-endian bytes each, its id, and its [`content_digest`](Self::content_digest).
    ///
    /// # Errors
    /// An image cannot be read; the error names the first one.
    fn digest(&self) -> Result<String, DataError> {
        let contents: Vec<_> = (0..self.len()).into_par_iter().map(|index| self.content_digest(index)).collect();
        let mut hash = Sha256::new();
        for (index, content) in contents.into_iter().enumerate() {
            let id = self.id(index);
            hash.update((id.len() as u64).to_le_bytes());
            hash.update((self.label(index) as u64).to_le_bytes());
            hash.update(id.as_bytes());
            hash.update(content?);
        }
        Ok(hex(&hash.finalize()))
    }
}

/// All of a [`DataSource`] that shows the images of its field `source` in another way: what does not depend on their pixels.
macro_rules! same_but_for_pixels {
    () => {
        fn name(&self) -> &str {
            self.source.name()
        }

        fn classes(&self) -> &[String] {
            self.source.classes()
        }

        fn groups(&self) -> &[String] {
            self.source.groups()
        }

        fn group(&self, class: usize) -> Option<usize> {
            self.source.group(class)
        }

        fn len(&self) -> usize {
            self.source.len()
        }

        fn label(&self, index: usize) -> usize {
            self.source.label(index)
        }

        fn id(&self, index: usize) -> String {
            self.source.id(index)
        }

        fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
            self.source.content_digest(index)
        }
    };
}
pub(crate) use same_but_for_pixels;

/// Bytes as small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Some of the images of another set, in the order given; the classes stay those of the whole set.
#[derive(Clone)]
pub struct Subset {
    whole: Arc<dyn DataSource>,
    indices: Vec<usize>,
}

impl Subset {
    /// The images of `whole` at `indices`.
    ///
    /// # Errors
    /// [`DataError::Field`] for an index that `whole` does not have, or that is given twice.
    pub fn new(whole: Arc<dyn DataSource>, indices: Vec<usize>) -> Result<Self, DataError> {
        let mut taken = vec![false; whole.len()];
        for &index in &indices {
            match taken.get_mut(index) {
                None => return Err(DataError::field("a subset's index", format!("< {}", whole.len()), index)),
                Some(true) => return Err(DataError::field("a subset's index", "given once", format!("{index} twice"))),
                Some(seen) => *seen = true,
            }
        }
        Ok(Self { whole, indices })
    }
}

impl DataSource for Subset {
    fn name(&self) -> &str {
        self.whole.name()
    }

    fn classes(&self) -> &[String] {
        self.whole.classes()
    }

    fn groups(&self) -> &[String] {
        self.whole.groups()
    }

    fn group(&self, class: usize) -> Option<usize> {
        self.whole.group(class)
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn label(&self, index: usize) -> usize {
        self.whole.label(self.indices[index])
    }

    fn id(&self, index: usize) -> String {
        self.whole.id(self.indices[index])
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.whole.image(self.indices[index])
    }

    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        self.whole.size(self.indices[index])
    }

    fn look_at(&self, index: usize, look: &mut dyn FnMut(&RgbImage)) -> Result<(), DataError> {
        self.whole.look_at(self.indices[index], look)
    }

    fn view(&self, index: usize, pipeline: &Pipeline, out: &mut [f32]) -> Result<(), DataError> {
        self.whole.view(self.indices[index], pipeline, out)
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        self.whole.content_digest(self.indices[index])
    }
}
