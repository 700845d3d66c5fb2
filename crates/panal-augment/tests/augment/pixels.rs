//! What a view shows, against panal-data's pipeline on the CPU with the same draws, image by image.

use panal_augment::Augmenter;
use panal_data::augment::{AugmentSpec, Op, RandomApply};
use panal_data::transforms::{
    Amount, CenterCrop, ColorJitter, EraseValue, GaussianBlur, Interpolation, KernelSize, Random, RandomErasing,
    RandomGrayscale, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip, Resize, Size,
};
use panal_data::{Loader, LoaderSpec, view_rng};
use tch::{Device, Kind, Tensor};

use crate::{Images, bank, pictures, spec, values};

const EPOCH: u64 = 3;
const SEED: u64 = 11;
const VIEWS: usize = 3;

/// How far the device's pixels are from the CPU's, in levels of 8 bits.
#[derive(Debug)]
struct Distance {
    /// The mean of all signed differences.
    bias: f64,
    /// The mean of all magnitudes.
    mean: f64,
    /// The largest magnitude.
    max: f64,
}

fn distance(spec: &AugmentSpec, images: &Images) -> Distance {
    let augmenter = Augmenter::new(spec, Device::Cpu).unwrap();
    let indices: Vec<usize> = (0..images.0.len()).collect();
    let ours = augmenter.views(&bank(images), &indices, EPOCH, VIEWS, SEED).unwrap();

    let pipeline = spec.check().unwrap();
    let (height, width) = pipeline.size();
    assert_eq!(ours.size(), [(VIEWS * indices.len()) as i64, 3, i64::from(height), i64::from(width)]);
    assert!(ours.is_contiguous() && ours.kind() == Kind::Float && !ours.requires_grad());
    let mut theirs = vec![0.0; VIEWS * indices.len() * (height * width * 3) as usize];
    let mut places = theirs.chunks_exact_mut((height * width * 3) as usize);
    for &index in &indices {
        for view in 0..VIEWS {
            let rng = &mut view_rng(SEED, EPOCH, index, view);
            pipeline.apply(&images.0[index], rng, places.next().unwrap());
        }
    }
    let levels = ours.permute([0, 2, 3, 1]).reshape([-1]) - Tensor::from_slice(&theirs);
    let levels = levels.view([-1, 3]) * Tensor::from_slice(&spec.std) * 255.0;
    let levels = levels.to_kind(Kind::Double);
    Distance {
        bias: levels.mean(Kind::Double).double_value(&[]),
        mean: levels.abs().mean(Kind::Double).double_value(&[]),
        max: levels.abs().max().double_value(&[]),
    }
}

/// Heights and widths that differ, within an image and from image to image.
const SIZES: [(u32, u32); 6] = [(37, 50), (60, 41), (37, 50), (24, 90), (45, 45), (52, 33)];

#[track_caller]
fn assert_near(name: &str, ops: &[Op], mean: f64, max: f64) {
    for sizes in [&SIZES[..], &[(37, 50); 6]] {
        let found = distance(&spec(ops.to_vec()), &pictures(sizes));
        assert!(found.mean <= mean && found.max <= max, "{name}: {found:?}, allowed mean {mean} and max {max}");
    }
}

fn crop(size: Size) -> Op {
    Op::RandomResizedCrop(RandomResizedCrop::new(size))
}

/// Keeps the pixels of the test's images, or almost.
fn whole() -> Op {
    Op::CenterCrop(CenterCrop { size: Size::Both([30, 40]) })
}

fn sometimes(p: f64, ops: Vec<Op>) -> Op {
    Op::RandomApply(RandomApply { p, ops })
}

fn across(p: f64) -> Op {
    Op::RandomHorizontalFlip(RandomHorizontalFlip { p })
}

fn down(p: f64) -> Op {
    Op::RandomVerticalFlip(RandomVerticalFlip { p })
}

/// The CPU rounds to 8 bits after the columns and again after the rows.
#[test]
fn resizing_differs_by_the_rounding_of_its_two_passes() {
    let resize = |size, interpolation| Op::Resize(Resize { size, interpolation });
    let (bilinear, bicubic) = (Interpolation::Bilinear, Interpolation::Bicubic);
    assert_near("crop, smaller", &[crop(Size::Both([20, 28]))], 0.35, 1.1);
    assert_near("crop, larger", &[crop(Size::Both([70, 64]))], 0.35, 1.1);
    let cubic = RandomResizedCrop { interpolation: bicubic, ..RandomResizedCrop::new(Size::Both([20, 28])) };
    assert_near("crop, bicubic", &[Op::RandomResizedCrop(cubic)], 0.35, 1.1);
    assert_near("resize", &[resize(Size::Both([31, 22]), bilinear)], 0.35, 1.1);
    assert_near("resize, bicubic", &[resize(Size::Both([31, 72]), bicubic)], 0.35, 1.1);
    let center = |height, width| Op::CenterCrop(CenterCrop { size: Size::Both([height, width]) });
    for interpolation in [bilinear, bicubic] {
        assert_near("resize, crop", &[resize(Size::Side(32), interpolation), center(28, 27)], 0.35, 1.1);
        // Black above and below, or beside.
        assert_near("resize, wide crop", &[resize(Size::Side(32), interpolation), center(60, 61)], 0.35, 1.1);
    }
}

/// Pixels that only move are bit by bit the CPU's, up to the last digit of the normalisation.
#[test]
fn crops_and_flips_move_pixels_without_a_change() {
    let exact = 1e-3;
    assert_near("center crop", &[whole()], exact, exact);
    assert_near("center crop, larger", &[Op::CenterCrop(CenterCrop { size: Size::Both([64, 95]) })], exact, exact);
    assert_near("flip after", &[whole(), across(0.5), down(0.5)], exact, exact);
    // An odd rest: the middle of the mirrored image is another one.
    assert_near("flip before", &[down(0.5), across(0.5), whole()], exact, exact);
    assert_near("flips in a group", &[whole(), sometimes(0.5, vec![across(0.7), down(0.7)])], exact, exact);
    assert_near("flip, crop, flip", &[across(0.5), crop(Size::Both([20, 28])), across(0.5), down(0.5)], 0.35, 1.1);
}

/// The CPU cuts off fractions in every blend, and has 256 hues.
#[test]
fn colours_differ_by_the_rounding_of_the_cpu() {
    let jitter = |brightness, contrast, saturation, hue| {
        let [brightness, contrast, saturation, hue] = [brightness, contrast, saturation, hue].map(Amount::One);
        vec![whole(), Op::ColorJitter(ColorJitter { brightness, contrast, saturation, hue })]
    };
    assert_near("brightness", &jitter(0.6, 0.0, 0.0, 0.0), 0.5, 1.01);
    assert_near("contrast", &jitter(0.0, 0.6, 0.0, 0.0), 0.55, 1.5);
    assert_near("saturation", &jitter(0.0, 0.0, 0.6, 0.0), 0.55, 1.5);
    assert_near("hue", &jitter(0.0, 0.0, 0.0, 0.3), 1.0, 18.0);
    assert_near("jitter", &jitter(0.4, 0.4, 0.4, 0.1), 2.5, 25.0);
    assert_near("greyness", &[whole(), Op::RandomGrayscale(RandomGrayscale { p: 0.5 })], 0.3, 0.51);
}

#[test]
fn a_blur_differs_by_one_rounding() {
    for kernel_size in [KernelSize::Square(3), KernelSize::Both([9, 5]), KernelSize::Square(23)] {
        let blur = Op::GaussianBlur(GaussianBlur { kernel_size, sigma: Amount::Between([0.1, 2.0]) });
        assert_near("blur", &[whole(), blur.clone()], 0.3, 0.51);
        assert_near("blur of some", &[whole(), sometimes(0.5, vec![blur])], 0.3, 0.51);
    }
    // A border as wide as the image and wider, mirrored again and again.
    let blur = Op::GaussianBlur(GaussianBlur { kernel_size: KernelSize::Square(31), sigma: Amount::One(4.0) });
    assert_near("blur of little", &[Op::CenterCrop(CenterCrop { size: Size::Both([5, 9]) }), blur], 0.3, 0.51);
}

/// Erased rectangles hold the same values, whatever is drawn.
#[test]
fn what_is_erased_is_the_same() {
    let exact = 1e-3;
    for value in [EraseValue::Rgb([0.5, -1.0, 2.0]), EraseValue::Noise(Random::Random)] {
        let erasing = |p| Op::RandomErasing(RandomErasing { p, value, ..RandomErasing::default() });
        assert_near("erasing", &[whole(), across(0.5), erasing(0.7), erasing(0.5)], exact, exact);
    }
}

/// The tolerance that the README states, of both of SimCLR's sizes.
#[test]
fn simclr_is_the_cpus_but_for_its_rounding() {
    let small = distance(&AugmentSpec::simclr(32, 0.5), &pictures(&[(32, 32); 40]));
    assert!(small.mean < 1.5 && small.max < 25.0 && small.bias.abs() < 1.2, "{small:?}");
    let large = distance(&AugmentSpec::simclr(224, 1.0), &pictures(&[(150, 210), (240, 160), (224, 300)]));
    assert!(large.mean < 1.5 && large.max < 25.0 && large.bias.abs() < 1.2, "{large:?}");
    let supervised = distance(&AugmentSpec::supervised(64), &pictures(&SIZES));
    assert!(supervised.mean < 1.6 && supervised.max < 5.0, "{supervised:?}");
}

#[test]
fn views_stand_in_the_order_of_the_loader() {
    let images = pictures(&[(37, 50), (60, 41), (24, 90), (45, 45), (52, 33)]);
    let spec = spec(vec![crop(Size::Both([20, 28])), across(0.5)]);
    let bank = bank(&images);
    let augmenter = Augmenter::new(&spec, Device::Cpu).unwrap();
    let loading = LoaderSpec { views: 2, batch: 2, shuffle: true, seed: SEED, ..LoaderSpec::default() };
    let loader = Loader::new(std::sync::Arc::new(images), spec.check().unwrap(), loading).unwrap();
    for batch in loader.epoch(EPOCH) {
        let batch = batch.unwrap();
        let ours = augmenter.views(&bank, &batch.indices, EPOCH, 2, SEED).unwrap().permute([0, 2, 3, 1]);
        let far = values(&ours).iter().zip(&batch.pixels[..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 2.0 / 255.0 / 0.2, "{far}");
    }
}

#[test]
fn the_same_key_gives_the_same_bits_and_another_key_other_pixels() {
    let images = pictures(&SIZES);
    let bank = bank(&images);
    let augmenter = Augmenter::new(&AugmentSpec::simclr(32, 0.5), Device::Cpu).unwrap();
    let views = |epoch, seed| augmenter.views(&bank, &[4, 0, 2, 5], epoch, 2, seed).unwrap();
    let first = views(0, 0);
    assert!(first.equal(&views(0, 0)));
    assert!(!first.equal(&views(1, 0)) && !first.equal(&views(0, 1)));
    let pairs = first.view([4, 2, 3, 32, 32]);
    assert!(!pairs.select(1, 0).equal(&pairs.select(1, 1)), "each view is drawn for itself");
}

/// Which sums libtorch takes first may change with the batch's shape, so the last digits may too.
#[test]
fn a_view_does_not_depend_on_the_rest_of_the_batch() {
    let images = pictures(&SIZES);
    let bank = bank(&images);
    let augmenter = Augmenter::new(&AugmentSpec::simclr(32, 0.5), Device::Cpu).unwrap();
    let together = augmenter.views(&bank, &[0, 1, 2, 3, 4, 5, 1], 7, 2, 5).unwrap();
    for index in 0..6 {
        let alone = augmenter.views(&bank, &[index], 7, 2, 5).unwrap();
        let far = (together.narrow(0, 2 * index as i64, 2) - &alone).abs().max().double_value(&[]);
        assert!(far < 2e-4, "image {index}: {far}");
        let first = augmenter.views(&bank, &[index], 7, 1, 5).unwrap();
        assert!((alone.narrow(0, 0, 1) - first).abs().max().double_value(&[]) < 2e-4, "more views change none");
    }
}
