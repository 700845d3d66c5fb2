//! The gradient of one batch: in one pass, or in two with cached representations where the batch does not fit. What is done
//! with the gradient is the loop's business.

use std::cell::Cell;
use std::time::Instant;

use panal_data::keyed_rng;
use panal_losses::{Similarity, contrastive_hits};
use panal_models::{Classifier, Projector};
use panal_tensor::{Precision, Role};
use tch::{Kind, Tensor, no_grad};

use super::ContrastiveLoss;
use super::feed::Part;
use crate::TrainError;

/// Stream of the random draws inside the network (dropout, stochastic depth), apart from those of the data.
const NETWORK_STREAM: u64 = 0x7373_6c6e_6574_0000;

/// Encoder f and projection head g.
pub(super) struct Net<'a> {
    encoder: &'a Classifier,
    projector: &'a Projector,
    precision: Precision,
    /// Seconds that went by until views were on the device.
    waited: Cell<f64>,
}

/// What a batch gave: on the device, without gradient.
pub(super) struct Step {
    /// The loss, in nats, a scalar.
    loss: Tensor,
    /// Features, `[2N, d]`.
    pub(super) h: Tensor,
    /// Embeddings, `[2N, out]`.
    pub(super) z: Tensor,
    /// Seconds that went by until views were on the device.
    pub(super) waited: f64,
}

/// What is told of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    /// The loss, in nats.
    pub(super) loss: f64,
    /// Share of views whose partner is the most similar of the batch.
    pub(super) top1: f64,
    /// Share of views whose partner is among the five most similar.
    pub(super) top5: f64,
}

impl Step {
    /// Read from the device together, since each reading waits for it.
    pub(super) fn told(&self, similarity: Similarity) -> Result<Told, TrainError> {
        let hits = contrastive_hits(&self.z, similarity)?.f_to_kind(Kind::Float)?;
        let all = Tensor::f_cat(&[self.loss.f_view(1)?.f_to_kind(Kind::Float)?, hits], 0)?;
        let [loss, first, among_five] = Vec::<f32>::try_from(all)?[..] else { unreachable!("three were joined") };
        let share = |hits: f32| f64::from(hits) / self.z.size()[0] as f64;
        Ok(Told { loss: loss.into(), top1: share(first), top5: share(among_five) })
    }
}

impl<'a> Net<'a> {
    pub(super) fn new(encoder: &'a Classifier, projector: &'a Projector, precision: Precision) -> Self {
        Self { encoder, projector, precision, waited: Cell::new(0.0) }
    }

    /// Adds the gradient of the loss over all of `parts` to every parameter. One part is the plain step. With several, the
    /// loss is still that of the whole batch: embeddings are computed without gradient first, the loss gives each its
    /// gradient, and each part is computed again to hand that on to the parameters (Gao et al. 2021, arXiv 2101.06983,
    /// section 3.2). So the gradient is that of one pass in which batch norm sees part after part. The views of one part are on the
    /// device at a time.
    ///
    /// Nothing here waits for the device. So a loss that is no number is seen only where it is told, and its gradient is none either.
    pub(super) fn gradient(
        &self,
        parts: &[Part<'_>],
        loss: &ContrastiveLoss,
        seed: u64,
        at: [u64; 2],
    ) -> Result<Step, TrainError> {
        match parts {
            [part] => {
                let (h, z) = self.embed(part, seed, at, 0)?;
                let value = loss.of(&z)?;
                value.f_backward()?;
                Ok(Step { loss: value.f_detach()?, h: h.f_detach()?, z: z.f_detach()?, waited: self.waited.get() })
            }
            parts => self.in_two_passes(parts, loss, seed, at),
        }
    }

    fn in_two_passes(
        &self,
        parts: &[Part<'_>],
        loss: &ContrastiveLoss,
        seed: u64,
        at: [u64; 2],
    ) -> Result<Step, TrainError> {
        let before = self.buffers(|buffer| {
            let mut copy = buffer.f_zeros_like()?;
            copy.f_copy_(buffer)?;
            Ok(copy)
        })?;
        let first = no_grad(|| -> Result<Vec<(Tensor, Tensor)>, TrainError> {
            parts.iter().enumerate().map(|(number, part)| self.embed(part, seed, at, number)).collect()
        })?;
        // The second pass moves the running statistics; once a step is enough.
        no_grad(|| {
            self.buffers(|buffer| Ok(buffer.shallow_clone()))?
                .iter_mut()
                .zip(&before)
                .try_for_each(|(buffer, before)| buffer.f_copy_(before))
        })?;
        let join = |of: fn(&(Tensor, Tensor)) -> &Tensor| Tensor::f_cat(&first.iter().map(of).collect::<Vec<_>>(), 0);
        let (h, z) = (join(|(h, _)| h)?, join(|(_, z)| z)?);
        let leaf = z.f_detach()?.f_set_requires_grad(true)?;
        let value = loss.of(&leaf)?;
        value.f_backward()?;
        let gradient = leaf.f_grad()?;
        let mut from = 0;
        for (number, part) in parts.iter().enumerate() {
            let (_, z) = self.embed(part, seed, at, number)?;
            let rows = z.size()[0];
            z.f_mul(&gradient.f_narrow(0, from, rows)?)?.f_sum(Kind::Float)?.f_backward()?;
            from += rows;
        }
        Ok(Step { loss: value.f_detach()?, h, z, waited: self.waited.get() })
    }

    /// Features and embeddings of a part, in training.
    fn embed(
        &self,
        part: &Part<'_>,
        seed: u64,
        [epoch, step]: [u64; 2],
        number: usize,
    ) -> Result<(Tensor, Tensor), TrainError> {
        let clock = Instant::now();
        let views = part.views()?;
        self.waited.set(self.waited.get() + clock.elapsed().as_secs_f64());
        let mut rng = keyed_rng(seed, &[NETWORK_STREAM, epoch, step, number as u64]);
        let h = self.encoder.features_train(&self.precision.of(&views)?, &mut rng)?;
        let z = self.projector.forward_train(&h)?;
        Ok((h, z))
    }

    /// Something of each buffer of the two networks, always in the same order.
    fn buffers(&self, of: fn(&Tensor) -> Result<Tensor, tch::TchError>) -> Result<Vec<Tensor>, tch::TchError> {
        let all = self.encoder.store().iter().chain(self.projector.store().iter());
        all.filter(|(_, _, role)| *role == Role::Buffer).map(|(_, tensor, _)| of(tensor)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use panal_models::{ModelSpec, ProjectorSpec, Stem};
    use panal_optim::{Optimizer, OptimizerSpec, ParamGroup};
    use tch::Device;

    fn networks() -> (Classifier, Projector) {
        let spec = ModelSpec::new("resnet10_w24".parse().unwrap(), 2).with_stem(Stem::Cifar);
        let encoder = Classifier::new(&spec, Device::Cpu, 1).unwrap();
        let projector = ProjectorSpec::Mlp { layers: 2, hidden: Some(24), out: 16, batch_norm: true };
        let projector = Projector::new(&projector, encoder.feature_dim(), Device::Cpu, 1).unwrap();
        (encoder, projector)
    }

    fn parts(views: &Tensor, rows: i64) -> Vec<Part<'static>> {
        views.split(rows, 0).into_iter().map(|views| Part::Made { views, device: Device::Cpu }).collect()
    }

    fn images(count: i64) -> Tensor {
        let values: Vec<f32> = (0..count * 3 * 12 * 10).map(|i| ((i * i % 1013) as f32 / 500.0) - 1.0).collect();
        Tensor::from_slice(&values).reshape([count, 3, 12, 10])
    }

    /// Gradients of every parameter, and the buffers afterwards.
    fn outcome(encoder: &Classifier, projector: &Projector) -> Vec<(String, Vec<f64>)> {
        let all = encoder.store().iter().chain(projector.store().iter());
        let of = |(name, tensor, role): (&str, &Tensor, Role)| {
            let tensor = if role == Role::Parameter { tensor.grad() } else { tensor.shallow_clone() };
            // The classifier's own head takes no part.
            tensor.defined().then(|| {
                let values = Vec::<f64>::try_from(tensor.to_kind(Kind::Double).contiguous().reshape([-1])).unwrap();
                (name.to_owned(), values)
            })
        };
        all.filter_map(of).collect()
    }

    fn forget(encoder: &Classifier, projector: &Projector) {
        let params = encoder
            .trainable()
            .into_iter()
            .chain(projector.trainable().into_iter().map(|(n, t)| (format!("p.{n}"), t)));
        let group = ParamGroup { name: "all".into(), params: params.collect(), lr_scale: 1.0 };
        Optimizer::new(&OptimizerSpec::default(), vec![group]).unwrap().zero_grad().unwrap();
    }

    #[test]
    fn two_passes_have_the_gradient_of_one_pass_over_the_same_parts() {
        let loss = ContrastiveLoss::default();
        let parts = parts(&images(12), 4);
        let (encoder, projector) = networks();
        let net = Net::new(&encoder, &projector, Precision::F32);
        let two = net.gradient(&parts, &loss, 7, [2, 3]).unwrap();
        let cached = outcome(&encoder, &projector);

        // One graph over all parts, batch norm seeing part after part: what the two passes stand for.
        let (encoder, projector) = networks();
        let net = Net::new(&encoder, &projector, Precision::F32);
        let z: Vec<Tensor> =
            parts.iter().enumerate().map(|(number, part)| net.embed(part, 7, [2, 3], number).unwrap().1).collect();
        let value = loss.of(&Tensor::cat(&z, 0)).unwrap();
        value.backward();
        let direct = outcome(&encoder, &projector);

        assert!((two.told(Similarity::Cosine).unwrap().loss - value.double_value(&[])).abs() < 1e-6);
        assert_eq!(cached.len(), direct.len());
        for ((name, cached), (_, direct)) in cached.iter().zip(&direct) {
            let scale = direct.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
            let far = cached.iter().zip(direct).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f64::max);
            assert!(far < 1e-4, "{name}: {far}");
        }
    }

    #[test]
    fn one_part_is_the_plain_step_and_what_micro_batches_change_is_batch_norm() {
        let loss = ContrastiveLoss::default();
        let (encoder, projector) = networks();
        let net = Net::new(&encoder, &projector, Precision::F32);
        let whole = net.gradient(&parts(&images(12), 12), &loss, 7, [0, 0]).unwrap();
        let plain = outcome(&encoder, &projector);
        forget(&encoder, &projector);
        let parted = net.gradient(&parts(&images(12), 4), &loss, 7, [0, 0]).unwrap();
        let moved = outcome(&encoder, &projector);
        // The same images, other statistics: another loss and another gradient, near the first.
        let [whole, parted] = [whole, parted].map(|step| step.told(Similarity::Cosine).unwrap().loss);
        assert!(whole != parted && (whole - parted).abs() < 1.0, "{whole} {parted}");
        let head = |of: &[(String, Vec<f64>)]| of.iter().find(|(name, _)| name == "1.bias").unwrap().1.clone();
        assert_ne!(head(&plain), head(&moved));
    }

    #[test]
    fn a_loss_that_is_no_number_is_told_as_such() {
        let (encoder, projector) = networks();
        let net = Net::new(&encoder, &projector, Precision::F32);
        for rows in [8, 4] {
            let parts = parts(&(images(8) * f64::NAN), rows);
            let step = net.gradient(&parts, &ContrastiveLoss::default(), 7, [0, 0]).unwrap();
            let told = step.told(Similarity::Cosine).unwrap();
            assert!(told.loss.is_nan() && (told.top1, told.top5) == (0.0, 0.0), "{told:?}");
        }
    }
}
