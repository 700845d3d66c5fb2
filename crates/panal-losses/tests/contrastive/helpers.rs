//! What the tests share: every loss under one type, embeddings, gradients. No test lives here.

use panal_losses::{LossError, Negatives, Similarity};
use tch::{Device, Kind, Tensor};

pub(crate) type Loss = fn(&Tensor) -> Result<Tensor, LossError>;

/// Each loss of interleaved views, with its setting.
pub(crate) const LOSSES: [(&str, Loss); 9] = [
    ("nt_xent", |z| panal_losses::nt_xent(z, 0.2)),
    ("nt_xent, dot", |z| panal_losses::nt_xent_with(z, Similarity::Dot, 5.0)),
    ("nt_xent_tiled", |z| panal_losses::nt_xent_tiled_with(z, Similarity::Cosine, 0.2, 17)),
    ("nt_xent_tiled, dot", |z| panal_losses::nt_xent_tiled_with(z, Similarity::Dot, 5.0, 17)),
    ("nt_logistic", |z| panal_losses::nt_logistic(z, Negatives::All, 0.2)),
    ("nt_logistic, semi-hard", |z| panal_losses::nt_logistic(z, Negatives::SemiHard, 0.2)),
    ("margin_triplet", |z| panal_losses::margin_triplet(z, Negatives::All, 0.4)),
    ("margin_triplet, semi-hard", |z| panal_losses::margin_triplet(z, Negatives::SemiHard, 0.4)),
    ("sup_con", |z| panal_losses::sup_con(z, &image_numbers(z.size()[0]), 0.2)),
];

/// The number of the image that each row shows.
pub(crate) fn image_numbers(rows: i64) -> Tensor {
    Tensor::arange(rows, (Kind::Int64, Device::Cpu)).floor_divide_scalar(2)
}

/// Numbers from -0.5 to 0.5 that repeat on no axis; another `seed`, other numbers.
pub(crate) fn embeddings(rows: i64, width: i64, seed: i64) -> Tensor {
    let index = Tensor::arange(rows * width, (Kind::Double, Device::Cpu)) + (seed * 1009) as f64;
    ((index * 12.9898).sin() * 43.758_545_3).frac().abs().reshape([rows, width]) - 0.5
}

/// Embeddings of which the two views of an image are alike.
pub(crate) fn alike_views(images: i64, width: i64, seed: i64) -> Tensor {
    let points = embeddings(images, width, seed).repeat_interleave_self_int(2, 0, None);
    points + embeddings(2 * images, width, seed + 1) * 0.7
}

/// The value of a loss, and its gradient.
pub(crate) fn differentiated(z: &Tensor, loss: impl FnOnce(&Tensor) -> Result<Tensor, LossError>) -> (f64, Tensor) {
    let z = z.detach().copy().set_requires_grad(true);
    let value = loss(&z).unwrap();
    value.backward();
    (value.double_value(&[]), z.grad())
}

/// The largest difference of two tensors.
pub(crate) fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}
