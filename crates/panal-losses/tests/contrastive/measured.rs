//! Accuracy and uniformity of more rows than one block holds, against the same without blocks.

use panal_losses::{Similarity, contrastive_accuracy, contrastive_accuracy_with, uniformity};
use tch::{Device, Kind, Tensor};

use crate::helpers::alike_views;

#[test]
fn accuracy_over_several_blocks_is_that_of_the_whole_matrix() {
    // Blocks of 2^22 / 4200 = 998 rows, and 208 are left.
    let rows = 4200;
    let z = alike_views(rows / 2, 24, 3).to_kind(Kind::Float);
    let index = Tensor::arange(rows, (Kind::Int64, Device::Cpu));
    let partner = index.bitwise_xor(1).unsqueeze(1);
    let lengths = z.norm_scalaropt_dim(2, [1_i64], true);
    for (similarity, rows) in [(Similarity::Cosine, &z / lengths), (Similarity::Dot, z.copy())] {
        let similar = rows.mm(&rows.transpose(0, 1)).fill_diagonal_(f64::NEG_INFINITY, false);
        let (_, nearest) = similar.topk(5, 1, true, true);
        let share = |hits: Tensor| hits.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        let hits = nearest.eq_tensor(&partner);
        let expected = (share(hits.narrow(1, 0, 1)), share(hits.any_dim(1, false)));
        assert!(0.01 < expected.0 && expected.0 < expected.1 && expected.1 < 0.99, "{expected:?}");
        let got = contrastive_accuracy_with(&z, similarity).unwrap();
        // Similarities that differ in the last digit may change places.
        assert!((got.0 - expected.0).abs() < 1e-3 && (got.1 - expected.1).abs() < 1e-3, "{got:?} against {expected:?}");
    }
    assert_eq!(contrastive_accuracy(&z).unwrap(), contrastive_accuracy_with(&z, Similarity::Cosine).unwrap());
}

#[test]
fn uniformity_over_several_blocks_is_that_of_all_pairs() {
    // A view has 4200 rows.
    let z = alike_views(4200, 3, 3);
    let u = &z / z.norm_scalaropt_dim(2, [1_i64], true);
    let of = |view: i64| {
        let pairs = u.reshape([-1, 2, 3]).select(1, view).pdist(2.0);
        (pairs.square() * -2.0).exp().mean(Kind::Double).log().double_value(&[])
    };
    let expected = (of(0) + of(1)) / 2.0;
    let got = uniformity(&z).unwrap();
    assert!((got - expected).abs() < 1e-9, "{got} against {expected}");
}
