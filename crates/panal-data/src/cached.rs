//! Decoded images kept in memory, up to a bound, since a lab reads the same few hundred of them epoch after epoch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use image::RgbImage;
use rayon::prelude::*;

use crate::source::same_but_for_pixels;
use crate::{DataError, DataSource};

/// Another source, with its images kept in memory once they have been decoded, as long as there is room.
///
/// What has been kept stays: when the bound is reached, further images are decoded anew each time. (Giving up old
/// images for new ones would, in an epoch that reads each image once, keep nothing that is ever read again.)
/// An image of `h * w` pixels takes `3 * h * w` bytes. To look at one ([`DataSource::look_at`]), as a loader does, costs
/// nothing more; to take it ([`DataSource::image`]) costs a copy.
pub struct Cached {
    source: Arc<dyn DataSource>,
    kept: Vec<OnceLock<RgbImage>>,
    room: AtomicUsize,
}

impl Cached {
    /// Keeps up to `cache_bytes` bytes of pixels of `source`.
    pub fn new(source: Arc<dyn DataSource>, cache_bytes: usize) -> Self {
        let kept = (0..source.len()).map(|_| OnceLock::new()).collect();
        Self { source, kept, room: AtomicUsize::new(cache_bytes) }
    }

    /// How many images are in memory now.
    pub fn kept(&self) -> usize {
        self.kept.iter().filter(|image| image.get().is_some()).count()
    }

    /// Asks for every image once, on all threads of rayon's global pool, and keeps those that there is room for.
    /// `decoded` is called after every image that could be decoded, from any thread.
    ///
    /// # Errors
    /// That of an image that cannot be read or decoded, of several any one; it ends there.
    pub fn decode_all(&self, decoded: &(dyn Fn() + Sync)) -> Result<(), DataError> {
        (0..self.len()).into_par_iter().try_for_each(|index| self.look_at(index, &mut |_| decoded()))
    }

    fn take_room(&self, bytes: usize) -> bool {
        let less = |room: usize| room.checked_sub(bytes);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl DataSource for Cached {
    same_but_for_pixels!();

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let mut copy = RgbImage::default();
        self.look_at(index, &mut |image| copy.clone_from(image))?;
        Ok(copy)
    }

    fn look_at(&self, index: usize, look: &mut dyn FnMut(&RgbImage)) -> Result<(), DataError> {
        if let Some(image) = self.kept[index].get() {
            look(image);
            return Ok(());
        }
        let image = self.source.image(index)?;
        look(&image);
        let bytes = image.as_raw().len();
        if self.take_room(bytes) && self.kept[index].set(image).is_err() {
            // Another thread was quicker; its copy has room of its own.
            self.room.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        match self.kept[index].get() {
            Some(image) => Ok(image.dimensions()),
            None => self.source.size(index),
        }
    }
}
