//! How the learning rate follows the size of a batch. How it moves from step to step is the matter of `schedule`.

use serde::{Deserialize, Serialize};

/// A rule by which a base learning rate becomes that of a batch of `B` images (SimCLR, arXiv 2002.05709, appendix B.1):
///
/// ```text
/// none:     base
/// linear:   base B / 256        SimCLR's base is 0.3
/// sqrt:     base sqrt(B)        SimCLR's base is 0.075, the same rate at B = 4096; better there where batches are small
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LrScaling {
    /// The learning rate is the base, whatever the batch.
    #[default]
    None,
    /// In proportion to the batch: the base is the rate for 256 images.
    Linear,
    /// In proportion to the root of the batch: the base is the rate for one image.
    Sqrt,
}

impl LrScaling {
    /// The learning rate for steps of `batch` images. Images are counted and not their views, and all of a step, also where
    /// several processes share it.
    ///
    /// ```
    /// use panal_optim::LrScaling;
    /// assert_eq!(LrScaling::Linear.scale(0.3, 512), 0.6);
    /// assert_eq!(LrScaling::Sqrt.scale(0.075, 256), 1.2);
    /// ```
    pub fn scale(self, base: f64, batch: usize) -> f64 {
        let images = batch as f64;
        match self {
            Self::None => base,
            Self::Linear => base * images / 256.0,
            Self::Sqrt => base * images.sqrt(),
        }
    }
}
