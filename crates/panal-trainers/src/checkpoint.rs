//! Everything a loop needs to go on where it was, in one file: weights, optimizer, position, history.
//!
//! The file is safetensors: `model/…` and `optim/…` tensors and those of the loop's own (`eval/…`, `projector/…`), and the state as JSON in its metadata. It replaces the one before by a
//! rename, so a kill at any moment leaves a whole checkpoint. The schedule and every random draw are functions of (seed, position), so
//! the position stands for both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use panal_models::Classifier;
use panal_optim::Optimizer;
use panal_tensor::{Store, Weights, read_weights, write_safetensors};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::TrainError;

/// Keeping the ends of epochs may take this part of the time.
const SHARE: u32 = 10;

const STATE: &str = "panal.state";
const FINGERPRINT: &str = "panal.fingerprint";

/// Where, how often and for which run checkpoints are kept.
#[derive(Debug, Clone)]
pub struct CheckpointSpec {
    /// The file.
    pub path: PathBuf,
    /// Least time between two checkpoints within an epoch; zero keeps every step. The end of an epoch is kept too, unless keeping it would
    /// take more than a tenth of the time since the last one.
    pub every: Duration,
    /// Names the run: settings, data, initial weights, seed. A checkpoint with another one is refused.
    pub fingerprint: String,
    /// Go on from the file where it exists.
    pub resume: bool,
}

/// The checkpoint file of one run.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a> {
    spec: Option<&'a CheckpointSpec>,
    saved: Instant,
    /// What the last one took.
    took: Duration,
    exists: bool,
}

/// A checkpoint as read, not yet applied.
#[derive(Debug)]
pub(crate) struct Restored<S> {
    pub(crate) state: S,
    path: PathBuf,
    groups: BTreeMap<String, IndexMap<String, Tensor>>,
}

impl<S> Restored<S> {
    /// The tensors of a group, by their names in it; none where there is no such group.
    pub(crate) fn take(&mut self, group: &str) -> IndexMap<String, Tensor> {
        self.groups.remove(group).unwrap_or_default()
    }

    /// The tensors of a group, as weights of a network.
    pub(crate) fn weights(&mut self, group: &str) -> Weights {
        Weights { tensors: self.take(group), metadata: BTreeMap::new(), source: self.path.clone() }
    }

    /// Says that the checkpoint is not usable, and why.
    pub(crate) fn bad(&self, why: &impl ToString) -> TrainError {
        TrainError::BadCheckpoint { path: self.path.clone(), why: why.to_string() }
    }
}

impl<'a> Checkpoint<'a> {
    pub(crate) fn new(spec: Option<&'a CheckpointSpec>) -> Self {
        Self { spec, saved: Instant::now(), took: Duration::ZERO, exists: false }
    }

    /// The file, once it holds this run's state.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.spec.filter(|_| self.exists).map(|spec| spec.path.clone())
    }

    /// What is left to a user whose run failed.
    pub(crate) fn told(&self) -> String {
        match self.path() {
            Some(path) => format!("the last good state is kept in {}", path.display()),
            None => "no checkpoint was kept".into(),
        }
    }

    /// Is it time for another one within an epoch?
    pub(crate) fn is_due(&self) -> bool {
        self.spec.is_some_and(|spec| self.saved.elapsed() >= spec.every)
    }

    /// Is it worth another one at the end of an epoch, of which there may be many a second?
    pub(crate) fn is_worth_it(&self) -> bool {
        self.spec.is_some_and(|spec| self.saved.elapsed() >= spec.every.min(SHARE * self.took))
    }

    /// Reads the file where the run is to go on and there is one.
    pub(crate) fn restore<S: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<Restored<S>>, TrainError> {
        let Some(spec) = self.spec.filter(|spec| spec.resume && spec.path.exists()) else { return Ok(None) };
        let bad = |why: String| TrainError::BadCheckpoint { path: spec.path.clone(), why };
        let file = read_weights(&spec.path).map_err(|error| bad(error.to_string()))?;
        let entry = |key: &str| file.metadata.get(key).ok_or_else(|| bad(format!("it has no `{key}`")));
        if entry(FINGERPRINT)? != &spec.fingerprint {
            let what = "its settings, data, initial weights or seed, or the device or versions that it ran on,".into();
            return Err(TrainError::ForeignCheckpoint { path: spec.path.clone(), what });
        }
        let state = serde_json::from_str(entry(STATE)?).map_err(|error| bad(error.to_string()))?;
        let mut groups: BTreeMap<String, IndexMap<String, Tensor>> = BTreeMap::new();
        for (name, tensor) in &file.tensors {
            let (group, name) = name.split_once('/').ok_or_else(|| bad(format!("unknown tensor `{name}`")))?;
            groups.entry(group.to_owned()).or_default().insert(name.to_owned(), tensor.shallow_clone());
        }
        self.exists = true;
        Ok(Some(Restored { state, path: spec.path.clone(), groups }))
    }

    /// Replaces the file by the state given, and tensors of the loop's own in a `group`; nothing happens where no checkpoint is kept.
    pub(crate) fn save<'t>(
        &mut self,
        state: &impl Serialize,
        model: &Store,
        optimizer: Option<&Optimizer>,
        group: &str,
        own: impl IntoIterator<Item = (&'t str, &'t Tensor)>,
    ) -> Result<(), TrainError> {
        let Some(spec) = self.spec else { return Ok(()) };
        let started = Instant::now();
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        tensors.extend(model.iter().map(|(name, tensor, _)| (format!("model/{name}"), tensor.shallow_clone())));
        if let Some(optimizer) = optimizer {
            tensors.extend(optimizer.state()?.into_iter().map(|(name, tensor)| (format!("optim/{name}"), tensor)));
        }
        tensors.extend(own.into_iter().map(|(name, tensor)| (format!("{group}/{name}"), tensor.shallow_clone())));
        let state = serde_json::to_string(state).map_err(|error| TrainError::BadCheckpoint {
            path: spec.path.clone(),
            why: format!("its state cannot be written: {error}"),
        })?;
        let metadata = BTreeMap::from([(STATE.into(), state), (FINGERPRINT.into(), spec.fingerprint.clone())]);
        write_safetensors(&spec.path, &tensors, &metadata)?;
        self.saved = Instant::now();
        self.took = started.elapsed();
        self.exists = true;
        Ok(())
    }
}

/// Puts the weights and buffers of a checkpoint into `model`, every one of them.
pub(crate) fn apply(model: &mut Classifier, weights: &Weights) -> Result<(), TrainError> {
    let bad = |error: panal_models::ModelError| TrainError::BadCheckpoint {
        path: weights.source.clone(),
        why: error.to_string(),
    };
    model.load_exact(weights).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_epochs_are_kept_as_far_as_that_takes_a_tenth_of_the_time() {
        let hour = Duration::from_secs(3600);
        let spec = CheckpointSpec { path: "unused".into(), every: hour, fingerprint: "a run".into(), resume: false };
        let keeper = |every, took| {
            let spec = CheckpointSpec { every, ..spec.clone() };
            Checkpoint { took, ..Checkpoint::new(Some(&spec)) }.is_worth_it()
        };
        assert!(keeper(hour, Duration::ZERO), "the first one, or one that takes no time");
        assert!(!keeper(hour, hour), "right after one that took long");
        assert!(keeper(Duration::ZERO, hour), "every step is wanted");
        assert!(!Checkpoint::new(None).is_worth_it(), "none is kept");
    }
}
