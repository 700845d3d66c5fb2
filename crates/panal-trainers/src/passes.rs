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
    /// device runs on a stream of its own while this lives.
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
            State::Recorded(recorded) if recorded.images.size() == images.size() => recorded.play(images, labels, rng),
            State::Recorded(_) => {
                clear_gradients(model)?;
                let logits = model.forward_train(images, rng)?;
                Ok((backward(&logits, labels, smoothing)?, logits))
            }
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
        let (graph, (loss, logits)) = DeviceGraph::record(|| {
            let logits = model.forward_kept(&images, &masks)?;
            let loss = backward(&logits, &labels, smoothing)?;
            Ok::<_, TrainError>((loss.f_detach()?, logits.f_detach()?))
        })?;
        Ok(Self { graph, images, labels, masks, loss, logits })
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

/// Makes every gradient 0 where it lies: a graph goes on writing there, and the optimizer reading.
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
mod tests {
    use panal_data::keyed_rng;
    use panal_models::ModelSpec;
    use panal_optim::{OptimizerSpec, ParamGroup};
    use tch::Kind;

    use super::*;

    fn batch(images: i64) -> (Tensor, Tensor) {
        tch::manual_seed(images);
        let labels = Tensor::arange(images, (Kind::Int64, Device::Cpu)).remainder(2);
        (Tensor::randn([images, 3, 40, 40], (Kind::Float, Device::Cpu)), labels)
    }

    fn gradients(model: &Classifier) -> Vec<Tensor> {
        model.trainable().iter().map(|(_, parameter)| parameter.grad()).collect()
    }

    #[test]
    fn a_batch_beside_the_recorded_ones_writes_its_gradients_where_the_others_were() {
        let model = Classifier::new(&ModelSpec::new("mobilenet_v2".parse().unwrap(), 2), Device::Cpu, 0).unwrap();
        let groups = vec![ParamGroup { name: "all".into(), params: model.trainable(), lr_scale: 1.0 }];
        let mut optimizer = Optimizer::new(&OptimizerSpec::default(), groups).unwrap();
        let mut passes = Passes::new(&model, 0.0, true).unwrap();
        assert!(passes.graphs.is_none(), "a CPU has no graphs");
        let mut pass = |images| {
            let (images, labels) = batch(images);
            let _ = passes.run(&images, &labels, &mut optimizer, &mut keyed_rng(0, &[1])).unwrap();
        };
        pass(3);
        let expected: Vec<Tensor> = gradients(&model).iter().map(Tensor::copy).collect();
        pass(4);
        let places = gradients(&model);
        assert!(places.iter().zip(&expected).any(|(other, gradient)| other != gradient), "the batches are alike");

        clear_gradients(&model).unwrap();
        let (images, labels) = batch(3);
        let logits = model.forward_train(&images, &mut keyed_rng(0, &[1])).unwrap();
        let _ = backward(&logits, &labels, 0.0).unwrap();
        assert_eq!(gradients(&model), expected);
        let addresses = |tensors: &[Tensor]| tensors.iter().map(Tensor::data_ptr).collect::<Vec<_>>();
        assert_eq!(addresses(&gradients(&model)), addresses(&places));
    }
}
