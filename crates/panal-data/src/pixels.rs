//! The memory of a batch's pixels: a vector, or whatever the one who wants the batch would have it written to.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Memory that holds values of pixels.
pub trait PixelBuffer: Any + Send {
    /// The values.
    fn values(&self) -> &[f32];
    /// The values, to write to.
    fn values_mut(&mut self) -> &mut [f32];
}

impl PixelBuffer for Vec<f32> {
    fn values(&self) -> &[f32] {
        self
    }

    fn values_mut(&mut self) -> &mut [f32] {
        self
    }
}

/// Values of pixels, used as a slice, in memory of one kind or another.
pub struct Pixels(Box<dyn PixelBuffer>);

impl Pixels {
    /// In memory that is at hand.
    pub fn new(buffer: impl PixelBuffer) -> Self {
        Self(Box::new(buffer))
    }

    /// The memory itself, if it is of kind `B`.
    ///
    /// # Errors
    /// The pixels, unchanged, where it is of another kind.
    pub fn into_buffer<B: PixelBuffer>(self) -> Result<B, Self> {
        let any: &dyn Any = &*self.0;
        if !any.is::<B>() {
            return Err(self);
        }
        let any: Box<dyn Any> = self.0;
        any.downcast().map(|buffer| *buffer).map_err(|_| unreachable!("asked just now"))
    }
}

impl From<Vec<f32>> for Pixels {
    fn from(values: Vec<f32>) -> Self {
        Self::new(values)
    }
}

impl Deref for Pixels {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.0.values()
    }
}

impl DerefMut for Pixels {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.0.values_mut()
    }
}

/// The copy is a vector.
impl Clone for Pixels {
    fn clone(&self) -> Self {
        self.to_vec().into()
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}
