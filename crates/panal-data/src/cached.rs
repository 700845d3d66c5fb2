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
/// The [views](DataSource::view) of images that are not kept, or that are much larger, can be kept too: see
/// [`with_views`](Self::with_views).
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

    /// The same, that also keeps up to `view_bytes` bytes of the [views](DataSource::view) of images that are not kept or
    /// take four times as much: `12 * height * width` each, 0.6 MB of one at 224 pixels, whatever the photograph's own size.
    /// They too stay, so that a second pipeline has the room that the first one left.
    pub fn with_views(self, view_bytes: usize) -> Self {
        Self { room_for_views: Room::of(view_bytes), ..self }
    }

    /// How many images are in memory now.
    pub fn kept(&self) -> usize {
        self.kept.iter().filter(|image| image.get().is_some()).count()
    }

    /// Asks for every image once, on all threads of rayon's global pool, and keeps those that there is room for; of those that
    /// take four times as much as their views by `pipelines`, these as well. `decoded` is called after every image that could
    /// be decoded, from any thread.
    ///
    /// # Errors
    /// That of an image that cannot be read or decoded, of several any one; it ends there.
    pub fn decode_all(&self, pipelines: &[Pipeline], decoded: &(dyn Fn() + Sync)) -> Result<(), DataError> {
        (0..self.len()).into_par_iter().try_for_each(|index| {
            self.look_at(index, &mut |image| {
                pipelines.iter().for_each(|pipeline| self.keep_view(index, pipeline, image));
                decoded();
            })
        })
    }

    fn keep_view(&self, index: usize, pipeline: &Pipeline, image: &RgbImage) {
        let (height, width) = pipeline.size();
        let length = 3 * height as usize * width as usize;
        let bytes = length * size_of::<f32>();
        if let Some(views) = self.views_by(pipeline, bytes).filter(|_| is_large(image, bytes)) {
            self.room_for_views.keep(&views[index], bytes, || {
                let mut view = vec![0.0; length].into_boxed_slice();
                pipeline.apply(image, &mut keyed_rng(0, &[]), &mut view);
                view
            });
        }
    }

    /// Places for the views of `pipeline`, each of so many bytes; `None` where a draw changes them, or there is no room.
    fn views_by(&self, pipeline: &Pipeline, bytes: usize) -> Option<Views> {
        if pipeline.is_random() {
            return None;
        }
        let mut all = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, views)) = all.iter().find(|(made_by, _)| made_by == pipeline) {
            return Some(views.clone());
        }
        if self.room_for_views.left() < bytes {
            return None;
        }
        let views: Views = (0..self.len()).map(|_| OnceLock::new()).collect();
        all.push((pipeline.clone(), views.clone()));
        Some(views)
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
        let bytes = size_of_val(out);
        let views = self.views_by(pipeline, bytes);
        if let Some(view) = views.as_ref().and_then(|views| views[index].get()) {
            out.copy_from_slice(view);
            return Ok(());
        }
        let mut large = false;
        self.look_at(index, &mut |image| {
            large = is_large(image, bytes);
            pipeline.apply(image, &mut keyed_rng(0, &[]), out);
        })?;
        if let Some(views) = views
            && (large || self.kept[index].get().is_none())
        {
            self.room_for_views.keep(&views[index], bytes, || (&*out).into());
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

/// Whether an image takes so much more than a view of so many bytes that the view is worth its room beside it.
fn is_large(image: &RgbImage, view_bytes: usize) -> bool {
    image.as_raw().len() / 4 >= view_bytes
}

/// Bytes that may be kept.
struct Room(AtomicUsize);

impl Room {
    fn of(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Keeps a thing of so many bytes in `place`, if there is room and nothing is there.
    fn keep<T>(&self, place: &OnceLock<T>, bytes: usize, thing: impl FnOnce() -> T) {
        let less = |left: usize| left.checked_sub(bytes);
        if place.get().is_none()
            && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
            && place.set(thing()).is_err()
        {
            // Another thread was quicker; its copy has room of its own.
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}
