//! ResNet, wide ResNet and ResNeXt as torchvision builds them (torchvision.models.resnet), and a narrow one in the same way. The
//! variants stand in `arch`.

use panal_tensor::{Activation, Store, TensorError};
use tch::{TchError, Tensor};

use crate::Stem;
use crate::classifier::Backbone;
use crate::layers::{ConvNorm, ConvSpec, NormSpec, Scope, twice};
use crate::mode::Mode;

/// What the members of the family differ in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResNetVariant {
    pub(crate) block: Block,
    /// Blocks of each of the four stages.
    pub(crate) blocks: [usize; 4],
    /// Channels of the stem and the first stage, before a bottleneck's expansion; each further stage has twice as many.
    pub(crate) width: i64,
    /// Groups of a bottleneck's 3x3 convolution.
    pub(crate) groups: i64,
    /// Channels of each group in the first stage.
    pub(crate) width_per_group: i64,
}

/// The residual branch of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// Two 3x3 convolutions; the first one strides.
    Basic,
    /// 1x1, 3x3 and 1x1 with four times the channels; the 3x3 strides ("ResNet V1.5").
    Bottleneck,
}

impl ResNetVariant {
    pub(crate) fn feature_dim(self) -> i64 {
        self.planes()[3] * self.expansion()
    }

    /// Channels of each stage, before a bottleneck's expansion.
    fn planes(self) -> [i64; 4] {
        [1, 2, 4, 8].map(|times| times * self.width)
    }

    fn expansion(self) -> i64 {
        match self.block {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }

    fn branch(self, at: &mut Scope<'_>, inputs: i64, planes: i64, stride: i64) -> Result<Vec<ConvNorm>, TensorError> {
        let outputs = planes * self.expansion();
        let specs = match self.block {
            Block::Basic => {
                vec![ConvSpec::new(inputs, outputs, 3).stride(stride), ConvSpec::new(outputs, outputs, 3)]
            }
            Block::Bottleneck => {
                let width = planes * self.width_per_group / 64 * self.groups;
                vec![
                    ConvSpec::new(inputs, width, 1),
                    ConvSpec::new(width, width, 3).stride(stride).groups(self.groups),
                    ConvSpec::new(width, outputs, 1),
                ]
            }
        };
        let last = specs.len();
        (1..)
            .zip(specs)
            .map(|(i, spec)| {
                // The last activation follows the sum.
                let activation = if i == last { Activation::None } else { Activation::Relu };
                ConvNorm::named(at, [&format!("conv{i}"), &format!("bn{i}")], spec, NormSpec::TORCH, activation)
            })
            .collect()
    }
}

#[derive(Debug)]
struct Residual {
    branch: Vec<ConvNorm>,
    /// The shortcut, where it is not the identity.
    downsample: Option<ConvNorm>,
}

impl Residual {
    fn new(
        at: &mut Scope<'_>,
        variant: ResNetVariant,
        inputs: i64,
        planes: i64,
        stride: i64,
    ) -> Result<Self, TensorError> {
        let outputs = planes * variant.expansion();
        let branch = variant.branch(at, inputs, planes, stride)?;
        let downsample = if stride != 1 || inputs != outputs {
            let spec = ConvSpec::new(inputs, outputs, 1).stride(stride);
            Some(ConvNorm::new(&mut at.at("downsample"), spec, NormSpec::TORCH, Activation::None)?)
        } else {
            None
        };
        Ok(Self { branch, downsample })
    }

    /// The input, as the result, twice: for the branch and for the shortcut.
    fn forward(&self, [x, same]: [Tensor; 2], mode: &mut dyn Mode) -> Result<[Tensor; 2], TchError> {
        let mut out = x;
        let (last, layers) = self.branch.split_last().expect("a branch has layers");
        for layer in layers {
            out = layer.forward(&out, mode)?;
        }
        match &self.downsample {
            Some(shortcut) => {
                let shortcut = shortcut.forward(&same, mode)?;
                mode.residual(last, &out, &shortcut)
            }
            None => mode.residual(last, &out, &same),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ResNet {
    stem: ConvNorm,
    /// Whether a max-pool follows the stem.
    pool: bool,
    blocks: Vec<Residual>,
}

impl ResNet {
    pub(crate) fn new(store: &mut Store, variant: ResNetVariant, stem: Stem) -> Result<Self, TensorError> {
        let mut root = Scope::root(store);
        let (stem_spec, pool) = match stem {
            Stem::Imagenet => (ConvSpec::new(3, variant.width, 7).stride(2), true),
            Stem::Cifar => (ConvSpec::new(3, variant.width, 3), false),
        };
        let stem = ConvNorm::named(&mut root, ["conv1", "bn1"], stem_spec, NormSpec::TORCH, Activation::Relu)?;
        let mut blocks = Vec::new();
        let mut inputs = variant.width;
        for (stage, (planes, count)) in variant.planes().into_iter().zip(variant.blocks).enumerate() {
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let mut at = root.at(format_args!("layer{}.{index}", stage + 1));
                blocks.push(Residual::new(&mut at, variant, inputs, planes, stride)?);
                inputs = planes * variant.expansion();
            }
        }
        Ok(Self { stem, pool, blocks })
    }
}

impl Backbone for ResNet {
    fn maps(&self, images: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        let mut x = self.stem.forward(images, mode)?;
        if self.pool {
            x = x.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
        }
        let mut both = twice(x);
        for block in &self.blocks {
            both = block.forward(both, mode)?;
        }
        let [maps, _] = both;
        Ok(maps)
    }
}
