//! Running a checked augmentation on one image after another. What the steps do lives in `transforms`.

use std::borrow::Cow;

use image::{RgbImage, imageops};
use rand_chacha::ChaCha8Rng;

use super::{AugmentSpec, Op};
use crate::transforms::{Interpolation, Normalize, RandomErasing, chance};

/// A checked [`AugmentSpec`]: takes any image to normalised floats of one size.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Every step on 8-bit pixels.
    ops: Vec<Op>,
    normalize: Normalize,
    /// Every step after normalisation.
    erasings: Vec<RandomErasing>,
    height: u32,
    width: u32,
}

impl Pipeline {
    /// `spec` has been checked and ends in images of `(height, width)`.
    pub(super) fn new(spec: &AugmentSpec, (height, width): (u32, u32)) -> Self {
        let erasings = spec.ops.iter().filter_map(|op| if let Op::RandomErasing(op) = op { Some(*op) } else { None });
        Self {
            ops: spec.ops.iter().filter(|op| !op.is_erasing()).cloned().collect(),
            normalize: Normalize::new(spec.mean, spec.std),
            erasings: erasings.collect(),
            height,
            width,
        }
    }

    /// The `(height, width)` of every image that comes out.
    pub fn size(&self) -> (u32, u32) {
        (self.height, self.width)
    }

    /// Whether two runs on the same image can differ. Where they can't, what is computed from an image may be kept.
    pub fn is_random(&self) -> bool {
        self.ops.iter().any(Op::is_random) || self.erasings.iter().any(|erasing| erasing.p > 0.0)
    }

    /// The steps in one line, for logs.
    pub fn describe(&self) -> String {
        let erasings = self.erasings.iter().map(|erasing| Op::RandomErasing(*erasing).to_string());
        let steps: Vec<String> =
            self.ops.iter().map(Op::to_string).chain(["normalize".to_owned()]).chain(erasings).collect();
        steps.join(", ")
    }

    /// Augments and normalises `image` into `out`: `[height, width, 3]` of [`size`](Self::size), rows of pixels of red,
    /// green and blue. Every random number comes from `rng`.
    ///
    /// # Panics
    /// Unless `out` has `height * width * 3` places.
    pub fn apply(&self, image: &RgbImage, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let mut frame = Frame::new(image);
        frame.run_all(&self.ops, rng);
        self.normalize.apply(&frame.pixels, frame.flip_horizontal, frame.flip_vertical, out);
        for erasing in &self.erasings {
            if let Some(params) = erasing.params(self.height, self.width, rng) {
                erasing.apply(out, self.width, &params);
            }
        }
    }
}

/// An image on its way through the steps. A flip is only noted, and made when a step asks for places or while the
/// pixels are written out: steps that look at one colour at a time come to the same either way.
struct Frame<'a> {
    pixels: Cow<'a, RgbImage>,
    flip_horizontal: bool,
    flip_vertical: bool,
}

impl<'a> Frame<'a> {
    fn new(image: &'a RgbImage) -> Self {
        Self { pixels: Cow::Borrowed(image), flip_horizontal: false, flip_vertical: false }
    }

    fn run_all(&mut self, ops: &[Op], rng: &mut ChaCha8Rng) {
        let mut rest = ops;
        loop {
            rest = match rest {
                [] => return,
                // The nearest pixel can be another one when a sum is rounded otherwise; mixtures don't mind.
                [Op::Resize(resize), Op::CenterCrop(crop), after @ ..]
                    if resize.interpolation != Interpolation::Nearest =>
                {
                    self.replace(|image| crop.of_resized(resize, image));
                    after
                }
                [op, after @ ..] => {
                    self.run(op, rng);
                    after
                }
            };
        }
    }

    fn run(&mut self, op: &Op, rng: &mut ChaCha8Rng) {
        let (width, height) = self.pixels.dimensions();
        match op {
            Op::Resize(op) => self.replace(|image| op.apply(image)),
            Op::CenterCrop(op) => self.replace(|image| op.apply(image)),
            Op::Pad(op) => self.replace(|image| op.apply(image)),
            Op::RandomResizedCrop(op) => {
                let crop = op.params(height, width, rng);
                self.replace(|image| op.apply(image, &crop));
            }
            Op::RandomHorizontalFlip(op) => self.flip_horizontal ^= op.params(rng),
            Op::RandomVerticalFlip(op) => self.flip_vertical ^= op.params(rng),
            Op::RandomRotation(op) => {
                let degrees = op.params(rng);
                self.replace(|image| op.apply(image, degrees));
            }
            Op::RandomAffine(op) => {
                let params = op.params(height, width, rng);
                self.replace(|image| op.apply(image, &params));
            }
            Op::ColorJitter(op) => {
                let adjustments = op.params(rng);
                op.apply(self.pixels.to_mut(), &adjustments);
            }
            Op::RandomGrayscale(op) => {
                if op.params(rng) {
                    op.apply(self.pixels.to_mut(), true);
                }
            }
            Op::GaussianBlur(op) => {
                let sigma = op.params(rng);
                self.replace(|image| op.apply(image, sigma));
            }
            Op::RandomApply(op) => {
                if chance(op.p, rng) {
                    self.run_all(&op.ops, rng);
                }
            }
            // Never here: the pipeline keeps these apart, for they work on floats.
            Op::RandomErasing(_) => {}
        }
    }

    /// Hands the pixels, flipped as noted, to `step` and keeps what it returns.
    fn replace(&mut self, step: impl FnOnce(&RgbImage) -> RgbImage) {
        if std::mem::take(&mut self.flip_horizontal) {
            imageops::flip_horizontal_in_place(self.pixels.to_mut());
        }
        if std::mem::take(&mut self.flip_vertical) {
            imageops::flip_vertical_in_place(self.pixels.to_mut());
        }
        self.pixels = Cow::Owned(step(&self.pixels));
    }
}
