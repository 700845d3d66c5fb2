//! The built-in insects: the same everywhere, each picture its own, and not to be told apart by colour or by plain pixels.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use panal_data::{DataSource, INSECT_SIDE, Insects, contact_sheet, draw_insect};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

fn pictures(set: &Insects) -> (Vec<RgbImage>, Vec<usize>) {
    let picture = |index| {
        let image = set.image(index).unwrap();
        assert_eq!(image.dimensions(), set.size(index).unwrap());
        image
    };
    let images = (0..set.len()).into_par_iter().map(picture).collect();
    (images, (0..set.len()).map(|index| set.label(index)).collect())
}

/// Trained models and published numbers hold only while these pixels do. When a picture is meant to change, raise `RENDERER`
/// in `insects/mod.rs`, pretrain the built-in backbone again, and write the new digests here.
#[test]
fn the_pixels_never_change() {
    for (species, seed, number, expected) in [
        ("ants", 0, 0, "bd48b0673e694dd8"),
        ("bees", 0, 150, "6fc4c80f47f77ae2"),
        ("spiders", 7, 3, "bc9126c07710833a"),
    ] {
        let image = draw_insect(species, seed, number).unwrap();
        let digest: String = Sha256::digest(image.as_raw()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, expected, "{species}, seed {seed}, number {number}");
    }
}

#[test]
fn the_number_of_threads_and_the_order_change_nothing() {
    let [train, _] = Insects::lab(3).unwrap();
    let some: Vec<usize> = (0..train.len()).step_by(29).collect();
    let alone: Vec<_> = some.iter().rev().map(|&index| train.image(index).unwrap()).collect();
    let pool = ThreadPoolBuilder::new().num_threads(5).build().unwrap();
    let together: Vec<_> = pool.install(|| some.par_iter().map(|&index| train.image(index).unwrap()).collect());
    assert!(alone.iter().rev().eq(together.iter()));
}

#[test]
fn every_picture_is_another_and_none_is_in_both_splits() {
    let sets = [Insects::lab(0).unwrap(), Insects::lab(1).unwrap()].concat();
    let (mut contents, mut pixels, mut all) = (BTreeSet::new(), BTreeSet::new(), 0);
    for set in &sets {
        let (images, _) = pictures(set);
        for (index, image) in images.into_iter().enumerate() {
            assert_eq!(image.dimensions(), (INSECT_SIDE, INSECT_SIDE));
            contents.insert(set.content_digest(index).unwrap());
            pixels.insert(image.into_raw());
            all += 1;
        }
    }
    assert_eq!((contents.len(), pixels.len()), (all, all));
}

#[test]
fn the_lab_has_the_shape_of_the_photographs_and_pretraining_has_neither_of_its_classes() {
    let [train, validation] = Insects::lab(0).unwrap();
    assert_eq!((train.classes(), train.class_counts()), (&["ants".to_owned(), "bees".to_owned()][..], vec![123, 121]));
    assert_eq!((validation.len(), validation.class_counts()), (153, vec![70, 83]));
    assert_eq!(train.id(123), "bees/00000");
    assert_eq!(validation.id(0), "ants/00123");
    let [train, held_out] = Insects::pretraining(0).unwrap();
    assert!(train.classes().len() >= 22);
    assert!(!train.classes().iter().any(|name| name == "ants" || name == "bees"));
    let ids = |set: &Insects| (0..set.len()).map(|index| set.id(index)).collect::<BTreeSet<_>>();
    assert!(ids(&train).is_disjoint(&ids(&held_out)));
    assert_eq!(ids(&train).len(), train.len());
}

#[test]
fn wrong_sets_are_refused_by_name() {
    let said = |species: &[(&str, std::ops::Range<u64>)]| Insects::new("set", species, 0).unwrap_err().to_string();
    assert!(said(&[("ants", 0..2), ("unicorns", 0..2)]).contains("unicorns"));
    assert!(said(&[("ants", 0..2), ("ants", 2..4)]).contains("ants twice"));
    assert!(said(&[]).contains("at least one"));
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
    let reversed = 5..2;
    assert!(said(&[("ants", reversed)]).contains("the numbers of ants"));
    assert!(said(&[("ants", 0..u64::MAX), ("bees", 0..u64::MAX)]).contains("at most"));
    assert!(contact_sheet(0, 0, 1).unwrap_err().to_string().contains("columns"));
    assert!(contact_sheet(0, 1, u32::MAX).unwrap_err().to_string().contains("each"));
}

#[test]
fn a_contact_sheet_shows_every_species() {
    let sheet = contact_sheet(0, 3, 1).unwrap();
    let rows = (Insects::species().unwrap().len() as u32).div_ceil(3);
    assert!(sheet.width() >= 3 * INSECT_SIDE && sheet.height() >= rows * INSECT_SIDE);
}

/// Multinomial counts of 4 x 4 x 4 colours, as shares.
fn histogram(image: &RgbImage) -> Vec<f64> {
    let mut counts = vec![0.0; 64];
    for pixel in image.pixels() {
        let [r, g, b] = pixel.0.map(|value| usize::from(value >> 6));
        counts[(r * 4 + g) * 4 + b] += 1.0;
    }
    let pixels = f64::from(image.width() * image.height());
    counts.into_iter().map(|count| (count / pixels).sqrt()).collect()
}

/// Logistic regression on standardised features by gradient descent with an L2 penalty; the share that it gets right.
fn logistic_regression(train: &[Vec<f64>], labels: &[usize], test: &[Vec<f64>], truth: &[usize], penalty: f64) -> f64 {
    let (count, width) = (train.len() as f64, train[0].len());
    let mean: Vec<f64> = (0..width).map(|j| train.iter().map(|row| row[j]).sum::<f64>() / count).collect();
    let deviation: Vec<f64> = (0..width)
        .map(|j| (train.iter().map(|row| (row[j] - mean[j]).powi(2)).sum::<f64>() / count).sqrt().max(1e-9))
        .collect();
    let standard = |row: &[f64]| (0..width).map(|j| (row[j] - mean[j]) / deviation[j]).collect::<Vec<f64>>();
    let rows: Vec<_> = train.iter().map(|row| standard(row)).collect();
    let (mut weights, mut bias) = (vec![0.0; width], 0.0);
    let score =
        |weights: &[f64], bias: f64, row: &[f64]| weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + bias;
    for _ in 0..3000 {
        let (mut slope, mut lean) = (vec![0.0; width], 0.0);
        for (row, &label) in rows.iter().zip(labels) {
            let error = 1.0 / (1.0 + (-score(&weights, bias, row)).exp()) - label as f64;
            slope.iter_mut().zip(row).for_each(|(slope, x)| *slope += error * x / count);
            lean += error / count;
        }
        weights.iter_mut().zip(&slope).for_each(|(w, slope)| *w -= 0.3 * (slope + penalty * *w));
        bias -= 0.3 * lean;
    }
    let right =
        test.iter().zip(truth).filter(|(row, truth)| (score(&weights, bias, &standard(row)) > 0.0) == (**truth == 1));
    right.count() as f64 / test.len() as f64
}

#[test]
fn colour_alone_does_not_tell_ants_from_bees() {
    let [train, validation] = Insects::lab(0).unwrap();
    let ((train, labels), (test, truth)) = (pictures(&train), pictures(&validation));
    let histograms = |images: &[RgbImage]| images.iter().map(histogram).collect::<Vec<_>>();
    let (train, test) = (histograms(&train), histograms(&test));
    for penalty in [0.0, 0.01, 0.1] {
        let accuracy = logistic_regression(&train, &labels, &test, &truth, penalty);
        println!("logistic regression on colours, L2 {penalty}: {accuracy:.3}");
        assert!(accuracy < 0.75, "L2 {penalty}: {accuracy}");
    }
}

/// The check above can fail: on pictures whose class is their colour the same regression is nearly always right.
#[test]
fn the_same_regression_finds_colour_where_there_is_some() {
    let [train, validation] = Insects::lab(0).unwrap();
    let tinted = |set: &Insects| {
        let (mut images, labels) = pictures(set);
        for (image, &label) in images.iter_mut().zip(&labels) {
            image.pixels_mut().for_each(|pixel| pixel.0[2 * label] = pixel.0[2 * label].saturating_add(70));
        }
        (images.iter().map(histogram).collect::<Vec<_>>(), labels)
    };
    let ((train, labels), (test, truth)) = (tinted(&train), tinted(&validation));
    assert!(logistic_regression(&train, &labels, &test, &truth, 0.01) > 0.9);
}

#[test]
fn the_nearest_small_picture_does_not_tell_ants_from_bees() {
    let [train, validation] = Insects::lab(0).unwrap();
    let ((train, labels), (test, truth)) = (pictures(&train), pictures(&validation));
    let small = |images: &[RgbImage]| {
        images.iter().map(|image| resize(image, 32, 32, FilterType::Triangle)).collect::<Vec<_>>()
    };
    let (train, test) = (small(&train), small(&test));
    let distance = |a: &RgbImage, b: &RgbImage| -> u64 {
        a.as_raw().iter().zip(b.as_raw()).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
    };
    let right = test.iter().zip(&truth).filter(|(image, truth)| {
        let nearest = (0..train.len()).min_by_key(|&index| distance(image, &train[index])).unwrap();
        labels[nearest] == **truth
    });
    let accuracy = right.count() as f64 / test.len() as f64;
    println!("nearest neighbour on 32 x 32 pixels: {accuracy:.3}");
    assert!(accuracy < 0.70, "{accuracy}");
}
