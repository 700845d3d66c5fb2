//! A network for evaluation alone, every batch norm folded into the convolution before it. What a forward pass is lives
//! with the families; here are only the two modes that fold and that use what was folded.

use std::ops::Deref;

use panal_tensor::{Activation, Doing};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::layers::{Conv, ConvNorm, Times, apply, twice};
use crate::mode::{Eval, Mode};
use crate::{Classifier, ModelError};

/// A [`Classifier`] as it was when it was folded, for evaluation alone: faster, since no batch norm is left to compute.
///
/// The head is the classifier's own, and follows it as it learns; the backbone does not. Results are those of the
/// `_eval` methods but for rounding, about one part in a million (in bfloat16 or TF32, in a thousand), and never have a gradient.
/// A CPU computes a large batch in parts, so that memory does not grow with it.
#[derive(Debug)]
pub struct Folded<'a> {
    classifier: Held<'a>,
    /// In the order in which a forward pass comes by them.
    convolutions: Vec<Conv>,
}

/// Whose classifier it is.
#[derive(Debug)]
enum Held<'a> {
    Lent(&'a Classifier),
    Owned(Box<Classifier>),
}

impl Deref for Held<'_> {
    type Target = Classifier;

    fn deref(&self) -> &Classifier {
        match self {
            Self::Lent(classifier) => classifier,
            Self::Owned(classifier) => classifier,
        }
    }
}

/// Positions of the last feature map that each thread of a CPU computes at a time: 16 images of 224 pixels. Measured: larger parts are at
/// most a thirtieth faster and take more memory, smaller ones are slower in wide networks.
const POSITIONS: i64 = 16 * 7 * 7;

impl Classifier {
    /// The network as it is now, for evaluation alone. Costs a copy of the convolutions' weights.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where the device fails.
    pub fn folded(&self) -> Result<Folded<'_>, ModelError> {
        Ok(Folded { convolutions: self.fold(|weight, scale| weight.f_mul(scale))?, classifier: Held::Lent(self) })
    }

    /// The same for good: the weights are folded where they lie, which takes no more memory. Whoever holds one of the network's tensors sees that.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where the device fails.
    pub fn into_folded(self) -> Result<Folded<'static>, ModelError> {
        Ok(Folded { convolutions: self.fold(Tensor::f_mul_)?, classifier: Held::Owned(Box::new(self)) })
    }

    fn fold(&self, times: Times) -> Result<Vec<Conv>, ModelError> {
        let mut fold = Fold { times, folded: Vec::new() };
        // The smallest image: its pass brings the layers up in their order.
        let image = Tensor::f_zeros([1, 3, 32, 32], (Kind::Float, self.device())).doing("make an image")?;
        let _ = no_grad(|| self.features(&image, &mut fold))?;
        Ok(fold.folded)
    }
}

impl Folded<'_> {
    /// As [`Classifier::features_eval`], without gradient.
    ///
    /// # Errors
    /// As there.
    pub fn features(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.classifier.check_images(images)?;
        self.in_parts(images, self.parts(images))
    }

    fn in_parts(&self, images: &Tensor, parts: i64) -> Result<Tensor, ModelError> {
        let whole = |images: &Tensor| self.classifier.features(images, &mut Unfold(self.convolutions.iter()));
        no_grad(|| match parts {
            1 => whole(images),
            _ => {
                let parts = images.f_chunk(parts, 0).doing("divide a batch")?;
                let features = parts.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
                Ok(Tensor::f_cat(&features, 0).doing("join features")?)
            }
        })
    }

    /// As [`Classifier::forward_eval`], without gradient.
    ///
    /// # Errors
    /// As there.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let features = self.features(images)?;
        no_grad(|| self.classifier.head_eval(&features))
    }

    /// In how many parts a batch `[N, 3, H, W]` is computed.
    fn parts(&self, images: &Tensor) -> i64 {
        let [n, _, height, width] = images.size()[..] else { unreachable!("four dimensions were checked") };
        if self.classifier.device() != Device::Cpu {
            return 1;
        }
        let up = |dividend: i64, divisor: i64| (dividend + divisor - 1) / divisor;
        let stride = self.classifier.total_stride();
        let positions = n * up(height, stride) * up(width, stride);
        up(positions, POSITIONS * i64::from(tch::get_num_threads())).clamp(1, n)
    }
}

/// Evaluation that folds each pair of layers and keeps what it folded.
struct Fold {
    times: Times,
    folded: Vec<Conv>,
}

impl Mode for Fold {
    fn layer(&mut self, layer: &ConvNorm, x: &Tensor) -> Result<Tensor, TchError> {
        let folded = layer.conv.folded(&layer.norm, self.times)?;
        let out = folded.forward(x);
        self.folded.push(folded);
        apply(layer.activation, out?)
    }

    fn dropout(&mut self, x: Tensor, p: f64) -> Result<Tensor, TchError> {
        Eval.dropout(x, p)
    }

    fn stochastic_depth(&mut self, branch: Tensor, p: f64) -> Result<Tensor, TchError> {
        Eval.stochastic_depth(branch, p)
    }
}

/// Evaluation by the convolutions that were folded, one after another.
struct Unfold<'a>(std::slice::Iter<'a, Conv>);

impl Mode for Unfold<'_> {
    fn layer(&mut self, layer: &ConvNorm, x: &Tensor) -> Result<Tensor, TchError> {
        match (layer.activation, self.0.next()) {
            (Activation::Relu, Some(folded)) => folded.forward_relu(x, None),
            (activation, Some(folded)) => apply(activation, folded.forward(x)?),
            // A pass has the same layers whatever the image, so this is never so; but it would be right.
            (_, None) => Eval.layer(layer, x),
        }
    }

    fn residual(&mut self, layer: &ConvNorm, x: &Tensor, shortcut: &Tensor) -> Result<[Tensor; 2], TchError> {
        match self.0.next() {
            Some(folded) => Ok(twice(folded.forward_relu(x, Some(shortcut))?)),
            None => Eval.residual(layer, x, shortcut),
        }
    }

    fn dropout(&mut self, x: Tensor, p: f64) -> Result<Tensor, TchError> {
        Eval.dropout(x, p)
    }

    fn stochastic_depth(&mut self, branch: Tensor, p: f64) -> Result<Tensor, TchError> {
        Eval.stochastic_depth(branch, p)
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests {
    use super::*;
    use crate::ModelSpec;

    fn network() -> Classifier {
        Classifier::new(&ModelSpec::new("resnet18".parse().expect("a name"), 3), Device::Cpu, 0).expect("a network")
    }

    #[test]
    fn a_batch_is_computed_in_parts_of_so_many_images_a_thread() {
        let network = network();
        let folded = network.folded().unwrap();
        let at_a_time = 16 * i64::from(tch::get_num_threads());
        // One pixel, expanded, so that the batch takes no memory.
        let parts = |n: i64, side: i64| {
            folded.parts(&Tensor::zeros([1, 3, 1, 1], (Kind::Float, Device::Cpu)).expand([n, 3, side, side], false))
        };
        assert_eq!([1, at_a_time, at_a_time + 1, 4 * at_a_time].map(|n| parts(n, 224)), [1, 1, 2, 4]);
        assert_eq!([49 * at_a_time, 49 * at_a_time + 1].map(|n| parts(n, 32)), [1, 2]);
        assert_eq!(parts(2, 32 * 7 * 4 * at_a_time), 2, "an image is never divided");
    }

    #[test]
    fn the_features_of_parts_are_joined_in_order() {
        let network = network();
        let folded = network.folded().unwrap();
        tch::manual_seed(1);
        let images = Tensor::randn([7, 3, 40, 56], (Kind::Float, Device::Cpu));
        let (whole, joined) = (folded.in_parts(&images, 1).unwrap(), folded.in_parts(&images, 3).unwrap());
        let far = |one: &Tensor, other: &Tensor| (one - other).abs().max().double_value(&[]);
        assert!(far(&whole, &joined) < 1e-5);
        assert!(far(&whole.get(0), &whole.get(6)) > 1e-3, "the images are alike");
    }

    #[test]
    fn a_network_that_is_given_away_is_folded_where_its_weights_lie() {
        let network = network();
        let places: Vec<_> = network.store().iter().map(|(_, tensor, _)| tensor.data_ptr()).collect();
        let kept = |folded: &Folded<'_>| {
            folded.convolutions.iter().filter(|conv| places.contains(&conv.weight().data_ptr())).count()
        };
        assert_eq!(kept(&network.folded().unwrap()), 0);
        assert_eq!(kept(&network.into_folded().unwrap()), 20);
    }

    #[test]
    fn a_cuda_device_folds_and_fuses_to_the_same_features() {
        let Ok(device) = panal_tensor::DeviceChoice::Cuda(0).resolve() else {
            eprintln!("skipped: no CUDA device");
            return;
        };
        for arch in ["resnet18", "resnext50_32x4d", "mobilenet_v2", "efficientnet_b0"] {
            let network = Classifier::new(&ModelSpec::new(arch.parse().unwrap(), 3), device, 0).unwrap();
            tch::manual_seed(1);
            let images = Tensor::randn([5, 3, 64, 96], (Kind::Float, Device::Cpu)).to(device);
            let images = panal_tensor::channels_last(&images).unwrap();
            let expected = network.features_eval(&images).unwrap().detach();
            let folded = network.folded().unwrap();
            // TF32 has 10 bits of mantissa, bfloat16 7.
            for (kind, least) in [(Kind::Float, 5e-3), (Kind::BFloat16, 5e-2)] {
                let got = folded.features(&images.to_kind(kind)).unwrap();
                let far = (&got - &expected).norm().double_value(&[]) / expected.norm().double_value(&[]);
                assert!(far < least, "{arch}, {kind:?}: {far}");
            }
        }
    }
}
