//! Which network with which stem and how many classes: the serde types, and their check.

use serde::{Deserialize, Serialize};

use crate::{Arch, ModelError};

/// More would be a mistake, and would be allocated before anyone noticed.
const MAX_CLASSES: usize = 100_000;

/// How a network begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// torchvision's, for photographs: height and width are halved once, in ResNets twice, before the first block.
    #[default]
    Imagenet,
    /// For images of some 32 x 32 pixels: a 3 x 3 convolution of stride 1, and no max-pool (SimCLR, arXiv 2002.05709,
    /// appendix B.9). Weights of the one stem are not for the other; where the shapes are the same (all but ResNets), nothing
    /// else tells.
    Cifar,
}

impl Stem {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Stride of the first convolution.
    pub(crate) fn stride(self) -> i64 {
        match self {
            Self::Imagenet => 2,
            Self::Cifar => 1,
        }
    }
}

/// What it takes to make a [`Classifier`](crate::Classifier).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The architecture.
    pub arch: Arch,
    /// Number of classes, from 2.
    pub classes: usize,
    /// How the network begins; `imagenet` if not given.
    #[serde(default, skip_serializing_if = "Stem::is_default")]
    pub stem: Stem,
    /// Probability with which each feature is zeroed before the head in training; absent: torchvision's for this
    /// architecture. At least 0 and below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// How often residual blocks are left out in training: block `i` of `n` with this times `i / n`. EfficientNet only.
    /// Absent: torchvision's. At least 0 and below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stochastic_depth: Option<f64>,
}

impl ModelSpec {
    /// The architecture with torchvision's dropout and stochastic depth.
    #[must_use]
    pub fn new(arch: Arch, classes: usize) -> Self {
        Self { arch, classes, stem: Stem::default(), dropout: None, stochastic_depth: None }
    }

    /// The same with another stem.
    #[must_use]
    pub fn with_stem(self, stem: Stem) -> Self {
        Self { stem, ..self }
    }

    /// Every field lies in its range and suits the architecture.
    ///
    /// # Errors
    /// [`ModelError::Field`] for the first that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        if !(2..=MAX_CLASSES).contains(&self.classes) {
            return Err(ModelError::Field {
                field: "classes",
                allowed: format!("between 2 and {MAX_CLASSES}"),
                got: self.classes.to_string(),
            });
        }
        for (field, value) in [("dropout", self.dropout), ("stochastic_depth", self.stochastic_depth)] {
            if let Some(value) = value.filter(|value| !(0.0..1.0).contains(value)) {
                return Err(ModelError::Field { field, allowed: ">= 0 and < 1".to_owned(), got: value.to_string() });
            }
        }
        match self.stochastic_depth {
            Some(value) if self.arch.default_stochastic_depth().is_none() => Err(ModelError::Field {
                field: "stochastic_depth",
                allowed: format!("absent for {}, which has none", self.arch),
                got: value.to_string(),
            }),
            _ => Ok(()),
        }
    }
}
