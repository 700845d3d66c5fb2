//! NT-Xent in blocks against NT-Xent whole.

use panal_losses::{Similarity, nt_xent_tiled_with, nt_xent_with};
use tch::Kind;

use crate::helpers::{alike_views, apart, differentiated};

#[test]
fn tiles_change_neither_value_nor_gradient() {
    let rows = 26;
    let z = alike_views(rows / 2, 7, 4);
    // Rows in a block: 1, 1, 3 (with 2 left), 5 (with 1 left), 13, 25 (with 1 left), all, all.
    let entries = [0, 1, 3 * 26, 5 * 26 + 25, 13 * 26, 26 * 26 - 1, 26 * 26, usize::MAX];
    for (similarity, temperature) in [(Similarity::Cosine, 0.05), (Similarity::Cosine, 1.0), (Similarity::Dot, 0.5)] {
        for kind in [Kind::Double, Kind::Float] {
            let z = z.to_kind(kind);
            let (value, gradient) = differentiated(&z, |z| nt_xent_with(z, similarity, temperature));
            for entries in entries {
                let (got, slope) = differentiated(&z, |z| nt_xent_tiled_with(z, similarity, temperature, entries));
                assert!((got - value).abs() <= 1e-5 * value, "{entries}: {got} against {value}");
                let size = gradient.abs().max().double_value(&[]);
                assert!(apart(&slope, &gradient) <= 1e-5 * size, "{entries}: {slope} against {gradient}");
            }
        }
    }
}

#[test]
fn the_gradient_reaches_through_what_comes_before_and_scales_with_what_comes_after() {
    let z = alike_views(5, 4, 8);
    let through = |loss: &dyn Fn(&tch::Tensor) -> tch::Tensor| differentiated(&z, |z| Ok(loss(&(z * z).tanh()) * 3.0));
    let (_, expected) = through(&|z| nt_xent_with(z, Similarity::Cosine, 0.3).unwrap());
    let (_, got) = through(&|z| nt_xent_tiled_with(z, Similarity::Cosine, 0.3, 33).unwrap());
    assert!(apart(&got, &expected) < 1e-9, "{got} against {expected}");
}

#[test]
fn without_a_gradient_there_is_only_the_value() {
    let z = alike_views(5, 4, 8);
    let value = nt_xent_tiled_with(&z, Similarity::Cosine, 0.3, 33).unwrap();
    assert!(!value.requires_grad());
    let z = z.set_requires_grad(true);
    let value = tch::no_grad(|| nt_xent_tiled_with(&z, Similarity::Cosine, 0.3, 33).unwrap());
    assert!(!value.requires_grad());
}
