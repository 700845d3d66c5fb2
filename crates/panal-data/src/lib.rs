//! Images in, batches out: folders, decoding, torchvision-compatible augmentation, seeded parallel loading.
//! Nothing here knows of tensors: a batch is a plain `Vec<f32>`.

pub mod augment;
mod error;
mod rng;
mod source;
pub mod transforms;

pub use error::{BadFile, DataError};
pub use rng::keyed_rng;
pub use source::{DataSource, Subset};
