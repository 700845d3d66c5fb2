//! Seeded draws with the same value on every platform: sums and products of uniform numbers, and nothing of a system's own
//! mathematics. What is drawn for which purpose is the caller's.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A generator handed from one step of a picture to the next.
pub(super) struct Draw(pub(super) ChaCha8Rng);

impl Draw {
    /// Uniform from `low` to `high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// From -1 to 1, those near 0 the more probable (triangular).
    pub(super) fn swing(&mut self) -> f32 {
        self.0.random::<f32>() + self.0.random::<f32>() - 1.0
    }

    /// `value`, a little more or less: by up to `share` of it.
    pub(super) fn about(&mut self, value: f32, share: f32) -> f32 {
        value * (1.0 + share * self.swing())
    }

    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.0.random::<f32>() < p
    }

    /// One of `items`; there must be some.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.random_range(0..items.len() as u32) as usize]
    }

    /// A key for a texture.
    pub(super) fn key(&mut self) -> u32 {
        self.0.random()
    }

    /// About normal with variance 1: the sum of four bytes, centred and scaled.
    pub(super) fn normal(&mut self) -> f32 {
        let sum: u32 = self.0.random::<u32>().to_le_bytes().into_iter().map(u32::from).sum();
        // Four uniform bytes have the mean 510 and the variance 4 (256² - 1) / 12.
        (sum as f32 - 510.0) * (1.0 / 147.8)
    }
}
