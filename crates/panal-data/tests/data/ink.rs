//! Distances between drawings, on small sets of points and on the official one-shot task.

use image::{Rgb, RgbImage};
use panal_data::ink::{inked, modified_hausdorff, nearest_by_hausdorff, nearest_by_pixels, pixel_distance};
use panal_data::{DataError, DataSource, Episode, OneShotRuns};
use proptest::prelude::*;
use serde::Deserialize;

use crate::shared::{golden_text, unpacked};

#[test]
fn only_black_is_ink_and_the_mean_is_the_origin() {
    let mut image = RgbImage::from_pixel(5, 4, Rgb([255; 3]));
    for (x, y) in [(1, 0), (3, 0), (2, 3)] {
        image.put_pixel(x, y, Rgb([0; 3]));
    }
    image.put_pixel(4, 3, Rgb([1, 0, 0]));
    assert_eq!(inked(&image), [[-1.0, -1.0], [-1.0, 1.0], [2.0, 0.0]]);
    assert!(inked(&RgbImage::from_pixel(2, 2, Rgb([9; 3]))).is_empty());
}

#[test]
fn small_distances_by_hand() {
    let points = [[0.0, 0.0], [3.0, 4.0]];
    // From the two points to the one: 0 and 5. Back: 0.
    assert_eq!(modified_hausdorff(&points, &[[0.0, 0.0]]), 2.5);
    assert_eq!(modified_hausdorff(&points, &points), 0.0);
    assert_eq!(modified_hausdorff(&points, &[]), f64::INFINITY);
    assert_eq!(modified_hausdorff(&[], &[]), 0.0);
    let image = |value| RgbImage::from_pixel(2, 3, Rgb([value, 0, 0]));
    assert_eq!(pixel_distance(&image(255), &image(0)), 6_f64.sqrt());
    assert_eq!(pixel_distance(&image(7), &image(7)), 0.0);
    assert_eq!(pixel_distance(&image(7), &RgbImage::new(3, 2)), f64::INFINITY);
}

proptest! {
    #[test]
    fn a_distance_knows_no_sides_and_no_order(
        a in prop::collection::vec(prop::array::uniform2(-9.0..9.0_f64), 1..20),
        b in prop::collection::vec(prop::array::uniform2(-9.0..9.0_f64), 1..20),
    ) {
        let distance = modified_hausdorff(&a, &b);
        prop_assert!(distance >= 0.0 && modified_hausdorff(&a, &a) == 0.0);
        let reversed: Vec<[f64; 2]> = b.iter().rev().copied().collect();
        prop_assert!((distance - modified_hausdorff(&reversed, &a)).abs() < 1e-12);
        // The definition, without the shortcut.
        let directed = |from: &[[f64; 2]], to: &[[f64; 2]]| {
            let nearest = |p: &[f64; 2]| to.iter().map(|q| (p[0] - q[0]).hypot(p[1] - q[1])).fold(f64::INFINITY, f64::min);
            from.iter().map(nearest).sum::<f64>() / from.len() as f64
        };
        prop_assert!((distance - directed(&a, &b).max(directed(&b, &a))).abs() < 1e-12);
    }
}

/// What `oneshot.py` found: how many of the 20 queries of each run are given a wrong class.
#[derive(Deserialize)]
struct Golden {
    hausdorff: Vec<usize>,
    pixels: Vec<usize>,
}

#[test]
fn the_floor_of_the_one_shot_task_is_the_documented_one() {
    let Some(folder) = unpacked("all_runs.zip") else { return };
    let task = OneShotRuns::open(folder.path()).unwrap();
    let golden: Golden = serde_json::from_str(&golden_text("oneshot.json")).unwrap();
    let errors = |label: fn(&Episode, &dyn DataSource) -> Result<Vec<usize>, DataError>| -> Vec<usize> {
        let wrong = |run: &Episode| {
            let labels = label(run, &task).unwrap();
            labels.iter().zip(&run.query).filter(|(label, query)| **label != query.label).count()
        };
        task.runs().iter().map(wrong).collect()
    };
    let mean = |errors: &[usize]| errors.iter().sum::<usize>() as f64 / 4.0;
    let (hausdorff, pixels) = (errors(nearest_by_hausdorff), errors(nearest_by_pixels));
    println!("modified Hausdorff {} %, nearest pixels {} %", mean(&hausdorff), mean(&pixels));
    // The demonstration that comes with the data says 38.8.
    assert_eq!(format!("{:.1}", mean(&hausdorff) + 1e-9), "38.8");
    assert_eq!(hausdorff, golden.hausdorff);
    assert_eq!(pixels, golden.pixels);
}
