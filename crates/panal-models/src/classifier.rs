//! A network as its user sees it: a backbone that makes features and a head that makes logits, each in an evaluation and
//! a training form. The networks themselves live in the files of their families, loading in `load`.

use panal_tensor::{Doing, Init, LoadReport, Role, Store, Weights};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use crate::arch::{Family, IMAGENET_CLASSES};
use crate::efficientnet::EfficientNet;
use crate::layers::{Linear, Scope, global_average};
use crate::load;
use crate::masks::{Keeping, MaskSource};
use crate::mobilenet_v2::MobileNetV2;
use crate::mode::{Eval, Mode, Train};
use crate::resnet::ResNet;
use crate::{Arch, Masks, ModelError, ModelSpec, Stem};

/// What a family's network does.
pub(crate) trait Backbone: std::fmt::Debug + Send {
    /// `[N, 3, H, W]` to the last feature maps, `[N, d, h, w]`.
    fn maps(&self, images: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError>;

    /// `[N, 3, H, W]` to `[N, d]`: the maps, pooled and flattened.
    fn features(&self, images: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, TchError> {
        global_average(&self.maps(images, mode)?)
    }
}

/// Which parameters learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The last layer only; the backbone is frozen.
    Head,
    /// Every parameter.
    All,
}

/// A backbone and a linear head, with torchvision's parameter and buffer names in torchvision's order.
///
/// Methods that end in `_eval` use batch norm's running statistics, draw nothing and change nothing. Methods that end in
/// `_train` use the batch's statistics, move the running ones, and draw dropout and stochastic depth from the generator
/// handed in, never from torch's own. Neither turns gradients on or off: wrap evaluation in [`tch::no_grad`].
///
/// The convolutions' weights are laid out channels-last, but on MPS, and with them everything that is computed, whatever
/// the layout of the images. Images in bfloat16 make it compute in mixed precision ([`Precision`](panal_tensor::Precision)):
/// convolutions and what lies between them in the images' element type, parameters, running statistics, features and logits
/// in f32.
#[derive(Debug)]
pub struct Classifier {
    spec: ModelSpec,
    store: Store,
    backbone: Box<dyn Backbone>,
    dropout: f64,
    head: Linear,
}

impl Classifier {
    /// A network with fresh parameters, drawn from `seed` and each parameter's name.
    ///
    /// Convolutions are Kaiming normal over fan-out, batch norms 1 and 0, as torchvision's constructors make them. The
    /// head of 1000 classes too is torchvision's; for any other number of classes it is a new `torch.nn.Linear`,
    /// weight and bias uniform in `±1 / sqrt(d)`, which is what the usual recipe puts in the place of the thousand.
    ///
    /// # Errors
    /// [`ModelError::Field`] from [`ModelSpec::check`]; [`ModelError::Tensor`] where the device fails.
    pub fn new(spec: &ModelSpec, device: Device, seed: u64) -> Result<Self, ModelError> {
        Self::build(spec, device, Store::new(device, seed))
    }

    /// A network with a pretrained backbone: as [`new`](Self::new), then [`load_pretrained`](Self::load_pretrained), but nothing is
    /// drawn only to be overwritten, which takes a ResNet-50 over a tenth of a second.
    ///
    /// # Errors
    /// Those of the two.
    pub fn pretrained(
        spec: &ModelSpec,
        device: Device,
        seed: u64,
        weights: &Weights,
    ) -> Result<(Self, LoadReport), ModelError> {
        let backbone = weights.tensors.keys().filter(|name| !load::is_head(spec.arch, name)).cloned();
        let mut network = Self::build(spec, device, Store::new(device, seed).with_undrawn(backbone))?;
        let report = network.load_pretrained(weights)?;
        Ok((network, report))
    }

    /// A network with these weights, head included: as [`load_exact`](Self::load_exact) into a new one, of which nothing is drawn.
    ///
    /// # Errors
    /// Those of [`new`](Self::new) and [`load_exact`](Self::load_exact).
    pub fn loaded(spec: &ModelSpec, device: Device, weights: &Weights) -> Result<Self, ModelError> {
        let store = Store::new(device, 0).with_undrawn(weights.tensors.keys().cloned());
        let mut network = Self::build(spec, device, store)?;
        network.load_exact(weights)?;
        Ok(network)
    }

    fn build(spec: &ModelSpec, device: Device, mut store: Store) -> Result<Self, ModelError> {
        spec.check()?;
        let arch = spec.arch;
        if device != Device::Mps {
            store = store.with_channels_last();
        }
        let backbone: Box<dyn Backbone> = match arch.family() {
            Family::ResNet(variant) => Box::new(ResNet::new(&mut store, variant, spec.stem)?),
            Family::MobileNetV2 => Box::new(MobileNetV2::new(&mut store, spec.stem)?),
            Family::EfficientNet(variant) => {
                let depth = spec.stochastic_depth.or(arch.default_stochastic_depth()).unwrap_or_default();
                Box::new(EfficientNet::new(&mut store, variant, spec.stem, depth)?)
            }
        };
        let sizes = [arch.feature_dim() as i64, spec.classes as i64];
        let head = Linear::new(&mut Scope::root(&mut store).at(arch.head()), sizes, head_init(arch, sizes))?;
        let dropout = spec.dropout.unwrap_or_else(|| arch.default_dropout());
        Ok(Self { spec: spec.clone(), store, backbone, dropout, head })
    }

    /// Features of images, in evaluation.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, H, W]` f32 or bf16, normalised, on the network's device; any strides
    /// - returns: `[N, d]` f32 with `d` = [`feature_dim`](Self::feature_dim), the pooled activations before dropout and head
    ///
    /// # Errors
    /// [`ModelError::Input`] for images of another form, [`ModelError::Tensor`] where the device fails.
    pub fn features_eval(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.features(images, &mut Eval)
    }

    /// Features of images, in training. Running statistics move.
    ///
    /// # Shapes
    /// As [`features_eval`](Self::features_eval).
    ///
    /// # Errors
    /// As [`features_eval`](Self::features_eval); also [`ModelError::Input`] for a single image that shrinks to
    /// one pixel (32 x 32 or smaller with the `imagenet` stem), where batch norm would see one value a channel.
    pub fn features_train(&self, images: &Tensor, rng: &mut ChaCha8Rng) -> Result<Tensor, ModelError> {
        self.features_masked(images, rng)
    }

    fn features_masked(&self, images: &Tensor, masks: &mut dyn MaskSource) -> Result<Tensor, ModelError> {
        self.check_images(images)?;
        let stride = self.total_stride();
        if let [1, _, height, width] = images.size()[..]
            && height <= stride
            && width <= stride
        {
            return Err(ModelError::Input {
                what: "a training batch",
                expected: format!("two images or more, or one larger than {stride} x {stride}"),
                got: format!("one image of {height} x {width}"),
            });
        }
        Ok(self.backbone.features(images, &mut Train(masks)).doing("compute features in training")?)
    }

    /// Logits of features, in evaluation: the linear layer alone.
    ///
    /// # Shapes
    /// - `features`: `[N, d]` f32
    /// - returns: `[N, classes]`
    ///
    /// # Errors
    /// [`ModelError::Input`] for features of another form, [`ModelError::Tensor`] where the device fails.
    pub fn head_eval(&self, features: &Tensor) -> Result<Tensor, ModelError> {
        self.apply_head(features, &mut Eval)
    }

    /// Logits of features, in training: dropout, then the linear layer.
    ///
    /// # Shapes
    /// As [`head_eval`](Self::head_eval).
    ///
    /// # Errors
    /// As [`head_eval`](Self::head_eval).
    pub fn head_train(&self, features: &Tensor, rng: &mut ChaCha8Rng) -> Result<Tensor, ModelError> {
        self.apply_head(features, &mut Train(rng))
    }

    /// Logits of images, in evaluation.
    ///
    /// # Shapes
    /// - `images`: as in [`features_eval`](Self::features_eval)
    /// - returns: `[N, classes]`
    ///
    /// # Errors
    /// As [`features_eval`](Self::features_eval).
    pub fn forward_eval(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.head_eval(&self.features_eval(images)?)
    }

    /// Logits of images, in training. Running statistics move.
    ///
    /// # Shapes
    /// As [`forward_eval`](Self::forward_eval).
    ///
    /// # Errors
    /// As [`features_train`](Self::features_train).
    pub fn forward_train(&self, images: &Tensor, rng: &mut ChaCha8Rng) -> Result<Tensor, ModelError> {
        self.forward_masked(images, rng)
    }

    /// As [`forward_train`](Self::forward_train), and the masks that were drawn.
    ///
    /// # Shapes
    /// As [`forward_eval`](Self::forward_eval); the masks are those of N images.
    ///
    /// # Errors
    /// As there.
    pub fn forward_keeping(&self, images: &Tensor, rng: &mut ChaCha8Rng) -> Result<(Tensor, Masks), ModelError> {
        let mut keeping = Keeping { rng, masks: Masks::default() };
        let logits = self.forward_masked(images, &mut keeping)?;
        Ok((logits, keeping.masks))
    }

    /// As [`forward_train`](Self::forward_train), with masks that were kept of a batch of this size. On a device nothing is sent there: a CUDA
    /// graph can record it.
    ///
    /// # Shapes
    /// As [`forward_eval`](Self::forward_eval); `masks` are those of N images.
    ///
    /// # Errors
    /// As there; [`ModelError::Tensor`] for masks of another batch or network.
    pub fn forward_kept(&self, images: &Tensor, masks: &Masks) -> Result<Tensor, ModelError> {
        self.forward_masked(images, &mut masks.again())
    }

    fn forward_masked(&self, images: &Tensor, masks: &mut dyn MaskSource) -> Result<Tensor, ModelError> {
        let features = self.features_masked(images, masks)?;
        self.apply_head(&features, &mut Train(masks))
    }

    /// Loads a pretrained backbone, and the head with it where it has the same number of classes.
    ///
    /// Where it has not, or the file has no head, the head stays as it is and the report lists it under `skipped`. Batch
    /// norm's step counters may be missing, as they are from older files. Anything else missing, left over or of another
    /// shape means that the weights are another network's: then nothing is loaded.
    ///
    /// # Errors
    /// [`ModelError::WrongWeights`]; [`ModelError::Tensor`] for a NaN or an infinity among the weights.
    pub fn load_pretrained(&mut self, weights: &Weights) -> Result<LoadReport, ModelError> {
        load::pretrained(self.spec.arch, &mut self.store, weights)
    }

    /// Loads every parameter and buffer of the network, head included, from weights that hold these and nothing else,
    /// such as panal's own checkpoints.
    ///
    /// # Errors
    /// [`ModelError::NotExact`], with nothing loaded; [`ModelError::Tensor`] for a NaN or an infinity.
    pub fn load_exact(&mut self, weights: &Weights) -> Result<(), ModelError> {
        load::exact(&self.spec, &mut self.store, weights)
    }

    /// Lets these parameters, and no others, take gradients. At first all do.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where libtorch refuses.
    pub fn set_trainable(&self, part: Part) -> Result<(), ModelError> {
        self.store.set_trainable(|name| part == Part::All || self.is_head(name))?;
        Ok(())
    }

    /// Handles on the parameters that take gradients now, in torchvision's order.
    #[must_use]
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        let mut parameters = self.store.named(|_, role| role == Role::Parameter);
        parameters.retain(|(_, tensor)| tensor.requires_grad());
        parameters
    }

    /// True for the names of the head's weight and bias.
    #[must_use]
    pub fn is_head(&self, name: &str) -> bool {
        load::is_head(self.spec.arch, name)
    }

    /// SHA-256, in hex, over name, element type, shape and values of every parameter and buffer of the backbone, the head
    /// left out: equal digests before and after prove that the backbone was not touched, running statistics included.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a tensor cannot be copied from the device.
    pub fn backbone_digest(&self) -> Result<String, ModelError> {
        Ok(self.store.digest_of(|name| !self.is_head(name))?)
    }

    /// What the network was made from.
    #[must_use]
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The architecture.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.spec.arch
    }

    /// Number of logits.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.spec.classes
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn feature_dim(&self) -> usize {
        self.spec.arch.feature_dim()
    }

    /// Where the network lives.
    #[must_use]
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// Number of learnt values, frozen ones included.
    #[must_use]
    pub fn num_params(&self) -> usize {
        self.store.iter().filter(|(_, _, role)| *role == Role::Parameter).map(|(_, tensor, _)| tensor.numel()).sum()
    }

    /// The parameters and buffers.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The parameters and buffers, to write to. The network sees what is written.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Features in a mode that is an evaluation.
    pub(crate) fn features(&self, images: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, ModelError> {
        self.check_images(images)?;
        Ok(self.backbone.features(images, mode).doing("compute features")?)
    }

    /// The feature maps before pooling, in evaluation: `[N, d, h, w]` f32.
    pub(crate) fn maps(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.check_images(images)?;
        Ok(self
            .backbone
            .maps(images, &mut Eval)
            .and_then(|maps| maps.f_to_kind(Kind::Float))
            .doing("compute feature maps")?)
    }

    /// How many times height and width shrink, rounding up.
    pub(crate) fn total_stride(&self) -> i64 {
        match (self.spec.stem, self.spec.arch.family()) {
            (Stem::Imagenet, _) => 32,
            (Stem::Cifar, Family::ResNet(_)) => 8,
            (Stem::Cifar, Family::MobileNetV2 | Family::EfficientNet(_)) => 16,
        }
    }

    fn apply_head(&self, features: &Tensor, mode: &mut dyn Mode) -> Result<Tensor, ModelError> {
        let dim = self.feature_dim() as i64;
        let fits = |size: &[i64]| matches!(*size, [n, d] if n > 0 && d == dim);
        self.check("features", &format!("[N, {dim}] of Float"), features, &[Kind::Float], fits)?;
        let logits = mode.dropout(features.shallow_clone(), self.dropout).and_then(|kept| self.head.forward(&kept));
        Ok(logits.doing("compute logits")?)
    }

    pub(crate) fn check_images(&self, images: &Tensor) -> Result<(), ModelError> {
        let fits = |size: &[i64]| matches!(*size, [n, 3, height, width] if n > 0 && height > 0 && width > 0);
        self.check("images", "[N, 3, H, W] of Float or BFloat16", images, &[Kind::Float, Kind::BFloat16], fits)
    }

    fn check(
        &self,
        what: &'static str,
        shape: &str,
        tensor: &Tensor,
        kinds: &[Kind],
        fits: impl Fn(&[i64]) -> bool,
    ) -> Result<(), ModelError> {
        let (size, kind, device) = (tensor.size(), tensor.kind(), tensor.device());
        if fits(&size) && kinds.contains(&kind) && device == self.device() {
            return Ok(());
        }
        Err(ModelError::Input {
            what,
            expected: format!("{shape} on {:?}, none of them empty", self.device()),
            got: format!("{size:?} of {kind:?} on {device:?}"),
        })
    }
}

/// How the weight and the bias of the head begin.
fn head_init(arch: Arch, [inputs, outputs]: [i64; 2]) -> [Init; 2] {
    match arch.family() {
        Family::MobileNetV2 if outputs == IMAGENET_CLASSES => [Init::Normal { std: 0.01 }, Init::Zeros],
        Family::EfficientNet(_) if outputs == IMAGENET_CLASSES => [Init::linear(outputs), Init::Zeros],
        _ => [Init::linear(inputs); 2],
    }
}
