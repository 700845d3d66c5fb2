//! The forward and the backward pass of a step that trains the whole network, as they come or played from a CUDA graph. No parameter moves here.

use panal_models::{Classifier, Masks};
use panal_optim::Optimizer;
use panal_tensor::{DeviceGraph, SideStream};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use crate::TrainError;

/// Batches of one size that come before one is recorded: in the first, libraries set themselves up, which no graph can hold.
const BEFORE: usize = 2;

/// Losses and gradients of batches, one after another.
///
/// With graphs, on a CUDA device, the passes over a batch of a size that keeps coming are recorded once as a CUDA graph and then played with
/// one call, the same kernels in the same order, which saves the time that it takes to send them one by one; a batch of another size, such as
/// the last of an epoch, is computed as it comes. Elsewhere graphs change nothing.
#[derive(Debug)]
pub struct Passes<'a> {
    model: &'a Classifier,
    label_smoothing: f64,
    graphs: Option<Graphs>,
}

#[derive(Debug)]
struct Graphs {
    state: State,
    /// Dropped last: what was recorded belongs to it.
    _stream: SideStream,
}

/// How far recording is.
#[derive(Debug)]
enum State {
    /// So many batches of this shape came, the largest so far, and these masks were drawn for one.
    Seen {
        shape: Vec<i64>,
        times: usize,
        masks: Masks,
    },
    Recorded(Recorded),
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
    /// Passes over batches through `model` in training, all of whose parameters learn. With graphs, everything that this thread gives the
    /// device runs on a stream of its own while this lives; of two, the later is to be dropped first.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] where the device fails.
    pub fn new(model: &'a Classifier, label_smoothing: f64, graphs: bool) -> Result<Self, TrainError> {
        let graphs = match model.device() {
            Device::Cuda(number) if graphs => {
                let state = State::Seen { shape: Vec::new(), times: 0, masks: Masks::default() };
                Some(Graphs { state, _stream: SideStream::enter(number)? })
            }
            _ => None,
        };
        Ok(Self { model, label_smoothing, graphs })
    }

    /// Mean cross entropy (a scalar) and logits `[B, classes]` of a batch, to be read before the next one. Every parameter has its gradient then,
    /// as if `optimizer`, which moves them, had dropped the older ones; between one batch and the next nobody else may.
    ///
    /// # Shapes
    /// - `images`: `[B, 3, H, W]` f32 or bf16 on the model's device
    /// - `labels`: `[B]` i64
    ///
    /// # Errors
    /// What the network and the loss refuse; [`TrainError::Tensor`] where the passes cannot be recorded.
    pub fn run(
        &mut self,
        images: &Tensor,
        labels: &Tensor,
        optimizer: &mut Optimizer,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Tensor, Tensor), TrainError> {
        let (model, smoothing) = (self.model, self.label_smoothing);
        let Some(Graphs { state, .. }) = &mut self.graphs else {
            optimizer.zero_grad()?;
            let logits = model.forward_train(images, rng)?;
            return Ok((backward(&logits, labels, smoothing)?, logits));
        };
        match state {
            State::Recorded(recorded) if recorded.fits(images, labels) => recorded.play(images, labels, rng),
            State::Recorded(_) => beside(model, images, labels, smoothing, rng),
            State::Seen { shape, times: BEFORE, masks } if *shape == images.size() => {
                optimizer.zero_grad()?;
                let mut recorded = Recorded::new(model, smoothing, images, labels, std::mem::take(masks))?;
                let out = recorded.play(images, labels, rng);
                *state = State::Recorded(recorded);
                out
            }
            State::Seen { shape, times, masks } => {
                optimizer.zero_grad()?;
                let (logits, drawn) = model.forward_keeping(images, rng)?;
                if images.size() > *shape {
                    (*shape, *times) = (images.size(), 0);
                }
                if images.size() == *shape {
                    (*times, *masks) = (*times + 1, drawn);
                }
                Ok((backward(&logits, labels, smoothing)?, logits))
            }
        }
    }
}

impl Recorded {
    /// Records the passes over a batch like this one, of which the masks were kept. No parameter may have a gradient.
    fn new(
        model: &Classifier,
        smoothing: f64,
        images: &Tensor,
        labels: &Tensor,
        masks: Masks,
    ) -> Result<Self, TrainError> {
        let (images, labels) = (images.f_zeros_like()?, labels.f_zeros_like()?);
        let work = || {
            let logits = model.forward_kept(&images, &masks)?;
            let loss = backward(&logits, &labels, smoothing)?;
            Ok::<_, TrainError>((loss.f_detach()?, logits.f_detach()?))
        };
        // SAFETY: batch and masks live as long as the graph, in `Self`, and the model longer: `Passes` borrows it. A model's tensors are
        // written to and never replaced.
        #[allow(unsafe_code)]
        let (graph, (loss, logits)) = unsafe { DeviceGraph::record(work) }?;
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

/// The passes over a batch of another form than the recorded ones, as they come. Gradients are made 0 where they lie and added to: the graph
/// goes on writing there, and the optimizer reading.
fn beside(
    model: &Classifier,
    images: &Tensor,
    labels: &Tensor,
    smoothing: f64,
    rng: &mut ChaCha8Rng,
) -> Result<(Tensor, Tensor), TrainError> {
    for (_, parameter) in model.trainable() {
        let mut gradient = parameter.f_grad()?;
        if gradient.defined() {
            let _ = gradient.f_zero_()?;
        }
    }
    let logits = model.forward_train(images, rng)?;
    Ok((backward(&logits, labels, smoothing)?, logits))
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests {
    use panal_data::keyed_rng;
    use panal_models::ModelSpec;
    use panal_optim::{OptimizerSpec, ParamGroup};
    use panal_tensor::DeviceChoice;
    use tch::Kind;

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
    fn a_batch_beside_the_recorded_ones_writes_its_gradients_where_the_others_were() {
        let (model, mut optimizer) = network(Device::Cpu);
        let mut passes = Passes::new(&model, 0.0, true).unwrap();
        assert!(passes.graphs.is_none(), "a CPU has no graphs");
        let mut pass = |images| {
            let (images, labels) = batch(0, images, Device::Cpu);
            let _ = passes.run(&images, &labels, &mut optimizer, &mut rng(0)).unwrap();
            gradients(&model).iter().map(Tensor::copy).collect::<Vec<_>>()
        };
        let expected = pass(3);
        assert_ne!(pass(4), expected, "the batches are alike");
        let places = addresses(&model);

        let (images, labels) = batch(0, 3, Device::Cpu);
        let _ = beside(&model, &images, &labels, 0.0, &mut rng(0)).unwrap();
        assert_eq!(gradients(&model), expected);
        assert_eq!(addresses(&model), places);
    }

    #[test]
    fn a_cuda_graph_is_played_from_the_third_full_batch_on() {
        let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
            eprintln!("skipped: no CUDA device");
            return;
        };
        let ((model, mut optimizer), (other, mut others)) = (network(device), network(device));
        let mut passes = Passes::new(&model, 0.0, true).unwrap();
        let mut places = Vec::new();
        for (number, size) in [4, 4, 4, 3, 4].into_iter().enumerate() {
            let (images, labels) = batch(number as i64, size, device);
            let (played, logits) = passes.run(&images, &labels, &mut optimizer, &mut rng(number)).unwrap();
            assert_eq!(logits.size(), [size, 2]);
            let recorded = matches!(passes.graphs.as_ref().unwrap().state, State::Recorded(_));
            assert_eq!(recorded, number >= 2);
            if number == 2 {
                places = addresses(&model);
            }
            assert!(!recorded || addresses(&model) == places);

            let sent = Passes::new(&other, 0.0, false)
                .unwrap()
                .run(&images, &labels, &mut others, &mut rng(number))
                .unwrap()
                .0;
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
