//! Whether features say anything: alignment, uniformity, spread and rank, and whether they have collapsed. What is done about
//! it is the caller's business.

use panal_losses::{alignment, uniformity};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::TrainError;

/// Share of the spread of independent values below which embeddings count as one point.
const SPREAD_OF_A_POINT: f64 = 0.05;
/// Effective rank below which features lie on a line.
const RANK_OF_A_LINE: f64 = 1.5;

/// Figures of a batch of features and embeddings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Mean squared distance of the two views of an image on the sphere, `[0, 4]`; lower is better. Wang and Isola 2020,
    /// arXiv 2005.10242, section 4.1.1.
    pub alignment: f64,
    /// Log of the mean of `exp(-2 distance²)` over all pairs, at most 0; lower is better. The same paper, section 4.1.2.
    pub uniformity: f64,
    /// Standard deviation of the normalised embeddings over the batch, mean over the dimensions, times the root of their
    /// number: 1 for directions drawn at random, 0 for a single point. Chen and He 2021, arXiv 2011.10566, section 4.1.
    pub spread: f64,
    /// Effective rank of the features: the exponential of the entropy, in nats, of the singular values as shares of their sum,
    /// from 1 to the number of dimensions. Garrido et al. 2023 (RankMe), arXiv 2210.02885, equation 1.
    pub rank: f64,
}

impl Health {
    /// # Shapes
    /// - `h`: features, `[2N, d]` f32
    /// - `z`: embeddings, `[2N, out]` f32, the two views of an image adjacent
    pub(super) fn of(h: &Tensor, z: &Tensor) -> Result<Self, TrainError> {
        // Once an epoch, and in double precision, which not every device has.
        let (h, z) = (&h.f_to_device(Device::Cpu)?, &z.f_to_device(Device::Cpu)?);
        Ok(Self { alignment: alignment(z)?, uniformity: uniformity(z)?, spread: spread(z)?, rank: effective_rank(h)? })
    }

    /// Whether everything looks the same: such features tell nothing apart.
    pub fn has_collapsed(&self) -> bool {
        self.spread < SPREAD_OF_A_POINT || self.rank < RANK_OF_A_LINE
    }
}

fn spread(z: &Tensor) -> Result<f64, TrainError> {
    let length = z.f_norm_scalaropt_dim(2.0, [1_i64], true)?.f_clamp_min(1e-12)?;
    let deviation = z.f_div(&length)?.f_std_dim([0_i64].as_slice(), false, false)?;
    Ok(deviation.f_mean(Kind::Double)?.double_value(&[]) * (z.size()[1] as f64).sqrt())
}

fn effective_rank(h: &Tensor) -> Result<f64, TrainError> {
    // The singular values of h are the roots of the eigenvalues of the smaller of its two products with itself.
    let h = h.f_to_kind(Kind::Double)?;
    let product = if h.size()[0] < h.size()[1] { h.f_matmul(&h.f_tr()?)? } else { h.f_tr()?.f_matmul(&h)? };
    let values = product.f_linalg_eigvalsh("L")?.f_clamp_min(0.0)?.f_sqrt()?;
    let sum = values.f_sum(Kind::Double)?.f_double_value(&[])?;
    if sum == 0.0 {
        // Features of zeros are one point, which is of rank 1 as any other.
        return Ok(1.0);
    }
    let shares = values.f_div_scalar(sum)?;
    let entropy = shares.f_special_entr()?.f_sum(Kind::Double)?;
    Ok(entropy.f_exp()?.double_value(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_of_known_matrices() {
        let rank = |rows: &[f32], columns| effective_rank(&Tensor::from_slice(rows).reshape([-1, columns])).unwrap();
        // Three equal singular values, one, and two as 3 to 1: exp(0.75 ln 4/3 + 0.25 ln 4) = 1.7548.
        assert!((rank(&[2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0], 3) - 3.0).abs() < 1e-9);
        assert_eq!(rank(&[0.0; 6], 3), 1.0);
        assert!((rank(&[1.0, 2.0, 3.0, 2.0, 4.0, 6.0], 3) - 1.0).abs() < 1e-3);
        assert!((rank(&[3.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2) - 1.7548).abs() < 1e-4);
    }

    #[test]
    fn the_spread_of_a_point_and_of_the_axes() {
        let spread_of = |rows: &[f32]| spread(&Tensor::from_slice(rows).reshape([-1, 2])).unwrap();
        assert!(spread_of(&[1.0, 2.0, 2.0, 4.0, 0.5, 1.0]) < 1e-6);
        // (1, 0), (-1, 0), (0, 1), (0, -1): each coordinate has variance 1/2, and 1/sqrt(2) times sqrt(2) is 1.
        assert!((spread_of(&[3.0, 0.0, -2.0, 0.0, 0.0, 1.0, 0.0, -7.0]) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_collapse_is_a_point_or_a_line() {
        let healthy = Health { alignment: 0.2, uniformity: -2.0, spread: 0.9, rank: 20.0 };
        assert!(!healthy.has_collapsed());
        assert!(Health { spread: 0.01, ..healthy }.has_collapsed());
        assert!(Health { rank: 1.1, ..healthy }.has_collapsed());
    }
}
