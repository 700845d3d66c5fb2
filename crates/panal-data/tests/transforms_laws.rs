//! Laws of the transforms that hold for any image, also for one of a single pixel.

#![allow(clippy::unwrap_used)]

use image::{Rgb, RgbImage, imageops};
use panal_data::augment::{AugmentSpec, Op, Pipeline, RandomApply};
use panal_data::keyed_rng;
use panal_data::transforms::{
    Adjustment, AffineParams, Amount, CenterCrop, ColorJitter, Cutout, EraseValue, Fill, GaussianBlur, GaussianNoise,
    IMAGENET_MEAN, IMAGENET_STD, Interpolation, KernelSize, NoiseParams, Normalize, Pad, PadMode, Padding, PixelBox,
    Random, RandomAffine, RandomErasing, RandomGrayscale, RandomHorizontalFlip, RandomResizedCrop, RandomRotate90,
    RandomRotation, RandomVerticalFlip, Resize, Shear, Size, Sobel,
};
use proptest::prelude::*;
use rand::RngExt;

/// Noise of any size from 1 x 1.
fn images() -> impl Strategy<Value = RgbImage> {
    (1..40u32, 1..40u32, any::<u64>()).prop_map(|(height, width, seed)| noise(height, width, seed))
}

fn noise(height: u32, width: u32, seed: u64) -> RgbImage {
    let mut rng = keyed_rng(seed, &[]);
    RgbImage::from_fn(width, height, |_, _| Rgb(rng.random()))
}

fn sizes() -> impl Strategy<Value = Size> {
    prop_oneof![(1..50u32).prop_map(Size::Side), (1..50u32, 1..50u32).prop_map(|(h, w)| Size::Both([h, w]))]
}

fn interpolations() -> impl Strategy<Value = Interpolation> {
    prop_oneof![Just(Interpolation::Nearest), Just(Interpolation::Bilinear), Just(Interpolation::Bicubic)]
}

fn ranges(min: f64, max: f64) -> impl Strategy<Value = [f64; 2]> {
    (min..max, 0.0..1.0).prop_map(move |(low, part): (f64, f64)| [low, low + (max - low) * part])
}

/// Steps that keep the size of the image.
fn keeping() -> impl Strategy<Value = Op> {
    let rotation =
        (ranges(-400.0, 400.0), interpolations(), any::<u8>(), proptest::option::of((-9.0..50.0, -9.0..50.0)));
    let affine = (
        ranges(-180.0, 180.0),
        proptest::option::of([0.0..1.0, 0.0..1.0]),
        proptest::option::of(ranges(0.1, 3.0)),
        proptest::option::of(ranges(-85.0, 85.0)),
        interpolations(),
    );
    let jitter = (ranges(0.0, 3.0), ranges(0.0, 3.0), ranges(0.0, 3.0), ranges(-0.5, 0.5));
    prop_oneof![
        (0.0..=1.0).prop_map(|p| Op::RandomHorizontalFlip(RandomHorizontalFlip { p })),
        (0.0..=1.0).prop_map(|p| Op::RandomVerticalFlip(RandomVerticalFlip { p })),
        (0.0..=1.0).prop_map(|p| Op::RandomGrayscale(RandomGrayscale { p })),
        (0.0..=1.0).prop_map(|p| Op::Sobel(Sobel { p })),
        (0.001..=1.0, any::<u8>()).prop_map(|(size, grey)| Op::Cutout(Cutout { size, fill: Fill::Grey(grey) })),
        ranges(0.0, 1.0).prop_map(|sigma| Op::GaussianNoise(GaussianNoise { sigma: Amount::Between(sigma) })),
        rotation.prop_map(|(degrees, interpolation, grey, center)| Op::RandomRotation(RandomRotation {
            interpolation,
            fill: Fill::Grey(grey),
            center: center.map(|(x, y)| [x, y]),
            ..RandomRotation::new(Amount::Between(degrees))
        })),
        affine.prop_map(|(degrees, translate, scale, shear, interpolation)| Op::RandomAffine(RandomAffine {
            translate,
            scale,
            shear: shear.map(Shear::X),
            interpolation,
            ..RandomAffine::new(Amount::Between(degrees))
        })),
        jitter.prop_map(|(brightness, contrast, saturation, hue)| Op::ColorJitter(ColorJitter {
            brightness: Amount::Between(brightness),
            contrast: Amount::Between(contrast),
            saturation: Amount::Between(saturation),
            hue: Amount::Between(hue),
        })),
        (0..9u32, 0..30u32, ranges(0.05, 4.0)).prop_map(|(across, down, sigma)| Op::GaussianBlur(GaussianBlur {
            kernel_size: KernelSize::Both([2 * across + 1, 2 * down + 1]),
            sigma: Amount::Between(sigma),
        })),
    ]
}

/// Steps that change it.
fn changing() -> impl Strategy<Value = Op> {
    let modes =
        prop_oneof![Just(PadMode::Constant), Just(PadMode::Edge), Just(PadMode::Reflect), Just(PadMode::Symmetric)];
    prop_oneof![
        // Over a side of 39 to 1 pixels, 7 becomes 273 at most.
        (1..7u32, interpolations())
            .prop_map(|(side, interpolation)| Op::Resize(Resize { size: Size::Side(side), interpolation })),
        (sizes(), modes).prop_map(|(size, mode)| {
            let (height, width) = size.square();
            Op::Pad(Pad { padding: Padding::Sides([height, width, 1, 0]), fill: Fill::Rgb([1, 2, 3]), mode })
        }),
        (0.0..=1.0).prop_map(|p| Op::RandomRotate90(RandomRotate90 { p })),
        ranges(-400.0, 400.0).prop_map(|degrees| Op::RandomRotation(RandomRotation {
            expand: true,
            ..RandomRotation::new(Amount::Between(degrees))
        })),
        fixing(),
    ]
}

/// Steps after which every image has the same size.
fn fixing() -> impl Strategy<Value = Op> {
    let crop = (sizes(), ranges(0.01, 1.0), ranges(0.2, 5.0), interpolations());
    prop_oneof![
        sizes().prop_map(|size| Op::CenterCrop(CenterCrop { size })),
        crop.prop_map(|(size, scale, ratio, interpolation)| Op::RandomResizedCrop(RandomResizedCrop {
            size,
            scale,
            ratio,
            interpolation
        })),
        ((1..50u32, 1..50u32), interpolations()).prop_map(|((height, width), interpolation)| {
            Op::Resize(Resize { size: Size::Both([height, width]), interpolation })
        }),
    ]
}

fn pipelines() -> impl Strategy<Value = Pipeline> {
    let erasings =
        (0.0..=1.0, ranges(0.0, 1.0), ranges(0.1, 9.0), any::<bool>()).prop_map(|(p, scale, ratio, noise)| {
            let value = if noise { EraseValue::Noise(Random::Random) } else { EraseValue::Rgb([0.5, -1.0, 2.0]) };
            Op::RandomErasing(RandomErasing { p, scale, ratio, value })
        });
    let some = |p: f64, ops: Vec<Op>| Op::RandomApply(RandomApply { p, ops });
    (
        proptest::collection::vec(prop_oneof![keeping(), changing()], 0..3),
        fixing(),
        proptest::collection::vec(keeping(), 0..3),
        (0.0..=1.0, proptest::collection::vec(keeping(), 0..3)).prop_map(move |(p, ops)| some(p, ops)),
        proptest::option::of(erasings),
    )
        .prop_map(|(mut ops, fixing, after, maybe, erasing)| {
            ops.push(fixing);
            ops.extend(after);
            ops.push(maybe);
            ops.extend(erasing);
            AugmentSpec::new(ops).check().unwrap()
        })
}

/// What Sobel's filter leaves.
fn edges(image: &RgbImage) -> RgbImage {
    let mut filtered = image.clone();
    Sobel { p: 1.0 }.apply(&mut filtered, true);
    filtered
}

fn run(pipeline: &Pipeline, image: &RgbImage, seed: u64) -> Vec<f32> {
    let (height, width) = pipeline.size();
    let mut out = vec![f32::NAN; (height * width * 3) as usize];
    pipeline.apply(image, &mut keyed_rng(seed, &[]), &mut out);
    out
}

/// What `Pipeline` writes for an image with no steps left to do.
fn written(image: &RgbImage) -> Vec<f32> {
    let mut out = vec![f32::NAN; image.len()];
    Normalize::new(IMAGENET_MEAN, IMAGENET_STD).apply(image, false, false, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pipeline_fills_its_size_the_same_way_for_the_same_seed(
        pipeline in pipelines(), image in images(), seed in any::<u64>()
    ) {
        let once = run(&pipeline, &image, seed);
        prop_assert!(once.iter().all(|value| value.is_finite()), "every place is written: {}", pipeline.describe());
        prop_assert_eq!(&once, &run(&pipeline, &image, seed));
        if !pipeline.is_random() {
            prop_assert_eq!(once, run(&pipeline, &image, seed ^ 1));
        }
    }

    #[test]
    fn crops_and_erasures_stay_inside(
        height in 1..300u32, width in 1..300u32, scale in ranges(0.001, 1.0), ratio in ranges(0.05, 20.0), seed in any::<u64>()
    ) {
        let mut rng = keyed_rng(seed, &[]);
        let inside = |area: &PixelBox| area.top + area.height <= height && area.left + area.width <= width;
        let crop = RandomResizedCrop { scale, ratio, ..RandomResizedCrop::new(Size::Side(9)) };
        let area = crop.params(height, width, &mut rng);
        prop_assert!(inside(&area) && area.height > 0 && area.width > 0, "{:?}", area);
        let erasing = RandomErasing { p: 1.0, scale, ratio, ..RandomErasing::default() };
        if let Some(params) = erasing.params(height, width, &mut rng) {
            prop_assert!(inside(&params.area), "{:?}", params.area);
        }
        let area = Cutout { size: scale[1], ..Cutout::default() }.params(height, width, &mut rng);
        prop_assert!(inside(&area) && area.height > 0 && area.width > 0, "{:?}", area);
    }

    #[test]
    fn flipping_twice_changes_nothing_and_once_mirrors(image in images()) {
        let mut flipped = image.clone();
        RandomHorizontalFlip { p: 0.5 }.apply(&mut flipped, true);
        prop_assert_eq!(flipped.get_pixel(image.width() - 1, 0), image.get_pixel(0, 0));
        RandomHorizontalFlip { p: 0.5 }.apply(&mut flipped, true);
        prop_assert_eq!(&flipped, &image);
        RandomVerticalFlip { p: 0.5 }.apply(&mut flipped, true);
        prop_assert_eq!(flipped.get_pixel(0, image.height() - 1), image.get_pixel(0, 0));
        RandomVerticalFlip { p: 0.5 }.apply(&mut flipped, true);
        prop_assert_eq!(&flipped, &image);
    }

    #[test]
    fn neutral_parameters_change_nothing(
        image in images(), how in interpolations(), expand in any::<bool>(), center in (-9.0..50.0, -9.0..50.0)
    ) {
        let (height, width) = (image.height(), image.width());
        let size = Size::Both([height, width]);
        prop_assert_eq!(&Resize { size, interpolation: how }.apply(&image), &image);
        prop_assert_eq!(&CenterCrop { size }.apply(&image), &image);
        let crop = RandomResizedCrop { interpolation: how, ..RandomResizedCrop::new(size) };
        prop_assert_eq!(&crop.apply(&image, &PixelBox { top: 0, left: 0, height, width }), &image);
        let rotation = RandomRotation { interpolation: how, expand, ..RandomRotation::new(Amount::One(1.0)) };
        prop_assert_eq!(&rotation.apply(&image, 0.0), &image);
        prop_assert_eq!(&rotation.apply(&image, -720.0), &image);
        let off_center = RandomRotation { center: Some([center.0, center.1]), expand: false, ..rotation };
        if how == Interpolation::Nearest {
            prop_assert_eq!(&off_center.apply(&image, 0.0), &image);
        }
        let affine = RandomAffine { interpolation: how, ..RandomAffine::new(Amount::One(1.0)) };
        let still = AffineParams { degrees: 0.0, translate: [0, 0], scale: 1.0, shear: [0.0, 0.0] };
        prop_assert_eq!(&affine.apply(&image, &still), &image);
        prop_assert_eq!(&Pad { padding: Padding::All(0), fill: Fill::default(), mode: PadMode::Edge }.apply(&image), &image);
        let mut jittered = image.clone();
        let neutral = [Adjustment::Saturation(1.0), Adjustment::Brightness(1.0), Adjustment::Contrast(1.0)];
        ColorJitter::default().apply(&mut jittered, &neutral);
        prop_assert_eq!(&jittered, &image);
        let blur = GaussianBlur { kernel_size: KernelSize::Square(1), sigma: Amount::One(1.0) };
        prop_assert_eq!(&blur.apply(&image, 2.0), &image);
        let mut same = image.clone();
        Sobel { p: 1.0 }.apply(&mut same, false);
        Cutout::default().apply(&mut same, &PixelBox { top: 0, left: 0, height, width: 0 });
        let noise = GaussianNoise { sigma: Amount::One(0.0) }.params(height, width, &mut keyed_rng(0, &[]));
        GaussianNoise::default().apply(&mut same, &noise);
        GaussianNoise::default().apply(&mut same, &NoiseParams { sigma: 1.0, values: vec![0.0; image.len()] });
        prop_assert_eq!(&same, &image);
        prop_assert_eq!(&RandomRotate90 { p: 1.0 }.apply(&image, 0), &image);
    }

    #[test]
    fn four_right_angles_are_none(image in images()) {
        let rotation = RandomRotation { expand: true, ..RandomRotation::new(Amount::One(90.0)) };
        let quarter = rotation.apply(&image, 90.0);
        prop_assert_eq!(quarter.dimensions(), (image.height(), image.width()));
        let half = rotation.apply(&quarter, 90.0);
        prop_assert_eq!(&half, &rotation.apply(&image, 180.0));
        prop_assert_eq!(&rotation.apply(&image, -90.0), &rotation.apply(&half, 90.0));
        prop_assert_eq!(&rotation.apply(&rotation.apply(&half, 90.0), 90.0), &image);
        for (turns, degrees) in [(1, 90.0), (2, 180.0), (3, 270.0)] {
            prop_assert_eq!(&RandomRotate90 { p: 1.0 }.apply(&image, turns), &rotation.apply(&image, degrees));
        }
    }

    #[test]
    fn grey_stays_grey(image in images(), factor in 0.0..3.0, shift in -0.5..0.5) {
        let mut grey = image;
        RandomGrayscale { p: 1.0 }.apply(&mut grey, true);
        let mut again = grey.clone();
        RandomGrayscale { p: 1.0 }.apply(&mut again, true);
        let colours = [Adjustment::Saturation(factor), Adjustment::Hue(shift)];
        ColorJitter::default().apply(&mut again, &colours);
        prop_assert_eq!(&again, &grey);
    }

    #[test]
    fn one_colour_stays_one_colour(
        colour in any::<[u8; 3]>(), height in 1..30u32, width in 1..30u32, kernel in 0..12u32, sigma in 0.05..5.0,
        how in interpolations(), size in sizes()
    ) {
        let image = RgbImage::from_pixel(width, height, Rgb(colour));
        let near = |result: &RgbImage| result.pixels().all(|p| p.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 1));
        let blur = GaussianBlur { kernel_size: KernelSize::Square(2 * kernel + 1), sigma: Amount::One(1.0) };
        prop_assert_eq!(&blur.apply(&image, sigma), &image);
        prop_assert_eq!(edges(&image), RgbImage::new(width, height));
        let resized = Resize { size, interpolation: how }.apply(&image);
        prop_assert!(near(&resized));
    }

    /// Resizing and cropping in one go gives what the two give one after the other, but for the last digit of the
    /// weights, which is cut where the largest weight in the window wants it.
    #[test]
    fn fused_resize_and_crop_are_the_two(
        image in images(), resize in 1..30u32, how in interpolations(), crop in sizes()
    ) {
        let resize = Resize { size: Size::Side(resize), interpolation: how };
        let crop = CenterCrop { size: crop };
        let expected = written(&crop.apply(&resize.apply(&image)));
        let pipeline = AugmentSpec::new(vec![Op::Resize(resize), Op::CenterCrop(crop)]).check().unwrap();
        let levels = if how == Interpolation::Bicubic { 3.01 } else { 2.01 };
        let allowed = levels / 255.0 / IMAGENET_STD.into_iter().fold(1.0, f64::min) as f32;
        for (ours, expected) in run(&pipeline, &image, 0).into_iter().zip(expected) {
            prop_assert!((ours - expected).abs() < allowed, "{} and {}", ours, expected);
        }
    }

    /// Edges don't depend on colours of one luminance, on the overall level or on the way up.
    #[test]
    fn edges_are_those_of_the_luminance(image in images(), level in 0..=127u8) {
        let found = edges(&image);
        let mut grey = image.clone();
        RandomGrayscale { p: 1.0 }.apply(&mut grey, true);
        prop_assert_eq!(&edges(&grey), &found);
        let halved = |add: u8| RgbImage::from_fn(grey.width(), grey.height(), |x, y| Rgb(grey.get_pixel(x, y).0.map(|v| v / 2 + add)));
        prop_assert_eq!(edges(&halved(level)), edges(&halved(0)));
        prop_assert_eq!(edges(&imageops::flip_horizontal(&image)), imageops::flip_horizontal(&found));
        prop_assert_eq!(edges(&imageops::rotate90(&image)), imageops::rotate90(&found));
    }

    /// The square is filled as far as it lies in the image, and nothing else is touched.
    #[test]
    fn cutting_out_touches_only_its_square(
        image in images(), (top, left, height, width) in (0..50u32, 0..50u32, 0..50u32, 0..50u32), fill in any::<[u8; 3]>()
    ) {
        let mut cut = image.clone();
        let area = PixelBox { top, left, height, width };
        Cutout { fill: Fill::Rgb(fill), ..Cutout::default() }.apply(&mut cut, &area);
        for (x, y, pixel) in cut.enumerate_pixels() {
            let inside = (top..top + height).contains(&y) && (left..left + width).contains(&x);
            prop_assert_eq!(pixel.0, if inside { fill } else { image.get_pixel(x, y).0 });
        }
    }

    #[test]
    fn noise_is_added_and_cut_off(image in images(), sigma in 0.0..1.0, seed in any::<u64>()) {
        let noise = GaussianNoise { sigma: Amount::One(sigma) };
        let params = noise.params(image.height(), image.width(), &mut keyed_rng(seed, &[]));
        let mut noisy = image.clone();
        noise.apply(&mut noisy, &params);
        for ((after, before), value) in noisy.iter().zip(image.iter()).zip(&params.values) {
            let exact = (f64::from(*before) / 255.0 + sigma * f64::from(*value)).clamp(0.0, 1.0) * 255.0;
            prop_assert!((f64::from(*after) - exact).abs() < 0.5001, "{} and {}", after, exact);
        }
    }

    /// A flip that is put off is a flip.
    #[test]
    fn flips_take_part_in_order(image in images(), hue in -0.5..0.5, degrees in -180.0..180.0) {
        let size = Size::Both([image.height(), image.width()]);
        let jitter = ColorJitter {
            contrast: Amount::Between([1.7, 1.7]),
            hue: Amount::Between([hue, hue]),
            ..ColorJitter::default()
        };
        let rotation = RandomRotation::new(Amount::Between([degrees, degrees]));
        let pipeline = AugmentSpec::new(vec![
            Op::CenterCrop(CenterCrop { size }),
            Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 1.0 }),
            Op::ColorJitter(jitter),
            Op::GaussianNoise(GaussianNoise::default()),
            Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 1.0 }),
            Op::Cutout(Cutout::default()),
            Op::RandomVerticalFlip(RandomVerticalFlip { p: 1.0 }),
            Op::Sobel(Sobel { p: 1.0 }),
            Op::RandomRotation(rotation),
            Op::RandomVerticalFlip(RandomVerticalFlip { p: 1.0 }),
            Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 1.0 }),
        ]);
        let mut rng = keyed_rng(5, &[]);
        // The flip before the jitter draws, too.
        RandomHorizontalFlip { p: 1.0 }.params(&mut rng);
        let mut expected = imageops::flip_horizontal(&image);
        let adjustments = jitter.params(&mut rng);
        jitter.apply(&mut expected, &adjustments);
        let noise = GaussianNoise::default().params(image.height(), image.width(), &mut rng);
        GaussianNoise::default().apply(&mut expected, &noise);
        expected = imageops::flip_horizontal(&expected);
        RandomHorizontalFlip { p: 1.0 }.params(&mut rng);
        let area = Cutout::default().params(image.height(), image.width(), &mut rng);
        Cutout::default().apply(&mut expected, &area);
        expected = imageops::flip_vertical(&expected);
        RandomVerticalFlip { p: 1.0 }.params(&mut rng);
        Sobel { p: 1.0 }.params(&mut rng);
        expected = edges(&expected);
        expected = rotation.apply(&expected, rotation.params(&mut rng));
        expected = imageops::rotate180(&expected);
        prop_assert_eq!(run(&pipeline.check().unwrap(), &image, 5), written(&expected));
    }
}

#[test]
fn another_seed_gives_other_pixels() {
    let pipeline = AugmentSpec::supervised(24).check().unwrap();
    let image = noise(40, 50, 1);
    let first = run(&pipeline, &image, 0);
    assert!((1..50).all(|seed| run(&pipeline, &image, seed) != first));
}

/// Resized whole, this would be an image of 1.3 million pixels' length.
#[test]
fn a_sliver_is_resized_only_where_it_is_cropped() {
    let pipeline = AugmentSpec::plain(256, 224).check().unwrap();
    for (height, width) in [(1, 5000), (5000, 1)] {
        assert!(run(&pipeline, &noise(height, width, 2), 0).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn an_upright_or_level_edge_has_its_own_height() {
    let step = RgbImage::from_fn(6, 5, |x, _| Rgb([if x < 3 { 40 } else { 107 }; 3]));
    let expected = RgbImage::from_fn(6, 5, |x, _| Rgb([if (2..4).contains(&x) { 67 } else { 0 }; 3]));
    assert_eq!(edges(&step), expected);
    assert_eq!(edges(&imageops::rotate90(&step)), imageops::rotate90(&expected));
    // The largest magnitude, 4 and 2 times 255, is cut off.
    let corner = RgbImage::from_fn(3, 3, |x, y| Rgb([if x == 2 || (x, y) == (1, 2) { 255 } else { 0 }; 3]));
    assert_eq!(edges(&corner).get_pixel(1, 1).0, [255; 3]);
    assert_eq!(edges(&RgbImage::new(0, 4)), RgbImage::new(0, 4));
}

#[test]
fn erasing_touches_only_its_rectangle() {
    let area = PixelBox { top: 1, left: 2, height: 3, width: 4 };
    let params = panal_data::transforms::EraseParams { area, values: vec![7.0; 3] };
    let mut pixels = vec![0.0; 6 * 9 * 3];
    RandomErasing::default().apply(&mut pixels, 9, &params);
    for (i, value) in pixels.into_iter().enumerate() {
        let (row, column) = (i / 27, i % 27 / 3);
        let inside = (1..4).contains(&row) && (2..6).contains(&column);
        assert_eq!(value, if inside { 7.0 } else { 0.0 }, "row {row}, column {column}");
    }
}
