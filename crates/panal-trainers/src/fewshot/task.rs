//! One episode as tensors. How a method looks at it is the method's business.

use tch::{Device, Kind, TchError, Tensor};

use crate::TrainError;

/// Images and labels of one episode.
#[derive(Debug)]
pub(crate) struct Task {
    /// `[S, C, side, side]` f32.
    pub(crate) support: Tensor,
    /// `[Q, C, side, side]` f32.
    pub(crate) query: Tensor,
    /// Which support images are whose, for the query's truth.
    pub(crate) labels: Labels,
    /// `[Q]` i64.
    pub(crate) truth: Tensor,
}

/// The classes of the support.
#[derive(Debug)]
pub(crate) struct Labels {
    /// The class of each support image.
    pub(crate) of: Vec<usize>,
    /// The support images of each class, at least one.
    pub(crate) members: Vec<Vec<usize>>,
    /// `[ways, S]` f32: 1 where the image is of the class, else 0.
    pub(crate) membership: Tensor,
    /// `[S]` i64.
    pub(crate) tensor: Tensor,
}

impl Labels {
    pub(crate) fn new(of: Vec<usize>, ways: usize, device: Device) -> Result<Self, TrainError> {
        let mut members = vec![Vec::new(); ways];
        for (image, &label) in of.iter().enumerate() {
            members
                .get_mut(label)
                .ok_or_else(|| refused("the label of a support image", format!("< {ways}"), label))?
                .push(image);
        }
        if let Some(empty) = members.iter().position(Vec::is_empty) {
            return Err(refused(&format!("the support images of class {empty} of an episode"), "at least 1".into(), 0));
        }
        let mut membership = vec![0.0_f32; ways * of.len()];
        for (image, label) in of.iter().enumerate() {
            membership[label * of.len() + image] = 1.0;
        }
        let membership = Tensor::f_from_slice(&membership)?.f_view([ways as i64, of.len() as i64])?.f_to(device)?;
        let tensor: Vec<i64> = of.iter().map(|&label| label as i64).collect();
        Ok(Self { tensor: Tensor::f_from_slice(&tensor)?.f_to(device)?, of, members, membership })
    }

    pub(crate) fn ways(&self) -> usize {
        self.members.len()
    }

    /// The sum over each class's support images: `[S, ...]` to `[ways, ...]`.
    pub(crate) fn sums(&self, of_images: &Tensor) -> Result<Tensor, TrainError> {
        let mut size = of_images.size();
        size[0] = self.ways() as i64;
        let membership = self.membership.f_to_kind(of_images.kind())?;
        Ok(membership.f_matmul(&of_images.f_flatten(1, -1)?)?.f_view(&size[..])?)
    }

    /// The mean over each class's support images: `[S, d]` to `[ways, d]`.
    pub(crate) fn means(&self, of_images: &Tensor) -> Result<Tensor, TrainError> {
        let counts = self.membership.f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Float)?;
        Ok(self.sums(of_images)?.f_div(&counts.f_to_kind(of_images.kind())?)?)
    }
}

impl Labels {
    /// What `join` makes of each class's part of values of support images: `[Q, S]` to `[Q, ways]`. It is handed
    /// `[Q, ways, S]` with minus infinity where an image is of another class.
    pub(crate) fn each(
        &self,
        values: &Tensor,
        join: impl FnOnce(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, TrainError> {
        let others = self.membership.f_eq(0.0)?.f_unsqueeze(0)?;
        Ok(join(&values.f_unsqueeze(1)?.f_masked_fill(&others, f64::NEG_INFINITY)?)?)
    }
}

fn refused(field: &str, allowed: String, got: usize) -> TrainError {
    TrainError::Spec { field: field.into(), allowed, got: got.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_means_by_class() {
        let labels = Labels::new(vec![1, 0, 1], 2, Device::Cpu).unwrap();
        let rows = Tensor::from_slice(&[1.0_f32, 2.0, 10.0, 20.0, 5.0, 4.0]).view([3, 2]);
        let values = |t: Tensor| Vec::<f32>::try_from(t.view(-1)).unwrap();
        assert_eq!(values(labels.sums(&rows).unwrap()), [10.0, 20.0, 6.0, 6.0]);
        assert_eq!(values(labels.means(&rows).unwrap()), [10.0, 20.0, 3.0, 3.0]);
    }

    #[test]
    fn a_class_without_support_and_a_label_beyond_are_refused() {
        let message = |of, ways| Labels::new(of, ways, Device::Cpu).unwrap_err().to_string();
        assert_eq!(message(vec![0, 2], 3), "the support images of class 1 of an episode must be at least 1, got 0");
        assert_eq!(message(vec![0, 2], 2), "the label of a support image must be < 2, got 2");
    }
}

/// Rows of plain f64, for the tests of the methods.
#[cfg(test)]
pub(super) mod plain {
    use panal_data::keyed_rng;
    use rand::RngExt;
    use tch::Tensor;

    pub(in crate::fewshot) struct Rows(pub(in crate::fewshot) Vec<Vec<f64>>);

    impl Rows {
        pub(in crate::fewshot) fn tensor(&self) -> Tensor {
            let values: Vec<f32> = self.0.iter().flatten().map(|&value| value as f32).collect();
            Tensor::from_slice(&values).view([self.0.len() as i64, -1])
        }
    }

    /// Values from -1 to 1.
    pub(in crate::fewshot) fn random([rows, columns]: [usize; 2], seed: u64) -> Rows {
        let mut rng = keyed_rng(seed, &[]);
        Rows((0..rows).map(|_| (0..columns).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect()).collect())
    }

    /// The largest difference.
    pub(in crate::fewshot) fn far(found: &Tensor, expected: &Rows) -> f64 {
        assert_eq!(found.size(), expected.tensor().size());
        let found = Vec::<f64>::try_from(found.to_kind(tch::Kind::Double).contiguous().view(-1)).unwrap();
        found.iter().zip(expected.0.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}
