//! One step of an augmentation as the user writes it. What it does to pixels lives in `transforms`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::transforms::{
    Amount, CenterCrop, ColorJitter, Cutout, GaussianBlur, GaussianNoise, Pad, RandomAffine, RandomErasing,
    RandomGrayscale, RandomHorizontalFlip, RandomResizedCrop, RandomRotate90, RandomRotation, RandomVerticalFlip,
    Resize, Size, Sobel, check_fraction,
};

/// One step of an augmentation. In TOML, `op` is the name of the step and the other keys are its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// `resize`: the whole image to another size.
    Resize(Resize),
    /// `center_crop`: the middle of the image.
    CenterCrop(CenterCrop),
    /// `pad`: a border around the image.
    Pad(Pad),
    /// `random_resized_crop`: a random part of the image, resized.
    RandomResizedCrop(RandomResizedCrop),
    /// `horizontal_flip`: left and right swapped.
    #[serde(rename = "horizontal_flip", alias = "random_horizontal_flip")]
    RandomHorizontalFlip(RandomHorizontalFlip),
    /// `vertical_flip`: top and bottom swapped.
    #[serde(rename = "vertical_flip", alias = "random_vertical_flip")]
    RandomVerticalFlip(RandomVerticalFlip),
    /// `random_rotation`: turned by a random angle.
    RandomRotation(RandomRotation),
    /// `random_rotate90`: turned by a random number of right angles.
    RandomRotate90(RandomRotate90),
    /// `random_affine`: turned, moved, scaled, sheared.
    RandomAffine(RandomAffine),
    /// `color_jitter`: brightness, contrast, saturation and hue.
    ColorJitter(ColorJitter),
    /// `random_grayscale`: no colours.
    #[serde(alias = "random_greyscale")]
    RandomGrayscale(RandomGrayscale),
    /// `gaussian_blur`: blurred by a random amount.
    GaussianBlur(GaussianBlur),
    /// `gaussian_noise`: a random number added to every value.
    GaussianNoise(GaussianNoise),
    /// `sobel`: nothing but edges.
    Sobel(Sobel),
    /// `cutout`: a random square hidden.
    Cutout(Cutout),
    /// `random_apply`: all or none of several steps.
    RandomApply(RandomApply),
    /// `random_erasing`: a random rectangle erased after normalisation. Only at the end.
    RandomErasing(RandomErasing),
}

/// Does all of several steps with probability `p`, else none: `torchvision.transforms.RandomApply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomApply {
    /// The probability; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
    /// The steps, none of which may change the size.
    pub ops: Vec<Op>,
}

fn half() -> f64 {
    0.5
}

impl Op {
    /// The name that stands for the step in TOML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resize(_) => "resize",
            Self::CenterCrop(_) => "center_crop",
            Self::Pad(_) => "pad",
            Self::RandomResizedCrop(_) => "random_resized_crop",
            Self::RandomHorizontalFlip(_) => "horizontal_flip",
            Self::RandomVerticalFlip(_) => "vertical_flip",
            Self::RandomRotation(_) => "random_rotation",
            Self::RandomRotate90(_) => "random_rotate90",
            Self::RandomAffine(_) => "random_affine",
            Self::ColorJitter(_) => "color_jitter",
            Self::RandomGrayscale(_) => "random_grayscale",
            Self::GaussianBlur(_) => "gaussian_blur",
            Self::GaussianNoise(_) => "gaussian_noise",
            Self::Sobel(_) => "sobel",
            Self::Cutout(_) => "cutout",
            Self::RandomApply(_) => "random_apply",
            Self::RandomErasing(_) => "random_erasing",
        }
    }

    /// Refuses values out of range; `at` is the path of this step in the spec.
    pub(super) fn check(&self, at: &str) -> Result<(), DataError> {
        match self {
            Self::Resize(op) => op.size.check(at),
            Self::CenterCrop(op) => op.size.check(at),
            Self::Pad(op) => op.check(at),
            Self::RandomResizedCrop(op) => op.check(at),
            Self::RandomHorizontalFlip(op) => check_fraction(at, "p", op.p),
            Self::RandomVerticalFlip(op) => check_fraction(at, "p", op.p),
            Self::RandomRotation(op) => op.check(at),
            Self::RandomRotate90(op) => check_fraction(at, "p", op.p),
            Self::RandomAffine(op) => op.check(at),
            Self::ColorJitter(op) => op.check(at),
            Self::RandomGrayscale(op) => check_fraction(at, "p", op.p),
            Self::GaussianBlur(op) => op.check(at),
            Self::GaussianNoise(op) => op.check(at),
            Self::Sobel(op) => check_fraction(at, "p", op.p),
            Self::Cutout(op) => op.check(at),
            Self::RandomErasing(op) => op.check(at),
            Self::RandomApply(RandomApply { p, ops }) => {
                check_fraction(at, "p", *p)?;
                for (i, op) in ops.iter().enumerate() {
                    let at = format!("{at}.ops[{i}]");
                    op.check(&at)?;
                    if op.changes_size() || op.is_erasing() {
                        return Err(DataError::field(
                            at,
                            "an op that keeps the size, and not random_erasing",
                            op.name(),
                        ));
                    }
                }
                Ok(())
            }
        }
    }

    /// The `(height, width)` after this step where `before` is the one before it; `None` where it differs from image to
    /// image.
    pub(super) fn size_after(&self, before: Option<(u32, u32)>) -> Option<(u32, u32)> {
        match self {
            Self::Resize(Resize { size: size @ Size::Both(_), .. })
            | Self::CenterCrop(CenterCrop { size })
            | Self::RandomResizedCrop(RandomResizedCrop { size, .. }) => Some(size.square()),
            Self::Resize(op) => before.map(|(height, width)| op.target(height, width)),
            Self::Pad(op) => before.map(|(height, width)| op.target(height, width)),
            Self::RandomRotation(op) if op.expand => None,
            Self::RandomRotate90(_) => before.filter(|(height, width)| height == width),
            _ => before,
        }
    }

    pub(super) fn changes_size(&self) -> bool {
        match self {
            Self::Resize(_)
            | Self::CenterCrop(_)
            | Self::Pad(_)
            | Self::RandomResizedCrop(_)
            | Self::RandomRotate90(_) => true,
            Self::RandomRotation(op) => op.expand,
            _ => false,
        }
    }

    pub(super) fn is_erasing(&self) -> bool {
        matches!(self, Self::RandomErasing(_))
    }

    /// Whether two runs on the same image can differ.
    pub(super) fn is_random(&self) -> bool {
        let chancy = |p: f64| p > 0.0 && p < 1.0;
        match self {
            Self::Resize(_) | Self::CenterCrop(_) | Self::Pad(_) => false,
            Self::RandomResizedCrop(_) | Self::Cutout(_) => true,
            Self::RandomRotation(op) => op.is_random(),
            Self::RandomAffine(op) => op.is_random(),
            Self::ColorJitter(op) => op.is_random(),
            Self::GaussianBlur(op) => op.is_random(),
            Self::GaussianNoise(op) => op.is_random(),
            Self::RandomRotate90(op) => op.p > 0.0,
            Self::Sobel(op) => chancy(op.p),
            Self::RandomHorizontalFlip(op) => chancy(op.p),
            Self::RandomVerticalFlip(op) => chancy(op.p),
            Self::RandomGrayscale(op) => chancy(op.p),
            Self::RandomApply(op) => op.p > 0.0 && (op.p < 1.0 || op.ops.iter().any(Self::is_random)),
            Self::RandomErasing(op) => op.p > 0.0,
        }
    }
}

/// The step in one readable phrase, with the values that differ most often.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Resize(op) => write!(f, "{name} {}", op.size),
            Self::CenterCrop(op) => write!(f, "{name} {}", op.size),
            Self::Pad(op) => write!(f, "{name} {:?}", op.padding.sides()),
            Self::RandomResizedCrop(op) => write!(f, "{name} {} (scale {:?})", op.size, op.scale),
            Self::RandomHorizontalFlip(op) => write!(f, "{name} (p {})", op.p),
            Self::RandomVerticalFlip(op) => write!(f, "{name} (p {})", op.p),
            Self::RandomRotation(op) => write!(f, "{name} (degrees {})", op.degrees),
            Self::RandomRotate90(op) => write!(f, "{name} (p {})", op.p),
            Self::RandomAffine(op) => write!(f, "{name} (degrees {})", op.degrees),
            Self::ColorJitter(op) => {
                let parts: Vec<String> = [
                    ("brightness", op.brightness),
                    ("contrast", op.contrast),
                    ("saturation", op.saturation),
                    ("hue", op.hue),
                ]
                .into_iter()
                .filter(|(_, amount)| *amount != Amount::default())
                .map(|(part, amount)| format!("{part} {amount}"))
                .collect();
                write!(f, "{name} ({})", parts.join(", "))
            }
            Self::RandomGrayscale(op) => write!(f, "{name} (p {})", op.p),
            Self::GaussianBlur(op) => write!(f, "{name} (sigma {})", op.sigma),
            Self::GaussianNoise(op) => write!(f, "{name} (sigma {})", op.sigma),
            Self::Sobel(op) => write!(f, "{name} (p {})", op.p),
            Self::Cutout(op) => write!(f, "{name} (size {})", op.size),
            Self::RandomErasing(op) => write!(f, "{name} (p {})", op.p),
            Self::RandomApply(op) => {
                let inner: Vec<String> = op.ops.iter().map(Self::to_string).collect();
                write!(f, "{name} (p {}: {})", op.p, inner.join(", "))
            }
        }
    }
}
