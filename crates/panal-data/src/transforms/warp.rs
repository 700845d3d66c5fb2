//! Sampling an image along an affine map, pixel for pixel as PIL's `Image.transform`. The maps are made elsewhere.
//!
//! `imageproc` has such a function too, but takes coordinates in f32, puts the centre of a pixel at whole numbers and
//! blends the fill into the outermost pixels, all of which PIL does differently.

use image::{Rgb, RgbImage};

use super::Interpolation;

/// `[a, b, c, d, e, f]`: the output's point `(x, y)` shows the input's point `(a x + b y + c, d x + e y + f)`. The
/// centre of the first pixel is the point `(0.5, 0.5)`.
pub(crate) type Matrix = [f64; 6];

/// An image of `(height, width)` pixels that shows `image` through `matrix`, and `fill` where it has no pixels.
pub(crate) fn warp(
    image: &RgbImage,
    matrix: Matrix,
    (height, width): (u32, u32),
    how: Interpolation,
    fill: Rgb<u8>,
) -> RgbImage {
    let mut out = RgbImage::from_pixel(width, height, fill);
    match how {
        Interpolation::Nearest if matrix[1] == 0.0 && matrix[3] == 0.0 => nearest_upright(image, matrix, &mut out),
        Interpolation::Nearest => nearest(image, matrix, &mut out),
        Interpolation::Bilinear => smooth(image, matrix, &mut out, bilinear),
        Interpolation::Bicubic => smooth(image, matrix, &mut out, bicubic),
    }
    out
}

/// Columns and rows don't mix: their places are added up one step at a time, as PIL does.
fn nearest_upright(image: &RgbImage, [a, _, c, _, e, f]: Matrix, out: &mut RgbImage) {
    let places = |start: f64, step: f64, count: u32, limit: u32| -> Vec<Option<u32>> {
        let mut at = start + step * 0.5;
        let mut next = || {
            let here = (at >= 0.0).then_some(at as u32).filter(|&place| place < limit);
            at += step;
            here
        };
        (0..count).map(|_| next()).collect()
    };
    let columns = places(c, a, out.width(), image.width());
    let rows = places(f, e, out.height(), image.height());
    for (row, y) in out.rows_mut().zip(rows) {
        let Some(y) = y else { continue };
        for (pixel, x) in row.zip(&columns) {
            if let Some(x) = *x {
                *pixel = *image.get_pixel(x, y);
            }
        }
    }
}

/// In fixed point with 16 binary digits, as PIL, so that the same neighbour wins.
fn nearest(image: &RgbImage, [a, b, c, d, e, f]: Matrix, out: &mut RgbImage) {
    let fixed = |v: f64| (v * 65536.0 + 0.5).floor() as i64;
    let (dx_column, dx_row, dy_column, dy_row) = (fixed(a), fixed(b), fixed(d), fixed(e));
    let mut start = (fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5));
    for row in out.rows_mut() {
        let (mut x, mut y) = start;
        for pixel in row {
            if let (Ok(column), Ok(line)) = (u32::try_from(x >> 16), u32::try_from(y >> 16))
                && let Some(found) = image.get_pixel_checked(column, line)
            {
                *pixel = *found;
            }
            x = x.wrapping_add(dx_column);
            y = y.wrapping_add(dy_column);
        }
        start = (start.0.wrapping_add(dx_row), start.1.wrapping_add(dy_row));
    }
}

/// The points that fall inside the image get the pixel that `sample` mixes there.
fn smooth(
    image: &RgbImage,
    [a, b, c, d, e, f]: Matrix,
    out: &mut RgbImage,
    sample: impl Fn(&RgbImage, f64, f64) -> Rgb<u8>,
) {
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    for (row, pixels) in out.rows_mut().enumerate() {
        let v = row as f64 + 0.5;
        for (column, pixel) in pixels.enumerate() {
            let u = column as f64 + 0.5;
            let (x, y) = (a * u + b * v + c, d * u + e * v + f);
            if (0.0..width).contains(&x) && (0.0..height).contains(&y) {
                *pixel = sample(image, x - 0.5, y - 0.5);
            }
        }
    }
}

/// The pixel at `(x, y)` counted from the centre of the first one, with the border repeated outwards.
fn clamped(image: &RgbImage, x: i64, y: i64) -> [f64; 3] {
    let inside = |v: i64, size: u32| v.clamp(0, i64::from(size) - 1) as u32;
    image.get_pixel(inside(x, image.width()), inside(y, image.height())).0.map(f64::from)
}

fn bilinear(image: &RgbImage, x: f64, y: f64) -> Rgb<u8> {
    let (left, top) = (x.floor(), y.floor());
    let (dx, dy) = (x - left, y - top);
    let (left, top) = (left as i64, top as i64);
    let [nw, ne] = [0, 1].map(|i| clamped(image, left + i, top));
    let [sw, se] = [0, 1].map(|i| clamped(image, left + i, top + 1));
    let mix = |a: f64, b: f64, t: f64| a + (b - a) * t;
    // PIL rounds down here.
    Rgb(std::array::from_fn(|c| mix(mix(nw[c], ne[c], dx), mix(sw[c], se[c], dx), dy) as u8))
}

fn bicubic(image: &RgbImage, x: f64, y: f64) -> Rgb<u8> {
    let (left, top) = (x.floor(), y.floor());
    let (dx, dy) = (x - left, y - top);
    let (left, top) = (left as i64, top as i64);
    // The cubic with a = -1 that PIL has in transforms; in resizing it has a = -0.5.
    let cubic = |[p, q, r, s]: [f64; 4], t: f64| q + t * (r - p + t * (2.0 * (p - q) + r - s + t * (q - p + s - r)));
    let rows = [-1, 0, 1, 2].map(|j| [-1, 0, 1, 2].map(|i| clamped(image, left + i, top + j)));
    Rgb(std::array::from_fn(|c| cubic(rows.map(|row| cubic(row.map(|pixel| pixel[c]), dx)), dy) as u8))
}
