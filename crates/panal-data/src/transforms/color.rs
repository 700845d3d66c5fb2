//! PIL's colour arithmetic, one pixel at a time, with its rounding. The transforms that use it live beside it.

/// The luminance of a pixel: ITU-R 601-2 in fixed point, as `Image.convert("L")`.
#[inline(always)]
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// `factor` of the way from `from` to `to`, or beyond, rounded towards zero, as `Image.blend`.
#[inline(always)]
pub(crate) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    // A cast from a float stays inside 0..=255 by itself.
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// Hue, saturation and value in 0..=255, as `Image.convert("HSV")`.
#[inline(always)]
pub(crate) fn rgb_to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let spread = f32::from(max - min);
    let saturation = spread / f32::from(max);
    let [rc, gc, bc] = [r, g, b].map(|channel| f64::from(f32::from(max - channel) / spread));
    // Chosen without a jump: which channel is the largest can't be foretold.
    let (start, plus, minus) = match (r == max, g == max) {
        (true, _) => (0.0, bc, gc),
        (_, true) => (2.0, rc, bc),
        _ => (4.0, gc, rc),
    };
    let sextant = (start + plus - minus) as f32;
    // Modulo 1 of what lies in 5/6 to 11/6: a subtraction, which is exact here, and not a call of `fmod`.
    let turned = f64::from(sextant) / 6.0 + 1.0;
    let hue = if turned >= 1.0 { turned - 1.0 } else { turned } as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
}

/// The way back, as `Image.convert("RGB")` of an HSV image.
#[inline(always)]
pub(crate) fn hsv_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let (sextant, rest) = HUES[usize::from(hue)];
    let saturation = (f64::from(saturation) / 255.0) as f32;
    // To the nearest, for what is not negative and has few digits: adding a half is exact.
    let scaled = |part: f64| (f64::from(value) * (1.0 - part) + 0.5) as u8;
    let p = scaled(f64::from(saturation));
    let q = scaled(f64::from(saturation * rest));
    let t = scaled(f64::from(saturation) * (1.0 - f64::from(rest)));
    let parts = [value, p, q, t];
    ORDER[usize::from(sextant)].map(|part| parts[usize::from(part) & 3])
}

/// Which of value, p, q and t are red, green and blue, in each sixth of the colour circle.
const ORDER: [[u8; 3]; 6] = [[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]];

/// In which sixth of the colour circle each hue lies, and how far in it.
static HUES: [(u8, f32); 256] = {
    let mut hues = [(0, 0.0); 256];
    let mut hue = 0;
    while hue < 256 {
        let place = hue as f64 * 6.0 / 255.0;
        let sextant = place as u8;
        hues[hue] = (sextant % 6, (place - sextant as f64) as f32);
        hue += 1;
    }
    hues
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The arithmetic of Pillow's Convert.c written out, with C's own functions.
    fn hsv_to_rgb_of_pillow([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
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
        [[value, t, p], [q, value, p], [p, value, t], [p, q, value], [t, p, value], [value, p, q]]
            [usize::from(sextant as u8 % 6)]
    }

    #[test]
    fn the_way_back_is_pillows_for_every_colour() {
        for hue in 0..=255 {
            for saturation in 0..=255 {
                for value in 0..=255 {
                    let hsv = [hue, saturation, value];
                    assert_eq!(hsv_to_rgb(hsv), hsv_to_rgb_of_pillow(hsv), "{hsv:?}");
                }
            }
        }
    }

    /// The hue with C's `fmod`, for every colour.
    #[test]
    fn the_hue_wraps_as_pillows() {
        for r in 0..=255 {
            for g in 0..=255 {
                for b in 0..=255u8 {
                    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
                    if max == min {
                        continue;
                    }
                    let spread = f32::from(max - min);
                    let [rc, gc, bc] = [r, g, b].map(|channel: u8| f32::from(max - channel) / spread);
                    let sextant = if r == max {
                        bc - gc
                    } else if g == max {
                        (2.0 + f64::from(rc) - f64::from(bc)) as f32
                    } else {
                        (4.0 + f64::from(gc) - f64::from(rc)) as f32
                    };
                    let hue = ((f64::from(sextant) / 6.0 + 1.0) % 1.0) as f32;
                    assert_eq!(rgb_to_hsv([r, g, b])[0], (f64::from(hue) * 255.0) as u8, "{r} {g} {b}");
                }
            }
        }
    }
}
