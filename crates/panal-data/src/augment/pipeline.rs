//! Running a checked augmentation on one image after another. What the steps do lives in `transforms`.

use std::borrow::Cow;

use image::{RgbImage, imageops};
use rand_chacha::ChaCha8Rng;

use super::draw::draw_all;
use super::{AugmentSpec, Drawn, Op};
use crate::transforms::{Interpolation, Normalize, RandomErasing};

/// A checked [`AugmentSpec`]: takes any image to normalised floats of one size.
#[derive(Clone, Debug, PartialEq)]
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

    /// What every step draws for an image of `height` x `width`: an entry for each of [`AugmentSpec::ops`], in their order.
    /// [`apply`](Self::apply) draws exactly so, and makes of these draws what it makes.
    pub fn draw(&self, height: u32, width: u32, rng: &mut ChaCha8Rng) -> Vec<Drawn> {
        let mut size = (height, width);
        let mut drawn = draw_all(&self.ops, &mut size, rng);
        let erasings = self.erasings.iter().map(|erasing| Drawn::Erasing(erasing.params(size.0, size.1, rng)));
        drawn.extend(erasings);
        drawn
    }

    /// Augments and normalises `image` into `out`: `[height, width, 3]` of [`size`](Self::size), rows of pixels of red,
    /// green and blue. Every random number comes from `rng`.
    ///
    /// # Panics
    /// Unless `out` has `height * width * 3` places.
    pub fn apply(&self, image: &RgbImage, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let drawn = self.draw(image.height(), image.width(), rng);
        let (drawn, erased) = drawn.split_at(self.ops.len());
        let mut frame = Frame::new(image);
        frame.run_all(&self.ops, drawn);
        self.normalize.apply(&frame.pixels, frame.flip_horizontal, frame.flip_vertical, out);
        for (erasing, drawn) in self.erasings.iter().zip(erased) {
            if let Drawn::Erasing(Some(params)) = drawn {
                erasing.apply(out, self.width, params);
            }
        }
    }

    /// What [`apply`](Self::apply) makes of `image`, as a picture to look at: its values before normalisation, to the nearest of
    /// 256 levels.
    pub fn picture(&self, image: &RgbImage, rng: &mut ChaCha8Rng) -> RgbImage {
        let mut values = vec![0.0; self.height as usize * self.width as usize * 3];
        self.apply(image, rng, &mut values);
        let pixels = self.normalize.invert(&values);
        RgbImage::from_raw(self.width, self.height, pixels).unwrap_or_default()
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

    /// `drawn` has an entry for each of `ops`.
    fn run_all(&mut self, ops: &[Op], drawn: &[Drawn]) {
        let mut at = 0;
        while at < ops.len() {
            match &ops[at..] {
                // The nearest pixel can be another one when a sum is rounded otherwise; mixtures don't mind.
                [Op::Resize(resize), Op::CenterCrop(crop), ..] if resize.interpolation != Interpolation::Nearest => {
                    self.replace(|image| crop.of_resized(resize, image));
                    at += 2;
                }
                _ => {
                    self.run(&ops[at], &drawn[at]);
                    at += 1;
                }
            }
        }
    }

    fn run(&mut self, op: &Op, drawn: &Drawn) {
        match (op, drawn) {
            (Op::Resize(op), _) => self.replace(|image| op.apply(image)),
            (Op::CenterCrop(op), _) => self.replace(|image| op.apply(image)),
            (Op::Pad(op), _) => self.replace(|image| op.apply(image)),
            (Op::RandomResizedCrop(op), Drawn::Crop(crop)) => self.replace(|image| op.apply(image, crop)),
            (Op::RandomHorizontalFlip(_), Drawn::Flip(flip)) => self.flip_horizontal ^= flip,
            (Op::RandomVerticalFlip(_), Drawn::Flip(flip)) => self.flip_vertical ^= flip,
            (Op::RandomRotation(op), Drawn::Rotation(degrees)) => self.replace(|image| op.apply(image, *degrees)),
            (Op::RandomRotate90(op), &Drawn::Turns(turns)) if turns > 0 => self.replace(|image| op.apply(image, turns)),
            (Op::RandomAffine(op), Drawn::Affine(params)) => self.replace(|image| op.apply(image, params)),
            (Op::ColorJitter(op), Drawn::Adjustments(adjustments)) => op.apply(self.pixels.to_mut(), adjustments),
            (Op::RandomGrayscale(op), Drawn::Grey(true)) => op.apply(self.pixels.to_mut(), true),
            (Op::GaussianBlur(op), Drawn::Blur(sigma)) => self.replace(|image| op.apply(image, *sigma)),
            (Op::GaussianNoise(op), Drawn::Noise(noise)) => op.apply(self.flipped(), noise),
            // A mirror image has the mirror image's edges, so a flip may go on waiting.
            (Op::Sobel(op), Drawn::Edges(true)) => op.apply(self.pixels.to_mut(), true),
            (Op::Cutout(op), Drawn::Cutout(area)) => op.apply(self.flipped(), area),
            (Op::RandomApply(op), Drawn::Apply(Some(drawn))) => self.run_all(&op.ops, drawn),
            // What was drawn not to happen. Erasings are never here: the pipeline keeps them apart, they work on floats.
            _ => {}
        }
    }

    /// The pixels, flipped as noted.
    fn flipped(&mut self) -> &mut RgbImage {
        self.flip();
        self.pixels.to_mut()
    }

    /// Hands the pixels, flipped as noted, to `step` and keeps what it returns.
    fn replace(&mut self, step: impl FnOnce(&RgbImage) -> RgbImage) {
        self.flip();
        self.pixels = Cow::Owned(step(&self.pixels));
    }

    fn flip(&mut self) {
        if std::mem::take(&mut self.flip_horizontal) {
            imageops::flip_horizontal_in_place(self.pixels.to_mut());
        }
        if std::mem::take(&mut self.flip_vertical) {
            imageops::flip_vertical_in_place(self.pixels.to_mut());
        }
    }
}
