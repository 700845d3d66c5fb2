//! Images in, batches out: folders, decoding, torchvision-compatible augmentation, seeded parallel loading.
//! Nothing here knows of tensors: a batch is a plain `Vec<f32>`.
//!
#![doc = include_str!("../README.md")]

pub mod augment;
mod cached;
mod cifar;
mod decode;
mod episode;
mod error;
mod file;
mod folder;
pub mod ink;
mod insects;
mod leaks;
mod loader;
mod mosaic;
mod omniglot;
mod pixels;
mod reduced;
mod rng;
mod source;
mod split;
pub mod transforms;

pub use augment::{AugmentSpec, Drawn, Pipeline};
pub use cached::Cached;
pub use cifar::CifarBinary;
pub use decode::{MAX_PIXELS, decode_bytes, decode_image};
pub use episode::{
    Episode, EpisodeClass, EpisodeItem, EpisodeList, EpisodeSize, EpisodeSpec, Episodes, FixedSize, Rotation,
    VariableSize, Within,
};
pub use error::{BadFile, DataError};
pub use folder::{BadFiles, EXTENSIONS, Excluded, ImageFolder, UNLABELLED, is_image_name};
pub use insects::{INSECT_SIDE, Insects, contact_sheet, draw_insect};
pub use leaks::{Leaks, SharedImage, SharedName, leaks};
pub use loader::{Batch, Epoch, Loader, LoaderSpec, view_rng};
pub use mosaic::mosaic;
pub use omniglot::{OneShotRuns, omniglot_drawer};
pub use pixels::{PixelBuffer, Pixels};
pub use reduced::{Reduced, ShorterSide};
pub use rng::keyed_rng;
pub use source::{DataSource, Subset};
pub use split::{Fold, stratified_folds, stratified_share, stratified_split};
