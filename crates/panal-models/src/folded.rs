//! A network for evaluation alone, every batch norm folded into the convolution before it. What a forward pass is lives
//! with the families; here are only the two modes that fold and that use what was folded.

use panal_tensor::Doing;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::layers::{BatchNorm, Conv};
use crate::mode::{Eval, Mode};
use crate::{Classifier, ModelError};

/// A [`Classifier`] as it was when it was folded, for evaluation alone: faster, since no batch norm is left to compute.
///
/// The head is the classifier's own, and follows it as it learns; the backbone does not. Results are those of the
/// `_eval` methods but for rounding, about one part in a million (in bfloat16 or TF32, in a thousand), and never have a gradient.
/// A CPU computes a large batch in parts, so that memory does not grow with it.
#[derive(Debug)]
pub struct Folded<'a> {
    classifier: &'a Classifier,
    /// In the order in which a forward pass comes by them.
    convolutions: Vec<Conv>,
}

/// Positions of the last feature map that each thread of a CPU computes at a time: 16 images of 224 pixels. Measured: larger parts are at
/// most a fiftieth faster and take more memory, smaller ones are slower in wide networks.
const POSITIONS: i64 = 16 * 7 * 7;

impl Classifier {
    /// The network as it is now, for evaluation alone. Costs a copy of the convolutions' weights.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where the device fails.
    pub fn folded(&self) -> Result<Folded<'_>, ModelError> {
        let mut fold = Fold(Vec::new());
        // The smallest image: its pass brings the layers up in their order.
        let image = Tensor::f_zeros([1, 3, 32, 32], (Kind::Float, self.device())).doing("make an image")?;
        let _ = no_grad(|| self.features(&image, &mut fold))?;
        Ok(Folded { classifier: self, convolutions: fold.0 })
    }
}

impl Folded<'_> {
    /// As [`Classifier::features_eval`], without gradient.
    ///
    /// # Errors
    /// As there.
    pub fn features(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let whole = |images: &Tensor| self.classifier.features(images, &mut Unfold(self.convolutions.iter()));
        no_grad(|| match self.parts(images) {
            1 => whole(images),
            parts => {
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

    /// In how many parts a batch is computed; one where `images` are none, which is for [`Classifier`] to refuse.
    fn parts(&self, images: &Tensor) -> i64 {
        let [n, _, height, width] = images.size()[..] else { return 1 };
        if self.classifier.device() != Device::Cpu {
            return 1;
        }
        let up = |dividend: i64, divisor: i64| (dividend + divisor - 1) / divisor;
        let stride = self.classifier.total_stride();
        let positions = n * up(height, stride) * up(width, stride);
        up(positions, POSITIONS * i64::from(tch::get_num_threads())).clamp(1, n.max(1))
    }
}

/// Evaluation that folds each pair of layers and keeps what it folded.
struct Fold(Vec<Conv>);

impl Mode for Fold {
    fn conv_norm(&mut self, conv: &Conv, norm: &BatchNorm, x: &Tensor) -> Result<Tensor, TchError> {
        let folded = conv.folded(norm)?;
        let out = folded.forward(x);
        self.0.push(folded);
        out
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
    fn conv_norm(&mut self, conv: &Conv, norm: &BatchNorm, x: &Tensor) -> Result<Tensor, TchError> {
        match self.0.next() {
            Some(folded) => folded.forward(x),
            // A pass has the same layers whatever the image, so this is never so; but it would be right.
            None => Eval.conv_norm(conv, norm, x),
        }
    }

    fn dropout(&mut self, x: Tensor, p: f64) -> Result<Tensor, TchError> {
        Eval.dropout(x, p)
    }

    fn stochastic_depth(&mut self, branch: Tensor, p: f64) -> Result<Tensor, TchError> {
        Eval.stochastic_depth(branch, p)
    }
}
