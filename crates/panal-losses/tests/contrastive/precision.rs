//! Half-precision embeddings: finite, near the f32 value, and a loss of f32.

use panal_losses::{Negatives, info_nce, margin_triplet, nt_logistic, nt_xent, nt_xent_tiled, sup_con};
use tch::{Kind, Tensor};

use crate::helpers::{alike_views, apart, differentiated, embeddings, image_numbers};

type Loss = Box<dyn Fn(&Tensor) -> Result<Tensor, panal_losses::LossError>>;

#[test]
fn half_kinds_at_temperature_0_05_are_near_f32() {
    let queue = embeddings(32, 24, 7);
    let queue = &queue / queue.norm_scalaropt_dim(2, [1_i64], true);
    let losses: [(&str, Loss); 6] = [
        ("nt_xent", Box::new(|z| nt_xent(z, 0.05))),
        ("nt_xent_tiled", Box::new(|z| nt_xent_tiled(z, 0.05))),
        ("nt_logistic", Box::new(|z| nt_logistic(z, Negatives::SemiHard, 0.05))),
        ("margin_triplet", Box::new(|z| margin_triplet(z, Negatives::All, 0.4))),
        ("sup_con", Box::new(|z| sup_con(z, &image_numbers(z.size()[0]), 0.05))),
        ("info_nce", Box::new(move |z| info_nce(z, z, &queue.to_kind(z.kind()), 0.05))),
    ];
    // Long rows: the square of a half runs over at 256.
    let z = alike_views(32, 24, 1) * 1000.0;
    for (kind, tolerance) in [(Kind::Half, 1e-3), (Kind::BFloat16, 1e-2)] {
        let half = z.to_kind(kind);
        for (name, loss) in &losses {
            assert_eq!(loss(&half).unwrap().kind(), Kind::Float, "{name}");
            let (value, gradient) = differentiated(&half, loss);
            assert_eq!(gradient.kind(), kind, "{name}");
            assert!(bool::try_from(gradient.isfinite().all()).unwrap(), "{name}: {gradient}");
            // The same numbers in f32: nothing but the queue and the gradient's last step is rounded.
            let (same, slope) = differentiated(&half.to_kind(Kind::Float), loss);
            assert!((value - same).abs() < tolerance, "{name}, {kind:?}: {value} against {same}");
            let size = slope.abs().max().double_value(&[]);
            assert!(apart(&gradient, &slope) < tolerance * size.max(1e-3), "{name}, {kind:?}");
            // And the numbers that they were rounded from.
            let exact = loss(&z).unwrap().double_value(&[]);
            assert!((value - exact).abs() < 20.0 * tolerance, "{name}, {kind:?}: {value} against {exact}");
        }
    }
}

#[test]
fn the_kind_of_a_loss_is_f32_or_f64() {
    let z = alike_views(4, 3, 1);
    for (kind, expected) in [(Kind::Double, Kind::Double), (Kind::Float, Kind::Float), (Kind::Half, Kind::Float)] {
        assert_eq!(nt_xent(&z.to_kind(kind), 0.5).unwrap().kind(), expected);
        assert_eq!(nt_xent_tiled(&z.to_kind(kind), 0.5).unwrap().kind(), expected);
        // The queue may be of another kind than the queries.
        let queue = z.to_kind(Kind::BFloat16);
        assert_eq!(info_nce(&z.to_kind(kind), &z, &queue, 0.5).unwrap().kind(), expected);
    }
}
