//! The forward and the backward pass of a step that trains the whole network, as they come or played from a CUDA graph. No parameter moves here.

use panal_models::{Classifier, Masks};
use panal_optim::Optimizer;
use panal_tensor::{DeviceGraph, DeviceMemory, SideStream, TensorError, device_memory};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use crate::TrainError;

/// Batches of one size that come before one is recorded: in the first, libraries set themselves up, which no graph can hold.
const BEFORE: usize = 2;

/// Graphs at most: for the batches of an epoch, and for the smaller one at its end.
const GRAPHS: usize = 2;

/// Losses and gradients of batches, one after another.
///
/// With graphs the passes over a batch of a size that keeps coming are recorded once as a CUDA graph and then played with one call, the same
/// kernels in the same order, which saves the time that it takes to send them one by one; so are those over the smaller batch at the end of an
/// epoch. A batch of yet another size is computed as it comes.
#[derive(Debug)]
pub struct Passes<'a> {
    model: &'a Classifier,
    label_smoothing: f64,
    /// Where more is recorded, if it is.
    stream: Option<&'a SideStream>,
    recorded: Vec<Recorded>,
    seen: Seen,
    trouble: Option<TrainError>,
}

/// So many batches of this shape came, which is to be recorded next, and these masks were drawn for one.
#[derive(Debug, Default)]
struct Seen {
    shape: Vec<i64>,
    times: usize,
    masks: Masks,
}

/// Both passes over a batch, and the tensors that they read and write.
#[derive(Debug)]
struct Recorded {
    graph: DeviceGraph,
    images: Tensor,
    labels: Tensor,
    masks: Masks,
    loss: Tensor,
    logits: Tensor,
}

impl<'a> Passes<'a> {
    /// Passes over batches through `model` in training, all of whose parameters learn; with graphs where there is a stream to record on, which
    /// is of the model's device and the one that was entered last.
    pub fn new(model: &'a Classifier, label_smoothing: f64, stream: Option<&'a SideStream>) -> Self {
        Self { model, label_smoothing, stream, recorded: Vec::new(), seen: Seen::default(), trouble: None }
    }

    /// Why passes could not be recorded and go on as they come, told once.
    pub fn trouble(&mut self) -> Option<TrainError> {
        self.trouble.take()
    }

    /// Mean cross entropy (a scalar) and logits `[B, classes]` of a batch, to be read before the next one. Every parameter has its gradient then,
    /// as if `optimizer`, which moves them, had dropped the older ones; between one batch and the next nobody else may.
    ///
    /// # Shapes
    /// - `images`: `[B, 3, H, W]` f32 or bf16 on the model's device
    /// - `labels`: `[B]` i64
    ///
    /// # Errors
    /// What the network and the loss refuse; [`TrainError::Tensor`] where the device fails.
    pub fn run(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        optimizer: &mut Optimizer,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Tensor, Tensor), TrainError> {
        let next = self.stream.filter(|_| self.recorded.len() < GRAPHS);
        let known = self.recorded.iter().position(|recorded| recorded.fits(images, labels));
        let known = match (known, next) {
            (None, Some(stream)) if self.seen.shape == images.size() && self.seen.times == BEFORE => {
                self.record(images, labels, optimizer, stream)?
            }
            _ => known,
        };
        if let Some(known) = known {
            return self.recorded[known].play(images, labels, rng);
        }
        self.drop_gradients(optimizer)?;
        let logits = match next {
            Some(_) => {
                let (logits, masks) = self.model.forward_keeping(images, rng)?;
                self.see(images.size(), masks);
                logits
            }
            None => self.model.forward_train(images, rng)?,
        };
        Ok((backward(&logits, labels, self.label_smoothing)?, logits))
    }

    /// Records the passes over a batch like this one; gives their place, or none where they cannot be recorded.
    fn record(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        optimizer: &mut Optimizer,
        stream: &SideStream,
    ) -> Result<Option<usize>, TrainError> {
        let masks = std::mem::take(&mut self.seen).masks;
        let first = self.recorded.is_empty();
        if first {
            optimizer.zero_grad()?;
        }
        let (model, smoothing) = (self.model, self.label_smoothing);
        let prepare = || if first { Ok(()) } else { clear_gradients(model) };
        let recorded = || {
            if first && let Some(memory) = device_memory(model.device())? {
                check_room(memory)?;
            }
            Recorded::new(model, smoothing, [images, labels], masks, stream, prepare)
        };
        match recorded() {
            Ok(recorded) => {
                self.recorded.push(recorded);
                Ok(Some(self.recorded.len() - 1))
            }
            Err(error) => {
                (self.stream, self.trouble) = (None, Some(error));
                Ok(None)
            }
        }
    }

    /// The first to be recorded is the largest, that after it any other.
    fn see(&mut self, shape: Vec<i64>, masks: Masks) {
        if shape == self.seen.shape {
            (self.seen.times, self.seen.masks) = (self.seen.times + 1, masks);
        } else if !self.recorded.is_empty() || shape > self.seen.shape {
            self.seen = Seen { shape, times: 1, masks };
        }
    }

    /// Before a backward pass that comes as it comes. Where a graph writes gradients they stay in their place, are made 0 and added to: the graph
    /// goes on writing there, and the optimizer reading.
    fn drop_gradients(&self, optimizer: &mut Optimizer) -> Result<(), TrainError> {
        match self.recorded.is_empty() {
            true => Ok(optimizer.zero_grad()?),
            false => clear_gradients(self.model),
        }
    }
}

impl Recorded {
    /// Records the passes over a batch like this one, of which the masks were kept, after `prepare` did what is to be done with the gradients.
    fn new(
        model: &Classifier,
        smoothing: f64,
        [images, labels]: [&Tensor; 2],
        masks: Masks,
        stream: &SideStream,
        prepare: impl FnOnce() -> Result<(), TrainError>,
    ) -> Result<Self, TrainError> {
        let (images, labels) = (images.f_zeros_like()?, labels.f_zeros_like()?);
        let work = || {
            prepare()?;
            let logits = model.forward_kept(&images, &masks)?;
            let loss = backward(&logits, &labels, smoothing)?;
            Ok::<_, TrainError>((loss.f_detach()?, logits.f_detach()?))
        };
        // SAFETY: batch and masks live as long as the graph, in `Self`, and the model longer: `Passes` borrows it. A model's tensors are
        // written to and never replaced.
        #[allow(unsafe_code)]
        let (graph, (loss, logits)) = unsafe { DeviceGraph::record(stream, work) }?;
        Ok(Self { graph, images, labels, masks, loss, logits })
    }

    /// Whether a batch can take the place of the one that was recorded.
    fn fits(&self, images: &Tensor, labels: &Tensor) -> bool {
        let form = |tensor: &Tensor| (tensor.size(), tensor.kind());
        form(images) == form(&self.images) && form(labels) == form(&self.labels)
    }

    fn play(&mut self, images: &Tensor, labels: &Tensor, rng: &mut ChaCha8Rng) -> Result<(Tensor, Tensor), TrainError> {
        self.images.f_copy_(images)?;
        self.labels.f_copy_(labels)?;
        self.masks.draw(rng)?;
        self.graph.play()?;
        Ok((self.loss.shallow_clone(), self.logits.shallow_clone()))
    }
}

/// The loss, after every parameter was given its gradient.
pub(crate) fn backward(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor, TrainError> {
    let loss = panal_losses::cross_entropy(logits, labels, smoothing)?;
    loss.f_backward()?;
    Ok(loss)
}

/// Refuses where there is no room for a graph, which keeps what a step takes, and for steps and evaluation beside it.
fn check_room(memory: DeviceMemory) -> Result<(), TensorError> {
    let DeviceMemory { used, most_used, held, free, .. } = memory;
    let (needed, free) = (most_used.saturating_sub(used), free + held.saturating_sub(used));
    if free / 2 < needed { Err(TensorError::GraphRoom { needed, free }) } else { Ok(()) }
}

/// Makes every gradient 0, where it lies.
fn clear_gradients(model: &Classifier) -> Result<(), TrainError> {
    for (_, parameter) in model.trainable() {
        let mut gradient = parameter.f_grad()?;
        if gradient.defined() {
            let _ = gradient.f_zero_()?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests {
    use panal_data::keyed_rng;
    use panal_models::ModelSpec;
    use panal_optim::{OptimizerSpec, ParamGroup};
    use panal_tensor::DeviceChoice;
    use tch::{Device, Kind};

    use super::*;

    fn network(device: Device) -> (Classifier, Optimizer) {
        let model = Classifier::new(&ModelSpec::new("mobilenet_v2".parse().unwrap(), 2), device, 0).unwrap();
        let groups = vec![ParamGroup { name: "all".into(), params: model.trainable(), lr_scale: 1.0 }];
        let optimizer = Optimizer::new(&OptimizerSpec::default(), groups).unwrap();
        (model, optimizer)
    }

    fn batch(seed: i64, images: i64, device: Device) -> (Tensor, Tensor) {
        tch::manual_seed(seed);
        let labels = (Tensor::arange(images, (Kind::Int64, Device::Cpu)) + seed).remainder(2);
        (Tensor::randn([images, 3, 40, 40], (Kind::Float, Device::Cpu)).to(device), labels.to(device))
    }

    fn rng(step: usize) -> ChaCha8Rng {
        keyed_rng(0, &[step as u64])
    }

    fn gradients(model: &Classifier) -> Vec<Tensor> {
        model.trainable().iter().map(|(_, parameter)| parameter.grad()).collect()
    }

    fn addresses(model: &Classifier) -> Vec<*mut std::ffi::c_void> {
        gradients(model).iter().map(Tensor::data_ptr).collect()
    }

    #[test]
    fn gradients_that_are_cleared_are_added_to_where_they_lie() {
        let (model, mut optimizer) = network(Device::Cpu);
        let mut passes = Passes::new(&model, 0.0, None);
        let mut pass = |images| {
            let (images, labels) = batch(0, images, Device::Cpu);
            let _ = passes.run(&images, &labels, &mut optimizer, &mut rng(0)).unwrap();
            gradients(&model).iter().map(Tensor::copy).collect::<Vec<_>>()
        };
        let expected = pass(3);
        assert_ne!(pass(4), expected, "the batches are alike");
        let places = addresses(&model);

        clear_gradients(&model).unwrap();
        let (images, labels) = batch(0, 3, Device::Cpu);
        let logits = model.forward_train(&images, &mut rng(0)).unwrap();
        let _ = backward(&logits, &labels, 0.0).unwrap();
        assert_eq!(gradients(&model), expected);
        assert_eq!(addresses(&model), places);
    }

    #[test]
    fn a_graph_is_recorded_where_there_is_room_for_two_steps() {
        // A step takes 600; 40 are kept for later.
        let refused = |free| check_room(DeviceMemory { used: 100, most_used: 700, held: 140, most_held: 900, free });
        assert!(refused(1160).is_ok());
        let error = refused(1158).unwrap_err();
        assert!(matches!(error, TensorError::GraphRoom { needed: 600, free: 1198 }), "{error}");
    }

    #[test]
    fn the_largest_batch_is_recorded_first_and_then_another() {
        let (model, _) = network(Device::Cpu);
        let mut passes = Passes::new(&model, 0.0, None);
        let mut seen = |images: i64| {
            passes.see(vec![images, 3, 40, 40], Masks::default());
            (passes.seen.shape[0], passes.seen.times)
        };
        assert_eq!([3, 4, 3, 4, 4].map(&mut seen), [(3, 1), (4, 1), (4, 1), (4, 2), (4, 3)]);
    }

    #[test]
    fn a_cuda_graph_is_played_from_the_third_batch_of_a_size_on() {
        let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
            eprintln!("skipped: no CUDA device");
            return;
        };
        let ((model, mut optimizer), (other, mut others)) = (network(device), network(device));
        let stream = SideStream::enter(device).unwrap();
        let mut passes = Passes::new(&model, 0.0, stream.as_ref());
        let mut places = Vec::new();
        // Where each is recorded, if it is: the largest, and then the one that is left at the end of an epoch.
        let sizes = [(4, 0), (4, 0), (4, 1), (3, 1), (4, 1), (3, 1), (2, 1), (3, 1), (3, 1), (3, 2), (4, 2), (2, 2)];
        for (number, (size, graphs)) in sizes.into_iter().enumerate() {
            let (images, labels) = batch(number as i64, size, device);
            let (played, logits) = passes.run(&images, &labels, &mut optimizer, &mut rng(number)).unwrap();
            assert_eq!(logits.size(), [size, 2]);
            assert_eq!(passes.recorded.len(), graphs, "batch {number}");
            assert!(passes.trouble().is_none());
            if number == 2 {
                places = addresses(&model);
            }
            assert!(graphs == 0 || addresses(&model) == places);

            let sent = Passes::new(&other, 0.0, None).run(&images, &labels, &mut others, &mut rng(number)).unwrap().0;
            assert!((played - sent).abs().double_value(&[]) < 1e-3);
            for (gradient, other) in gradients(&model).iter().zip(&gradients(&other)) {
                assert!((gradient - other).norm().double_value(&[]) <= 1e-2 * (1.0 + other.norm().double_value(&[])));
            }
            optimizer.step(1e-3).unwrap();
            others.step(1e-3).unwrap();
        }
        let (images, _) = batch(0, 4, device);
        let (_, labels) = batch(0, 1, device);
        assert!(passes.run(&images, &labels, &mut optimizer, &mut rng(0)).is_err(), "one label for four images");
    }
}
