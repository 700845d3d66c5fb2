//! Pairs of SimCLR's views a second on this machine's processor, beside panal-data's loader with the same work.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench is read, not called")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::RgbImage;
use panal_augment::{Augmenter, ImageBank};
use panal_data::augment::AugmentSpec;
use panal_data::{DataError, DataSource, Loader, LoaderSpec, keyed_rng};
use rand::Rng;
use tch::Device;

/// Random images of one size.
struct Noise(Vec<RgbImage>);

impl Noise {
    fn new(count: usize, height: u32, width: u32) -> Self {
        let mut rng = keyed_rng(0, &[]);
        let image = |_| {
            let mut bytes = vec![0; (height * width * 3) as usize];
            rng.fill_bytes(&mut bytes);
            RgbImage::from_raw(width, height, bytes).unwrap()
        };
        Self((0..count).map(image).collect())
    }
}

impl DataSource for Noise {
    fn name(&self) -> &str {
        "noise"
    }

    fn classes(&self) -> &[String] {
        const { &[] }
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, _: usize) -> usize {
        0
    }

    fn id(&self, index: usize) -> String {
        index.to_string()
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        Ok(self.0[index].clone())
    }

    fn look_at(&self, index: usize, look: &mut dyn FnMut(&RgbImage)) -> Result<(), DataError> {
        look(&self.0[index]);
        Ok(())
    }

    fn content_digest(&self, _: usize) -> Result<[u8; 32], DataError> {
        Ok([0; 32])
    }
}

/// One epoch of pairs, in batches: 10,000 images of 32 x 32 pixels, and 64 of 375 x 500, the size of most photographs.
fn pairs(c: &mut Criterion) {
    for (side, count, batch, (height, width)) in [(32, 10_000, 256, (32, 32)), (224, 64, 16, (375, 500))] {
        let spec = AugmentSpec::simclr(side, if side == 32 { 0.5 } else { 1.0 });
        let noise = Arc::new(Noise::new(count, height, width));
        let bank = ImageBank::new(&*noise, Device::Cpu, 1 << 30).unwrap();
        let augmenter = Augmenter::new(&spec, Device::Cpu).unwrap();
        let indices: Vec<usize> = (0..count).collect();

        let mut group = c.benchmark_group(format!("SimCLR {side}, pairs"));
        group.throughput(Throughput::Elements(count as u64)).sample_size(10);
        group.bench_function("tensors", |b| {
            b.iter(|| {
                for indices in indices.chunks(batch) {
                    drop(black_box(augmenter.views(&bank, indices, 0, 2, 0).unwrap()));
                }
            });
        });
        let loading = LoaderSpec { views: 2, batch, ..LoaderSpec::default() };
        let loader = Loader::new(noise, spec.check().unwrap(), loading).unwrap();
        group.bench_function("loader", |b| {
            b.iter(|| loader.epoch(0).for_each(|batch| drop(black_box(batch.unwrap()))));
        });
    }
}

criterion_group!(benches, pairs);
criterion_main!(benches);
