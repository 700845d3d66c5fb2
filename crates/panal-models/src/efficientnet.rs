//! EfficientNet-B0 to B7 as torchvision builds them (torchvision.models.efficientnet). The variants stand in `arch`.

use panal_tensor::{Activation, Store, TensorError};
use tch::{TchError, Tensor};

use crate::Stem;
use crate::classifier::Backbone;
use crate::layers::{Conv, ConvNorm, ConvSpec, NormSpec, Scope, multiple_of_8};
use crate::mode::Mode;

/// torchvision's default for every member of the family.
pub(crate) const STOCHASTIC_DEPTH: f64 = 0.2;

/// What the members of the family differ in: compound scaling multiplies the channels and blocks of B0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EfficientNetVariant {
    /// Multiplies channels, which are then rounded to a multiple of 8.
    pub(crate) width: f64,
    /// Multiplies numbers of blocks, which are then rounded up.
    pub(crate) depth: f64,
    pub(crate) dropout: f64,
    pub(crate) norm: NormSpec,
}

/// B0, but for its first and last convolution: table 1 of arXiv 1905.11946.
#[rustfmt::skip]
const STAGES: [Stage; 7] = [
    Stage { expansion: 1, kernel: 3, stride: 1, outputs: 16, blocks: 1 },
    Stage { expansion: 6, kernel: 3, stride: 2, outputs: 24, blocks: 2 },
    Stage { expansion: 6, kernel: 5, stride: 2, outputs: 40, blocks: 2 },
    Stage { expansion: 6, kernel: 3, stride: 2, outputs: 80, blocks: 3 },
    Stage { expansion: 6, kernel: 5, stride: 1, outputs: 112, blocks: 3 },
    Stage { expansion: 6, kernel: 5, stride: 2, outputs: 192, blocks: 4 },
    Stage { expansion: 6, kernel: 3, stride: 1, outputs: 320, blocks: 1 },
];

/// Channels of B0's first convolution.
const STEM: i64 = 32;

struct Stage {
    expansion: i64,
    kernel: i64,
    /// Of the first block; the others have 1.
    stride: i64,
    outputs: i64,
    blocks: i64,
}

impl EfficientNetVariant {
    pub(crate) fn feature_dim(self) -> i64 {
        4 * self.channels(STAGES[6].outputs)
    }

    fn channels(self, of_b0: i64) -> i64 {
        multiple_of_8(of_b0 as f64 * self.width)
    }

    fn blocks(self, of_b0: i64) -> i64 {
        (of_b0 as f64 * self.depth).ceil() as i64
    }
}

/// torchvision's `SqueezeExcitation` with SiLU: each channel times a factor in (0, 1) that the channels' means decide.
#[derive(Debug)]
struct SqueezeExcitation {
    squeeze: Conv,
    excite: Conv,
}

impl SqueezeExcitation {
    fn new(at: &mut Scope<'_>, channels: i64, squeezed: i64) -> Result<Self, TensorError> {
        Ok(Self {
            squeeze: Conv::with_bias(&mut at.at("fc1"), ConvSpec::new(channels, squeezed, 1))?,
            excite: Conv::with_bias(&mut at.at("fc2"), ConvSpec::new(squeezed, channels, 1))?,
        })
    }

    /// Overwrites `x` where the gradient allows it.
    fn forward(&self, mut x: Tensor) -> Result<Tensor, TchError> {
        let squeezed = self.squeeze.forward(&x.f_adaptive_avg_pool2d([1, 1])?)?.f_silu()?;
        let excited = self.excite.forward(&squeezed)?.f_sigmoid()?;
        if x.requires_grad() || excited.requires_grad() { x.f_mul(&excited) } else { x.f_mul_(&excited) }
    }
}

/// torchvision's `MBConv`: expand, depthwise, squeeze and excite, project.
#[derive(Debug)]
struct MBConv {
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    excitation: SqueezeExcitation,
    project: ConvNorm,
    /// Where the block is residual, the probability that its branch is left out in training.
    residual: Option<f64>,
}

impl MBConv {
    fn new(
        at: &mut Scope<'_>,
        inputs: i64,
        outputs: i64,
        stage: &Stage,
        stride: i64,
        norm: NormSpec,
        stochastic_depth: f64,
    ) -> Result<Self, TensorError> {
        let hidden = multiple_of_8((inputs * stage.expansion) as f64);
        let mut block = at.at("block");
        let mut child = 0..;
        let mut next = || child.next().unwrap_or_default();
        let expand = if hidden == inputs {
            None
        } else {
            Some(ConvNorm::new(&mut block.at(next()), ConvSpec::new(inputs, hidden, 1), norm, Activation::Silu)?)
        };
        let depthwise = ConvSpec::new(hidden, hidden, stage.kernel).stride(stride).groups(hidden);
        Ok(Self {
            expand,
            depthwise: ConvNorm::new(&mut block.at(next()), depthwise, norm, Activation::Silu)?,
            excitation: SqueezeExcitation::new(&mut block.at(next()), hidden, (inputs / 4).max(1))?,
            project: ConvNorm::new(&mut block.at(next()), ConvSpec::new(hidden, outputs, 1), norm, Activation::None)?,
            residual: (stride == 1 && inputs == outputs).then_some(stochastic_depth),
        })
    }

    fn forward(&self, x: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        let expanded = match &self.expand {
            Some(expand) => expand.forward(x, mode)?,
            None => x.shallow_clone(),
        };
        let excited = self.excitation.forward(self.depthwise.forward(&expanded, mode)?)?;
        let branch = self.project.forward(&excited, mode)?;
        match self.residual {
            Some(p) => mode.stochastic_depth(branch, p)?.f_add_(x),
            None => Ok(branch),
        }
    }
}

#[derive(Debug)]
pub(crate) struct EfficientNet {
    stem: ConvNorm,
    blocks: Vec<MBConv>,
    last: ConvNorm,
}

impl EfficientNet {
    /// Block `i` of `n`, from 0, is left out in training with probability `stochastic_depth * i / n`.
    pub(crate) fn new(
        store: &mut Store,
        variant: EfficientNetVariant,
        stem: Stem,
        stochastic_depth: f64,
    ) -> Result<Self, TensorError> {
        let mut root = Scope::root(store);
        let mut features = root.at("features");
        let norm = variant.norm;
        let mut inputs = variant.channels(STEM);
        let stem_spec = ConvSpec::new(3, inputs, 3).stride(stem.stride());
        let stem = ConvNorm::new(&mut features.at(0), stem_spec, norm, Activation::Silu)?;

        let total: i64 = STAGES.iter().map(|stage| variant.blocks(stage.blocks)).sum();
        let mut blocks = Vec::new();
        for (number, stage) in (1..).zip(&STAGES) {
            let outputs = variant.channels(stage.outputs);
            for index in 0..variant.blocks(stage.blocks) {
                let stride = if index == 0 { stage.stride } else { 1 };
                let p = stochastic_depth * blocks.len() as f64 / total as f64;
                let mut at = features.at(format_args!("{number}.{index}"));
                blocks.push(MBConv::new(&mut at, inputs, outputs, stage, stride, norm, p)?);
                inputs = outputs;
            }
        }

        let last_spec = ConvSpec::new(inputs, variant.feature_dim(), 1);
        let last = ConvNorm::new(&mut features.at(STAGES.len() + 1), last_spec, norm, Activation::Silu)?;
        Ok(Self { stem, blocks, last })
    }
}

impl Backbone for EfficientNet {
    fn maps(&self, images: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        let mut x = self.stem.forward(images, mode)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        self.last.forward(&x, mode)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// `[m.stochastic_depth.p for m in torchvision.models.efficientnet_b0().modules() if isinstance(m, MBConv) and
    /// m.use_res_connect]`
    #[test]
    fn stochastic_depth_rises_with_depth_as_in_torchvision() {
        let b0 = EfficientNetVariant { width: 1.0, depth: 1.0, dropout: 0.2, norm: NormSpec::TORCH };
        let network = EfficientNet::new(&mut Store::new(Device::Cpu, 0), b0, Stem::Imagenet, STOCHASTIC_DEPTH).unwrap();
        let got: Vec<f64> = network.blocks.iter().filter_map(|block| block.residual).collect();
        let expected = [0.025, 0.05, 0.075, 0.0875, 0.1125, 0.125, 0.15, 0.1625, 0.175];
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(expected).all(|(p, expected)| (p - expected).abs() < 1e-12), "{got:?}");
    }
}
