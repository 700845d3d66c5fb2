//! The nearest class mean. How features are made ready for it lives in `transform`.

use tch::Tensor;

use super::tasks::{Tasks, nearness};
use crate::TrainError;

/// Logits `[B, Q, ways]` by the squared Euclidean distance to the mean of each class's support features:
/// `-||x - m_c||^2`, but for a constant of each query (Wang, Chao, Weinberger and van der Maaten, SimpleShot, arXiv 1911.04623;
/// their UN, L2N and CL2N are the three transforms). With one shot it is the nearest neighbour; the softmax is that of
/// prototypical networks (Snell et al., arXiv 1703.05175, equation 2).
pub(crate) fn logits(tasks: &Tasks) -> Result<Tensor, TrainError> {
    nearness(&tasks.query, &tasks.class_means(&tasks.support)?)
}
