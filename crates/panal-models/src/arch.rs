//! The table of architectures: names, variants, sizes and the preprocessing of their ImageNet weights. No layers here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::efficientnet::{self, EfficientNetVariant};
use crate::layers::NormSpec;
use crate::mobilenet_v2;
use crate::resnet::{Block, ResNetVariant};

/// Classes of ImageNet-1k, for which torchvision publishes weights.
pub(crate) const IMAGENET_CLASSES: i64 = 1000;

/// An architecture. Its text form, in configuration files too, is the name of torchvision's function.
///
/// One is not torchvision's: `resnet10_w24`, a ResNet of one basic block a stage with 24, 48, 96 and 192 channels, for small
/// images on a CPU. It is the backbone of the built-in insects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[allow(missing_docs, reason = "the variants are the names that torchvision gives them")]
pub enum Arch {
    Resnet18,
    Resnet34,
    Resnet50,
    Resnet101,
    Resnet152,
    WideResnet50_2,
    Resnext50_32x4d,
    MobilenetV2,
    EfficientnetB0,
    EfficientnetB1,
    EfficientnetB2,
    EfficientnetB3,
    EfficientnetB4,
    EfficientnetB5,
    EfficientnetB6,
    EfficientnetB7,
    Resnet10W24,
}

/// How an image becomes the input of a pretrained network, at evaluation: resize, crop the centre, scale to `[0, 1]`,
/// normalise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    /// Length of the image's shorter side after the resize, in pixels.
    pub resize: u32,
    /// Side of the square cut from the centre, in pixels.
    pub crop: u32,
    /// How the resize makes pixels.
    pub interpolation: Interpolation,
    /// Subtracted from red, green and blue once they are in `[0, 1]`.
    pub mean: [f32; 3],
    /// What the differences are divided by.
    pub std: [f32; 3],
}

/// How a resize makes pixels; antialiased. Its text form is that of augmentation specs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Linear between neighbours.
    Bilinear,
    /// Cubic between neighbours.
    Bicubic,
}

/// What the families differ in. Each family is a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Family {
    ResNet(ResNetVariant),
    MobileNetV2,
    EfficientNet(EfficientNetVariant),
}

struct Row {
    arch: Arch,
    name: &'static str,
    family: Family,
    num_params: usize,
    preprocessing: Preprocessing,
}

use Arch::*;
use Block::{Basic, Bottleneck};
use Interpolation::{Bicubic, Bilinear};

/// In the order of [`Arch`]. Parameters and preprocessing are those of torchvision's `IMAGENET1K_V1` weights, where there are any.
#[rustfmt::skip]
const TABLE: [Row; 17] = [
    row(Resnet18, "resnet18", resnet(Basic, [2, 2, 2, 2], 1, 64), 11_689_512, sizes(256, 224, Bilinear)),
    row(Resnet34, "resnet34", resnet(Basic, [3, 4, 6, 3], 1, 64), 21_797_672, sizes(256, 224, Bilinear)),
    row(Resnet50, "resnet50", resnet(Bottleneck, [3, 4, 6, 3], 1, 64), 25_557_032, sizes(256, 224, Bilinear)),
    row(Resnet101, "resnet101", resnet(Bottleneck, [3, 4, 23, 3], 1, 64), 44_549_160, sizes(256, 224, Bilinear)),
    row(Resnet152, "resnet152", resnet(Bottleneck, [3, 8, 36, 3], 1, 64), 60_192_808, sizes(256, 224, Bilinear)),
    row(WideResnet50_2, "wide_resnet50_2", resnet(Bottleneck, [3, 4, 6, 3], 1, 128), 68_883_240, sizes(256, 224, Bilinear)),
    row(Resnext50_32x4d, "resnext50_32x4d", resnet(Bottleneck, [3, 4, 6, 3], 32, 4), 25_028_904, sizes(256, 224, Bilinear)),
    row(MobilenetV2, "mobilenet_v2", Family::MobileNetV2, 3_504_872, sizes(256, 224, Bilinear)),
    row(EfficientnetB0, "efficientnet_b0", efficientnet(1.0, 1.0, 0.2, NormSpec::TORCH), 5_288_548, sizes(256, 224, Bicubic)),
    row(EfficientnetB1, "efficientnet_b1", efficientnet(1.0, 1.1, 0.2, NormSpec::TORCH), 7_794_184, sizes(256, 240, Bicubic)),
    row(EfficientnetB2, "efficientnet_b2", efficientnet(1.1, 1.2, 0.3, NormSpec::TORCH), 9_109_994, sizes(288, 288, Bicubic)),
    row(EfficientnetB3, "efficientnet_b3", efficientnet(1.2, 1.4, 0.3, NormSpec::TORCH), 12_233_232, sizes(320, 300, Bicubic)),
    row(EfficientnetB4, "efficientnet_b4", efficientnet(1.4, 1.8, 0.4, NormSpec::TORCH), 19_341_616, sizes(384, 380, Bicubic)),
    row(EfficientnetB5, "efficientnet_b5", efficientnet(1.6, 2.2, 0.4, NormSpec::SLOW), 30_389_784, sizes(456, 456, Bicubic)),
    row(EfficientnetB6, "efficientnet_b6", efficientnet(1.8, 2.6, 0.5, NormSpec::SLOW), 43_040_704, sizes(528, 528, Bicubic)),
    row(EfficientnetB7, "efficientnet_b7", efficientnet(2.0, 3.1, 0.5, NormSpec::SLOW), 66_347_960, sizes(600, 600, Bicubic)),
    row(Resnet10W24, "resnet10_w24", NARROW, 886_432, sizes(144, 128, Bilinear)),
];

const fn row(arch: Arch, name: &'static str, family: Family, num_params: usize, preprocessing: Preprocessing) -> Row {
    Row { arch, name, family, num_params, preprocessing }
}

const fn resnet(block: Block, blocks: [usize; 4], groups: i64, width_per_group: i64) -> Family {
    Family::ResNet(ResNetVariant { block, blocks, width: 64, groups, width_per_group })
}

/// A network that a CPU trains in seconds an epoch.
const NARROW: Family =
    Family::ResNet(ResNetVariant { block: Basic, blocks: [1, 1, 1, 1], width: 24, groups: 1, width_per_group: 64 });

const fn efficientnet(width: f64, depth: f64, dropout: f64, norm: NormSpec) -> Family {
    Family::EfficientNet(EfficientNetVariant { width, depth, dropout, norm })
}

const fn sizes(resize: u32, crop: u32, interpolation: Interpolation) -> Preprocessing {
    Preprocessing { resize, crop, interpolation, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Resnet18; TABLE.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = TABLE[i].arch;
            i += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        const { &TABLE }.get(self as usize).unwrap_or(&TABLE[0])
    }

    /// The name of torchvision's function, such as `resnet18`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Every name, in the order of [`Arch::ALL`].
    #[must_use]
    pub fn names() -> [&'static str; TABLE.len()] {
        Self::ALL.map(Self::name)
    }

    /// Learnt values of the network with 1000 classes, as torchvision publishes them for ImageNet.
    #[must_use]
    pub fn num_params(self) -> usize {
        self.row().num_params
    }

    /// Preprocessing of torchvision's `IMAGENET1K_V1` weights; for `resnet10_w24`, of the built-in ones.
    #[must_use]
    pub fn preprocessing(self) -> Preprocessing {
        self.row().preprocessing
    }

    /// Length of a feature vector, which is what the head takes.
    #[must_use]
    pub fn feature_dim(self) -> usize {
        let dim = match self.row().family {
            Family::ResNet(variant) => variant.feature_dim(),
            Family::MobileNetV2 => mobilenet_v2::FEATURE_DIM,
            Family::EfficientNet(variant) => variant.feature_dim(),
        };
        dim as usize
    }

    /// Dropout before the head where a spec does not say otherwise: torchvision's.
    #[must_use]
    pub fn default_dropout(self) -> f64 {
        match self.row().family {
            Family::ResNet(_) => 0.0,
            Family::MobileNetV2 => mobilenet_v2::DROPOUT,
            Family::EfficientNet(variant) => variant.dropout,
        }
    }

    /// Stochastic depth where a spec does not say otherwise: torchvision's. `None` for families that
    /// have none.
    #[must_use]
    pub fn default_stochastic_depth(self) -> Option<f64> {
        matches!(self.row().family, Family::EfficientNet(_)).then_some(efficientnet::STOCHASTIC_DEPTH)
    }

    pub(crate) fn family(self) -> Family {
        self.row().family
    }

    /// Where the head's `weight` and `bias` stand among the names.
    pub(crate) fn head(self) -> &'static str {
        match self.row().family {
            Family::ResNet(_) => "fc",
            Family::MobileNetV2 | Family::EfficientNet(_) => "classifier.1",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Arch {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        if let Some(arch) = Self::ALL.into_iter().find(|arch| arch.name() == name) {
            return Ok(arch);
        }
        let lower = name.to_lowercase();
        let nearest = Self::names().into_iter().map(|known| (strsim::damerau_levenshtein(&lower, known), known)).min();
        let hint = match nearest {
            Some((distance, known)) if distance * 2 < known.len() => format!(": did you mean `{known}`?"),
            _ => String::new(),
        };
        Err(ModelError::UnknownArch { name: name.to_owned(), hint })
    }
}

impl TryFrom<String> for Arch {
    type Error = ModelError;

    fn try_from(name: String) -> Result<Self, ModelError> {
        name.parse()
    }
}

impl From<Arch> for &'static str {
    fn from(arch: Arch) -> Self {
        arch.name()
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bilinear => "bilinear",
            Bicubic => "bicubic",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_enum() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.arch as usize, index, "{}", row.name);
            assert_eq!(row.name.parse::<Arch>().unwrap(), row.arch);
        }
    }
}
