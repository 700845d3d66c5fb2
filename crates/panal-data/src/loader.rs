//! Batches of augmented images, made ahead by a few threads, the same for any number of them. What is done to each image
//! is the pipeline's business.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;

use crossbeam_channel::{Receiver, bounded};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::panic_message;
use crate::{DataError, DataSource, Pipeline, Pixels, keyed_rng};

/// What the draws of a loader are keyed by, together with the epoch and, for augmentation, the image's index.
const SHUFFLE: u64 = 0x5348_5546_464c_4500;
const AUGMENT: u64 = 0x4155_474d_454e_5400;

/// The generator of all that a [`Loader`] draws to augment view number `view` of image `index` in `epoch`. The first view is
/// drawn as the only one would be.
pub fn view_rng(seed: u64, epoch: u64, index: usize, view: usize) -> ChaCha8Rng {
    let key = [AUGMENT, epoch, index as u64, view as u64];
    keyed_rng(seed, if view == 0 { &key[..3] } else { &key })
}

/// How a [`Loader`] makes batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderSpec {
    /// How often each image is augmented, with draws of its own each time; 1 if not given, 2 for the pairs of
    /// contrastive learning. It is decoded once.
    pub views: usize,
    /// Images a batch. With `shuffle`, as in training, a batch larger than the set is an error; without, as in
    /// evaluation, it is the whole set.
    pub batch: usize,
    /// Whether every epoch has an order of its own, drawn from the seed and the epoch.
    pub shuffle: bool,
    /// Whether the last batch of an epoch is left out where it would be smaller than the others.
    pub drop_last: bool,
    /// The seed of every draw.
    pub seed: u64,
    /// Threads that decode and augment; `None` for one a core. They change nothing but the speed.
    pub threads: Option<usize>,
    /// Batches that are made ahead of the one that is used; 0 starts on a batch only when it is asked for.
    /// So `prefetch + 1` batches are in memory at most, beside those that the caller holds.
    pub prefetch: usize,
}

impl Default for LoaderSpec {
    /// 16 images a batch, one view of each, in order, none dropped, seed 0, one thread a core, 2 batches ahead.
    fn default() -> Self {
        Self { views: 1, batch: 16, shuffle: false, drop_last: false, seed: 0, threads: None, prefetch: 2 }
    }
}

impl LoaderSpec {
    /// Checks the fields for a set of `images` images.
    ///
    /// # Errors
    /// [`DataError::Field`] for a batch or a number of threads or views of 0, for a batch that is larger than the set while
    /// `shuffle` is on, or for no images at all.
    pub fn check(&self, images: usize) -> Result<(), DataError> {
        if images == 0 {
            return Err(DataError::field("the number of images to load", "> 0", images));
        }
        if self.batch == 0 {
            return Err(DataError::field("batch", "> 0", self.batch));
        }
        if self.shuffle && self.batch > images {
            return Err(DataError::field("batch", format!("<= the {images} training images"), self.batch));
        }
        if self.views == 0 {
            return Err(DataError::field("views", "> 0", 0));
        }
        if self.threads == Some(0) {
            return Err(DataError::field("threads", "> 0", 0));
        }
        Ok(())
    }
}

/// Augmented, normalised images with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[N * views, height, width, 3]`: the views of one image and then those of the next, each row after row, red, green
    /// and blue of each pixel.
    pub pixels: Pixels,
    /// Views of each image.
    pub views: usize,
    /// Rows of each image.
    pub height: usize,
    /// Pixels of each row.
    pub width: usize,
    /// `[N]`: the class of each image.
    pub labels: Vec<i64>,
    /// `[N]`: where each image stands in the source.
    pub indices: Vec<usize>,
}

/// Makes the batches of one epoch after another. Its threads live as long as it or any of its epochs.
pub struct Loader {
    recipe: Arc<Recipe>,
    spec: LoaderSpec,
    pool: Arc<ThreadPool>,
}

impl Loader {
    /// A loader of the images of `source`, each passed through `pipeline`.
    ///
    /// # Errors
    /// What [`LoaderSpec::check`] says, or [`DataError::Internal`] where threads cannot be started.
    pub fn new(source: Arc<dyn DataSource>, pipeline: Pipeline, spec: LoaderSpec) -> Result<Self, DataError> {
        spec.check(source.len())?;
        let threads = spec.threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("panal-load-{number}"))
            .build()
            .map_err(|error| DataError::Internal(format!("{threads} threads could not be started: {error}")))?;
        let (seed, views) = (spec.seed, spec.views);
        let recipe =
            Recipe { source, pipelines: vec![pipeline], seed, views, memory: |length| vec![0.0; length].into() };
        Ok(Self { recipe: Arc::new(recipe), spec, pool: Arc::new(pool) })
    }

    /// The same loader, whose views after the first are made by `pipeline`, as where one branch of a contrastive loss sees the
    /// image as it is (SimCLR, arXiv 2002.05709, section 3.1).
    ///
    /// # Errors
    /// [`DataError::Field`] where it ends in another size than the pipeline of the first view.
    pub fn with_second_view(self, pipeline: Pipeline) -> Result<Self, DataError> {
        let (height, width) = self.recipe.pipelines[0].size();
        if pipeline.size() != (height, width) {
            let (other_height, other_width) = pipeline.size();
            let allowed = format!("{width} x {height} pixels, as the first");
            return Err(DataError::field("the second view", allowed, format!("{other_width} x {other_height}")));
        }
        let pipelines = vec![self.recipe.pipelines[0].clone(), pipeline];
        Ok(Self { recipe: Arc::new(Recipe { pipelines, ..Recipe::clone(&self.recipe) }), ..self })
    }

    /// The same loader, whose batches are written into memory that `memory` makes: so many values, of any kind.
    /// So a batch can come to be where it is wanted, without a copy.
    pub fn writing_to(self, memory: fn(usize) -> Pixels) -> Self {
        Self { recipe: Arc::new(Recipe { memory, ..Recipe::clone(&self.recipe) }), ..self }
    }

    /// Batches an epoch.
    pub fn batches(&self) -> usize {
        let images = self.recipe.source.len();
        // Without `drop_last` a batch larger than the set is the whole set, with it too: it is not a smaller rest.
        let batch = self.spec.batch.min(images);
        if self.spec.drop_last { images / batch } else { images.div_ceil(batch) }
    }

    /// Which images each batch of `epoch` has, without loading them.
    pub fn batch_indices(&self, epoch: u64) -> impl Iterator<Item = Vec<usize>> + use<> {
        let order = self.order(epoch);
        let size = self.spec.batch;
        (0..self.batches()).map(move |batch| order[batch_range(batch, size, order.len())].to_vec())
    }

    /// All batches of `epoch`.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of `epoch` from number `first_batch` on: exactly those that [`epoch`](Self::epoch) would give after
    /// `first_batch` others, so that an interrupted run goes on as if nothing had happened.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        let batches = self.batches();
        let mut this = Epoch {
            recipe: Arc::clone(&self.recipe),
            pool: Arc::clone(&self.pool),
            order: self.order(epoch),
            epoch,
            batch: self.spec.batch,
            to_start: first_batch.min(batches)..batches,
            in_work: VecDeque::with_capacity(self.spec.prefetch + 1),
            stop: Arc::new(AtomicBool::new(false)),
        };
        for _ in 0..self.spec.prefetch {
            this.start_next();
        }
        this
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.recipe.source.len()).collect();
        if self.spec.shuffle {
            order.shuffle(&mut keyed_rng(self.spec.seed, &[SHUFFLE, epoch]));
        }
        order
    }
}

/// The batches of one epoch. It ends after the first error; what is still in work when it is dropped is given up.
pub struct Epoch {
    recipe: Arc<Recipe>,
    pool: Arc<ThreadPool>,
    order: Vec<usize>,
    epoch: u64,
    batch: usize,
    /// The batches that no thread has been asked for yet.
    to_start: Range<usize>,
    in_work: VecDeque<Receiver<Result<Batch, DataError>>>,
    stop: Arc<AtomicBool>,
}

impl Epoch {
    fn start_next(&mut self) {
        let Some(number) = self.to_start.next() else { return };
        let indices = self.order[batch_range(number, self.batch, self.order.len())].to_vec();
        let (recipe, stop, epoch) = (Arc::clone(&self.recipe), Arc::clone(&self.stop), self.epoch);
        let (send, receive) = bounded(1);
        self.pool.spawn(move || {
            let made = catch_unwind(AssertUnwindSafe(|| recipe.batch(epoch, indices, &stop)));
            let made = made.unwrap_or_else(|panic| Err(DataError::Internal(panic_message(panic.as_ref()).to_owned())));
            // Nobody listens any more where the epoch was dropped.
            let _ = send.send(made);
        });
        self.in_work.push_back(receive);
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.to_start = 0..0;
        self.in_work.clear();
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.start_next();
        let made = self.in_work.pop_front()?.recv();
        let made = made.unwrap_or_else(|_| Err(DataError::Internal("a thread ended without a word".to_owned())));
        if made.is_err() {
            self.end();
        }
        Some(made)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.to_start.len() + self.in_work.len();
        // An error cuts the epoch short.
        (usize::from(left > 0), Some(left))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.end();
    }
}

/// All that a thread needs to know to make a batch.
#[derive(Clone)]
struct Recipe {
    source: Arc<dyn DataSource>,
    /// Of the first view, of the second, and so on; the last is also that of all further ones. Never empty.
    pipelines: Vec<Pipeline>,
    seed: u64,
    views: usize,
    memory: fn(usize) -> Pixels,
}

impl Recipe {
    /// Loads the images at `indices`, each into its own place; the error is that of the first bad one in their order.
    fn batch(&self, epoch: u64, indices: Vec<usize>, stop: &AtomicBool) -> Result<Batch, DataError> {
        let (height, width) = self.pipelines[0].size();
        let (height, width) = (height as usize, width as usize);
        let place = self.views * height * width * 3;
        let mut pixels = (self.memory)(indices.len() * place);
        let error = pixels.par_chunks_exact_mut(place).zip(&indices).find_map_first(|(pixels, &index)| {
            // The batch is thrown away then, so it need not be whole.
            if stop.load(Ordering::Relaxed) { None } else { self.image(epoch, index, pixels).err() }
        });
        if let Some(error) = error {
            return Err(error);
        }
        let labels = indices.iter().map(|&index| self.source.label(index) as i64).collect();
        Ok(Batch { pixels, views: self.views, height, width, labels, indices })
    }

    /// Every view of one image.
    fn image(&self, epoch: u64, index: usize, pixels: &mut [f32]) -> Result<(), DataError> {
        if let (1, [pipeline, ..]) = (self.views, &self.pipelines[..])
            && !pipeline.is_random()
        {
            return self.source.view(index, pipeline, pixels);
        }
        let place = pixels.len() / self.views;
        self.source.look_at(index, &mut |image| {
            for (view, pixels) in pixels.chunks_exact_mut(place).enumerate() {
                let pipeline = &self.pipelines[view.min(self.pipelines.len() - 1)];
                pipeline.apply(image, &mut view_rng(self.seed, epoch, index, view), pixels);
            }
        })
    }
}

/// Where the images of batch `number` stand in the order of an epoch of `images`.
fn batch_range(number: usize, batch: usize, images: usize) -> Range<usize> {
    number * batch..number.saturating_add(1).saturating_mul(batch).min(images)
}
