//! Images that are the same in every epoch, loaded once and kept on a GPU. What they are for is not known here.

use panal_tensor::{Precision, batch_to_tensors};
use tch::{Device, Tensor};

use crate::{Log, PassLog, Split, TrainError};

/// Most bytes of a split's images that are kept: of 224 x 224 pixels 1,783 in f32, twice as many in bf16.
const MOST: usize = 1 << 30;

/// All images of a split, `[N, H, W, 3]`, on a device.
pub(crate) struct Kept(Tensor);

impl Kept {
    /// The images of `split`, loaded so many at a time, where it [may](Self::may) be kept.
    pub(crate) fn of(
        split: &Split,
        batch: usize,
        threads: Option<usize>,
        device: Device,
        precision: Precision,
        log: &mut dyn Log,
    ) -> Result<Option<Self>, TrainError> {
        match Self::may(split, device, precision) {
            true => Self::load(split, batch, threads, device, precision, log),
            false => Ok(None),
        }
    }

    /// Not images that a draw changes, nor more than a GPU may well hold beside all else. On a CPU the source may keep them.
    fn may(split: &Split, device: Device, precision: Precision) -> bool {
        let (height, width) = split.pipeline.size();
        let bytes = [split.source.len(), 3, height as usize, width as usize]
            .iter()
            .try_fold(precision.kind().elt_size_in_bytes(), |bytes, &length| bytes.checked_mul(length));
        let fits = bytes.is_some_and(|bytes| bytes <= MOST);
        fits && !split.pipeline.is_random() && device.is_cuda()
    }

    /// `None` where the device has no room for them.
    fn load(
        split: &Split,
        batch: usize,
        threads: Option<usize>,
        device: Device,
        precision: Precision,
        log: &mut dyn Log,
    ) -> Result<Option<Self>, TrainError> {
        let (height, width) = split.pipeline.size();
        let shape = [split.source.len() as i64, i64::from(height), i64::from(width), 3];
        let Ok(images) = Tensor::f_empty(shape, (precision.kind(), device)) else { return Ok(None) };
        let mut start = 0;
        for batch in split.in_order(batch, threads, device)?.epoch(0) {
            let (loaded, _) = batch_to_tensors(batch?, device)?;
            let length = loaded.size()[0];
            images.f_narrow(0, start, length)?.f_copy_(&loaded.f_permute([0, 2, 3, 1])?)?;
            start += length;
            log.pass(&PassLog { what: "loading", done: start as usize, of: split.source.len() });
        }
        Ok(Some(Self(images)))
    }

    /// All of them as they lie, so many at a time: `[B, 3, H, W]`, channels-last.
    pub(crate) fn batches(&self, batch: usize) -> impl ExactSizeIterator<Item = Result<Tensor, TrainError>> {
        let images = self.0.size()[0] as usize;
        (0..images).step_by(batch).map(move |start| {
            let length = batch.min(images - start);
            Ok(self.0.f_narrow(0, start as i64, length as i64)?.f_permute([0, 3, 1, 2])?)
        })
    }

    /// A copy of the images of these numbers, `[B]` i64: `[B, 3, H, W]`, channels-last.
    pub(crate) fn select(&self, numbers: &Tensor) -> Result<Tensor, TrainError> {
        Ok(self.0.f_index_select(0, numbers)?.f_permute([0, 3, 1, 2])?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use panal_data::{AugmentSpec, Insects, Loader, LoaderSpec};
    use panal_models::{Classifier, ModelSpec};
    use panal_tensor::is_channels_last;

    use super::*;
    use crate::Silent;
    use crate::again::Again;
    use crate::evaluate::{Evaluation, evaluate};
    use crate::feed::{AtHand, Feed};

    fn split() -> Split {
        let [one, other] = Insects::species().unwrap()[..2] else { unreachable!("there are more") };
        let source = Insects::new("insects", &[(one, 0..4), (other, 0..3)], 1).unwrap();
        Split { source: Arc::new(source), pipeline: AugmentSpec::plain(48, 32).check().unwrap() }
    }

    #[test]
    fn kept_images_are_those_that_a_loader_brings() {
        let split = split();
        for precision in [Precision::F32, Precision::Bf16] {
            let loader = || {
                let spec = LoaderSpec { batch: 3, shuffle: true, ..LoaderSpec::default() };
                Loader::new(split.source.clone(), split.pipeline.clone(), spec).unwrap()
            };
            let kept = Kept::load(&split, 2, Some(1), Device::Cpu, precision, &mut Silent).unwrap().unwrap();
            let labels = Tensor::from_slice(&split.labels().iter().map(|&label| label as i64).collect::<Vec<_>>());
            let feeds =
                [Feed::Images(loader()), Feed::AtHand { inputs: AtHand::Images(kept), labels, order: loader() }];
            for (epoch, first) in [(0, 0), (1, 0), (1, 2)] {
                let [loaded, kept] = feeds.each_ref().map(|feed| {
                    let examples = feed.epoch_from(epoch, first, Device::Cpu, precision);
                    examples.collect::<Result<Vec<_>, _>>().unwrap()
                });
                assert_eq!((loaded.len(), kept.len()), (3 - first, 3 - first));
                for (loaded, kept) in loaded.iter().zip(&kept) {
                    assert_eq!((&loaded.input, &loaded.labels), (&kept.input, &kept.labels));
                    assert_eq!(loaded.input.kind(), kept.input.kind());
                    assert!(is_channels_last(&kept.input));
                }
            }
        }
    }

    #[test]
    fn kept_images_are_evaluated_as_loaded_ones_are() {
        let split = split();
        let model = Classifier::new(&ModelSpec::new("resnet18".parse().unwrap(), 2), Device::Cpu, 0).unwrap();
        let loaded = evaluate(&model, &split, 3, Some(1), &mut Silent).unwrap().logits;
        let mut evaluation = Evaluation::new(&split, 3, Some(1), Device::Cpu, &mut Silent).unwrap();
        evaluation.kept = Kept::load(&split, 2, Some(1), Device::Cpu, Precision::F32, &mut Silent).unwrap();
        assert!(evaluation.kept.is_some());
        assert_eq!(evaluation.logits(&model, &mut Again::new(None), &mut Silent).unwrap(), loaded);
    }

    #[test]
    fn only_a_gpu_keeps_images_and_only_so_many_that_no_draw_changes() {
        let (split, cuda) = (split(), Device::Cuda(0));
        let random = AugmentSpec::simclr(32, 1.0).check().unwrap();
        let large = AugmentSpec::plain(4096, 4096).check().unwrap();
        let keeps = |split: &Split, device| Kept::may(split, device, Precision::F32);
        for pipeline in [random, large] {
            assert!(!keeps(&Split { pipeline, ..split.clone() }, cuda));
        }
        assert!(keeps(&split, cuda) && !keeps(&split, Device::Cpu));
    }
}
