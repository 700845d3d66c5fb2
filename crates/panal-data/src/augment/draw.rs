//! What the steps of an augmentation draw for one image. What they do with it to pixels lives in `pipeline`.

use rand_chacha::ChaCha8Rng;

use super::Op;
use crate::transforms::{Adjustment, AffineParams, EraseParams, NoiseParams, PixelBox, chance};

/// What one step has drawn for one image.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawn {
    /// Of a step that draws nothing: `resize`, `center_crop`, `pad`.
    Nothing,
    /// The part that `random_resized_crop` cuts out.
    Crop(PixelBox),
    /// Whether `horizontal_flip` or `vertical_flip` mirrors.
    Flip(bool),
    /// By how many degrees `random_rotation` turns, counter-clockwise.
    Rotation(f64),
    /// By how many right angles `random_rotate90` turns, counter-clockwise.
    Turns(u8),
    /// The map of `random_affine`.
    Affine(AffineParams),
    /// The changes that `color_jitter` makes, in their order.
    Adjustments(Vec<Adjustment>),
    /// Whether `random_grayscale` takes the colours away.
    Grey(bool),
    /// The standard deviation of `gaussian_blur`, in pixels.
    Blur(f64),
    /// What `gaussian_noise` adds.
    Noise(NoiseParams),
    /// Whether `sobel` leaves the edges alone.
    Edges(bool),
    /// The part that `cutout` blanks.
    Cutout(PixelBox),
    /// What each step of `random_apply` has drawn; `None` where none of them is made.
    Apply(Option<Vec<Drawn>>),
    /// What `random_erasing` erases, if anything.
    Erasing(Option<EraseParams>),
}

/// One entry for each of `ops`, for an image of `(height, width)`, which becomes the size after them.
pub(super) fn draw_all(ops: &[Op], size: &mut (u32, u32), rng: &mut ChaCha8Rng) -> Vec<Drawn> {
    ops.iter().map(|op| draw(op, size, rng)).collect()
}

fn draw(op: &Op, size: &mut (u32, u32), rng: &mut ChaCha8Rng) -> Drawn {
    let (height, width) = *size;
    match op {
        Op::Resize(op) => {
            *size = op.target(height, width);
            Drawn::Nothing
        }
        Op::CenterCrop(op) => {
            *size = op.size.square();
            Drawn::Nothing
        }
        Op::Pad(op) => {
            *size = op.target(height, width);
            Drawn::Nothing
        }
        Op::RandomResizedCrop(op) => {
            *size = op.size.square();
            Drawn::Crop(op.params(height, width, rng))
        }
        Op::RandomHorizontalFlip(op) => Drawn::Flip(op.params(rng)),
        Op::RandomVerticalFlip(op) => Drawn::Flip(op.params(rng)),
        Op::RandomRotation(op) => {
            let degrees = op.params(rng);
            *size = op.target(height, width, degrees);
            Drawn::Rotation(degrees)
        }
        Op::RandomRotate90(op) => {
            let turns = op.params(rng);
            if turns % 2 == 1 {
                *size = (width, height);
            }
            Drawn::Turns(turns)
        }
        Op::RandomAffine(op) => Drawn::Affine(op.params(height, width, rng)),
        Op::ColorJitter(op) => Drawn::Adjustments(op.params(rng)),
        Op::RandomGrayscale(op) => Drawn::Grey(op.params(rng)),
        Op::GaussianBlur(op) => Drawn::Blur(op.params(rng)),
        Op::GaussianNoise(op) => Drawn::Noise(op.params(height, width, rng)),
        Op::Sobel(op) => Drawn::Edges(op.params(rng)),
        Op::Cutout(op) => Drawn::Cutout(op.params(height, width, rng)),
        Op::RandomApply(op) => Drawn::Apply(chance(op.p, rng).then(|| draw_all(&op.ops, size, rng))),
        Op::RandomErasing(op) => Drawn::Erasing(op.params(height, width, rng)),
    }
}
