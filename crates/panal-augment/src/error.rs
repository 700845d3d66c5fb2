//! What can go wrong here, each case one message that names what was found and what to do. Drawing and decoding have errors
//! of their own, which pass through.

use panal_data::DataError;
use panal_tensor::TensorError;

/// A pipeline, a bank or indices that cannot be used on the device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A step of the augmentation that this crate does not do.
    #[error(
        "{at} `{op}` cannot run on the device: {why}\n  = leave it out, or load the images with panal_data::Loader, which does every step on the CPU"
    )]
    Unsupported {
        /// Where it stands, for example `ops[1]`.
        at: String,
        /// Its name.
        op: &'static str,
        /// What it would take.
        why: &'static str,
    },
    /// A data set that does not fit where it may.
    #[error(
        "`{name}` takes more than {limit} bytes on {device}: {images} of its {of} images take {bytes}\n  = raise the limit if the device has the room, or load the images with panal_data::Loader"
    )]
    TooLarge {
        /// The data set.
        name: String,
        /// The device.
        device: String,
        /// The limit that the caller gave.
        limit: usize,
        /// Images until the limit was passed.
        images: usize,
        /// Images of the data set.
        of: usize,
        /// The bytes of those images.
        bytes: usize,
    },
    /// An image that the bank does not hold.
    #[error("an index must be below the {len} images of the bank, got {index}")]
    Index {
        /// The index.
        index: usize,
        /// Images of the bank.
        len: usize,
    },
    /// A bank on one device and an augmenter for another.
    #[error("the bank must lie on the augmenter's device {augmenter}, got {bank}")]
    Device {
        /// The augmenter's device.
        augmenter: String,
        /// The bank's device.
        bank: String,
    },
    /// A field out of its range, or an image that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
