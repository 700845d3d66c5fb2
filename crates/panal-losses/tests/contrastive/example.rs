//! A batch small enough to be worked out by hand.

use panal_losses::{Negatives, alignment, contrastive_accuracy, info_nce, margin_triplet, nt_xent, nt_xent_tiled};
use tch::Tensor;

/// Two photographs, of a cat and of an elephant, two views each, rows of length 1:
///
/// ```text
/// a = ( 1.0, 0.0)   the cat             a·b =  0.8
/// b = ( 0.8, 0.6)   the cat             a·c =  0.0   a·d = -0.6
/// c = ( 0.0, 1.0)   the elephant        b·c =  0.6   b·d = -0.48 + 0.48 = 0
/// d = (-0.6, 0.8)   the elephant        c·d =  0.8
/// ```
///
/// A row's loss is the logarithm of the sum of exp over its three similarities, less that to its partner; temperature 1:
///
/// ```text
/// exp(0.8) = 2.225541   exp(0.6) = 1.822119   exp(0) = 1   exp(-0.6) = 0.548812
/// a   log(2.225541 + 1.000000 + 0.548812) - 0.8 = log 3.774353 - 0.8 = 1.328229 - 0.8 = 0.528229
/// b   log(2.225541 + 1.822119 + 1.000000) - 0.8 = log 5.047660 - 0.8 = 1.618925 - 0.8 = 0.818925
/// c   log(2.225541 + 1.000000 + 1.822119) - 0.8                                       = 0.818925
/// d   log(2.225541 + 0.548812 + 1.000000) - 0.8                                       = 0.528229
/// mean  (0.528229 + 0.818925 + 0.818925 + 0.528229) / 4 = 2.694308 / 4                = 0.673577
/// ```
#[test]
fn two_cats_and_two_elephants() {
    let z = Tensor::from_slice2(&[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]]);
    let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-6, "{got} against {expected}");

    // One row against a queue of the two rows of the other image is that row's loss.
    for (row, expected) in [0.528229, 0.818925, 0.818925, 0.528229].into_iter().enumerate() {
        let row = row as i64;
        let others = z.narrow(0, if row < 2 { 2 } else { 0 }, 2);
        let loss = info_nce(&z.narrow(0, row, 1), &z.narrow(0, row ^ 1, 1), &others, 1.0).unwrap();
        near(loss.double_value(&[]), expected);
    }
    near(nt_xent(&z, 1.0).unwrap().double_value(&[]), 0.673577);
    near(nt_xent_tiled(&z, 1.0).unwrap().double_value(&[]), 0.673577);

    // Each row's partner, at 0.8, is nearer than the others, at 0.6 or less.
    assert_eq!(contrastive_accuracy(&z).unwrap(), (1.0, 1.0));
    // |a - b|^2 = 2 - 2 * 0.8 = 0.4, and so |c - d|^2.
    near(alignment(&z).unwrap(), 0.4);
    // The one negative of a is d, of b c, of c b, of d a: -0.6, 0.6, 0.6, -0.6. With a margin of 0.4 only b and c pay,
    // 0.6 - 0.8 + 0.4 = 0.2 each; the mean over four anchors is 0.1. All of these negatives are farther than the positive.
    for negatives in [Negatives::All, Negatives::SemiHard] {
        near(margin_triplet(&z, negatives, 0.4).unwrap().double_value(&[]), 0.1);
    }
}
