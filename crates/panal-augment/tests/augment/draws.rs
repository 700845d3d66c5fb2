//! What is drawn: the same as on the CPU, and with the laws that a spec promises, read off the draws and off the pixels.

use image::{Rgb, RgbImage};
use panal_augment::Augmenter;
use panal_data::augment::{AugmentSpec, Drawn, Op};
use panal_data::transforms::{Adjustment, Amount, CenterCrop, ColorJitter, RandomHorizontalFlip, Size};
use panal_data::view_rng;
use tch::{Device, Kind};

use crate::{Images, bank, pictures, values};

const COUNT: usize = 4_000;

#[test]
fn draws_are_the_cpus() {
    let images = pictures(&[(37, 50), (60, 41), (24, 90)]);
    let spec = AugmentSpec::simclr(32, 0.5);
    let (augmenter, pipeline) = (Augmenter::new(&spec, Device::Cpu).unwrap(), spec.check().unwrap());
    let drawn = augmenter.draws(&bank(&images), &[2, 0, 2], 9, 3, 4).unwrap();
    let keys = [2, 0, 2].into_iter().flat_map(|index| (0..3).map(move |view| (index, view)));
    assert_eq!(drawn.len(), 9);
    for (drawn, (index, view)) in drawn.iter().zip(keys) {
        let (width, height) = images.0[index].dimensions();
        assert_eq!(*drawn, pipeline.draw(height, width, &mut view_rng(4, 9, index, view)), "{index} {view}");
    }
}

/// Kolmogorov and Smirnov's test; a right sample fails once in 10,000 seeds.
#[track_caller]
fn assert_uniform(mut values: Vec<f64>, [min, max]: [f64; 2]) {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = (0..)
        .zip(&values)
        .map(|(i, value)| {
            let expected = (value - min) / (max - min);
            (expected - f64::from(i) / n).abs().max((expected - f64::from(i + 1) / n).abs())
        })
        .fold(0.0, f64::max);
    assert!(n > 100.0 && distance * n.sqrt() < 2.23, "distance {distance} of {n} from uniform on [{min}, {max}]");
}

/// Within four standard errors.
#[track_caller]
fn assert_frequency(hits: usize, of: usize, p: f64) {
    let (hits, of) = (hits as f64, of as f64);
    assert!((hits / of - p).abs() < 4.0 * (p * (1.0 - p) / of).sqrt(), "{hits} of {of} at p = {p}");
}

/// Every number of SimCLR's augmentation over many epochs of one pair.
#[test]
fn simclrs_draws_keep_their_laws() {
    let augmenter = Augmenter::new(&AugmentSpec::simclr(32, 0.5), Device::Cpu).unwrap();
    let bank = bank(&pictures(&[(32, 32)]));
    let drawn: Vec<_> =
        (0..COUNT as u64 / 2).flat_map(|epoch| augmenter.draws(&bank, &[0], epoch, 2, 0).unwrap()).collect();

    let mut areas = Vec::new();
    let (mut flips, mut greys) = (0, 0);
    let (mut jitters, mut sigmas) = (Vec::new(), Vec::new());
    for drawn in &drawn {
        let [Drawn::Crop(crop), Drawn::Flip(flip), Drawn::Apply(jitter), Drawn::Grey(grey), Drawn::Apply(blur)] =
            &drawn[..]
        else {
            panic!("{drawn:?}")
        };
        areas.push(f64::from(crop.height * crop.width) / 1024.0);
        flips += usize::from(*flip);
        greys += usize::from(*grey);
        if let Some([Drawn::Adjustments(list)]) = jitter.as_deref() {
            jitters.push(list);
        }
        if let Some([Drawn::Blur(sigma)]) = blur.as_deref() {
            sigmas.push(*sigma);
        }
    }
    assert_frequency(flips, COUNT, 0.5);
    assert_frequency(greys, COUNT, 0.2);
    assert_frequency(jitters.len(), COUNT, 0.8);
    assert_frequency(sigmas.len(), COUNT, 0.5);
    // Uniform on [0.08, 1], but that a long crop of a large area does not fit and is drawn again.
    let mean = areas.iter().sum::<f64>() / COUNT as f64;
    assert!((0.45..0.54).contains(&mean), "mean area {mean}");
    assert_uniform(sigmas, [0.1, 2.0]);

    let part = |pick: fn(&Adjustment) -> Option<f64>| -> Vec<f64> {
        jitters.iter().flat_map(|list| list.iter().filter_map(pick)).collect()
    };
    for values in [
        part(|a| if let Adjustment::Brightness(factor) = a { Some(*factor) } else { None }),
        part(|a| if let Adjustment::Contrast(factor) = a { Some(*factor) } else { None }),
        part(|a| if let Adjustment::Saturation(factor) = a { Some(*factor) } else { None }),
    ] {
        assert_eq!(values.len(), jitters.len());
        assert_uniform(values, [0.6, 1.4]);
    }
    assert_uniform(part(|a| if let Adjustment::Hue(shift) = a { Some(*shift) } else { None }), [-0.1, 0.1]);

    // Each of the 24 orders as often as the others: Pearson's statistic with 23 degrees of freedom is above 57 once in
    // 10,000.
    let mut orders = std::collections::BTreeMap::new();
    for list in &jitters {
        let order: Vec<u8> = list
            .iter()
            .map(|adjustment| match adjustment {
                Adjustment::Brightness(_) => 0,
                Adjustment::Contrast(_) => 1,
                Adjustment::Saturation(_) => 2,
                Adjustment::Hue(_) => 3,
            })
            .collect();
        *orders.entry(order).or_insert(0) += 1;
    }
    let expected = jitters.len() as f64 / 24.0;
    let statistic: f64 = orders.values().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    assert!(orders.len() == 24 && statistic < 57.0, "{statistic} of {orders:?}");
}

/// A grey image with a dark left edge tells its factor and its flip.
#[test]
fn pixels_show_the_laws_too() {
    let image = RgbImage::from_fn(6, 4, |x, _| Rgb([if x == 0 { 50 } else { 100 }; 3]));
    let bank = bank(&Images(vec![image]));
    let jitter = ColorJitter { brightness: Amount::One(0.5), ..ColorJitter::default() };
    let spec = AugmentSpec {
        mean: [0.0; 3],
        std: [1.0; 3],
        ops: vec![
            Op::CenterCrop(CenterCrop { size: Size::Both([4, 6]) }),
            Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 0.3 }),
            Op::ColorJitter(jitter),
        ],
    };
    let augmenter = Augmenter::new(&spec, Device::Cpu).unwrap();
    let views = augmenter.views(&bank, &[0], 0, COUNT, 6).unwrap() * (255.0 / 100.0);
    let corner = |x| values(&views.select(1, 0).select(1, 0).select(1, x));
    let (left, right) = (corner(0), corner(5));
    assert_frequency(left.iter().zip(&right).filter(|(left, right)| left > right).count(), COUNT, 0.3);
    assert_uniform(left.iter().zip(&right).map(|(&left, &right)| f64::from(left.max(right))).collect(), [0.5, 1.5]);
    assert!(views.std(false).double_value(&[]) > 0.0 && views.kind() == Kind::Float);
}
