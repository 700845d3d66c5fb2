//! The projection head of self-supervised learning: a small network from features to the space in which a loss compares
//! them. Which loss, and what becomes of the head afterwards, is the trainers' business.

use panal_tensor::{Activation, Doing, Init, LoadOptions, Role, Store, Weights};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use crate::ModelError;
use crate::layers::{BatchNorm, Linear, NormSpec, Scope};

/// More would be a mistake, and would be allocated before anyone noticed.
const MAX_WIDTH: usize = 1 << 16;

/// The form of a projection head, as in `{ kind = "mlp", hidden = 512, out = 128 }` (SimCLR, arXiv 2002.05709, section 4.2
/// and Figure 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProjectorSpec {
    /// No head: the loss sees the features themselves.
    None {},
    /// One dense layer.
    Linear {
        /// Length of what comes out; 128 if not given.
        #[serde(default = "default_out")]
        out: usize,
    },
    /// Dense layers with a ReLU between every two.
    Mlp {
        /// Dense layers: 2 (as in the paper, and if not given) or 3.
        #[serde(default = "default_layers")]
        layers: usize,
        /// Width of the layers before the last; that of the features if not given, as in the paper.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hidden: Option<usize>,
        /// Length of what comes out; 128 if not given.
        #[serde(default = "default_out")]
        out: usize,
        /// Batch norm after every dense layer, before its ReLU; off if not given. Algorithm 1 has none, the authors' own
        /// program has it.
        #[serde(default)]
        batch_norm: bool,
    },
}

fn default_out() -> usize {
    128
}

fn default_layers() -> usize {
    2
}

impl Default for ProjectorSpec {
    /// Dense, ReLU, Dense to 128 values.
    fn default() -> Self {
        Self::Mlp { layers: default_layers(), hidden: None, out: default_out(), batch_norm: false }
    }
}

impl ProjectorSpec {
    /// Every field lies in its range.
    ///
    /// # Errors
    /// [`ModelError::Field`] for the first that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        let wrong =
            |field, allowed: String, got: usize| Err(ModelError::Field { field, allowed, got: got.to_string() });
        let width = |field, value| match value {
            1..=MAX_WIDTH => Ok(()),
            _ => wrong(field, format!("between 1 and {MAX_WIDTH}"), value),
        };
        match *self {
            Self::None {} => Ok(()),
            Self::Linear { out } => width("out", out),
            Self::Mlp { layers, hidden, out, .. } => {
                if !(2..=3).contains(&layers) {
                    return wrong("layers", "2 or 3 (one layer is kind = \"linear\")".to_owned(), layers);
                }
                width("hidden", hidden.unwrap_or(1))?;
                width("out", out)
            }
        }
    }

    /// Inputs and outputs of every dense layer.
    fn sizes(&self, inputs: i64) -> Vec<[i64; 2]> {
        match *self {
            Self::None {} => Vec::new(),
            Self::Linear { out } => vec![[inputs, out as i64]],
            Self::Mlp { layers, hidden, out, .. } => {
                let hidden = hidden.map_or(inputs, |hidden| hidden as i64);
                let mut sizes = vec![[inputs, hidden]];
                sizes.extend(std::iter::repeat_n([hidden, hidden], layers.saturating_sub(2)));
                sizes.push([hidden, out as i64]);
                sizes
            }
        }
    }

    fn has_batch_norm(&self) -> bool {
        matches!(self, Self::Mlp { batch_norm: true, .. })
    }
}

/// A projection head with parameters `0.weight`, `0.bias`, `1.weight`, ... of its dense layers, and `norm0.weight`, ... of
/// batch norms.
#[derive(Debug)]
pub struct Projector {
    store: Store,
    layers: Vec<(Linear, Option<BatchNorm>)>,
    inputs: i64,
}

impl Projector {
    /// A head for features of `inputs` values, its parameters drawn from `seed` as `torch.nn.Linear` draws them.
    ///
    /// # Errors
    /// [`ModelError::Field`] from [`ProjectorSpec::check`]; [`ModelError::Tensor`] where the device fails.
    pub fn new(spec: &ProjectorSpec, inputs: usize, device: Device, seed: u64) -> Result<Self, ModelError> {
        spec.check()?;
        let inputs = inputs as i64;
        let mut store = Store::new(device, seed);
        let mut root = Scope::root(&mut store);
        let mut layers = Vec::new();
        for (index, sizes) in spec.sizes(inputs).into_iter().enumerate() {
            let linear = Linear::new(&mut root.at(index), sizes, [Init::linear(sizes[0]); 2])?;
            let norm = match spec.has_batch_norm() {
                true => Some(BatchNorm::new(&mut root.at(format_args!("norm{index}")), sizes[1], NormSpec::TORCH)?),
                false => None,
            };
            layers.push((linear, norm));
        }
        Ok(Self { store, layers, inputs })
    }

    /// What the head makes of features, in training: batch norms, where there are any, use the batch's statistics and move
    /// the running ones.
    ///
    /// # Shapes
    /// - `features`: `[N, d]` f32, on the head's device
    /// - returns: `[N, out]`; `features` themselves for a head of kind `none`
    ///
    /// # Errors
    /// [`ModelError::Input`] for features of another form, [`ModelError::Tensor`] where the device fails.
    pub fn forward_train(&self, features: &Tensor) -> Result<Tensor, ModelError> {
        self.forward(features, |norm, x| norm.train(x, Activation::None))
    }

    /// The same in evaluation: nothing changes.
    ///
    /// # Shapes
    /// As [`forward_train`](Self::forward_train).
    ///
    /// # Errors
    /// As [`forward_train`](Self::forward_train).
    pub fn forward_eval(&self, features: &Tensor) -> Result<Tensor, ModelError> {
        self.forward(features, BatchNorm::eval)
    }

    fn forward(
        &self,
        features: &Tensor,
        normalise: fn(&BatchNorm, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, ModelError> {
        let (size, kind, device) = (features.size(), features.kind(), features.device());
        if !matches!(size[..], [n, d] if n > 0 && d == self.inputs)
            || kind != Kind::Float
            || device != self.store.device()
        {
            return Err(ModelError::Input {
                what: "features",
                expected: format!("[N, {}] of Float on {:?}", self.inputs, self.store.device()),
                got: format!("{size:?} of {kind:?} on {device:?}"),
            });
        }
        let layers = || {
            let mut x = features.shallow_clone();
            for (index, (linear, norm)) in self.layers.iter().enumerate() {
                if index > 0 {
                    x = x.f_relu()?;
                }
                x = linear.forward(&x)?;
                if let Some(norm) = norm {
                    x = normalise(norm, &x)?;
                }
            }
            Ok(x)
        };
        Ok(layers().doing("project features")?)
    }

    /// Handles on the parameters, in the order of the layers.
    #[must_use]
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        self.store.named(|_, role| role == Role::Parameter)
    }

    /// The parameters and buffers.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Loads every parameter and buffer from weights that hold these and nothing else.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] for a shape that differs or a NaN; [`ModelError::Input`] where names are missing or left over,
    /// with nothing loaded.
    pub fn load_exact(&mut self, weights: &Weights) -> Result<(), ModelError> {
        let names = |list: Vec<&str>| list.join(", ");
        let own: Vec<&str> = self.store.iter().map(|(name, ..)| name).collect();
        let mut given: Vec<&str> = weights.tensors.keys().map(String::as_str).collect();
        let mut wanted = own.clone();
        given.sort_unstable();
        wanted.sort_unstable();
        if given != wanted {
            return Err(ModelError::Input {
                what: "the weights of a projection head",
                expected: format!("[{}]", names(wanted)),
                got: format!("[{}]", names(given)),
            });
        }
        self.store.load(weights, &LoadOptions::default())?;
        Ok(())
    }
}
