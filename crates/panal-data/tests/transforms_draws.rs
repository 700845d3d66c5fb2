//! What the random transforms draw, against the distributions that they promise and against torchvision's own draws.
//! The latter are summed up by `golden/transforms.py`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::mem::discriminant;

use panal_data::keyed_rng;
use panal_data::transforms::{
    Adjustment, Amount, ColorJitter, Cutout, EraseValue, GaussianBlur, GaussianNoise, KernelSize, PixelBox, Random,
    RandomAffine, RandomErasing, RandomGrayscale, RandomHorizontalFlip, RandomResizedCrop, RandomRotate90,
    RandomRotation, RandomVerticalFlip, Shear, Size, Sobel,
};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const COUNT: usize = 20_000;

#[derive(Deserialize)]
struct Record {
    /// Rows of height, width of the image, top, left, height, width of the crop.
    central_crops: Vec<[u32; 6]>,
    draws: Vec<Draws>,
}

#[derive(Deserialize)]
struct Draws {
    what: String,
    height: u32,
    width: u32,
    /// Mean and standard deviation of area, log ratio, top, left.
    moments: [[f64; 4]; 2],
}

fn record() -> Record {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/transforms/cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn draws<T>(mut draw: impl FnMut(&mut ChaCha8Rng) -> T) -> Vec<T> {
    let mut rng = keyed_rng(11, &[]);
    (0..COUNT).map(|_| draw(&mut rng)).collect()
}

/// Kolmogorov and Smirnov's test; a right sample fails once in 10,000 seeds.
#[track_caller]
fn assert_uniform(mut values: Vec<f64>, [min, max]: [f64; 2]) {
    assert!(values.iter().all(|value| (min..=max).contains(value)), "all within [{min}, {max}]");
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = values
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let expected = (value - min) / (max - min);
            (expected - i as f64 / n).abs().max((expected - (i + 1) as f64 / n).abs())
        })
        .fold(0.0, f64::max);
    assert!(distance * n.sqrt() < 2.23, "distance {distance} from uniform on [{min}, {max}]");
}

/// Within four standard errors.
#[track_caller]
fn assert_frequency(hits: usize, of: usize, p: f64) {
    let (hits, of) = (hits as f64, of as f64);
    assert!((hits / of - p).abs() < 4.0 * (p * (1.0 - p) / of).sqrt(), "{hits} of {of} at p = {p}");
}

fn shape(area: &PixelBox, height: u32, width: u32) -> [f64; 4] {
    let [rows, columns] = [area.height, area.width].map(f64::from);
    [
        rows * columns / f64::from(height) / f64::from(width),
        (columns / rows).ln(),
        f64::from(area.top),
        f64::from(area.left),
    ]
}

fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (mean, (values.map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt())
}

#[test]
fn crops_and_erasures_are_distributed_as_torchvisions() {
    for Draws { what, height, width, moments } in record().draws {
        let boxes: Vec<PixelBox> = match what.as_str() {
            "random_resized_crop" => draws(|rng| RandomResizedCrop::new(Size::Side(8)).params(height, width, rng)),
            "random_erasing" => {
                let erasing = RandomErasing { p: 1.0, ..RandomErasing::default() };
                draws(|rng| erasing.params(height, width, rng))
                    .into_iter()
                    .flatten()
                    .map(|params| params.area)
                    .collect()
            }
            other => panic!("no draws of {other}"),
        };
        for column in 0..4 {
            let ours = mean_and_deviation(boxes.iter().map(|area| shape(area, height, width)[column]));
            let [mean, deviation] = moments.map(|row| row[column]);
            // Both sides are samples of COUNT: five standard errors of the difference.
            let error = 5.0 * deviation * (2.0 / COUNT as f64).sqrt();
            assert!((ours.0 - mean).abs() < error, "{what} {height} x {width}, column {column}: mean {ours:?}, {mean}");
            assert!(
                (ours.1 - deviation).abs() < error,
                "{what} {height} x {width}, column {column}: {ours:?}, {deviation}"
            );
        }
    }
}

#[test]
fn a_crop_that_cannot_fit_is_torchvisions_central_one() {
    for [height, width, top, left, crop_height, crop_width] in record().central_crops {
        let crop = RandomResizedCrop { scale: [1.0, 1.0], ..RandomResizedCrop::new(Size::Side(8)) };
        let expected = PixelBox { top, left, height: crop_height, width: crop_width };
        assert_eq!(crop.params(height, width, &mut keyed_rng(0, &[])), expected, "of {height} x {width}");
    }
}

/// Where every crop fits: the area is uniform, the ratio uniform in its logarithm, the place uniform.
#[test]
fn crops_keep_the_law_of_scale_and_ratio() {
    let crop = RandomResizedCrop { scale: [0.1, 0.4], ratio: [0.5, 1.5], ..RandomResizedCrop::new(Size::Side(8)) };
    let (height, width) = (40_000, 50_000);
    let boxes = draws(|rng| crop.params(height, width, rng));
    let shapes: Vec<_> = boxes.iter().map(|area| shape(area, height, width)).collect();
    // Sides are rounded to whole pixels, so the ends of the range give by a little.
    let widened = |[min, max]: [f64; 2]| [min - 1e-4, max + 1e-4];
    assert_uniform(shapes.iter().map(|shape| shape[0]).collect(), widened([0.1, 0.4]));
    assert_uniform(shapes.iter().map(|shape| shape[1]).collect(), widened([0.5f64.ln(), 1.5f64.ln()]));
    let place = |start: u32, length: u32, whole: u32| f64::from(start) / f64::from(whole - length);
    assert_uniform(boxes.iter().map(|area| place(area.top, area.height, height)).collect(), [0.0, 1.0]);
    assert_uniform(boxes.iter().map(|area| place(area.left, area.width, width)).collect(), [0.0, 1.0]);
}

#[test]
fn coins_fall_with_their_probability() {
    let heads = |flips: Vec<bool>| flips.into_iter().filter(|flip| *flip).count();
    for p in [0.1, 0.5, 0.85] {
        assert_frequency(heads(draws(|rng| RandomHorizontalFlip { p }.params(rng))), COUNT, p);
        assert_frequency(heads(draws(|rng| RandomVerticalFlip { p }.params(rng))), COUNT, p);
        assert_frequency(heads(draws(|rng| RandomGrayscale { p }.params(rng))), COUNT, p);
        assert_frequency(heads(draws(|rng| Sobel { p }.params(rng))), COUNT, p);
        let turns = draws(|rng| RandomRotate90 { p }.params(rng));
        for wanted in 0..4 {
            let expected = if wanted == 0 { 1.0 - p } else { p / 3.0 };
            assert_frequency(turns.iter().filter(|turns| **turns == wanted).count(), COUNT, expected);
        }
        let erasing = RandomErasing { p, ..RandomErasing::default() };
        assert_frequency(heads(draws(|rng| erasing.params(50, 60, rng).is_some())), COUNT, p);
    }
    assert_eq!(heads(draws(|rng| RandomHorizontalFlip { p: 0.0 }.params(rng))), 0);
    assert_eq!(heads(draws(|rng| RandomHorizontalFlip { p: 1.0 }.params(rng))), COUNT);
}

#[test]
fn angles_and_blurs_are_uniform() {
    assert_uniform(draws(|rng| RandomRotation::new(Amount::One(30.0)).params(rng)), [-30.0, 30.0]);
    assert_uniform(draws(|rng| RandomRotation::new(Amount::Between([5.0, 90.0])).params(rng)), [5.0, 90.0]);
    let blur = |sigma| GaussianBlur { kernel_size: KernelSize::Square(5), sigma };
    assert_uniform(draws(|rng| blur(Amount::Between([0.1, 2.0])).params(rng)), [0.1, 2.0]);
    assert!(draws(|rng| blur(Amount::One(1.5)).params(rng)).iter().all(|sigma| *sigma == 1.5));
}

#[test]
fn affine_maps_are_uniform_in_each_part() {
    let affine = RandomAffine {
        translate: Some([0.1, 0.3]),
        scale: Some([0.8, 1.5]),
        shear: Some(Shear::XY([-10.0, 20.0, 3.0, 4.0])),
        ..RandomAffine::new(Amount::One(25.0))
    };
    let (height, width) = (1000, 3000);
    let maps = draws(|rng| affine.params(height, width, rng));
    assert_uniform(maps.iter().map(|map| map.degrees).collect(), [-25.0, 25.0]);
    assert_uniform(maps.iter().map(|map| map.scale).collect(), [0.8, 1.5]);
    assert_uniform(maps.iter().map(|map| map.shear[0]).collect(), [-10.0, 20.0]);
    assert_uniform(maps.iter().map(|map| map.shear[1]).collect(), [3.0, 4.0]);
    assert_uniform(maps.iter().map(|map| f64::from(map.translate[0])).collect(), [-300.0, 300.0]);
    assert_uniform(maps.iter().map(|map| f64::from(map.translate[1])).collect(), [-300.0, 300.0]);

    let still = draws(|rng| RandomAffine::new(Amount::One(0.0)).params(height, width, rng));
    assert!(still.iter().all(|map| map.degrees == 0.0 && map.translate == [0, 0] && map.scale == 1.0));
    let x_only = RandomAffine { shear: Some(Shear::Around(7.0)), ..RandomAffine::new(Amount::One(0.0)) };
    let shears = draws(|rng| x_only.params(height, width, rng).shear);
    assert_uniform(shears.iter().map(|shear| shear[0]).collect(), [-7.0, 7.0]);
    assert!(shears.iter().all(|shear| shear[1] == 0.0));
}

#[test]
fn jitter_draws_every_factor_uniformly_and_every_order_equally() {
    let jitter = ColorJitter {
        brightness: Amount::One(0.4),
        contrast: Amount::Between([0.5, 2.0]),
        saturation: Amount::One(3.0),
        hue: Amount::One(0.1),
    };
    let sets = draws(|rng| jitter.params(rng));
    let values = |kind: Adjustment| -> Vec<f64> {
        let all = sets.iter().flatten().filter(|adjustment| discriminant(*adjustment) == discriminant(&kind));
        all.map(|adjustment| match adjustment {
            Adjustment::Brightness(x) | Adjustment::Contrast(x) | Adjustment::Saturation(x) | Adjustment::Hue(x) => *x,
        })
        .collect()
    };
    assert_uniform(values(Adjustment::Brightness(0.0)), [0.6, 1.4]);
    assert_uniform(values(Adjustment::Contrast(0.0)), [0.5, 2.0]);
    assert_uniform(values(Adjustment::Saturation(0.0)), [0.0, 4.0]);
    assert_uniform(values(Adjustment::Hue(0.0)), [-0.1, 0.1]);

    let mut orders = BTreeMap::new();
    for set in &sets {
        assert_eq!(set.len(), 4);
        let letters: String = set.iter().map(|adjustment| format!("{adjustment:?}").remove(0)).collect();
        *orders.entry(letters).or_insert(0) += 1;
    }
    assert_eq!(orders.len(), 24);
    for count in orders.into_values() {
        assert_frequency(count, COUNT, 1.0 / 24.0);
    }

    let one = ColorJitter { hue: Amount::One(0.2), ..ColorJitter::default() };
    assert!(draws(|rng| one.params(rng)).iter().all(|set| matches!(set[..], [Adjustment::Hue(_)])));
}

/// The middle of the square is any pixel: near the border only a part of it is left.
#[test]
fn squares_are_cut_out_everywhere() {
    let (height, width) = (40_000, 50_000);
    let boxes = draws(|rng| Cutout { size: 0.2, ..Cutout::default() }.params(height, width, rng));
    let middle = |start: u32, length: u32| f64::from(if start > 0 { start + 4000 } else { length - 4000 });
    assert_uniform(boxes.iter().map(|area| middle(area.top, area.height)).collect(), [0.0, f64::from(height)]);
    assert_uniform(boxes.iter().map(|area| middle(area.left, area.width)).collect(), [0.0, f64::from(width)]);
    for area in &boxes {
        for (start, length, whole) in [(area.top, area.height, height), (area.left, area.width, width)] {
            let clipped = start == 0 || start + length == whole;
            assert!(
                start + length <= whole && (length == 8000 || clipped && (4000..8000).contains(&length)),
                "{area:?}"
            );
        }
    }

    // One pixel of 35: the side is rounded up to it.
    let mut pixels = BTreeMap::new();
    for area in draws(|rng| Cutout { size: 0.02, ..Cutout::default() }.params(5, 7, rng)) {
        assert_eq!((area.height, area.width), (1, 1));
        *pixels.entry((area.top, area.left)).or_insert(0) += 1;
    }
    assert_eq!(pixels.len(), 35);
    for count in pixels.into_values() {
        assert_frequency(count, COUNT, 1.0 / 35.0);
    }
}

#[test]
fn noise_is_normal_with_a_uniform_strength() {
    let noise = GaussianNoise { sigma: Amount::Between([0.02, 0.3]) };
    assert_uniform(draws(|rng| noise.params(1, 1, rng).sigma), [0.02, 0.3]);
    assert!(draws(|rng| GaussianNoise::default().params(1, 1, rng).sigma).iter().all(|sigma| *sigma == 0.1));
    let params = noise.params(200, 220, &mut keyed_rng(4, &[]));
    assert_eq!(params.values.len(), 200 * 220 * 3);
    let (mean, deviation) = mean_and_deviation(params.values.iter().map(|value| f64::from(*value)));
    let error = 4.0 / (params.values.len() as f64).sqrt();
    assert!(mean.abs() < error && (deviation - 1.0).abs() < error, "mean {mean}, deviation {deviation}");
}

#[test]
fn erased_noise_is_standard_normal() {
    let erasing = RandomErasing {
        p: 1.0,
        value: EraseValue::Noise(Random::Random),
        scale: [0.3, 0.5],
        ..RandomErasing::default()
    };
    let params = erasing.params(200, 220, &mut keyed_rng(3, &[])).unwrap();
    assert_eq!(params.values.len(), (params.area.height * params.area.width * 3) as usize);
    let (mean, deviation) = mean_and_deviation(params.values.iter().map(|value| f64::from(*value)));
    let error = 4.0 / (params.values.len() as f64).sqrt();
    assert!(mean.abs() < error && (deviation - 1.0).abs() < error, "mean {mean}, deviation {deviation}");
}
