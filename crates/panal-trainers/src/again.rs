//! Work without gradient that a GPU does again and again on the same tensors: recorded as a CUDA graph and played. What it is, is its owner's business.

use panal_models::Folded;
use panal_tensor::{DeviceGraph, SideStream};
use tch::Tensor;

use crate::TrainError;

/// The results of one work, time after time.
pub(crate) struct Again<'a> {
    state: State<'a>,
    trouble: Option<TrainError>,
}

enum State<'a> {
    /// Nothing is recorded.
    AsItComes,
    /// The first time, libraries set themselves up, which no graph can hold.
    New(&'a SideStream),
    Once(&'a SideStream),
    Recorded(DeviceGraph, Tensor),
}

impl<'a> Again<'a> {
    /// Recorded on this stream the second time, and played from then on; without one it is done as it comes.
    pub(crate) fn new(stream: Option<&'a SideStream>) -> Self {
        Self { state: stream.map_or(State::AsItComes, State::New), trouble: None }
    }

    /// Does the work, which is the same in every call; its result is to be read, on this stream, before the next call. Where it cannot be
    /// recorded it is done as it comes from then on, and [`trouble`](Self::trouble) says why.
    ///
    /// # Safety
    /// As for [`DeviceGraph::record`], for as long as `self` is called.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn run(&mut self, work: impl Fn() -> Result<Tensor, TrainError>) -> Result<Tensor, TrainError> {
        if let State::Once(stream) = self.state {
            // SAFETY: the caller's word.
            self.state = match unsafe { DeviceGraph::record(stream, &work) } {
                Ok((graph, result)) => State::Recorded(graph, result),
                Err(error) => {
                    self.trouble = Some(error);
                    State::AsItComes
                }
            };
        }
        match &mut self.state {
            State::Recorded(graph, result) => {
                graph.play()?;
                Ok(result.shallow_clone())
            }
            State::New(stream) => {
                self.state = State::Once(stream);
                work()
            }
            State::AsItComes | State::Once(_) => work(),
        }
    }

    /// Why the work could not be recorded, told once.
    pub(crate) fn trouble(&mut self) -> Option<TrainError> {
        self.trouble.take()
    }
}

/// The features of one batch after another, from a backbone that stays as it is.
pub(crate) struct FrozenPass<'a> {
    folded: Folded<'a>,
    stream: Option<&'a SideStream>,
    /// Of batches of one form, that of the largest so far, what they are put into.
    recorded: Option<(Tensor, Again<'a>)>,
}

impl<'a> FrozenPass<'a> {
    pub(crate) fn new(folded: Folded<'a>, stream: Option<&'a SideStream>) -> Self {
        Self { folded, stream, recorded: None }
    }

    /// Features `[B, d]` f32 of `images`, `[B, 3, H, W]` on the device: to be read before those of the next batch.
    pub(crate) fn features(&mut self, images: &Tensor) -> Result<Tensor, TrainError> {
        if self.stream.is_none() {
            return Ok(self.folded.features(images)?);
        }
        if self.recorded.as_ref().is_none_or(|(input, _)| images.size() > input.size()) {
            self.recorded = Some((images.f_zeros_like()?, Again::new(self.stream)));
        }
        match &mut self.recorded {
            Some((input, again)) if input.size() == images.size() && input.kind() == images.kind() => {
                input.f_copy_(images)?;
                // SAFETY: the input and the folded weights stay where they are as long as the graph, and the classifier as long as `self`.
                #[allow(unsafe_code)]
                unsafe {
                    again.run(|| Ok(self.folded.features(input)?))
                }
            }
            _ => Ok(self.folded.features(images)?),
        }
    }

    /// Why passes could not be recorded, told once.
    pub(crate) fn trouble(&mut self) -> Option<TrainError> {
        self.recorded.as_mut().and_then(|(_, again)| again.trouble())
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests {
    use panal_models::{Classifier, ModelSpec};
    use panal_tensor::DeviceChoice;
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn cuda_records_features_the_second_time_and_they_are_those_of_each_batch() {
        let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
            eprintln!("skipped: no CUDA device");
            return;
        };
        let model = Classifier::new(&ModelSpec::new("resnet18".parse().unwrap(), 2), device, 0).unwrap();
        let stream = SideStream::enter(device).unwrap();
        let mut frozen = FrozenPass::new(model.folded().unwrap(), stream.as_ref());
        for (number, size) in [4, 4, 4, 3, 4].into_iter().enumerate() {
            tch::manual_seed(number as i64);
            let images = Tensor::randn([size, 3, 40, 40], (Kind::Float, Device::Cpu)).to(device);
            let got = frozen.features(&images).unwrap();
            let far = (&got - model.features_eval(&images).unwrap()).norm() / got.norm();
            assert!(far.double_value(&[]) < 5e-3, "batch {number}");
            let recorded = matches!(frozen.recorded, Some((_, Again { state: State::Recorded(..), .. })));
            assert_eq!(recorded, number > 0, "batch {number}");
            assert!(frozen.trouble().is_none());
        }
    }
}
