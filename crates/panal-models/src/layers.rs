//! The layers that the families share: convolution, batch norm, the two with an activation, linear. No network here.

use std::fmt::Display;

use panal_tensor::{Activation, Doing, FusedNorm, Init, NormLayer, Store, TensorError};
use tch::{Device, Kind, TchError, Tensor};

use crate::mode::Mode;

/// A place among the names of a store: `layer1.0` declares `conv1.weight` as `layer1.0.conv1.weight`.
pub(crate) struct Scope<'a> {
    store: &'a mut Store,
    prefix: String,
}

impl<'a> Scope<'a> {
    pub(crate) fn root(store: &'a mut Store) -> Self {
        Self { store, prefix: String::new() }
    }

    pub(crate) fn at(&mut self, name: impl Display) -> Scope<'_> {
        Scope { prefix: format!("{}{name}.", self.prefix), store: self.store }
    }

    fn parameter(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, TensorError> {
        self.store.parameter(&format!("{}{name}", self.prefix), shape, init)
    }

    fn buffer(&mut self, name: &str, values: &Tensor) -> Result<Tensor, TensorError> {
        self.store.buffer(&format!("{}{name}", self.prefix), values)
    }
}

/// Sizes of a convolution. The padding is `(kernel - 1) / 2`, everywhere in these networks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvSpec {
    pub(crate) inputs: i64,
    pub(crate) outputs: i64,
    pub(crate) kernel: i64,
    pub(crate) stride: i64,
    pub(crate) groups: i64,
}

impl ConvSpec {
    /// A dense convolution of stride 1.
    pub(crate) fn new(inputs: i64, outputs: i64, kernel: i64) -> Self {
        Self { inputs, outputs, kernel, stride: 1, groups: 1 }
    }

    pub(crate) fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    pub(crate) fn groups(self, groups: i64) -> Self {
        Self { groups, ..self }
    }
}

/// `torch.nn.Conv2d`: `[N, inputs, H, W]` to `[N, outputs, ceil(H / stride), ceil(W / stride)]` for odd kernels, in the element
/// type of what it is given; the weights stay as they are and are rounded for each pass.
#[derive(Debug)]
pub(crate) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    spec: ConvSpec,
}

impl Conv {
    pub(crate) fn new(at: &mut Scope<'_>, spec: ConvSpec) -> Result<Self, TensorError> {
        let shape = [spec.outputs, spec.inputs / spec.groups, spec.kernel, spec.kernel];
        Ok(Self { weight: at.parameter("weight", &shape, Init::KaimingNormalFanOut)?, bias: None, spec })
    }

    pub(crate) fn with_bias(at: &mut Scope<'_>, spec: ConvSpec) -> Result<Self, TensorError> {
        let conv = Self::new(at, spec)?;
        Ok(Self { bias: Some(at.parameter("bias", &[spec.outputs], Init::Zeros)?), ..conv })
    }

    /// A handle on the weight.
    pub(crate) fn weight(&self) -> Tensor {
        self.weight.shallow_clone()
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let ConvSpec { kernel, stride, groups, .. } = self.spec;
        let padding = (kernel - 1) / 2;
        let (weight, bias) = self.weights(x.kind())?;
        x.f_conv2d(&weight, bias, [stride, stride], [padding, padding], [1, 1], groups)
    }

    /// `relu(forward(x) + shortcut)`, without gradient; on a GPU in one pass of cuDNN's, where that has one for it.
    pub(crate) fn forward_relu(&self, x: &Tensor, shortcut: Option<&Tensor>) -> Result<Tensor, TchError> {
        if x.device().is_cuda()
            && let Ok(fused) = self.fused_relu(x, shortcut)
        {
            return Ok(fused);
        }
        let mut out = self.forward(x)?;
        let sum = shortcut.map(|shortcut| out.f_add_(shortcut)).transpose()?;
        apply(Activation::Relu, sum.unwrap_or(out))
    }

    fn fused_relu(&self, x: &Tensor, shortcut: Option<&Tensor>) -> Result<Tensor, TchError> {
        let (weight, bias) = self.weights(x.kind())?;
        let ConvSpec { kernel, stride, groups, .. } = self.spec;
        let [stride, padding, dilation] = [stride, (kernel - 1) / 2, 1].map(|both| [both, both]);
        match shortcut {
            Some(sum) => x.f_cudnn_convolution_add_relu(&weight, sum, 1.0, bias, stride, padding, dilation, groups),
            None => x.f_cudnn_convolution_relu(&weight, bias, stride, padding, dilation, groups),
        }
    }

    /// Weight and bias in this element type.
    fn weights(&self, kind: Kind) -> Result<(Tensor, Option<Tensor>), TchError> {
        let bias = self.bias.as_ref().map(|bias| bias.f_to_kind(kind)).transpose()?;
        Ok((self.weight.f_to_kind(kind)?, bias))
    }

    /// One convolution that does what this one, which has no bias, and then `norm` in evaluation do: with
    /// `s = gamma / sqrt(var + eps)`, the weights are `s w`, multiplied by `times`, and the bias is `beta - s mean`. `s` is computed in f64.
    pub(crate) fn folded(&self, norm: &BatchNorm, times: Times) -> Result<Self, TchError> {
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
        let spread = double(&norm.running_var)?.f_add_scalar(norm.spec.eps)?.f_sqrt()?;
        let scale = double(&norm.weight)?.f_div(&spread)?;
        let bias = double(&norm.bias)?.f_sub(&double(&norm.running_mean)?.f_mul(&scale)?)?;
        let kind = self.weight.kind();
        let weight = times(&mut self.weight(), &scale.f_to_kind(kind)?.f_view([-1, 1, 1, 1])?)?;
        Ok(Self { weight, bias: Some(bias.f_to_kind(kind)?), spec: self.spec })
    }
}

/// A product, in memory of its own or in that of the first factor.
pub(crate) type Times = fn(&mut Tensor, &Tensor) -> Result<Tensor, TchError>;

/// Batch norm with the statistics of `x` itself, and parameters from anywhere.
pub(crate) fn batch_normalised(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    NormSpec { eps, momentum }: NormSpec,
) -> Result<Tensor, TchError> {
    x.f_batch_norm(Some(weight), Some(bias), None, None, true, momentum, eps, false)
}

/// The two constants of a batch norm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormSpec {
    /// Added to the variance.
    pub(crate) eps: f64,
    /// Share of the batch in the updated running statistics.
    momentum: f64,
}

impl NormSpec {
    /// The defaults of `torch.nn.BatchNorm2d`.
    pub(crate) const TORCH: Self = Self { eps: 1e-5, momentum: 0.1 };
    /// torchvision's for EfficientNet-B5 to B7.
    pub(crate) const SLOW: Self = Self { eps: 1e-3, momentum: 0.01 };
}

/// `torch.nn.BatchNorm2d`.
#[derive(Debug)]
pub(crate) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    num_batches_tracked: Tensor,
    spec: NormSpec,
    /// Its kernels.
    fused: Option<FusedNorm>,
}

impl BatchNorm {
    pub(crate) fn new(at: &mut Scope<'_>, channels: i64, spec: NormSpec) -> Result<Self, TensorError> {
        Ok(Self {
            weight: at.parameter("weight", &[channels], Init::Ones)?,
            bias: at.parameter("bias", &[channels], Init::Zeros)?,
            running_mean: at.buffer("running_mean", &Tensor::zeros([channels], (Kind::Float, Device::Cpu)))?,
            running_var: at.buffer("running_var", &Tensor::ones([channels], (Kind::Float, Device::Cpu)))?,
            num_batches_tracked: at.buffer(TRACKED, &Tensor::from(0i64))?,
            spec,
            fused: FusedNorm::new(channels, at.store.device()).doing("make counters of batch norm")?,
        })
    }

    /// Handles on weight and bias.
    pub(crate) fn parameters(&self) -> [Tensor; 2] {
        [self.weight.shallow_clone(), self.bias.shallow_clone()]
    }

    /// Normalises with the running statistics, which stay as they are.
    pub(crate) fn eval(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.forward(x, false)
    }

    /// Normalises with the batch's statistics, which also go into the running ones, then the activation.
    pub(crate) fn train(&self, x: &Tensor, activation: Activation) -> Result<Tensor, TchError> {
        if let Some(y) = self.train_fused(x, activation)? {
            return Ok(y);
        }
        let z = if activation == Activation::None { None } else { self.train_fused(x, Activation::None)? };
        apply(activation, z.map_or_else(|| self.train_alone(x), Ok)?)
    }

    /// As one operation, where that can be had.
    fn train_fused(&self, x: &Tensor, activation: Activation) -> Result<Option<Tensor>, TchError> {
        Ok(self.fused.as_ref().map(|fused| fused.train(x, self.layer(), activation)).transpose()?.flatten())
    }

    /// `relu(train(x) + shortcut)`, twice, for two uses, whose gradients are added where that costs nothing.
    pub(crate) fn train_joined(&self, x: &Tensor, shortcut: &Tensor) -> Result<[Tensor; 2], TchError> {
        let fused = self.fused.as_ref().map(|fused| fused.train_joined(x, shortcut, self.layer())).transpose()?;
        let alone = || Ok(twice(apply(Activation::Relu, self.train_alone(x)?.f_add_(shortcut)?)?));
        fused.flatten().map_or_else(alone, Ok)
    }

    fn train_alone(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _ = self.num_batches_tracked.shallow_clone().f_add_scalar_(1)?;
        self.forward(x, true)
    }

    fn layer(&self) -> NormLayer<'_> {
        NormLayer {
            weight: &self.weight,
            bias: &self.bias,
            running_mean: &self.running_mean,
            running_var: &self.running_var,
            batches: &self.num_batches_tracked,
            momentum: self.spec.momentum,
            eps: self.spec.eps,
        }
    }

    /// Normalises with the batch's statistics; the running ones stay as they are.
    pub(crate) fn batch(&self, x: &Tensor) -> Result<Tensor, TchError> {
        batch_normalised(x, &self.weight, &self.bias, self.spec)
    }

    fn forward(&self, x: &Tensor, training: bool) -> Result<Tensor, TchError> {
        let NormSpec { eps, momentum } = self.spec;
        let (mean, var) = (Some(&self.running_mean), Some(&self.running_var));
        x.f_batch_norm(Some(&self.weight), Some(&self.bias), mean, var, training, momentum, eps, true)
    }
}

/// The last part of the name of batch norm's step counter, which older weight files lack.
pub(crate) const TRACKED: &str = "num_batches_tracked";

/// Overwrites `x` where the gradient allows it.
pub(crate) fn apply(activation: Activation, mut x: Tensor) -> Result<Tensor, TchError> {
    match activation {
        Activation::None => Ok(x),
        Activation::Relu => x.f_relu_(),
        Activation::Relu6 => x.f_relu6_(),
        // Its gradient needs what it was given.
        Activation::Silu if x.requires_grad() => x.f_silu(),
        Activation::Silu => x.f_silu_(),
    }
}

/// Two handles on a tensor.
pub(crate) fn twice(x: Tensor) -> [Tensor; 2] {
    [x.shallow_clone(), x]
}

/// A convolution without bias, a batch norm and an activation.
#[derive(Debug)]
pub(crate) struct ConvNorm {
    pub(crate) conv: Conv,
    pub(crate) norm: BatchNorm,
    pub(crate) activation: Activation,
}

impl ConvNorm {
    /// Under the names that the caller gives to the convolution and the norm.
    pub(crate) fn named(
        at: &mut Scope<'_>,
        [conv, norm]: [&str; 2],
        spec: ConvSpec,
        norm_spec: NormSpec,
        activation: Activation,
    ) -> Result<Self, TensorError> {
        Ok(Self {
            conv: Conv::new(&mut at.at(conv), spec)?,
            norm: BatchNorm::new(&mut at.at(norm), spec.outputs, norm_spec)?,
            activation,
        })
    }

    /// torchvision's `Conv2dNormActivation`: the convolution is `0`, the norm `1`.
    pub(crate) fn new(
        at: &mut Scope<'_>,
        spec: ConvSpec,
        norm: NormSpec,
        activation: Activation,
    ) -> Result<Self, TensorError> {
        Self::named(at, ["0", "1"], spec, norm, activation)
    }

    pub(crate) fn forward(&self, x: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        mode.layer(self, x)
    }
}

/// `torch.nn.Linear`: `[N, inputs]` to `[N, outputs]`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(crate) fn new(at: &mut Scope<'_>, [inputs, outputs]: [i64; 2], init: [Init; 2]) -> Result<Self, TensorError> {
        let [weight, bias] = init;
        Ok(Self {
            weight: at.parameter("weight", &[outputs, inputs], weight)?,
            bias: at.parameter("bias", &[outputs], bias)?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

/// The mean over height and width: `[N, C, H, W]` to `[N, C]`, f32.
pub(crate) fn global_average(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_adaptive_avg_pool2d([1, 1])?.f_flatten(1, -1)?.f_to_kind(Kind::Float)
}

/// torchvision's `_make_divisible(value, 8)`: the nearest multiple of 8, at least 8 and at least 90 % of `value`.
pub(crate) fn multiple_of_8(value: f64) -> i64 {
    let rounded = ((value + 4.0) as i64 / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * value { rounded + 8 } else { rounded }
}
