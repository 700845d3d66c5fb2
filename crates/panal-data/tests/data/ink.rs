//! Distances between drawings, on small sets of points and on the official one-shot task.

use image::{Rgb, RgbImage};
use panal_data::ink::{
    first_without_ink, inked, modified_hausdorff, nearest_by_hausdorff, nearest_by_pixels, pixel_distance,
};
use panal_data::{
    BadFiles, DataError, DataSource, Episode, EpisodeClass, EpisodeItem, ImageFolder, OneShotRuns, Rotation,
};
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

#[test]
fn photographs_of_other_sizes_are_compared_and_have_no_ink() {
    let root = tempfile::tempdir().unwrap();
    for (name, width, height, tone) in [("a/1", 5, 4, 250), ("a/2", 9, 6, 240), ("b/1", 4, 7, 60), ("b/2", 3, 8, 50)] {
        let path = root.path().join(format!("{name}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(width, height, Rgb([tone; 3])).save(path).unwrap();
    }
    let source = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
    let item = |image, label| EpisodeItem { image, rotation: Rotation::None, label };
    let episode = Episode {
        number: 0,
        ways: [0, 1].map(|class| EpisodeClass { class, rotation: Rotation::None }).to_vec(),
        support: vec![item(0, 0), item(2, 1)],
        query: vec![item(1, 0), item(3, 1)],
    };
    assert_eq!(nearest_by_pixels(&episode, &source).unwrap(), [0, 1]);
    assert_eq!(first_without_ink(episode.items(), &source).unwrap(), Some(0));
    RgbImage::new(2, 2).save(root.path().join("a/1.png")).unwrap();
    assert_eq!(first_without_ink(episode.items(), &source).unwrap(), Some(1));
    assert_eq!(first_without_ink(episode.support[..1].iter(), &source).unwrap(), None);
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
