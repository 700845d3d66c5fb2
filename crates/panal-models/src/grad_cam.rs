//! Grad-CAM: where in an image the evidence for a class lies. How a map is laid over a picture is the caller's.

use panal_tensor::Doing;
use tch::{Kind, Tensor, no_grad, with_grad};

use crate::layers::global_average;
use crate::{Classifier, ModelError};

/// What [`Classifier::grad_cam`] finds.
#[derive(Debug)]
pub struct GradCam {
    /// `[N, h, w]` f32, at least 0: how much each place of the last feature maps speaks for the class, in logits per place.
    /// All 0 where nothing does. `h` and `w` are the image's sides divided by the network's stride, rounded up.
    pub maps: Tensor,
    /// `[N, classes]` f32: the logits of the images, as [`Classifier::forward_eval`] makes them.
    pub logits: Tensor,
}

impl Classifier {
    /// Gradient-weighted class activation maps (Selvaraju et al., arXiv 1610.02391), in evaluation, from the feature maps before
    /// pooling.
    ///
    /// With `A^k` the `k`-th map and `y^c` the logit of the class, before the softmax: `alpha_k = mean over places of dy^c/dA^k`
    /// (equation 1), and the result is `ReLU(sum over k of alpha_k A^k)` (equation 2). Nothing of the network changes, no gradient
    /// of its parameters is computed, and what surrounds the call (`no_grad`) does not matter.
    ///
    /// # Shapes
    /// - `images`: as in [`features_eval`](Self::features_eval)
    /// - `classes`: N, the class that each image is asked about, below the number of classes
    ///
    /// # Errors
    /// [`ModelError::Input`] for images of another form, or classes that the network does not have or that are not N;
    /// [`ModelError::Tensor`] where the device fails.
    pub fn grad_cam(&self, images: &Tensor, classes: &[usize]) -> Result<GradCam, ModelError> {
        let maps = no_grad(|| self.maps(images))?.set_requires_grad(true);
        self.check_classes(classes, maps.size()[0])?;
        let wanted: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
        let (logits, gradient) = with_grad(|| {
            let logits = self.head_eval(&global_average(&maps).doing("pool feature maps")?)?;
            let wanted = Tensor::f_from_slice(&wanted).and_then(|wanted| wanted.f_to(logits.device()));
            // In evaluation no image touches another, so the gradient of the sum is that of each image's own score.
            let scores =
                wanted.and_then(|wanted| logits.f_gather(1, &wanted.f_unsqueeze(1)?, false)?.f_sum(Kind::Float));
            let gradient = scores
                .and_then(|scores| Tensor::f_run_backward(&[scores], &[&maps], false, false))
                .doing("compute gradients of feature maps")?;
            Ok::<_, ModelError>((logits, gradient))
        })?;
        let weighed = no_grad(|| {
            let alpha = gradient.first().map(|gradient| gradient.f_mean_dim([2i64, 3].as_slice(), true, Kind::Float));
            let weighed = alpha.transpose()?.map(|alpha| alpha.f_mul(&maps)?.f_sum_dim_intlist(1, false, Kind::Float));
            weighed.transpose()?.unwrap_or_default().f_relu()
        });
        Ok(GradCam { maps: weighed.doing("weigh feature maps")?, logits: logits.detach() })
    }

    fn check_classes(&self, classes: &[usize], images: i64) -> Result<(), ModelError> {
        let (expected, got) = if classes.len() as i64 != images {
            (format!("as many as the {images} images"), classes.len().to_string())
        } else if let Some(class) = classes.iter().find(|&&class| class >= self.classes()) {
            (format!("below the number of classes, {}", self.classes()), class.to_string())
        } else {
            return Ok(());
        };
        Err(ModelError::Input { what: "classes", expected, got })
    }
}
