//! Masks of dropout and stochastic depth: drawn as a pass in training comes by them, or kept in place for a pass that is recorded.

use panal_tensor::{Doing, to_device};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::ModelError;

/// Where a pass in training has its masks from.
pub(crate) trait MaskSource {
    /// A mask for a tensor of `kind` on `device`: elements are 0 with probability `p`, else `1 / (1 - p)`, so that the mean stays.
    fn mask(&mut self, shape: &[i64], p: f64, kind: Kind, device: Device) -> Result<Tensor, TchError>;
}

impl MaskSource for ChaCha8Rng {
    fn mask(&mut self, shape: &[i64], p: f64, kind: Kind, device: Device) -> Result<Tensor, TchError> {
        let keep = 1.0 - p;
        let count = shape.iter().product::<i64>() as usize;
        let mask: Vec<f32> =
            (0..count).map(|_| if self.random_bool(keep) { (1.0 / keep) as f32 } else { 0.0 }).collect();
        to_device(&Tensor::f_from_slice(&mask)?.f_view(shape)?.f_to_kind(kind)?, device)
    }
}

/// The masks of one pass in training, each in a tensor that stays in its place: what a recorded pass reads when it is played.
#[derive(Debug, Default)]
pub struct Masks(Vec<Mask>);

#[derive(Debug)]
struct Mask {
    values: Tensor,
    /// Probability of a 0.
    p: f64,
}

impl Masks {
    /// Draws every mask anew, in the order of the layers, as [`Classifier::forward_train`](crate::Classifier::forward_train) would.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where the device fails.
    pub fn draw(&mut self, rng: &mut ChaCha8Rng) -> Result<(), ModelError> {
        no_grad(|| {
            self.0.iter_mut().try_for_each(|Mask { values, p }| {
                let drawn = rng.mask(&values.size(), *p, values.kind(), values.device())?;
                values.f_copy_(&drawn)
            })
        })
        .doing("draw masks")?;
        Ok(())
    }

    /// A source that gives these masks, in their order.
    pub(crate) fn again(&self) -> impl MaskSource + '_ {
        Again(self.0.iter())
    }
}

/// Draws masks and keeps them.
pub(crate) struct Keeping<'a> {
    pub(crate) rng: &'a mut ChaCha8Rng,
    pub(crate) masks: Masks,
}

impl MaskSource for Keeping<'_> {
    fn mask(&mut self, shape: &[i64], p: f64, kind: Kind, device: Device) -> Result<Tensor, TchError> {
        let values = self.rng.mask(shape, p, kind, device)?;
        self.masks.0.push(Mask { values: values.shallow_clone(), p });
        Ok(values)
    }
}

struct Again<'a>(std::slice::Iter<'a, Mask>);

impl MaskSource for Again<'_> {
    fn mask(&mut self, shape: &[i64], _: f64, kind: Kind, _: Device) -> Result<Tensor, TchError> {
        match self.0.next() {
            Some(Mask { values, .. }) if values.size() == shape && values.kind() == kind => Ok(values.shallow_clone()),
            other => Err(TchError::Shape(format!("the pass wants a mask {shape:?} of {kind:?}, kept is {other:?}"))),
        }
    }
}
