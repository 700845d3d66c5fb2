//! The named parameters and buffers of one network, and loading weights into them. Knows no architecture.

use std::collections::HashSet;

use indexmap::IndexMap;
use indexmap::map::Entry as Slot;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::error::{Doing, TensorError};
use crate::init::Init;
use crate::memory_format::channels_last;
use crate::raw::{byte_len, to_bytes};
use crate::weights::Weights;

/// What a tensor of a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Learnt by gradient descent.
    Parameter,
    /// State that is not learnt, such as batch norm's running statistics.
    Buffer,
}

#[derive(Debug)]
struct Entry {
    tensor: Tensor,
    role: Role,
}

/// The parameters (f32) and buffers of one network, by torchvision's names, in the order of declaration.
///
/// Tensors handed out share memory with the store: what is loaded here, the network sees.
#[derive(Debug)]
pub struct Store {
    device: Device,
    seed: u64,
    channels_last: bool,
    undrawn: HashSet<String>,
    entries: IndexMap<String, Entry>,
}

/// What not to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Names, or dotted prefixes of names: `classifier` means `classifier`, `classifier.1.weight` and so on, but not
    /// `classifier2.weight`.
    pub skip: Vec<String>,
}

/// What came of loading. Each name of the store stands in exactly one of `matched`, `missing`, `skipped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Loaded.
    pub matched: Vec<String>,
    /// In the store, not in the file; left as they were.
    pub missing: Vec<String>,
    /// In the file, not in the store; unused.
    pub unexpected: Vec<String>,
    /// In the store and covered by [`LoadOptions::skip`]; left as they were.
    pub skipped: Vec<String>,
}

impl LoadReport {
    /// True where the file gave every tensor of the store that was wanted, and nothing else.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }
}

impl Store {
    /// An empty store whose tensors live on `device` and whose initial values come from `seed`.
    #[must_use]
    pub fn new(device: Device, seed: u64) -> Self {
        Self { device, seed, channels_last: false, undrawn: HashSet::new(), entries: IndexMap::new() }
    }

    /// Gives the 4-d parameters that are made from now on channels-last strides; their values stay the same.
    #[must_use]
    pub fn with_channels_last(mut self) -> Self {
        self.channels_last = true;
        self
    }

    /// Lets parameters of these names begin as 0, whatever their initialisation, for weights that are loaded next: millions of values
    /// need not be drawn to be overwritten.
    #[must_use]
    pub fn with_undrawn(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.undrawn = names.into_iter().collect();
        self
    }

    /// Where the tensors live.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Makes a parameter: a leaf of `shape`, f32, that takes gradients.
    ///
    /// # Errors
    /// [`TensorError::Duplicate`] for a name that is taken, [`TensorError::Init`] for an initialisation that does not suit
    /// the shape, [`TensorError::Length`] for an impossible shape, [`TensorError::Torch`] where the device fails.
    pub fn parameter(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, TensorError> {
        let bytes = byte_len(shape, Kind::Float).ok_or_else(|| TensorError::Length {
            what: format!("parameter `{name}`"),
            shape: shape.to_vec(),
            expected: "an impossible number of".to_owned(),
            got: 0,
        })?;
        let init = if self.undrawn.contains(name) { Init::Zeros } else { init };
        let values = init.draw(self.seed, name, shape, bytes / Kind::Float.elt_size_in_bytes())?;
        let mut tensor = Tensor::f_from_slice(&values)
            .and_then(|flat| flat.f_view(shape))
            .and_then(|tensor| tensor.f_to(self.device))
            .doing(format_args!("make parameter `{name}` of shape {shape:?}"))?;
        if self.channels_last {
            tensor = channels_last(&tensor)?;
        }
        let tensor = tensor.f_set_requires_grad(true).doing(format_args!("ask gradients of `{name}`"))?;
        self.insert(name, tensor, Role::Parameter)
    }

    /// Takes in a buffer, on the store's device, without gradients, in its own element type.
    ///
    /// # Errors
    /// [`TensorError::Duplicate`] for a name that is taken, [`TensorError::Torch`] where the device fails.
    pub fn buffer(&mut self, name: &str, tensor: &Tensor) -> Result<Tensor, TensorError> {
        let tensor = tensor
            .f_detach()
            .and_then(|tensor| tensor.f_to(self.device))
            .doing(format_args!("make buffer `{name}`"))?;
        self.insert(name, tensor, Role::Buffer)
    }

    fn insert(&mut self, name: &str, tensor: Tensor, role: Role) -> Result<Tensor, TensorError> {
        match self.entries.entry(name.to_owned()) {
            Slot::Occupied(_) => Err(TensorError::Duplicate(name.to_owned())),
            Slot::Vacant(slot) => Ok(slot.insert(Entry { tensor, role }).tensor.shallow_clone()),
        }
    }

    /// How many tensors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True before the first tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every tensor in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor, Role)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), &entry.tensor, entry.role))
    }

    /// The tensor of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.get(name).map(|entry| &entry.tensor)
    }

    /// Handles on the tensors that `filter` accepts, in the order of declaration; they share memory with the store.
    pub fn named(&self, filter: impl Fn(&str, Role) -> bool) -> Vec<(String, Tensor)> {
        self.iter()
            .filter(|(name, _, role)| filter(name, *role))
            .map(|(name, tensor, _)| (name.to_owned(), tensor.shallow_clone()))
            .collect()
    }

    /// Parameters that `trainable` accepts take gradients from now on, the others do not. Returns how many take them.
    ///
    /// A frozen parameter keeps a gradient that it has already; give optimizers only what is trainable.
    ///
    /// # Errors
    /// [`TensorError::Torch`] where libtorch refuses.
    pub fn set_trainable(&self, trainable: impl Fn(&str) -> bool) -> Result<usize, TensorError> {
        let mut count = 0;
        for (name, tensor, _) in self.iter().filter(|(_, _, role)| *role == Role::Parameter) {
            let wanted = trainable(name);
            // Sets the flag on the tensor itself; the result is another handle on it.
            let _ = tensor.f_set_requires_grad(wanted).doing(format_args!("freeze or free `{name}`"))?;
            count += usize::from(wanted);
        }
        Ok(count)
    }

    /// No parameter takes gradients from now on.
    ///
    /// # Errors
    /// As [`set_trainable`](Self::set_trainable).
    pub fn freeze(&self) -> Result<(), TensorError> {
        self.set_trainable(|_| false).map(drop)
    }

    /// Copies weights into the store's own tensors, converted to their element types; strides and device stay.
    ///
    /// All or nothing: every tensor is checked before the first is written.
    ///
    /// # Errors
    /// [`TensorError::ShapeMismatch`]; [`TensorError::NotFinite`] for a NaN or an infinity, in the file or after
    /// conversion; [`TensorError::Torch`] where the device fails.
    pub fn load(&mut self, weights: &Weights, options: &LoadOptions) -> Result<LoadReport, TensorError> {
        let origin = weights.source.display().to_string();
        let mut report = LoadReport::default();
        let mut copies = Vec::new();
        for (name, entry) in &self.entries {
            if options.covers(name) {
                report.skipped.push(name.clone());
            } else if let Some(tensor) = weights.tensors.get(name) {
                copies.push((&entry.tensor, fitting(name, tensor, &entry.tensor, &origin)?));
                report.matched.push(name.clone());
            } else {
                report.missing.push(name.clone());
            }
        }
        report.unexpected = weights.tensors.keys().filter(|name| !self.entries.contains_key(*name)).cloned().collect();
        for (target, values) in copies {
            overwrite(target, &values)?;
        }
        Ok(report)
    }

    /// Copies every value of another store of the same names and shapes, such as the best epoch's.
    ///
    /// # Errors
    /// [`TensorError::Unknown`] where a name is on one side only, otherwise as [`load`](Self::load), though non-finite
    /// values are copied as they are.
    pub fn copy_from(&mut self, other: &Self) -> Result<(), TensorError> {
        if let Some(name) = other.entries.keys().find(|name| !self.entries.contains_key(*name)) {
            return Err(TensorError::Unknown(name.clone()));
        }
        for (name, entry) in &self.entries {
            let values = other.get(name).ok_or_else(|| TensorError::Unknown(name.clone()))?;
            same_shape(name, values, &entry.tensor, "another store")?;
        }
        for (name, entry) in &self.entries {
            if let Some(values) = other.get(name) {
                overwrite(&entry.tensor, values)?;
            }
        }
        Ok(())
    }

    /// SHA-256, in hex, over name, element type, shape and values of every tensor, sorted by name.
    ///
    /// Neither the order of declaration nor strides nor the device change it; any bit of any value does.
    ///
    /// # Errors
    /// [`TensorError::Torch`] where a tensor cannot be copied from the device.
    pub fn digest(&self) -> Result<String, TensorError> {
        self.digest_of(|_| true)
    }

    /// [`digest`](Self::digest) over the tensors whose names `filter` accepts, and no others.
    ///
    /// # Errors
    /// As [`digest`](Self::digest).
    pub fn digest_of(&self, filter: impl Fn(&str) -> bool) -> Result<String, TensorError> {
        digest(self.iter().filter(|(name, _, _)| filter(name)).map(|(name, tensor, _)| (name, tensor)))
    }
}

impl LoadOptions {
    fn covers(&self, name: &str) -> bool {
        self.skip
            .iter()
            .any(|skip| name.strip_prefix(skip.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// The digest that [`Store::digest`] describes.
pub(crate) fn digest<'a>(tensors: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Result<String, TensorError> {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut hash = Sha256::new();
    for (name, tensor) in tensors {
        let bytes = to_bytes(tensor).doing(format_args!("read tensor `{name}`"))?;
        let kind = tensor.f_kind().doing(format_args!("read tensor `{name}`"))?;
        // Each part of varying length is preceded by its length or ends with a line break that it cannot hold.
        hash.update(format!("{} {name} {kind:?} {:?} {}\n", name.len(), tensor.size(), bytes.len()));
        hash.update(&bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `values` in the element type and on the device of `target`, once shape and values have been found sound.
fn fitting(name: &str, values: &Tensor, target: &Tensor, origin: &str) -> Result<Tensor, TensorError> {
    same_shape(name, values, target, origin)?;
    let doing = format_args!("convert tensor `{name}` to the network's element type");
    check_finite(name, values, origin, "")?;
    let kind = target.f_kind().doing(doing)?;
    let converted = tch::no_grad(|| values.f_to_kind(kind)).doing(doing)?;
    check_finite(name, &converted, origin, " once converted to the network's element type")?;
    converted.f_to(target.device()).doing(doing)
}

fn same_shape(name: &str, values: &Tensor, target: &Tensor, origin: &str) -> Result<(), TensorError> {
    let (expected, got) = (target.size(), values.size());
    if expected == got {
        return Ok(());
    }
    Err(TensorError::ShapeMismatch { name: name.to_owned(), origin: origin.to_owned(), expected, got })
}

fn check_finite(name: &str, values: &Tensor, origin: &str, after: &'static str) -> Result<(), TensorError> {
    let doing = format_args!("check tensor `{name}` for NaN");
    let finite = values.f_isfinite().doing(doing)?;
    if finite.f_all().and_then(|all| all.f_int64_value(&[])).doing(doing)? != 0 {
        return Ok(());
    }
    let first = finite.f_logical_not().and_then(|bad| bad.f_nonzero()).and_then(|bad| bad.f_get(0)).doing(doing)?;
    let index = Vec::<i64>::try_from(first).doing(doing)?;
    let value = values.f_double_value(&index).doing(doing)?;
    Err(TensorError::NotFinite { name: name.to_owned(), origin: origin.to_owned(), index, value, after })
}

/// Writes into the tensor's own memory, so that every handle on it sees the change.
fn overwrite(target: &Tensor, values: &Tensor) -> Result<(), TensorError> {
    tch::no_grad(|| target.shallow_clone().f_copy_(values)).doing("copy weights into the network")
}
