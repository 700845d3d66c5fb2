//! A queue of keys of fixed length, the one thing here that remembers. The loss against it lives in `info_nce.rs`.

use tch::{Kind, Tensor};

use crate::similarity::unit_rows;
use crate::{LossError, checks};

/// The newest `K` keys at length 1, a ring: new keys take the place of the oldest ("Momentum Contrast", arXiv 1911.05722,
/// section 3.2). [`Queue::keys`] and [`Queue::position`] are its whole state, and [`Queue::restore`] makes it again.
#[derive(Debug)]
pub struct Queue {
    keys: Tensor,
    position: i64,
}

impl Queue {
    /// A queue of as many keys as `keys` has rows, filled with them; MoCo's authors begin with normal noise. The queue
    /// keeps their kind and device.
    ///
    /// # Shapes
    /// - `keys`: `[K, d]` f16, bf16, f32 or f64; rows of any length, normalised here; the first is the oldest
    ///
    /// # Errors
    /// [`LossError::Embeddings`] for a wrong shape or kind.
    pub fn new(keys: &Tensor) -> Result<Self, LossError> {
        checks::embeddings("keys", keys)?;
        let keys = tch::no_grad(|| unit_rows(keys)?.f_to_kind(keys.kind()))?;
        Ok(Self { keys, position: 0 })
    }

    /// The queue whose state this was, bit for bit.
    ///
    /// # Shapes
    /// - `keys`: `[K, d]`, what [`Queue::keys`] gave; on any device
    ///
    /// # Errors
    /// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Position`] unless `0 <= position < K`.
    pub fn restore(keys: &Tensor, position: i64) -> Result<Self, LossError> {
        let (count, _) = checks::embeddings("keys", keys)?;
        if !(0..count).contains(&position) {
            return Err(LossError::Position { keys: count, got: position });
        }
        Ok(Self { keys: keys.f_detach()?.f_to_dtype(keys.kind(), false, true)?, position })
    }

    /// The keys, `[K, d]`, in the ring's order. A tensor of its own for each state: later pushes leave it as it is.
    pub fn keys(&self) -> &Tensor {
        &self.keys
    }

    /// The row of [`Queue::keys`] that holds the oldest key and is replaced next.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Puts `keys` in the place of the oldest ones, in order; of more than `K`, the last `K` stay.
    ///
    /// # Shapes
    /// - `keys`: `[n, d]` f16, bf16, f32 or f64; rows of any length, normalised here; no gradient is kept
    ///
    /// # Errors
    /// [`LossError::Embeddings`] for a wrong shape or kind; [`LossError::Width`] for rows of another length than the
    /// queue's; [`LossError::Device`] for keys elsewhere than the queue.
    pub fn push(&mut self, keys: &Tensor) -> Result<(), LossError> {
        let (new, got) = checks::embeddings("keys", keys)?;
        let (count, width) = checks::embeddings("queue", &self.keys)?;
        checks::width("keys", got, width)?;
        checks::device("keys", keys.device(), self.keys.device())?;
        let kept = new.min(count);
        let end = self.position + new;
        self.keys = tch::no_grad(|| {
            let keys = unit_rows(&keys.f_narrow(0, new - kept, kept)?)?.f_to_kind(self.keys.kind())?;
            let rows = Tensor::f_arange_start(end - kept, end, (Kind::Int64, keys.device()))?.f_remainder(count)?;
            self.keys.f_index_copy(0, &rows, &keys)
        })?;
        self.position = end % count;
        Ok(())
    }
}
