//! Conv-4, the small backbone of few-shot learning: four blocks of convolution, batch norm, ReLU and max-pool. What is done
//! with its features lives in the trainers.

use panal_tensor::{Activation, Doing, Store};
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use crate::ModelError;
use crate::layers::{BatchNorm, Conv, ConvSpec, NormSpec, Scope, batch_normalised};

/// Blocks of the network.
const BLOCKS: usize = 4;

/// Parameters of a block: the convolution's weight, the norm's weight and bias.
const BLOCK_PARAMETERS: usize = 3;

/// More would be a mistake, and would be allocated before anyone noticed.
const MAX_WIDTH: usize = 4096;
const MAX_SIDE: usize = 1024;

/// The form of a [`Conv4`]. What is left out is as in the paper: 64 channels, all four blocks with a max-pool, images of 28 x 28.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conv4Spec {
    /// Channels of an image: 1 or 3.
    pub channels: usize,
    /// Channels of every block.
    pub width: usize,
    /// Height and width of an image, in pixels.
    pub side: usize,
    /// How many of the blocks, the first ones, end in a max-pool that halves height and width.
    pub pools: usize,
}

impl Default for Conv4Spec {
    fn default() -> Self {
        Self { channels: 1, width: 64, side: 28, pools: BLOCKS }
    }
}

impl Conv4Spec {
    /// Every field lies in its range.
    ///
    /// # Errors
    /// [`ModelError::Field`] for the first that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        let wrong =
            |field, allowed: String, got: usize| Err(ModelError::Field { field, allowed, got: got.to_string() });
        if ![1, 3].contains(&self.channels) {
            return wrong("channels", "1 or 3".into(), self.channels);
        }
        if !(1..=MAX_WIDTH).contains(&self.width) {
            return wrong("width", format!("between 1 and {MAX_WIDTH}"), self.width);
        }
        if self.pools > BLOCKS {
            return wrong("pools", format!("at most {BLOCKS}"), self.pools);
        }
        let least = 1 << self.pools;
        if !(least..=MAX_SIDE).contains(&self.side) {
            return wrong("side", format!("between {least} and {MAX_SIDE}"), self.side);
        }
        Ok(())
    }

    /// Height and width of what the last block gives: 1 for 28 pixels and four pools.
    #[must_use]
    pub fn map_side(&self) -> usize {
        self.side >> self.pools
    }

    /// Length of a feature vector: 64 for 28 pixels and four pools.
    #[must_use]
    pub fn feature_dim(&self) -> usize {
        self.width * self.map_side() * self.map_side()
    }

    /// How many parameters [`features_with`](Self::features_with) takes.
    #[must_use]
    pub fn parameters(&self) -> usize {
        BLOCKS * BLOCK_PARAMETERS
    }

    /// The features that other parameters than a network's own would give, as a function of them: gradients flow into the
    /// parameters, also those of gradients.
    ///
    /// # Shapes
    /// - `parameters`: as [`Conv4::parameters`] gives them, of one kind, f32 or f64
    /// - `images`: `[N, channels, side, side]` of that kind
    /// - returns: `[N, feature_dim]`
    ///
    /// # Errors
    /// [`ModelError::Input`] for another number of parameters, images of another shape, or statistics of other blocks;
    /// [`ModelError::Tensor`] where libtorch refuses.
    pub fn features_with(
        &self,
        parameters: &[Tensor],
        images: &Tensor,
        statistics: Statistics<'_>,
    ) -> Result<Tensor, ModelError> {
        self.check_images(images)?;
        self.check_parameters(parameters)?;
        if let Statistics::Given(given) = statistics
            && given.len() != BLOCKS
        {
            return Err(ModelError::Input {
                what: "the statistics",
                expected: format!("those of {BLOCKS} blocks"),
                got: given.len().to_string(),
            });
        }
        let blocks = || {
            let mut x = images.shallow_clone();
            for (index, block) in parameters.chunks(BLOCK_PARAMETERS).enumerate() {
                x = convolved(&x, &block[0])?;
                x = match statistics {
                    Statistics::Batch => batch_normalised(&x, &block[1], &block[2], NormSpec::TORCH)?,
                    Statistics::Given(given) => normalised(&x, &block[1], &block[2], &given[index])?,
                };
                x = self.activated(index, &x)?;
            }
            x.f_flatten(1, -1)
        };
        Ok(blocks().doing("compute features of Conv-4")?)
    }

    /// What the batch norms would take of these images: for each block mean and biased variance, `[width]` each, for
    /// [`Statistics::Given`]. Gradients flow through them.
    ///
    /// # Errors
    /// As [`features_with`](Self::features_with).
    pub fn statistics_with(&self, parameters: &[Tensor], images: &Tensor) -> Result<Vec<[Tensor; 2]>, ModelError> {
        self.check_images(images)?;
        self.check_parameters(parameters)?;
        let blocks = || {
            let mut x = images.shallow_clone();
            let mut all = Vec::with_capacity(BLOCKS);
            for (index, block) in parameters.chunks(BLOCK_PARAMETERS).enumerate() {
                x = convolved(&x, &block[0])?;
                let axes = [0_i64, 2, 3];
                let statistics =
                    [x.f_mean_dim(axes.as_slice(), false, None)?, x.f_var_dim(axes.as_slice(), false, false)?];
                x = normalised(&x, &block[1], &block[2], &statistics)?;
                x = self.activated(index, &x)?;
                all.push(statistics);
            }
            Ok(all)
        };
        Ok(blocks().doing("compute statistics of Conv-4")?)
    }

    /// What follows the batch norm of a block.
    fn activated(&self, block: usize, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_relu()?;
        if block < self.pools { halved(&x) } else { Ok(x) }
    }

    fn check_images(&self, images: &Tensor) -> Result<(), ModelError> {
        let (channels, side) = (self.channels as i64, self.side as i64);
        match images.size()[..] {
            [n, c, h, w] if n > 0 && c == channels && h == side && w == side => Ok(()),
            _ => Err(ModelError::Input {
                what: "images",
                expected: format!("[N, {channels}, {side}, {side}]"),
                got: format!("{:?}", images.size()),
            }),
        }
    }

    fn check_parameters(&self, parameters: &[Tensor]) -> Result<(), ModelError> {
        if parameters.len() == self.parameters() {
            return Ok(());
        }
        Err(ModelError::Input {
            what: "the number of parameters",
            expected: self.parameters().to_string(),
            got: parameters.len().to_string(),
        })
    }
}

/// What batch norm normalises by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norms {
    /// Training: by the statistics of the images at hand, which also go into the running ones.
    Train,
    /// Evaluation: by the running statistics. What is said of an image depends on no other image.
    Inductive,
    /// Evaluation by the statistics of the images at hand, queries among them: what is said of one query depends on the
    /// others. Results are not comparable with inductive ones (Bronskill et al., arXiv 2003.03284, section 3).
    Transductive,
}

/// What batch norm normalises by where parameters come from outside.
#[derive(Debug, Clone, Copy)]
pub enum Statistics<'a> {
    /// The images at hand.
    Batch,
    /// Those of other images, from [`Conv4Spec::statistics_with`].
    Given(&'a [[Tensor; 2]]),
}

/// The network of Vinyals et al. (arXiv 1606.04080, section 4.1.1) and Snell et al. (arXiv 1703.05175, section 3.1): four times a
/// 3x3 convolution of 64 channels, batch norm, ReLU and a 2x2 max-pool. The convolutions have no bias, which the norm after
/// them would take away.
#[derive(Debug)]
pub struct Conv4 {
    spec: Conv4Spec,
    blocks: Vec<ConvBlock>,
}

impl Conv4 {
    /// A network whose parameters are made in `store`, by the names `backbone.0.conv.weight`, `backbone.0.norm.weight`, ...
    ///
    /// # Errors
    /// [`ModelError::Field`] from [`Conv4Spec::check`]; [`ModelError::Tensor`] for names that are taken or where the device
    /// fails.
    pub fn new(spec: &Conv4Spec, store: &mut Store) -> Result<Self, ModelError> {
        spec.check()?;
        let mut root = Scope::root(store);
        let mut at = root.at("backbone");
        let block = |index: usize| {
            let inputs = if index == 0 { spec.channels } else { spec.width };
            ConvBlock::new(&mut at.at(index), [inputs, spec.width], index < spec.pools)
        };
        Ok(Self { spec: *spec, blocks: (0..BLOCKS).map(block).collect::<Result<_, _>>()? })
    }

    /// Its form.
    #[must_use]
    pub fn spec(&self) -> &Conv4Spec {
        &self.spec
    }

    /// Features of images.
    ///
    /// # Shapes
    /// - `images`: `[N, channels, side, side]` f32
    /// - returns: `[N, feature_dim]`
    ///
    /// # Errors
    /// [`ModelError::Input`] for images of another shape, [`ModelError::Tensor`] where libtorch refuses.
    pub fn features(&self, images: &Tensor, norms: Norms) -> Result<Tensor, ModelError> {
        Ok(self.maps(images, norms)?.f_flatten(1, -1).doing("flatten features")?)
    }

    /// The same before they are made into vectors.
    ///
    /// # Shapes
    /// - `images`: `[N, channels, side, side]` f32
    /// - returns: `[N, width, map_side, map_side]`
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn maps(&self, images: &Tensor, norms: Norms) -> Result<Tensor, ModelError> {
        self.spec.check_images(images)?;
        if images.kind() != Kind::Float {
            let got = format!("{:?}", images.kind());
            return Err(ModelError::Input { what: "images", expected: "of kind Float".into(), got });
        }
        let blocks = || self.blocks.iter().try_fold(images.shallow_clone(), |x, block| block.forward(&x, norms));
        Ok(blocks().doing("compute features of Conv-4")?)
    }

    /// Handles on the parameters, block by block: the convolution's weight, the norm's weight, the norm's bias.
    #[must_use]
    pub fn parameters(&self) -> Vec<Tensor> {
        self.blocks.iter().flat_map(ConvBlock::parameters).collect()
    }
}

/// A 3x3 convolution without bias, batch norm, ReLU and, if wanted, a 2x2 max-pool.
#[derive(Debug)]
pub(crate) struct ConvBlock {
    conv: Conv,
    norm: BatchNorm,
    pool: bool,
}

impl ConvBlock {
    pub(crate) fn new(
        at: &mut Scope<'_>,
        [inputs, outputs]: [usize; 2],
        pool: bool,
    ) -> Result<Self, panal_tensor::TensorError> {
        let spec = ConvSpec::new(inputs as i64, outputs as i64, 3);
        Ok(Self {
            conv: Conv::new(&mut at.at("conv"), spec)?,
            norm: BatchNorm::new(&mut at.at("norm"), outputs as i64, NormSpec::TORCH)?,
            pool,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor, norms: Norms) -> Result<Tensor, TchError> {
        let x = self.conv.forward(x)?;
        let x = match norms {
            Norms::Train => self.norm.train(&x, Activation::None)?,
            Norms::Inductive => self.norm.eval(&x)?,
            Norms::Transductive => self.norm.batch(&x)?,
        };
        // The maximum and ReLU commute, and a quarter of the values is less work.
        let mut x = if self.pool { halved(&x)? } else { x };
        x.f_relu_()
    }

    fn parameters(&self) -> [Tensor; BLOCK_PARAMETERS] {
        let [norm_weight, norm_bias] = self.norm.parameters();
        [self.conv.weight(), norm_weight, norm_bias]
    }
}

fn convolved(x: &Tensor, weight: &Tensor) -> Result<Tensor, TchError> {
    x.f_conv2d(weight, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1)
}

fn halved(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
}

/// Batch norm by mean and variance given.
fn normalised(x: &Tensor, weight: &Tensor, bias: &Tensor, [mean, var]: &[Tensor; 2]) -> Result<Tensor, TchError> {
    let channel = |t: &Tensor| t.f_view([1, -1, 1, 1]);
    let scale = weight.f_div(&var.f_add_scalar(NormSpec::TORCH.eps)?.f_sqrt()?)?;
    x.f_sub(&channel(mean)?)?.f_mul(&channel(&scale)?)?.f_add(&channel(bias)?)
}
