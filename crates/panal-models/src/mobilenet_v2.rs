//! MobileNetV2 at width 1.0 as torchvision builds it (torchvision.models.mobilenetv2).

use panal_tensor::{Activation, Store, TensorError};
use tch::{TchError, Tensor};

use crate::Stem;
use crate::classifier::Backbone;
use crate::layers::{ConvNorm, ConvSpec, NormSpec, Scope};
use crate::mode::Mode;

/// Channels of the last convolution.
pub(crate) const FEATURE_DIM: i64 = 1280;

/// torchvision's default.
pub(crate) const DROPOUT: f64 = 0.2;

/// Channels of the first convolution.
const STEM: i64 = 32;

/// Expansion, output channels, number of blocks, stride of the first of them: table 2 of arXiv 1801.04381.
const STAGES: [(i64, i64, usize, i64); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

#[derive(Debug)]
struct InvertedResidual {
    layers: Vec<ConvNorm>,
    residual: bool,
}

impl InvertedResidual {
    fn new(at: &mut Scope<'_>, inputs: i64, outputs: i64, stride: i64, expansion: i64) -> Result<Self, TensorError> {
        let hidden = inputs * expansion;
        let mut conv = at.at("conv");
        let mut layers = Vec::new();
        if expansion != 1 {
            let expand = ConvSpec::new(inputs, hidden, 1);
            layers.push(ConvNorm::new(&mut conv.at(layers.len()), expand, NormSpec::TORCH, Activation::Relu6)?);
        }
        let depthwise = ConvSpec::new(hidden, hidden, 3).stride(stride).groups(hidden);
        layers.push(ConvNorm::new(&mut conv.at(layers.len()), depthwise, NormSpec::TORCH, Activation::Relu6)?);
        // The projection and its norm are not wrapped: they are the next two children of `conv` themselves.
        let (projection, norm) = (layers.len().to_string(), (layers.len() + 1).to_string());
        let project = ConvSpec::new(hidden, outputs, 1);
        layers.push(ConvNorm::named(&mut conv, [&projection, &norm], project, NormSpec::TORCH, Activation::None)?);
        Ok(Self { layers, residual: stride == 1 && inputs == outputs })
    }

    fn forward(&self, x: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        let mut out = x.shallow_clone();
        for layer in &self.layers {
            out = layer.forward(&out, mode)?;
        }
        if self.residual { out.f_add_(x) } else { Ok(out) }
    }
}

#[derive(Debug)]
pub(crate) struct MobileNetV2 {
    stem: ConvNorm,
    blocks: Vec<InvertedResidual>,
    last: ConvNorm,
}

impl MobileNetV2 {
    pub(crate) fn new(store: &mut Store, stem: Stem) -> Result<Self, TensorError> {
        let mut root = Scope::root(store);
        let mut features = root.at("features");
        let stem_spec = ConvSpec::new(3, STEM, 3).stride(stem.stride());
        let stem = ConvNorm::new(&mut features.at(0), stem_spec, NormSpec::TORCH, Activation::Relu6)?;
        let mut blocks = Vec::new();
        let mut inputs = STEM;
        for (expansion, outputs, count, first_stride) in STAGES {
            for index in 0..count {
                let stride = if index == 0 { first_stride } else { 1 };
                let mut at = features.at(blocks.len() + 1);
                blocks.push(InvertedResidual::new(&mut at, inputs, outputs, stride, expansion)?);
                inputs = outputs;
            }
        }
        let last_spec = ConvSpec::new(inputs, FEATURE_DIM, 1);
        let last = ConvNorm::new(&mut features.at(blocks.len() + 1), last_spec, NormSpec::TORCH, Activation::Relu6)?;
        Ok(Self { stem, blocks, last })
    }
}

impl Backbone for MobileNetV2 {
    fn maps(&self, images: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        let mut x = self.stem.forward(images, mode)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        self.last.forward(&x, mode)
    }
}
