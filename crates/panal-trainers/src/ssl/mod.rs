//! Self-supervised pretraining: learning features from images without their labels. What the features are worth is
//! measured in `frozen`.

mod feed;
mod health;
mod simclr;
mod spec;
mod step;

pub use feed::{AugmentOn, Views};
pub use health::Health;
pub use simclr::{Pretrained, SimClr, SslEpoch, Watch};
pub use spec::{ContrastiveLoss, KnnWatch, SimClrSpec};
