//! The optimizer itself: parameters in groups, what is remembered of each, and how that is saved and restored.

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use tch::{COptimizer, Device, Kind, TchError, Tensor, no_grad};

use crate::error::{ensure, ensure_non_negative};
use crate::{OptimError, OptimizerSpec};

/// Parameters that share a factor of the learning rate.
#[derive(Debug)]
pub struct ParamGroup {
    /// What the group is called in messages and logs, such as `head`.
    pub name: String,
    /// Names, unique over all groups, and tensors: leaves, each once, shared with the network that they are of.
    pub params: Vec<(String, Tensor)>,
    /// Factor of the learning rate; > 0.
    pub lr_scale: f64,
}

/// Moves parameters against their gradients, and remembers what its rule needs from step to step.
pub struct Optimizer {
    spec: OptimizerSpec,
    params: Vec<Param>,
    /// libtorch's own optimizer over the same tensors, of which only `zero_grad` is used: tch has no other way to drop a gradient.
    gradients: COptimizer,
}

struct Param {
    name: String,
    tensor: Tensor,
    lr_scale: f64,
    decay: f64,
    /// Steps in which the parameter had a gradient.
    steps: i64,
    /// As [`OptimizerSpec::remembered`] names them.
    memory: Vec<Tensor>,
}

/// One step, as parameters of a group with one decay and one history share it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    /// Learning rate, scaled.
    pub(crate) lr: f64,
    /// Weight decay.
    pub(crate) decay: f64,
    /// How many steps of these parameters there were, this one included.
    pub(crate) count: i64,
}

/// A parameter about to move, its gradient, and what [`OptimizerSpec::remembered`] names: dense, and of one layout, type and device.
pub(crate) struct Moving<'a> {
    pub(crate) parameter: &'a mut Tensor,
    pub(crate) gradient: Tensor,
    pub(crate) memory: &'a mut [Tensor],
}

/// Parameters that one operation moves.
struct Together<'a> {
    shared: (Step, Kind, Device),
    moving: Vec<Moving<'a>>,
    /// How many steps of each there were.
    counts: Vec<&'a mut i64>,
}

/// The name under which the count of a parameter's steps is saved.
const STEP: &str = "step";

impl Optimizer {
    /// An optimizer that has not made a step yet.
    ///
    /// # Errors
    /// What [`OptimizerSpec::check`] finds; [`OptimError::Setting`] for an `lr_scale` that is not > 0, [`OptimError::NoParameters`],
    /// [`OptimError::Duplicate`], [`OptimError::NotLeaf`], [`OptimError::NotDense`].
    pub fn new(spec: &OptimizerSpec, groups: Vec<ParamGroup>) -> Result<Self, OptimError> {
        spec.check()?;
        let mut names = HashSet::new();
        let mut params = Vec::new();
        let mut gradients = COptimizer::sgd(0.0, 0.0, 0.0, 0.0, false)?;
        for group in groups {
            let lr_scale = group.lr_scale;
            ensure(lr_scale > 0.0 && lr_scale.is_finite(), "lr_scale", "a finite number > 0", lr_scale)?;
            for (name, tensor) in group.params {
                if !names.insert(name.clone()) {
                    return Err(OptimError::Duplicate { name });
                }
                if !tensor.is_leaf() {
                    return Err(OptimError::NotLeaf { name });
                }
                gradients.add_parameters(&tensor, 0)?;
                if !is_dense(&tensor) {
                    return Err(OptimError::NotDense { name });
                }
                let decay = spec.decay(tensor.dim());
                let memory = spec.remembered().iter().map(|_| tensor.f_zeros_like()).collect::<Result<_, _>>()?;
                params.push(Param { name, tensor, lr_scale, decay, steps: 0, memory });
            }
        }
        if params.is_empty() {
            return Err(OptimError::NoParameters);
        }
        Ok(Self { spec: *spec, params, gradients })
    }

    /// One step with learning rate `lr` (times each group's `lr_scale`). A parameter without a gradient is left as it is, as in torch:
    /// it does not decay, and nothing that is remembered of it changes.
    ///
    /// # Errors
    /// [`OptimError::Setting`] unless `lr` is finite, >= 0, and a number that single precision can hold; [`OptimError::NotDense`] where a
    /// parameter was given other data: nothing has moved then. [`OptimError::Torch`] where libtorch refuses; some parameters may have moved.
    pub fn step(&mut self, lr: f64) -> Result<(), OptimError> {
        ensure_non_negative("lr", lr)?;
        for param in &self.params {
            // In single precision a larger factor is infinite, or refused.
            let largest = lr * param.lr_scale * param.decay.max(1.0);
            ensure(
                largest <= f64::from(f32::MAX),
                "lr, scaled and times the weight decay,",
                "at most 3.4e38",
                largest,
            )?;
            if !is_dense(&param.tensor) {
                return Err(OptimError::NotDense { name: param.name.clone() });
            }
        }
        no_grad(|| {
            let mut together: Vec<Together<'_>> = Vec::new();
            for param in &mut self.params {
                let gradient = param.tensor.f_grad()?;
                if gradient.defined() {
                    let step = Step { lr: lr * param.lr_scale, decay: param.decay, count: param.steps + 1 };
                    let shared = (step, param.tensor.kind(), param.tensor.device());
                    let (moving, count) = param.moving(gradient)?;
                    match together.iter_mut().find(|group| group.shared == shared) {
                        Some(group) => {
                            group.moving.push(moving);
                            group.counts.push(count);
                        }
                        None => together.push(Together { shared, moving: vec![moving], counts: vec![count] }),
                    }
                }
            }
            for Together { shared: (step, ..), mut moving, counts } in together {
                self.spec.update(&step, &mut moving)?;
                counts.into_iter().for_each(|count| *count = step.count);
            }
            Ok(())
        })
    }

    /// Drops every gradient, as torch's `zero_grad(set_to_none=True)`: until the next backward pass the parameters have none.
    ///
    /// # Errors
    /// [`OptimError::Torch`] where libtorch refuses.
    pub fn zero_grad(&mut self) -> Result<(), OptimError> {
        Ok(self.gradients.zero_grad()?)
    }

    /// Everything that is remembered, to be saved: for each parameter `<name>.step` (a count, `[]` i64) and tensors of its own shape,
    /// `<name>.momentum_buffer` or `<name>.exp_avg` and `<name>.exp_avg_sq`. All are copies.
    ///
    /// # Errors
    /// [`OptimError::Torch`] where a copy cannot be made.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>, OptimError> {
        let mut state = Vec::new();
        for Param { name, steps, memory, .. } in &self.params {
            state.push((key(name, STEP), Tensor::from(*steps)));
            for (what, tensor) in self.spec.remembered().iter().zip(memory) {
                state.push((key(name, what), copy_like(tensor, tensor)?));
            }
        }
        Ok(state)
    }

    /// Takes back what [`Optimizer::state`] gave, of an optimizer with the same settings and parameters; the next steps are then
    /// bit for bit those that would have followed. Tensors may be on any device and are copied.
    ///
    /// # Errors
    /// [`OptimError::StateMissing`], [`OptimError::StateUnexpected`] or [`OptimError::StateMismatch`], before anything is changed.
    pub fn load_state(&mut self, state: &IndexMap<String, Tensor>) -> Result<(), OptimError> {
        let mut used = HashSet::new();
        let mut find = |name: String, kind: Kind, shape: &[i64]| {
            let tensor = state.get(&name).ok_or_else(|| OptimError::StateMissing { name: name.clone() })?;
            if (tensor.kind(), tensor.size().as_slice()) != (kind, shape) {
                let got = format!("{:?} {:?}", tensor.kind(), tensor.size());
                return Err(OptimError::StateMismatch { name, expected: format!("{kind:?} {shape:?}"), got });
            }
            used.insert(name);
            Ok(tensor)
        };
        let mut memories = Vec::with_capacity(self.params.len());
        for Param { name, tensor, .. } in &self.params {
            let steps = find(key(name, STEP), Kind::Int64, &[])?.f_int64_value(&[])?;
            ensure(steps >= 0, "the number of steps of the saved state", ">= 0", steps as f64)?;
            let mut memory = Vec::new();
            for what in self.spec.remembered() {
                let saved = find(key(name, what), tensor.kind(), &tensor.size())?;
                memory.push(copy_like(tensor, saved)?);
            }
            memories.push((steps, memory));
        }
        if let Some(name) = state.keys().find(|name| !used.contains(*name)) {
            return Err(OptimError::StateUnexpected { name: name.clone() });
        }
        for (param, memory) in self.params.iter_mut().zip(memories) {
            (param.steps, param.memory) = memory;
        }
        Ok(())
    }
}

impl Param {
    /// The parameter about to move by `gradient`, and the count of its steps. What is of another layout, type or device than the parameter is
    /// copied: libtorch's fused steps go through memory and not by strides.
    fn moving(&mut self, gradient: Tensor) -> Result<(Moving<'_>, &mut i64), TchError> {
        let form = |tensor: &Tensor| (tensor.kind(), tensor.device(), layout(tensor));
        let form_here = form(&self.tensor);
        let like_parameter = |tensor: &mut Tensor| -> Result<(), TchError> {
            if form(tensor) != form_here {
                *tensor = copy_like(&self.tensor, tensor)?;
            }
            Ok(())
        };
        let mut gradient = if gradient.is_sparse() { gradient.f_to_dense(None, false)? } else { gradient };
        like_parameter(&mut gradient)?;
        self.memory.iter_mut().try_for_each(like_parameter)?;
        Ok((Moving { parameter: &mut self.tensor, gradient, memory: &mut self.memory }, &mut self.steps))
    }
}

impl fmt::Debug for Optimizer {
    /// Settings and sizes; no tensor is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optimizer")
            .field("spec", &self.spec)
            .field("params", &self.params.len())
            .finish_non_exhaustive()
    }
}

fn key(parameter: &str, what: &str) -> String {
    format!("{parameter}.{what}")
}

/// Sizes and strides; a dimension of one element is left out, since its stride says nothing.
fn layout(tensor: &Tensor) -> Vec<(i64, i64)> {
    tensor.size().into_iter().zip(tensor.stride()).filter(|&(size, _)| size != 1).collect()
}

/// Whether the elements fill a stretch of memory, each place once.
fn is_dense(tensor: &Tensor) -> bool {
    if tensor.is_sparse() {
        return false;
    }
    let mut dimensions = layout(tensor);
    dimensions.sort_by_key(|&(_, stride)| stride);
    let mut filled = 1;
    let follow = dimensions.into_iter().all(|(size, stride)| {
        let follows = stride == filled;
        filled *= size;
        follows
    });
    follow || tensor.numel() == 0
}

/// A copy of `source` with the device and memory layout of `like`, without a gradient.
fn copy_like(like: &Tensor, source: &Tensor) -> Result<Tensor, TchError> {
    no_grad(|| {
        let mut copy = like.f_zeros_like()?;
        copy.f_copy_(source)?;
        Ok(copy)
    })
}
