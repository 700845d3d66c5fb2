//! PIL's colour arithmetic, with its rounding. The transforms that use it live beside it.

/// The luminance of a pixel: ITU-R 601-2 in fixed point, as `Image.convert("L")`.
#[inline(always)]
pub(crate) fn luma(pixel: [u8; 3]) -> u8 {
    grey(pixel.map(i32::from)) as u8
}

#[inline(always)]
fn grey([r, g, b]: [i32; 3]) -> i32 {
    (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
}

/// `factor` of the way from `from` to `to`, or beyond, rounded towards zero, as `Image.blend`.
#[inline(always)]
pub(crate) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    // A cast from a float stays inside 0..=255 by itself.
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// Pixels that are changed at a time.
const LANES: usize = 64;

/// A channel of some pixels.
type Channel = [i32; LANES];

/// A change of pixels that is made to some of them at a time, in loops without a jump, so that an instruction can take many. What it calls
/// has to be inlined: compiled apart it has not the instructions that its caller may use.
trait Change {
    fn change(&self, channels: [&mut Channel; 3]);

    #[inline(always)]
    fn make(&self, pixels: &mut [[u8; 3]]) {
        let mut channels = [[0; LANES]; 3];
        for block in pixels.chunks_mut(LANES) {
            for (i, pixel) in block.iter().enumerate() {
                for (channel, &value) in channels.iter_mut().zip(pixel) {
                    channel[i] = i32::from(value);
                }
            }
            self.change(channels.each_mut());
            for (i, pixel) in block.iter_mut().enumerate() {
                let [r, g, b] = &channels;
                *pixel = [r[i] as u8, g[i] as u8, b[i] as u8];
            }
        }
    }
}

/// [`blend`]s each pixel with its own grey, as `adjust_saturation`.
#[inline(always)]
pub(crate) fn saturate(pixels: &mut [[u8; 3]], factor: f32) {
    Saturate { factor }.make(pixels);
}

/// Turns the hue of each pixel by `shift` 255ths of the colour circle, through 8-bit HSV: `Image.convert("HSV")`, an addition that wraps,
/// and `Image.convert("RGB")`.
#[inline(always)]
pub(crate) fn turn_hue(pixels: &mut [[u8; 3]], shift: u8) {
    TurnHue { shift }.make(pixels);
}

struct Saturate {
    factor: f32,
}

impl Change for Saturate {
    #[inline(always)]
    fn change(&self, [r, g, b]: [&mut Channel; 3]) {
        for i in 0..LANES {
            let grey = grey([r[i], g[i], b[i]]) as f32;
            r[i] = self.blended(grey, r[i]);
            g[i] = self.blended(grey, g[i]);
            b[i] = self.blended(grey, b[i]);
        }
    }
}

impl Saturate {
    #[inline(always)]
    fn blended(&self, grey: f32, channel: i32) -> i32 {
        floor(f64::from((grey + self.factor * (channel as f32 - grey)).clamp(0.0, 255.0)))
    }
}

struct TurnHue {
    shift: u8,
}

impl Change for TurnHue {
    #[inline(always)]
    fn change(&self, [r, g, b]: [&mut Channel; 3]) {
        to_hsv([r, g, b]);
        r.iter_mut().for_each(|hue| *hue = (*hue + i32::from(self.shift)) & 255);
        to_rgb([r, g, b]);
    }
}

/// Red, green and blue to hue, saturation and value in 0..=255, as `Image.convert("HSV")`; a grey, which has no hue, gets any.
#[inline(always)]
fn to_hsv([r, g, b]: [&mut Channel; 3]) {
    for i in 0..LANES {
        let (max, min) = (r[i].max(g[i]).max(b[i]), r[i].min(g[i]).min(b[i]));
        let spread = max - min;
        // How far the other two channels are below the largest, and where its third of the circle starts.
        let (start, plus, minus) = if r[i] == max {
            (0.0f32, max - b[i], max - g[i])
        } else if g[i] == max {
            (2.0, max - r[i], max - b[i])
        } else {
            (4.0, max - g[i], max - r[i])
        };
        // One of them is the smallest, a whole spread below, so that a single rounding is left of Pillow's `start + plus - minus`.
        let whole = plus == spread;
        let part = if whole { minus } else { plus } as f32 / spread.max(1) as f32;
        let sextant = if whole { start + 1.0 - part } else { start - 1.0 + part };
        // Modulo 1 of what lies in 5/6 to 11/6: a subtraction, which is exact here.
        let turned = f64::from(sextant) / 6.0 + 1.0;
        let turned = if turned >= 1.0 { turned - 1.0 } else { turned } as f32;
        r[i] = floor(f64::from(turned) * 255.0);
        g[i] = floor(f64::from(spread as f32 / max.max(1) as f32) * 255.0);
        b[i] = max;
    }
}

/// The way back, as `Image.convert("RGB")` of an HSV image.
#[inline(always)]
fn to_rgb([r, g, b]: [&mut Channel; 3]) {
    let (mut sextant, mut rest, mut strength) = ([0; LANES], [0.0f32; LANES], [0.0f32; LANES]);
    for i in 0..LANES {
        (sextant[i], rest[i]) = HUES[usize::from(r[i] as u8)];
        strength[i] = STRENGTHS[usize::from(g[i] as u8)];
    }
    for i in 0..LANES {
        let v = b[i];
        // To the nearest, for what is not negative and has few digits: adding a half is exact.
        let scaled = |part: f64| floor(f64::from(v) * (1.0 - part) + 0.5);
        let p = scaled(f64::from(strength[i]));
        let q = scaled(f64::from(strength[i] * rest[i]));
        let t = scaled(f64::from(strength[i]) * (1.0 - f64::from(rest[i])));
        // Red, green and blue are value, t and p in the first sixth of the circle, and so on.
        let sixth = |of: [i32; 6]| {
            let mut chosen = of[0];
            for (number, &part) in of.iter().enumerate() {
                chosen = if sextant[i] == number as i32 { part } else { chosen };
            }
            chosen
        };
        r[i] = sixth([v, q, p, p, t, v]);
        g[i] = sixth([t, v, v, q, p, p]);
        b[i] = sixth([p, p, t, v, v, q]);
    }
}

/// The whole part of what is neither negative nor large; 0 of what is no number. A cast would look for all of these; after this addition the
/// whole part stands in the last bits.
#[inline(always)]
fn floor(value: f64) -> i32 {
    const TO_THE_LAST_BITS: f64 = 4_503_599_627_370_496.0; // 2^52
    (value.floor() + TO_THE_LAST_BITS).to_bits() as i32
}

/// In which sixth of the colour circle each hue lies, and how far in it.
static HUES: [(i32, f32); 256] = {
    let mut hues = [(0, 0.0); 256];
    let mut hue = 0;
    while hue < 256 {
        let place = hue as f64 * 6.0 / 255.0;
        let sextant = place as i32;
        hues[hue] = (sextant % 6, (place - sextant as f64) as f32);
        hue += 1;
    }
    hues
};

/// Each saturation as a share.
static STRENGTHS: [f32; 256] = {
    let mut strengths = [0.0; 256];
    let mut saturation = 0;
    while saturation < 256 {
        strengths[saturation] = (saturation as f64 / 255.0) as f32;
        saturation += 1;
    }
    strengths
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The way back by Pillow's Convert.c written out, with C's own functions.
    pub(crate) fn hsv_to_rgb_of_pillow([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
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
        for hue in 0..=255u8 {
            for saturation in 0..=255u8 {
                for first in (0..256).step_by(LANES) {
                    let value = std::array::from_fn(|i| first + i as i32);
                    let mut channels = [[i32::from(hue); LANES], [i32::from(saturation); LANES], value];
                    to_rgb(channels.each_mut());
                    let [r, g, b] = channels;
                    for i in 0..LANES {
                        let hsv = [hue, saturation, value[i] as u8];
                        assert_eq!([r[i], g[i], b[i]], hsv_to_rgb_of_pillow(hsv).map(i32::from), "{hsv:?}");
                    }
                }
            }
        }
    }
}
