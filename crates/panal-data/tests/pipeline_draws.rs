//! What a pipeline draws without pixels is what it applies, and the loader draws by the key that it promises.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use image::RgbImage;
use panal_data::augment::{AugmentSpec, Drawn, Op};
use panal_data::transforms::Normalize;
use panal_data::{Insects, Loader, LoaderSpec, keyed_rng, view_rng};
use rand::Rng;

/// Every step that there is; the sizes go from one image to the next through each that changes them.
const EVERYTHING: &str = r#"
    ops = [
        { op = "resize", size = 40, interpolation = "bicubic" },
        { op = "pad", padding = [1, 2, 3, 4], mode = "reflect" },
        { op = "random_rotation", degrees = 60, expand = true },
        { op = "random_rotation", degrees = 5 },
        { op = "random_rotate90" },
        { op = "random_resized_crop", size = [20, 33], ratio = [0.5, 2.0] },
        { op = "center_crop", size = [19, 35] },
        { op = "horizontal_flip" },
        { op = "random_affine", degrees = [-10, 10], translate = [0.1, 0.2], scale = [0.9, 1.1], shear = 5 },
        { op = "vertical_flip" },
        { op = "random_apply", p = 0.6, ops = [
            { op = "color_jitter", brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1 },
            { op = "horizontal_flip" },
            { op = "random_apply", ops = [{ op = "gaussian_blur", kernel_size = 5 }] },
        ] },
        { op = "random_grayscale", p = 0.3 },
        { op = "horizontal_flip" },
        { op = "sobel" },
        { op = "gaussian_noise", sigma = [0.0, 0.2] },
        { op = "vertical_flip" },
        { op = "cutout", size = 0.4 },
        { op = "random_erasing", value = "random" },
        { op = "random_erasing", value = 0.5 },
    ]
"#;

fn everything() -> AugmentSpec {
    toml::from_str(EVERYTHING).unwrap()
}

/// What nothing but the transforms' own halves makes of the draws.
fn by_hand(ops: &[Op], drawn: &[Drawn], image: &mut RgbImage) {
    assert_eq!(ops.len(), drawn.len());
    for step in ops.iter().zip(drawn) {
        match step {
            (Op::Resize(op), Drawn::Nothing) => *image = op.apply(image),
            (Op::CenterCrop(op), Drawn::Nothing) => *image = op.apply(image),
            (Op::Pad(op), Drawn::Nothing) => *image = op.apply(image),
            (Op::RandomResizedCrop(op), Drawn::Crop(crop)) => *image = op.apply(image, crop),
            (Op::RandomHorizontalFlip(op), Drawn::Flip(flip)) => op.apply(image, *flip),
            (Op::RandomVerticalFlip(op), Drawn::Flip(flip)) => op.apply(image, *flip),
            (Op::RandomRotation(op), Drawn::Rotation(degrees)) => {
                let size = op.target(image.height(), image.width(), *degrees);
                *image = op.apply(image, *degrees);
                assert_eq!((image.height(), image.width()), size, "turned by {degrees}");
            }
            (Op::RandomRotate90(op), Drawn::Turns(turns)) => *image = op.apply(image, *turns),
            (Op::RandomAffine(op), Drawn::Affine(params)) => *image = op.apply(image, params),
            (Op::ColorJitter(op), Drawn::Adjustments(adjustments)) => op.apply(image, adjustments),
            (Op::RandomGrayscale(op), Drawn::Grey(grey)) => op.apply(image, *grey),
            (Op::GaussianBlur(op), Drawn::Blur(sigma)) => *image = op.apply(image, *sigma),
            (Op::GaussianNoise(op), Drawn::Noise(noise)) => op.apply(image, noise),
            (Op::Sobel(op), Drawn::Edges(edges)) => op.apply(image, *edges),
            (Op::Cutout(op), Drawn::Cutout(area)) => op.apply(image, area),
            (Op::RandomApply(op), Drawn::Apply(drawn)) => {
                drawn.iter().for_each(|drawn| by_hand(&op.ops, drawn, image));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn draws_are_what_is_applied() {
    let spec = everything();
    let pipeline = spec.check().unwrap();
    let (height, width) = pipeline.size();
    let normalize = Normalize::new(spec.mean, spec.std);
    let image = panal_data::draw_insect("ants", 0, 0).unwrap();
    let image = image::imageops::resize(&image, 70, 50, image::imageops::FilterType::Triangle);
    for seed in 0..40 {
        let (mut rng, mut other) = (keyed_rng(seed, &[]), keyed_rng(seed, &[]));
        let mut applied = vec![0.0; (height * width * 3) as usize];
        pipeline.apply(&image, &mut rng, &mut applied);
        let drawn = pipeline.draw(image.height(), image.width(), &mut other);
        assert_eq!(rng.next_u64(), other.next_u64(), "as much is drawn, seed {seed}");

        let erasings = spec.ops.iter().position(|op| matches!(op, Op::RandomErasing(_))).unwrap();
        let mut pixels = image.clone();
        by_hand(&spec.ops[..erasings], &drawn[..erasings], &mut pixels);
        let mut made = vec![0.0; applied.len()];
        normalize.apply(&pixels, false, false, &mut made);
        for step in spec.ops[erasings..].iter().zip(&drawn[erasings..]) {
            match step {
                (Op::RandomErasing(op), Drawn::Erasing(params)) => {
                    params.iter().for_each(|params| op.apply(&mut made, width, params));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(made == applied, "the pixels of seed {seed}");
    }
}

#[test]
fn right_angles_grow_as_the_turned_image_does() {
    let image = RgbImage::new(7, 4);
    for degrees in [0.0, 90.0, 180.0, 270.0, -90.0, 360.0, 45.0, 91.0] {
        for (expand, center) in [(true, None), (false, None), (true, Some([1.0, 2.0]))] {
            let rotation = panal_data::transforms::RandomRotation {
                expand,
                center,
                ..panal_data::transforms::RandomRotation::new(Default::default())
            };
            let turned = rotation.apply(&image, degrees);
            assert_eq!(
                (turned.height(), turned.width()),
                rotation.target(4, 7, degrees),
                "{degrees} {expand} {center:?}"
            );
        }
    }
}

#[test]
fn the_loader_draws_by_the_key_of_the_view() {
    let source = Arc::new(Insects::lab(0).unwrap().into_iter().next().unwrap());
    let pipeline = AugmentSpec::simclr(32, 0.5).check().unwrap();
    let spec = LoaderSpec { batch: 3, views: 2, shuffle: true, seed: 5, ..LoaderSpec::default() };
    let loader = Loader::new(source.clone(), pipeline.clone(), spec).unwrap();
    let batch = loader.epoch(4).next().unwrap().unwrap();
    let mut places = batch.pixels.chunks_exact(32 * 32 * 3);
    for &index in &batch.indices {
        let image = panal_data::DataSource::image(&*source, index).unwrap();
        for view in 0..2 {
            let mut alone = vec![0.0; 32 * 32 * 3];
            pipeline.apply(&image, &mut view_rng(5, 4, index, view), &mut alone);
            assert_eq!(alone, places.next().unwrap());
        }
    }
}
