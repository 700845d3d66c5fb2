//! Tests of the crate's public face, one module for each part. Helpers that several modules share are here.

#![allow(clippy::unwrap_used)] // helpers of tests as well as the tests themselves

mod bank;
mod draws;
mod pixels;
mod refusals;

use image::{Rgb, RgbImage};
use panal_augment::ImageBank;
use panal_data::augment::{AugmentSpec, Op};
use panal_data::{DataError, DataSource, keyed_rng};
use rand::RngExt;
use tch::{Device, Tensor};

/// Images at hand, of one class.
struct Images(Vec<RgbImage>);

impl DataSource for Images {
    fn name(&self) -> &str {
        "images"
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

    fn content_digest(&self, _: usize) -> Result<[u8; 32], DataError> {
        Ok([0; 32])
    }
}

/// Colours that change slowly across the image, each channel in its own direction, and some noise: much as a photograph.
fn picture(height: u32, width: u32, seed: u64) -> RgbImage {
    let mut rng = keyed_rng(seed, &[]);
    let waves: [[f64; 3]; 3] = std::array::from_fn(|_| std::array::from_fn(|_| rng.random::<f64>() * 6.0));
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        Rgb(waves.map(|[across, down, start]| {
            let noise = rng.random::<f64>() * 20.0 - 10.0;
            (128.0 + 110.0 * (across * x + down * y + start).sin() + noise) as u8
        }))
    })
}

/// Pictures of `(height, width)`, each of another seed.
fn pictures(sizes: &[(u32, u32)]) -> Images {
    Images((0..).zip(sizes).map(|(seed, &(height, width))| picture(height, width, seed)).collect())
}

fn bank(images: &Images) -> ImageBank {
    ImageBank::new(images, Device::Cpu, 1 << 28).unwrap()
}

/// With a mean and standard deviation that differ from channel to channel.
fn spec(ops: Vec<Op>) -> AugmentSpec {
    AugmentSpec { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3], ..AugmentSpec::new(ops) }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.contiguous().view([-1])).unwrap()
}
