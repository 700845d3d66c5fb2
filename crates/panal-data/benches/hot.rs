//! The functions that every image passes through, one by one, on an image of the size and the kind of the photographs of
//! the lab. Whole pipelines beside a peer's are measured by `cargo xtask bench`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench is read, not called")]

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use image::{ImageFormat, RgbImage};
use panal_data::transforms::{
    Adjustment, CenterCrop, ColorJitter, GaussianBlur, IMAGENET_MEAN, IMAGENET_STD, KernelSize, Normalize, PixelBox,
    RandomResizedCrop, Resize, Size,
};
use panal_data::{AugmentSpec, Cached, DataSource, Insects, Loader, LoaderSpec, decode_bytes, draw_insect, keyed_rng};

/// 500 x 375 pixels, as most photographs of the lab: a drawn insect, enlarged.
fn photograph() -> RgbImage {
    let insect = draw_insect("ants", 0, 0).unwrap();
    image::imageops::resize(&insect, 500, 375, image::imageops::FilterType::Triangle)
}

fn transforms(c: &mut Criterion) {
    let image = photograph();
    let mut jpeg = Cursor::new(Vec::new());
    image.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    c.bench_function("decode JPEG", |b| b.iter(|| decode_bytes(black_box(&jpeg), "bench").unwrap()));

    let side = Size::Side(224);
    let resize = Resize { size: Size::Side(256), interpolation: Default::default() };
    c.bench_function("resize to 256", |b| b.iter(|| resize.apply(black_box(&image))));
    let part = PixelBox { top: 30, left: 40, height: 300, width: 320 };
    let crop = RandomResizedCrop::new(side);
    c.bench_function("resized crop to 224", |b| b.iter(|| crop.apply(black_box(&image), &part)));

    let small = CenterCrop { size: side }.apply(&image);
    let normalize = Normalize::new(IMAGENET_MEAN, IMAGENET_STD);
    let mut pixels = vec![0.0; 224 * 224 * 3];
    c.bench_function("normalize 224", |b| b.iter(|| normalize.apply(black_box(&small), true, false, &mut pixels)));

    let jitter = ColorJitter::default();
    for adjustment in
        [Adjustment::Brightness(1.2), Adjustment::Contrast(1.2), Adjustment::Saturation(1.2), Adjustment::Hue(0.1)]
    {
        let name = format!("{adjustment:?} 224");
        let mut image = small.clone();
        c.bench_function(&name, |b| b.iter(|| jitter.apply(black_box(&mut image), &[adjustment])));
    }
    let blur = GaussianBlur { kernel_size: KernelSize::Square(23), sigma: Default::default() };
    for sigma in [0.5, 2.0] {
        c.bench_function(&format!("blur 224, sigma {sigma}"), |b| b.iter(|| blur.apply(black_box(&small), sigma)));
    }
}

fn pipelines(c: &mut Criterion) {
    let image = photograph();
    let mut pixels = vec![0.0; 224 * 224 * 3];
    for (name, spec) in [
        ("evaluation", AugmentSpec::plain(256, 224)),
        ("supervised", AugmentSpec::supervised(224)),
        ("SimCLR, one view", AugmentSpec::simclr(224, 1.0)),
    ] {
        let pipeline = spec.check().unwrap();
        let mut number = 0;
        c.bench_function(&format!("pipeline: {name}"), |b| {
            b.iter(|| {
                number += 1;
                pipeline.apply(black_box(&image), &mut keyed_rng(0, &[number]), &mut pixels);
            });
        });
    }

    let [train, _] = Insects::lab(0).unwrap();
    let source: Arc<dyn DataSource> = Arc::new(Cached::new(Arc::new(train), 1 << 30));
    let spec = LoaderSpec { batch: 32, ..LoaderSpec::default() };
    let loader = Loader::new(source, AugmentSpec::plain(224, 224).check().unwrap(), spec).unwrap();
    loader.epoch(0).for_each(|batch| drop(batch.unwrap()));
    c.bench_function("loader: an epoch of 244 cached images", |b| {
        b.iter(|| loader.epoch(0).for_each(|batch| drop(black_box(batch.unwrap()))));
    });
}

criterion_group!(benches, transforms, pipelines);
criterion_main!(benches);
