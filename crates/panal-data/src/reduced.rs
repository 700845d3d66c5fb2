//! Images made smaller as they are read, so that photographs of many megapixels can be kept in memory. Keeping them is
//! `cached`'s.

use std::sync::Arc;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::source::same_but_for_pixels;
use crate::transforms::{Interpolation, MAX_SIDE, Resize, Size};
use crate::{DataError, DataSource};

/// A bound for the shorter side of images, in pixels, from 1 to 16,384; larger images are reduced to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct ShorterSide(u32);

impl ShorterSide {
    /// A shorter side of at most `pixels`.
    ///
    /// # Errors
    /// [`DataError::Field`] for a number out of range.
    pub fn new(pixels: u32) -> Result<Self, DataError> {
        if (1..=MAX_SIDE).contains(&pixels) {
            return Ok(Self(pixels));
        }
        Err(DataError::field("shorter_side", format!("in [1, {MAX_SIDE}]"), pixels))
    }

    /// The bound.
    pub fn pixels(self) -> u32 {
        self.0
    }

    /// `image` with a shorter side of at most the bound, the aspect ratio kept; one that is small enough as it is.
    pub fn reduce(self, image: RgbImage) -> RgbImage {
        if self.suffices(image.dimensions()) { image } else { self.resize().apply(&image) }
    }

    fn suffices(self, (width, height): (u32, u32)) -> bool {
        width.min(height) <= self.0
    }

    /// `(width, height)` of what [`reduce`](Self::reduce) makes of an image.
    fn reduced(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.suffices((width, height)) {
            return (width, height);
        }
        let (height, width) = self.resize().target(height, width);
        (width, height)
    }

    /// Sharper than bilinear, since what an augmentation then resizes again is softened twice.
    fn resize(self) -> Resize {
        Resize { size: Size::Side(self.0), interpolation: Interpolation::Bicubic }
    }
}

impl TryFrom<i64> for ShorterSide {
    type Error = String;

    /// As [`ShorterSide::new`], of any number that a file may hold, with an error for a text that names the field itself.
    fn try_from(pixels: i64) -> Result<Self, String> {
        let side = u32::try_from(pixels).ok().and_then(|pixels| Self::new(pixels).ok());
        side.ok_or_else(|| format!("must be in [1, {MAX_SIDE}], got {pixels}"))
    }
}

impl From<ShorterSide> for u32 {
    fn from(side: ShorterSide) -> Self {
        side.0
    }
}

/// Another source, its images [reduced](ShorterSide::reduce) where they are larger than a bound.
///
/// A photograph of 12 megapixels takes 36 MB decoded, so that few of them stay in a [`Cached`](crate::Cached) source and
/// the others are decoded anew each time a draw changes them; with a shorter side of 512 pixels it takes 1 MB. The digest is that of the
/// source: beside the bound, it says what the images are.
pub struct Reduced {
    source: Arc<dyn DataSource>,
    shorter_side: ShorterSide,
}

impl Reduced {
    /// The images of `source`, none with a longer shorter side than that.
    pub fn new(source: Arc<dyn DataSource>, shorter_side: ShorterSide) -> Self {
        Self { source, shorter_side }
    }
}

impl DataSource for Reduced {
    same_but_for_pixels!();

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.source.image(index).map(|image| self.shorter_side.reduce(image))
    }

    fn look_at(&self, index: usize, look: &mut dyn FnMut(&RgbImage)) -> Result<(), DataError> {
        let side = self.shorter_side;
        self.source.look_at(index, &mut |image| {
            if side.suffices(image.dimensions()) { look(image) } else { look(&side.resize().apply(image)) }
        })
    }

    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        self.source.size(index).map(|size| self.shorter_side.reduced(size))
    }
}
