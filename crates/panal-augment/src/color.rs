//! Brightness, contrast, saturation, hue and greyness, each image with its own, in its own order. Values are in `[0, 1]`.

use panal_data::transforms::Adjustment;
use tch::{Kind, TchError, Tensor};

use crate::{change_some, floats, four};

/// The parts of red, green and blue in the luminance: ITU-R 601-2.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Makes of every image its adjustments, one after the other. The first of all images are made together, then the second, and
/// so on: at each turn one colour matrix for every image, and the hue of those whose turn it is.
///
/// # Shapes
/// - `images`: `[B, 3, H, W]` f32, contiguous, of which nobody else has a handle
/// - `adjustments`: B lists, of any length
/// - returns: `[B, 3, H, W]` f32, contiguous
pub(crate) fn adjust(mut images: Tensor, adjustments: &[&[Adjustment]]) -> Result<Tensor, TchError> {
    let turns = adjustments.iter().map(|list| list.len()).max().unwrap_or(0);
    for turn in 0..turns {
        let now = || adjustments.iter().map(|list| list.get(turn));
        let mixes: Vec<Mix> = now().map(|adjustment| adjustment.map_or(Mix::NOTHING, Mix::of)).collect();
        images = mix(images, &mixes)?;

        let (at, shifts): (Vec<i64>, Vec<f32>) = (0..)
            .zip(now())
            .filter_map(|(at, adjustment)| match adjustment {
                Some(Adjustment::Hue(shift)) => Some((at, *shift as f32)),
                _ => None,
            })
            .unzip();
        images = change_some(images, &at, |images| turn_hue(images, &shifts))?;
    }
    Ok(images)
}

/// Takes the colours away from the images that are marked.
///
/// # Shapes
/// As [`adjust`]; `grey` has B marks.
pub(crate) fn to_grey(images: Tensor, grey: &[bool]) -> Result<Tensor, TchError> {
    mix(images, &grey.iter().map(|&grey| if grey { Mix::GREY } else { Mix::NOTHING }).collect::<Vec<_>>())
}

/// `x ↦ keep · x + tint · luma(x) + pull · mean(luma)`, clamped to `[0, 1]`.
#[derive(Clone, Copy, PartialEq)]
struct Mix {
    keep: f32,
    tint: f32,
    pull: f32,
}

impl Mix {
    const NOTHING: Self = Self { keep: 1.0, tint: 0.0, pull: 0.0 };
    const GREY: Self = Self { keep: 0.0, tint: 1.0, pull: 0.0 };

    /// The blends of torchvision's `adjust_brightness`, `adjust_contrast` and `adjust_saturation`.
    fn of(adjustment: &Adjustment) -> Self {
        match *adjustment {
            Adjustment::Brightness(factor) => Self { keep: factor as f32, ..Self::NOTHING },
            Adjustment::Contrast(factor) => Self { keep: factor as f32, pull: (1.0 - factor) as f32, ..Self::NOTHING },
            Adjustment::Saturation(factor) => {
                Self { keep: factor as f32, tint: (1.0 - factor) as f32, ..Self::NOTHING }
            }
            Adjustment::Hue(_) => Self::NOTHING,
        }
    }

    /// The 3 x 3 matrix of the colours, row by row.
    fn matrix(self) -> impl Iterator<Item = f32> {
        (0..9).map(move |at| self.tint * LUMA[at % 3] + if at % 4 == 0 { self.keep } else { 0.0 })
    }
}

/// One [`Mix`] for every image, as a batched product of 3 x 3 matrices with the colours of the pixels.
fn mix(images: Tensor, mixes: &[Mix]) -> Result<Tensor, TchError> {
    if mixes.iter().all(|mix| *mix == Mix::NOTHING) {
        return Ok(images);
    }
    let [count, channels, height, width] = four(&images)?;
    let device = images.device();
    let colours = images.f_view([count, channels, height * width])?;
    let matrices: Vec<f32> = mixes.iter().flat_map(|mix| mix.matrix()).collect();
    let matrices = floats(&matrices, &[count, 3, 3], device)?;
    let mut mixed = if mixes.iter().all(|mix| mix.pull == 0.0) {
        matrices.f_bmm(&colours)?
    } else {
        let pulls: Vec<f32> = mixes.iter().map(|mix| mix.pull).collect();
        let levels = colours.f_mean_dim(2, false, Kind::Float)?.f_matmul(&floats(&LUMA, &[3, 1], device)?)?;
        let levels = levels.f_mul(&floats(&pulls, &[count, 1], device)?)?;
        levels.f_view([count, 1, 1])?.f_baddbmm(&matrices, &colours, 1.0, 1.0)?
    };
    mixed.f_clamp_(0.0, 1.0)?.f_view([count, channels, height, width])
}

/// Turns the hue of each image by its part of the colour circle, with value and saturation as they are.
///
/// With `v` the largest channel, `c` the largest less the smallest and `h` the hue in sixths of the circle, a channel is
/// `v - c · clamp(min(k, 4 - k), 0, 1)`, where `k = (n + h) mod 6` and `n` is 5, 3 and 1 for red, green and blue.
///
/// # Shapes
/// - `images`: `[m, 3, H, W]` f32 in `[0, 1]`
/// - `shifts`: m of them, in `[-1/2, 1/2]`
/// - returns: `[m, 3, H, W]` f32
fn turn_hue(images: &Tensor, shifts: &[f32]) -> Result<Tensor, TchError> {
    let device = images.device();
    let value = images.f_amax([1], true)?;
    let chroma = value.f_sub(&images.f_amin([1], true)?)?;
    // Without colour every difference is 0, whatever it is divided by.
    let divisor = chroma.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
    let (red, green, blue) = (images.f_narrow(1, 0, 1)?, images.f_narrow(1, 1, 1)?, images.f_narrow(1, 2, 1)?);
    let hue = |a: &Tensor, b: &Tensor, start: f64| a.f_sub(b)?.f_div_(&divisor)?.f_add_scalar_(start);
    let not_red = hue(&blue, &red, 2.0)?.f_where_self(&green.f_eq_tensor(&value)?, &hue(&red, &green, 4.0)?)?;
    let hue = hue(&green, &blue, 0.0)?.f_where_self(&red.f_eq_tensor(&value)?, &not_red)?;

    let sixths: Vec<f32> = shifts.iter().map(|shift| shift * 6.0).collect();
    let hue = hue.f_add(&floats(&sixths, &[shifts.len() as i64, 1, 1, 1], device)?)?;
    let k = hue.f_add(&floats(&[5.0, 3.0, 1.0], &[1, 3, 1, 1], device)?)?.f_remainder(6.0)?;
    let ramp = k.f_minimum(&k.f_neg()?.f_add_scalar_(4.0)?)?.f_clamp_(0.0, 1.0)?;
    value.f_sub(&ramp.f_mul(&chroma)?)
}
