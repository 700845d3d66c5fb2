//! Evaluation and training as types: the only places where the two differ are batch norm, dropout and stochastic depth.
//! Evaluation with batch norm folded away is a third, in `folded`.

use panal_tensor::Activation;
use tch::{TchError, Tensor};

use crate::layers::{ConvNorm, apply, twice};
use crate::masks::MaskSource;

/// What a forward pass does where evaluation and training part.
pub(crate) trait Mode {
    /// A layer over `x: [N, C, H, W]`.
    fn layer(&mut self, layer: &ConvNorm, x: &Tensor) -> Result<Tensor, TchError>;

    /// `relu(layer(x) + shortcut)`, of a layer without an activation of its own: twice, for two uses.
    fn residual(&mut self, layer: &ConvNorm, x: &Tensor, shortcut: &Tensor) -> Result<[Tensor; 2], TchError> {
        Ok(twice(apply(Activation::Relu, self.layer(layer, x)?.f_add_(shortcut)?)?))
    }

    /// Each element of `x` kept with probability `1 - p`.
    fn dropout(&mut self, x: Tensor, p: f64) -> Result<Tensor, TchError>;

    /// Each row (image) of a residual branch kept with probability `1 - p`; torchvision's mode "row".
    fn stochastic_depth(&mut self, branch: Tensor, p: f64) -> Result<Tensor, TchError>;
}

/// Running statistics are used and nothing is drawn or changed.
pub(crate) struct Eval;

impl Mode for Eval {
    fn layer(&mut self, layer: &ConvNorm, x: &Tensor) -> Result<Tensor, TchError> {
        apply(layer.activation, layer.norm.eval(&layer.conv.forward(x)?)?)
    }

    fn dropout(&mut self, x: Tensor, _: f64) -> Result<Tensor, TchError> {
        Ok(x)
    }

    fn stochastic_depth(&mut self, branch: Tensor, _: f64) -> Result<Tensor, TchError> {
        Ok(branch)
    }
}

/// Batch statistics are used, running ones updated, and masks taken from this source in the order of the layers.
pub(crate) struct Train<'a>(pub(crate) &'a mut dyn MaskSource);

impl Mode for Train<'_> {
    fn layer(&mut self, layer: &ConvNorm, x: &Tensor) -> Result<Tensor, TchError> {
        layer.norm.train(&layer.conv.forward(x)?, layer.activation)
    }

    fn residual(&mut self, layer: &ConvNorm, x: &Tensor, shortcut: &Tensor) -> Result<[Tensor; 2], TchError> {
        layer.norm.train_joined(&layer.conv.forward(x)?, shortcut)
    }

    fn dropout(&mut self, x: Tensor, p: f64) -> Result<Tensor, TchError> {
        self.thin(&x.size(), x, p)
    }

    fn stochastic_depth(&mut self, branch: Tensor, p: f64) -> Result<Tensor, TchError> {
        let rows: Vec<i64> = branch.size().iter().enumerate().map(|(axis, &n)| if axis == 0 { n } else { 1 }).collect();
        self.thin(&rows, branch, p)
    }
}

impl Train<'_> {
    /// `x` times a mask of `shape`.
    fn thin(&mut self, shape: &[i64], x: Tensor, p: f64) -> Result<Tensor, TchError> {
        if p == 0.0 {
            return Ok(x);
        }
        x.f_mul(&self.0.mask(shape, p, x.kind(), x.device())?)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use tch::{Device, Kind};

    use super::*;

    fn ones(shape: [i64; 4]) -> Tensor {
        Tensor::ones(shape, (Kind::Float, Device::Cpu))
    }

    fn values(x: &Tensor) -> Vec<f32> {
        Vec::try_from(x.reshape([-1])).expect("floats")
    }

    #[test]
    fn dropout_zeroes_a_share_p_and_scales_the_rest() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let kept = values(&Train(&mut rng).dropout(ones([10, 10, 10, 20]), 0.2).unwrap());
        assert!(kept.iter().all(|x| *x == 0.0 || *x == 1.25));
        let zeros = kept.iter().filter(|x| **x == 0.0).count();
        // 20,000 draws: 4,000 expected, four standard deviations are 226.
        assert!((3774..=4226).contains(&zeros), "{zeros}");
        assert_eq!(values(&Eval.dropout(ones([1, 1, 2, 3]), 0.2).unwrap()), [1.0; 6]);
    }

    #[test]
    fn stochastic_depth_keeps_or_drops_whole_rows() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let kept = Train(&mut rng).stochastic_depth(ones([2000, 2, 1, 3]), 0.5).unwrap();
        let rows: Vec<f32> = values(&kept);
        let rows: Vec<&[f32]> = rows.chunks(6).collect();
        assert!(rows.iter().all(|row| *row == [0.0; 6] || *row == [2.0; 6]));
        let dropped = rows.iter().filter(|row| row[0] == 0.0).count();
        assert!((910..=1090).contains(&dropped), "{dropped}");
        assert_eq!(values(&Eval.stochastic_depth(ones([1, 1, 2, 3]), 0.5).unwrap()), [1.0; 6]);
    }

    #[test]
    fn nothing_is_drawn_for_probability_0() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let x = Train(&mut rng).dropout(ones([1, 1, 2, 3]), 0.0).unwrap();
        let x = Train(&mut rng).stochastic_depth(x, 0.0).unwrap();
        assert_eq!(values(&x), [1.0; 6]);
        assert_eq!(rng, ChaCha8Rng::seed_from_u64(3));
    }
}
