//! Cropping, resizing and mirroring as products with matrices of weights. Which part of an image is taken is for
//! `augmenter` to say.

use panal_data::transforms::Interpolation;
use tch::{Device, Kind, TchError, Tensor};

use crate::{counted, floats, four};

/// What the pixels of one axis of an image are made of: pixel `i` of `count` is centred at `origin + step * (i + 1/2)` of
/// the image's axis, whose pixel `j` is centred at `j + 1/2`. Mirrored, `step` is negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    origin: f64,
    step: f64,
    /// Nothing outside `lower..upper` is looked at.
    lower: f64,
    upper: f64,
    pub(crate) count: u32,
}

impl Axis {
    /// As it is.
    pub(crate) fn whole(length: u32) -> Self {
        Self { origin: 0.0, step: 1.0, lower: 0.0, upper: f64::from(length), count: length }
    }

    /// Only `count` pixels from `start` on, with what is beside them out of sight of a later resize.
    pub(crate) fn cut(self, start: u32, count: u32) -> Self {
        let first = self.window(i64::from(start), count);
        let end = first.origin + first.step * f64::from(count);
        Self { lower: first.origin.min(end), upper: first.origin.max(end), ..first }
    }

    /// Only `count` pixels from `start` on; black where there are none.
    pub(crate) fn window(self, start: i64, count: u32) -> Self {
        Self { origin: self.origin + self.step * start as f64, count, ..self }
    }

    /// The same stretch in `count` pixels.
    pub(crate) fn resized(self, count: u32) -> Self {
        Self { step: self.step * f64::from(self.count) / f64::from(count), count, ..self }
    }

    /// The other way round.
    pub(crate) fn mirrored(self) -> Self {
        Self { origin: self.origin + self.step * f64::from(self.count), step: -self.step, ..self }
    }
}

/// The weights with which PIL mixes the pixels of an axis (antialiasing, where it shrinks): with `d` the distance between the
/// centres in units of `max(|step|, 1)`, the triangle `max(1 - d, 0)`, or the kernel of cubic convolution with a = -1/2:
/// `1.5 d³ - 2.5 d² + 1` below 1, `-0.5 d³ + 2.5 d² - 4 d + 2` from 1 to 2. They are divided by their sum.
///
/// # Shapes
/// - `axes`: B of them, all with one `count`
/// - returns: `[B, count, length]` f32; each row sums to 1, or is 0 where the axis has no pixel
pub(crate) fn weights(axes: &[Axis], length: i64, how: Interpolation, device: Device) -> Result<Tensor, TchError> {
    let numbers: Vec<f32> = axes
        .iter()
        .flat_map(|axis| [axis.origin, axis.step, axis.lower, axis.upper])
        .map(|value| value as f32)
        .collect();
    let numbers = floats(&numbers, &[axes.len() as i64, 4, 1, 1], device)?;
    let [origin, step, lower, upper] = [0, 1, 2, 3].map(|at| numbers.f_select(1, at));
    let (step, lower, upper) = (step?, lower?, upper?);
    let middles = |count: i64| counted(count, device)?.f_add_scalar(0.5);

    let count = axes.first().map_or(0, |axis| i64::from(axis.count));
    let centres = middles(count)?.f_view([1, count, 1])?.f_mul(&step)?.f_add(&origin?)?;
    let pixels = middles(length)?.f_view([1, 1, length])?;
    let distances = pixels.f_sub(&centres)?.f_abs_()?.f_div_(&step.f_abs()?.f_clamp_min(1.0)?)?;
    let seen =
        |place: &Tensor| place.f_gt_tensor(&lower)?.f_logical_and(&place.f_lt_tensor(&upper)?)?.f_to_kind(Kind::Float);
    let weights = kernel(&distances, how)?.f_mul_(&seen(&pixels)?)?;
    let sums = weights.f_sum_dim_intlist(-1, true, Kind::Float)?;
    // A row without any weight is 0 / 1.
    let sums = sums.f_add(&sums.f_eq(0.0)?.f_to_kind(Kind::Float)?)?;
    weights.f_mul(&seen(&centres)?.f_div(&sums)?)
}

/// The weight of a pixel at a distance >= 0.
fn kernel(distances: &Tensor, how: Interpolation) -> Result<Tensor, TchError> {
    // As a polynomial, highest power first.
    let polynomial = |[a, b, c, d]: [f64; 4]| {
        let sum = distances.f_mul_scalar(a)?.f_add_scalar_(b)?;
        sum.f_mul(distances)?.f_add_scalar_(c)?.f_mul_(distances)?.f_add_scalar_(d)
    };
    if how != Interpolation::Bicubic {
        return distances.f_neg()?.f_add_scalar_(1.0)?.f_clamp_min_(0.0);
    }
    let (near, far) = (polynomial([1.5, -2.5, 0.0, 1.0])?, polynomial([-0.5, 2.5, -4.0, 2.0])?);
    let far = far.f_mul(&distances.f_lt(2.0)?.f_to_kind(Kind::Float)?)?;
    near.f_where_self(&distances.f_lt(1.0)?, &far)
}

/// Mixes columns and then rows, `wide` in between being clamped to `limits` where they are given, as PIL does: for image k and
/// view v, `out = rows · image · columnsᵀ` in every channel.
///
/// # Shapes
/// - `images`: `[n, 3, H, W]` f32
/// - `rows`: `[n * views, height, H]`; `columns`: `[n * views, width, W]`; the views of an image stand side by side
/// - returns: `[n * views, 3, height, width]` f32, contiguous
pub(crate) fn product(
    images: &Tensor,
    rows: &Tensor,
    columns: &Tensor,
    limits: Option<[f64; 2]>,
) -> Result<Tensor, TchError> {
    let clamped = |mut images: Tensor| match limits {
        Some([least, most]) => images.f_clamp_(least, most),
        None => Ok(images),
    };
    let [n, channels, h, w] = four(images)?;
    let (all, height, _) = rows.size3()?;
    let (_, width, _) = columns.size3()?;
    let views = if n == 0 { 0 } else { all / n };

    let columns = columns.f_reshape([n, views * width, w])?.f_transpose(1, 2)?;
    let wide = clamped(images.f_reshape([n, channels * h, w])?.f_bmm(&columns)?)?;
    // [n, 3, H, views, width] to [n * views, H, 3 * width].
    let wide = wide.f_view([n, channels, h, views, width])?.f_permute([0, 3, 2, 1, 4])?;
    let out = clamped(rows.f_bmm(&wide.f_reshape([all, h, channels * width])?)?)?;
    out.f_view([all, height, channels, width])?.f_permute([0, 2, 1, 3])?.f_contiguous()
}
