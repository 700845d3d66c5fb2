//! Image transforms with the parameters and the meaning of torchvision where it has them, one file each. Chaining them lives in `augment`.
//!
//! Every random transform comes in two halves: `params` draws from the generator that the caller hands over, and `apply`
//! does with those numbers what `torchvision.transforms.functional` does with them on a PIL image. So the pixels can be
//! held against torchvision, and the draws against their distribution, each alone.
//!
//! Images are 8-bit RGB; sizes are `(height, width)`, boxes count pixels from the top left corner. The fields are those
//! of the TOML form; [`AugmentSpec::check`](crate::augment::AugmentSpec::check) refuses values outside their range. With
//! such values `params` and `apply` still never panic, but what they return means nothing.

mod affine;
mod blur;
mod color;
mod crop;
mod cutout;
mod erasing;
mod flip;
mod grayscale;
mod jitter;
mod noise;
mod normalize;
mod pad;
mod resize;
mod resized_crop;
mod rotate90;
mod rotation;
mod sobel;
mod values;
mod warp;

pub use affine::{AffineParams, RandomAffine, Shear};
pub use blur::{GaussianBlur, KernelSize};
pub use crop::CenterCrop;
pub use cutout::Cutout;
pub use erasing::{EraseParams, EraseValue, Random, RandomErasing};
pub use flip::{RandomHorizontalFlip, RandomVerticalFlip};
pub use grayscale::RandomGrayscale;
pub use jitter::{Adjustment, ColorJitter};
pub use noise::{GaussianNoise, NoiseParams};
pub use normalize::{IMAGENET_MEAN, IMAGENET_STD, Normalize};
pub use pad::{Pad, PadMode, Padding};
pub use resize::Resize;
pub use resized_crop::RandomResizedCrop;
pub use rotate90::RandomRotate90;
pub use rotation::RandomRotation;
pub use sobel::Sobel;
pub use values::{Amount, Fill, Interpolation, PixelBox, Size};

pub(crate) use values::{MAX_SIDE, chance, check_fraction};
