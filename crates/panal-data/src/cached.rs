//! Images kept in memory, up to a bound, since a lab reads the same few hundred of them epoch after epoch, run after run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use image::RgbImage;
use rayon::prelude::*;

use crate::source::same_but_for_pixels;
use crate::{DataError, DataSource, Pipeline, keyed_rng};

/// Another source, with its images kept in memory once they have been decoded, as long as there is room.
///
/// What has been kept stays: when the bound is reached, further images are decoded anew each time. (Giving up old
/// images for new ones would, in an epoch that reads each image once, keep nothing that is ever read again.)
/// An image of `h * w` pixels takes `3 * h * w` bytes. To look at one ([`DataSource::look_at`]), as a loader does, costs
/// nothing more; to take it ([`DataSource::image`]) costs a copy.
///
/// Of an image that is not kept itself, [views](DataSource::view) can be kept, which are smaller than a large
/// photograph: see [`with_views`](Self::with_views).
pub struct Cached {
    source: Arc<dyn DataSource>,
    kept: Vec<OnceLock<RgbImage>>,
    room: Room,
    /// Of each pipeline that was asked for.
    views: Mutex<Vec<(Pipeline, Views)>>,
    room_for_views: Room,
}

/// What a pipeline made of each image.
type Views = Arc<[OnceLock<Box<[f32]>>]>;

impl Cached {
    /// Keeps up to `cache_bytes` bytes of pixels of `source`.
    pub fn new(source: Arc<dyn DataSource>, cache_bytes: usize) -> Self {
        let kept = (0..source.len()).map(|_| OnceLock::new()).collect();
        Self { source, kept, room: Room::of(cache_bytes), views: Mutex::default(), room_for_views: Room::of(0) }
    }

    /// The same, that also keeps up to `view_bytes` bytes of the [views](DataSource::view) of images for which there is no
    /// room: `12 * height * width` each, 0.6 MB of one at 224 pixels, whatever the photograph's own size.
    pub fn with_views(self, view_bytes: usize) -> Self {
        Self { room_for_views: Room::of(view_bytes), ..self }
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

    fn views_by(&self, pipeline: &Pipeline) -> Views {
        let mut all = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, views)) = all.iter().find(|(made_by, _)| made_by == pipeline) {
            return views.clone();
        }
        let views: Views = (0..self.len()).map(|_| OnceLock::new()).collect();
        all.push((pipeline.clone(), views.clone()));
        views
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
        self.room.keep(&self.kept[index], image.as_raw().len(), || image);
        Ok(())
    }

    fn view(&self, index: usize, pipeline: &Pipeline, out: &mut [f32]) -> Result<(), DataError> {
        debug_assert!(!pipeline.is_random(), "what a draw changes must not be kept");
        let views =
            (self.kept[index].get().is_none() && self.room_for_views.was_given()).then(|| self.views_by(pipeline));
        let place = views.as_ref().map(|views| &views[index]);
        if let Some(view) = place.and_then(OnceLock::get) {
            out.copy_from_slice(view);
            return Ok(());
        }
        self.look_at(index, &mut |image| pipeline.apply(image, &mut keyed_rng(0, &[]), out))?;
        if let Some(place) = place
            && self.kept[index].get().is_none()
        {
            self.room_for_views.keep(place, size_of_val(out), || (&*out).into());
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

/// Bytes that may be kept.
struct Room {
    given: usize,
    left: AtomicUsize,
}

impl Room {
    fn of(bytes: usize) -> Self {
        Self { given: bytes, left: AtomicUsize::new(bytes) }
    }

    fn was_given(&self) -> bool {
        self.given > 0
    }

    /// Keeps a thing of so many bytes in `place`, if there is room and nothing is there.
    fn keep<T>(&self, place: &OnceLock<T>, bytes: usize, thing: impl FnOnce() -> T) {
        let less = |left: usize| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() && place.set(thing()).is_err() {
            // Another thread was quicker; its copy has room of its own.
            self.left.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}
