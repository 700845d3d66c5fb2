//! What holds for every batch: which changes of the embeddings change nothing, and that gradients are slopes.

use panal_losses::{alignment, contrastive_accuracy, info_nce, nt_xent, sup_con, uniformity};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::helpers::{LOSSES, alike_views, apart, differentiated, embeddings, image_numbers};

type Value = Box<dyn Fn(&Tensor) -> Tensor>;

#[test]
fn gradients_are_central_differences() {
    const STEP: f64 = 1e-6;
    let queue = embeddings(7, 5, 9);
    let queue = &queue / queue.norm_scalaropt_dim(2, [1_i64], true);
    let key = embeddings(8, 5, 3);
    let z = alike_views(4, 5, 2);
    let mut losses: Vec<(&str, Value)> = Vec::new();
    for (name, loss) in LOSSES {
        losses.push((name, Box::new(move |z| loss(z).unwrap())));
    }
    losses.push(("info_nce", Box::new(move |z| info_nce(z, &key, &queue, 0.2).unwrap())));
    for (name, loss) in &losses {
        let (_, gradient) = differentiated(&z, |z| Ok(loss(z)));
        assert!(gradient.abs().max().double_value(&[]) > 1e-2, "{name}: the gradient vanishes");
        for row in 0..8 {
            for column in 0..5 {
                let moved = |step: f64| {
                    let z = z.copy();
                    let _ = z.get(row).narrow(0, column, 1).g_add_scalar_(step);
                    loss(&z).double_value(&[])
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let got = gradient.double_value(&[row, column]);
                assert!((got - slope).abs() < 1e-7, "{name} at {row}, {column}: {got} against {slope}");
            }
        }
    }
}

#[test]
fn a_row_of_zeros_and_rows_of_extreme_lengths_stay_finite() {
    let z = alike_views(3, 4, 5);
    let lengths = Tensor::from_slice(&[0.0, 1e-30, 1e30, 1.0, 1e-38, 1e36]).unsqueeze(1);
    let z = (z * lengths).to_kind(Kind::Float);
    for (name, loss) in LOSSES.into_iter().filter(|(name, _)| !name.contains("dot")) {
        let (value, gradient) = differentiated(&z, loss);
        assert!(value.is_finite(), "{name}: {value}");
        assert!(bool::try_from(gradient.get(0).isfinite().all()).unwrap(), "{name}: {gradient}");
    }
}

#[test]
fn what_is_no_number_is_seen_in_the_loss_and_not_refused() {
    let z = alike_views(3, 4, 5);
    let _ = z.get(2).narrow(0, 1, 1).fill_(f64::NAN);
    for (name, loss) in LOSSES {
        assert!(loss(&z).unwrap().double_value(&[]).is_nan(), "{name}");
    }
    assert!(alignment(&z).unwrap().is_nan());
    assert!(uniformity(&z).unwrap().is_nan());
    assert_eq!(contrastive_accuracy(&(alike_views(8, 4, 5) * f64::NAN)).unwrap(), (0.0, 0.0));
}

#[test]
fn a_collapse_scores_nothing() {
    let one = Tensor::ones([16, 4], (Kind::Float, Device::Cpu));
    assert_eq!(contrastive_accuracy(&one).unwrap(), (0.0, 0.0));
    assert!(alignment(&one).unwrap().abs() < 1e-6);
    assert!(uniformity(&one).unwrap().abs() < 1e-6);
    let loss = nt_xent(&one, 0.5).unwrap().double_value(&[]);
    assert!((loss - 15.0_f64.ln()).abs() < 1e-6, "{loss}");
}

#[test]
fn no_gradient_goes_to_keys_and_queue() {
    let [query, key, queue] =
        [(3, 1), (3, 2), (6, 3)].map(|(rows, seed)| embeddings(rows, 4, seed).set_requires_grad(true));
    info_nce(&query, &key, &queue, 0.1).unwrap().backward();
    assert!(query.grad().defined() && !key.grad().defined() && !queue.grad().defined());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    /// The order of the images, which of an image's views comes first, and a common rotation change no value; gradients
    /// move along. Over triplets the views change places in all images or in none, for negatives come from the other view.
    #[test]
    fn order_and_rotation_change_nothing(
        order in Just((0_i64..6).collect::<Vec<_>>()).prop_shuffle(),
        swapped in prop::collection::vec(0_i64..2, 6),
        angle in 0.0_f64..6.3,
        seed in 0_i64..1000,
    ) {
        let z = alike_views(6, 3, seed);
        let (sine, cosine) = angle.sin_cos();
        let rotation = Tensor::from_slice2(&[[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]]);
        let rows = |swapped: &[i64]| {
            let rows = order.iter().zip(swapped).flat_map(|(image, swap)| [2 * image + swap, 2 * image + 1 - swap]);
            Tensor::from_slice(&rows.collect::<Vec<i64>>())
        };
        let (each, all) = (rows(&swapped), rows(&[swapped[0]; 6]));
        for (name, loss) in LOSSES {
            let rows = if ["nt_logistic", "margin_triplet"].iter().any(|it| name.starts_with(it)) { &all } else { &each };
            let (value, gradient) = differentiated(&z, loss);
            let (got, along) = differentiated(&z.index_select(0, rows).mm(&rotation), loss);
            prop_assert!((got - value).abs() < 1e-9, "{}: {} against {}", name, got, value);
            let gradient = gradient.index_select(0, rows).mm(&rotation);
            prop_assert!(apart(&along, &gradient) < 1e-9, "{}", name);
        }
        let [each, all] = [each, all].map(|rows| z.index_select(0, &rows).mm(&rotation));
        prop_assert_eq!(contrastive_accuracy(&z).unwrap(), contrastive_accuracy(&each).unwrap());
        prop_assert!((alignment(&z).unwrap() - alignment(&each).unwrap()).abs() < 1e-9);
        prop_assert!((uniformity(&z).unwrap() - uniformity(&all).unwrap()).abs() < 1e-9);
    }

    /// The length of a row counts for nothing, and a gradient has no part along its row.
    #[test]
    fn length_counts_for_nothing(lengths in prop::collection::vec(-12.0_f64..12.0, 8), seed in 0_i64..1000) {
        let z = alike_views(4, 5, seed);
        let longer = &z * Tensor::from_slice(&lengths).exp().unsqueeze(1);
        for (name, loss) in LOSSES.into_iter().filter(|(name, _)| !name.contains("dot")) {
            let (value, gradient) = differentiated(&z, loss);
            let got = loss(&longer).unwrap().double_value(&[]);
            prop_assert!((got - value).abs() < 1e-9, "{}: {} against {}", name, got, value);
            let along = (&gradient * &z).sum_dim_intlist(&[1_i64][..], false, Kind::Double).abs().max().double_value(&[]);
            prop_assert!(along < 1e-9, "{}: {}", name, along);
        }
        prop_assert!((alignment(&z).unwrap() - alignment(&longer).unwrap()).abs() < 1e-9);
        prop_assert!((uniformity(&z).unwrap() - uniformity(&longer).unwrap()).abs() < 1e-9);
    }

    /// With an image's number as its label, the supervised loss is NT-Xent.
    #[test]
    fn sup_con_of_image_numbers_is_nt_xent(seed in 0_i64..1000, temperature in 0.05_f64..2.0) {
        let z = alike_views(5, 4, seed);
        let expected = nt_xent(&z, temperature).unwrap().double_value(&[]);
        let got = sup_con(&z, &image_numbers(10), temperature).unwrap().double_value(&[]);
        prop_assert!((got - expected).abs() < 1e-9, "{} against {}", got, expected);
    }
}
