//! PIL's colour arithmetic, one pixel at a time, with its rounding. The transforms that use it live beside it.

/// The luminance of a pixel: ITU-R 601-2 in fixed point, as `Image.convert("L")`.
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// `factor` of the way from `from` to `to`, or beyond, rounded towards zero, as `Image.blend`.
pub(crate) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    // A cast from a float stays inside 0..=255 by itself.
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// Hue, saturation and value in 0..=255, as `Image.convert("HSV")`.
pub(crate) fn rgb_to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let spread = f32::from(max - min);
    let saturation = spread / f32::from(max);
    let [rc, gc, bc] = [r, g, b].map(|channel| f32::from(max - channel) / spread);
    let sextant = if r == max {
        bc - gc
    } else if g == max {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(sextant) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
}

/// The way back, as `Image.convert("RGB")` of an HSV image.
pub(crate) fn hsv_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let place = f64::from(hue) * 6.0 / 255.0;
    let sextant = place.floor();
    let rest = (place - sextant) as f32;
    let saturation = (f64::from(saturation) / 255.0) as f32;
    let scaled = |part: f64| (f64::from(value) * (1.0 - part)).round() as u8;
    let p = scaled(f64::from(saturation));
    let q = scaled(f64::from(saturation * rest));
    let t = scaled(f64::from(saturation) * (1.0 - f64::from(rest)));
    match sextant as u8 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}
