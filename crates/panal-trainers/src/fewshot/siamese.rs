//! Siamese networks (Koch, Zemel and Salakhutdinov, Siamese Neural Networks for One-shot Image Recognition, 2015): whether two
//! images are of one class is learnt from pairs, and a query goes to the class of the image most similar to it.

use panal_models::{Conv4, Norms};
use panal_tensor::{Init, Store};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::{Reduction, Tensor};

use super::net::{Method, embedded};
use super::task::{Labels, Task};
use crate::TrainError;

#[derive(Debug)]
pub(super) struct Siamese {
    embedding: [Tensor; 2],
    score: [Tensor; 2],
}

impl Siamese {
    pub(super) fn new(features: usize, embedding: usize, store: &mut Store) -> Result<Self, TrainError> {
        let (features, embedding) = (features as i64, embedding as i64);
        let mut layer = |name: &str, inputs: i64, outputs: i64| -> Result<[Tensor; 2], TrainError> {
            let init = Init::linear(inputs);
            let weight = store.parameter(&format!("siamese.{name}.weight"), &[outputs, inputs], init)?;
            Ok([weight, store.parameter(&format!("siamese.{name}.bias"), &[outputs], init)?])
        };
        Ok(Self { embedding: layer("embedding", features, embedding)?, score: layer("score", embedding, 1)? })
    }

    /// The sigmoid embedding of features.
    fn embed(&self, features: &Tensor) -> Result<Tensor, TrainError> {
        let [weight, bias] = &self.embedding;
        Ok(features.f_linear(weight, Some(bias))?.f_sigmoid()?)
    }

    fn embedded(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<[Tensor; 2], TrainError> {
        let [support, query] = embedded(backbone, task, norms)?;
        Ok([self.embed(&support)?, self.embed(&query)?])
    }

    fn class_logits(&self, support: &Tensor, labels: &Labels, query: &Tensor) -> Result<Tensor, TrainError> {
        let all = similarity(&query.f_unsqueeze(1)?, &support.f_unsqueeze(0)?, &self.score)?;
        labels.each(&all, |class| class.f_amax([2_i64].as_slice(), false))
    }
}

impl Method for Siamese {
    /// The similarity of the class's most similar support image, before its sigmoid.
    fn logits(&self, backbone: &Conv4, task: &Task, norms: Norms) -> Result<Tensor, TrainError> {
        let [support, query] = self.embedded(backbone, task, norms)?;
        self.class_logits(&support, &task.labels, &query)
    }

    /// The binary cross entropy of two pairs for each query: with a support image of its class, and with one of another.
    fn loss(&self, backbone: &Conv4, task: &Task, rng: &mut ChaCha8Rng) -> Result<(Tensor, Tensor), TrainError> {
        let [support, query] = self.embedded(backbone, task, Norms::Train)?;
        let partners = partners(&task.labels, &Vec::<i64>::try_from(&task.truth)?, rng);
        let [same, other] = partners.map(|rows| -> Result<Tensor, TrainError> {
            let rows = Tensor::f_from_slice(&rows)?.f_to(support.device())?;
            similarity(&query, &support.f_index_select(0, &rows)?, &self.score)
        });
        let (same, other) = (same?, other?);
        let wanted = Tensor::f_cat(&[same.f_ones_like()?, other.f_zeros_like()?], 0)?;
        let loss = Tensor::f_cat(&[same, other], 0)?.f_binary_cross_entropy_with_logits::<Tensor>(
            &wanted,
            None,
            None,
            Reduction::Mean,
        )?;
        let logits = tch::no_grad(|| self.class_logits(&support, &task.labels, &query))?;
        Ok((loss, logits))
    }
}

/// `Σⱼ αⱼ |h₁ⱼ - h₂ⱼ|` and a bias: the similarity before its sigmoid (section 3.1).
///
/// # Shapes
/// - `a`, `b`: `[..., e]`, broadcast against each other
/// - `score`: `[1, e]` and `[1]`
/// - returns: `[...]`
fn similarity(a: &Tensor, b: &Tensor, [weight, bias]: &[Tensor; 2]) -> Result<Tensor, TrainError> {
    Ok(a.f_sub(b)?.f_abs()?.f_linear(weight, Some(bias))?.f_squeeze_dim(-1)?)
}

/// For each query a support image of its class and one of another class, both drawn evenly; an episode has two classes or more.
fn partners(labels: &Labels, truth: &[i64], rng: &mut ChaCha8Rng) -> [Vec<i64>; 2] {
    let mut one_of = |images: &[usize]| images[rng.random_range(0..images.len() as u64) as usize] as i64;
    let draw = |&truth: &i64| {
        let others: Vec<usize> = (0..labels.of.len()).filter(|&image| labels.of[image] as i64 != truth).collect();
        let same = one_of(&labels.members[truth as usize]);
        (same, one_of(&others))
    };
    truth.iter().map(draw).unzip::<_, _, Vec<_>, Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::fewshot::task::plain::{Rows, far, random};

    #[test]
    fn logits_are_those_of_plain_arithmetic() {
        let siamese = Siamese::new(3, 6, &mut Store::new(Device::Cpu, 1)).unwrap();
        let plain = |t: &Tensor| Vec::<f64>::try_from(t.to_kind(Kind::Double).view(-1)).unwrap();
        let (weight, bias) = (plain(&siamese.embedding[0]), plain(&siamese.embedding[1]));
        let (alpha, offset) = (plain(&siamese.score[0]), plain(&siamese.score[1])[0]);
        let embed = |x: &[f64]| -> Vec<f64> {
            let dense = |j: usize| bias[j] + (0..3).map(|i| weight[3 * j + i] * x[i]).sum::<f64>();
            (0..6).map(|j| 1.0 / (1.0 + (-dense(j)).exp())).collect()
        };
        let (support, query) = (random([5, 3], 1), random([4, 3], 2));
        let of = [0, 1, 1, 2, 1];
        let row = |x: &Vec<f64>| {
            let similar = |s: &Vec<f64>| {
                let (a, b) = (embed(x), embed(s));
                offset + (0..6).map(|j| alpha[j] * (a[j] - b[j]).abs()).sum::<f64>()
            };
            let best = |class| {
                support
                    .0
                    .iter()
                    .zip(of)
                    .filter(|(_, label)| *label == class)
                    .map(|(s, _)| similar(s))
                    .fold(f64::MIN, f64::max)
            };
            (0..3).map(best).collect()
        };
        let labels = Labels::new(of.to_vec(), 3, Device::Cpu).unwrap();
        let [s, q] = [&support, &query].map(|rows| siamese.embed(&rows.tensor()).unwrap());
        let found = siamese.class_logits(&s, &labels, &q).unwrap();
        assert!(far(&found, &Rows(query.0.iter().map(row).collect())) < 1e-5);
    }

    #[test]
    fn pairs_are_of_one_class_and_of_two() {
        let labels = Labels::new(vec![0, 1, 1, 2, 1], 3, Device::Cpu).unwrap();
        let truth: Vec<i64> = (0..60).map(|i| i % 3).collect();
        let [same, other] = partners(&labels, &truth, &mut panal_data::keyed_rng(0, &[]));
        for ((same, other), truth) in same.iter().zip(&other).zip(&truth) {
            assert_eq!(labels.of[*same as usize] as i64, *truth);
            assert_ne!(labels.of[*other as usize] as i64, *truth);
        }
        // Every image of a class gets its turn.
        assert!([1, 2, 4].iter().all(|image| same.contains(image)));
    }
}
