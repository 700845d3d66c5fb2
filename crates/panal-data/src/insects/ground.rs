//! What an animal sits on: leaf, petal, bark, sand, honeycomb or soil, in many colours. None knows which species will sit there.

use glam::Vec2;
use image::{GrayImage, Luma};
use imageproc::drawing::{draw_antialiased_line_segment_mut, draw_filled_ellipse_mut};
use imageproc::pixelops::interpolate;

use super::draw::Draw;

/// A ground of `side * side` pixels.
pub(super) fn ground(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let make = draw.pick::<fn(usize, &mut Draw) -> Vec<[f32; 3]>>(&[leaf, petal, bark, sand, honeycomb, soil]);
    let mut pixels = make(side, draw);
    // Light falls off across the picture, in any direction.
    let slope = Vec2::from_angle(draw.between(0.0, std::f32::consts::TAU)) * draw.between(0.0, 0.3);
    let light = draw.between(0.7, 1.2);
    for (place, rgb) in places(side).zip(&mut pixels) {
        let here = light * (1.0 + slope.dot(place - Vec2::splat(0.5)));
        *rgb = rgb.map(|c| (c * here).clamp(0.0, 1.0));
    }
    pixels
}

fn leaf(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let base = colour(draw, [[0.16, 0.34, 0.08], [0.34, 0.52, 0.16], [0.42, 0.44, 0.16], [0.50, 0.40, 0.14]]);
    let texture = Noise::new(draw, 5.0);
    let fine = Noise::new(draw, 30.0);
    // A midrib, and veins that leave it on both sides.
    let mut veins = GrayImage::new(side as u32, side as u32);
    let (along, middle) = (Vec2::from_angle(draw.between(0.0, std::f32::consts::TAU)), draw.between(0.2, 0.8));
    let foot = Vec2::splat(middle);
    let (gap, lean) = (draw.between(0.12, 0.25), Vec2::from_angle(draw.between(0.6, 1.1)));
    line(&mut veins, foot - along * 2.0, foot + along * 2.0, 2);
    for step in -8..8i16 {
        let root = foot + along * (gap * f32::from(step));
        for turn in [lean, Vec2::new(lean.x, -lean.y)] {
            line(&mut veins, root, root + turn.rotate(along) * 1.4, 1);
        }
    }
    let paler = draw.between(0.08, 0.22);
    shade(side, |place, index| {
        let vein = f32::from(veins.as_raw()[index]) / 255.0 * paler;
        let value = 0.8 + 0.3 * texture.at(place) + 0.12 * fine.at(place);
        base.map(|c| c * value + vein)
    })
}

fn petal(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let base = colour(
        draw,
        [
            [0.82, 0.42, 0.56],
            [0.88, 0.82, 0.78],
            [0.86, 0.70, 0.16],
            [0.52, 0.32, 0.66],
            [0.76, 0.22, 0.16],
            [0.44, 0.5, 0.8],
        ],
    );
    let streaks = Noise::stretched(draw, 26.0, 0.12);
    let broad = Noise::new(draw, 2.5);
    let heart = Vec2::new(draw.between(-0.3, 1.3), draw.between(-0.3, 1.3));
    shade(side, |place, _| {
        let value = 0.72 + 0.16 * streaks.at(place) + 0.2 * broad.at(place) + 0.14 * place.distance(heart);
        base.map(|c| c * value)
    })
}

fn bark(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let base = colour(draw, [[0.38, 0.30, 0.22], [0.46, 0.44, 0.40], [0.28, 0.20, 0.14], [0.56, 0.48, 0.36]]);
    let ridges = Noise::stretched(draw, 9.0, 0.22);
    let fine = Noise::stretched(draw, 34.0, 0.4);
    shade(side, |place, _| {
        let ridge = ridges.at(place);
        // Where two ridges meet there is a dark crack.
        let crack = (1.0 - (ridge - 0.5).abs() * 9.0).max(0.0) * 0.55;
        let value = 0.65 + 0.5 * ridge + 0.25 * fine.at(place) - crack;
        base.map(|c| c * value)
    })
}

fn sand(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let base = colour(draw, [[0.72, 0.62, 0.46], [0.62, 0.56, 0.48], [0.80, 0.72, 0.56], [0.54, 0.42, 0.32]]);
    let (broad, fine) = (Noise::new(draw, 4.0), Noise::new(draw, 60.0));
    let mut grains = GrayImage::from_pixel(side as u32, side as u32, Luma([128]));
    for _ in 0..220 {
        let mut anywhere = || (draw.between(0.0, 1.0) * side as f32) as i32;
        let centre = (anywhere(), anywhere());
        let (width, height) = (draw.between(1.0, 3.2) as i32, draw.between(1.0, 2.6) as i32);
        draw_filled_ellipse_mut(&mut grains, centre, width, height, Luma([draw.between(60.0, 215.0) as u8]));
    }
    shade(side, |place, index| {
        let grain = f32::from(grains.as_raw()[index]) / 255.0 - 0.5;
        let value = 0.72 + 0.2 * broad.at(place) + 0.25 * fine.at(place) + 0.45 * grain;
        base.map(|c| c * value)
    })
}

fn honeycomb(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let wax = colour(draw, [[0.78, 0.58, 0.22], [0.62, 0.42, 0.16], [0.84, 0.72, 0.42]]);
    let cell = colour(draw, [[0.34, 0.20, 0.08], [0.56, 0.34, 0.08], [0.20, 0.13, 0.08]]);
    let turn = Vec2::from_angle(draw.between(0.0, std::f32::consts::TAU));
    let (cells, wall) = (draw.between(4.0, 8.0), draw.between(0.1, 0.2));
    let texture = Noise::new(draw, 7.0);
    shade(side, |place, _| {
        let inside = hexagon(turn.rotate(place) * cells);
        let rim = ((inside - 0.5 + wall) / 0.08).clamp(0.0, 1.0);
        let value = 0.75 + 0.4 * texture.at(place);
        std::array::from_fn(|c| {
            let depth = cell[c] * (0.6 + 0.9 * inside);
            (depth + (wax[c] - depth) * rim) * value
        })
    })
}

fn soil(side: usize, draw: &mut Draw) -> Vec<[f32; 3]> {
    let base = colour(draw, [[0.24, 0.17, 0.12], [0.36, 0.26, 0.18], [0.42, 0.28, 0.20], [0.18, 0.15, 0.13]]);
    let layers = [6.0, 14.0, 32.0].map(|cells| Noise::new(draw, cells));
    shade(side, |place, _| {
        let [broad, clod, fine] = [0, 1, 2].map(|layer: usize| layers[layer].at(place));
        let value = 0.45 + 0.45 * broad + 0.5 * clod * clod + 0.35 * fine;
        base.map(|c| c * value)
    })
}

/// Distance from the middle of the hexagonal cell that a place lies in: 0 there, 0.5 at its walls.
fn hexagon(place: Vec2) -> f32 {
    // Two rectangular lattices of cell centres, of which the nearer centre counts.
    let lattice = Vec2::new(1.0, 1.732_050_8);
    let within = |place: Vec2| place - lattice * (place / lattice).floor() - lattice * 0.5;
    let (one, other) = (within(place), within(place - lattice * 0.5));
    let nearest = if one.length_squared() < other.length_squared() { one } else { other }.abs();
    nearest.x.max(nearest.dot(lattice) * 0.5)
}

/// One of `bases`, or a mixture of two, lighter or darker.
fn colour<const N: usize>(draw: &mut Draw, bases: [[f32; 3]; N]) -> [f32; 3] {
    let (one, other) = (*draw.pick(&bases), *draw.pick(&bases));
    let (share, light) = (draw.between(0.0, 0.6), draw.between(0.7, 1.2));
    std::array::from_fn(|c| (one[c] + (other[c] - one[c]) * share) * light * draw.between(0.92, 1.08))
}

fn places(side: usize) -> impl Iterator<Item = Vec2> {
    let step = 1.0 / side as f32;
    (0..side * side).map(move |index| Vec2::new((index % side) as f32, (index / side) as f32) * step)
}

fn shade(side: usize, pixel: impl Fn(Vec2, usize) -> [f32; 3]) -> Vec<[f32; 3]> {
    places(side).enumerate().map(|(index, place)| pixel(place, index)).collect()
}

fn line(image: &mut GrayImage, from: Vec2, to: Vec2, thickness: i32) {
    let side = image.width() as f32;
    let pixel = |place: Vec2| ((place.x * side) as i32, (place.y * side) as i32);
    let ((x0, y0), (x1, y1)) = (pixel(from), pixel(to));
    for shift in 0..thickness {
        draw_antialiased_line_segment_mut(image, (x0 + shift, y0), (x1 + shift, y1), Luma([255]), interpolate);
    }
}

/// Smooth noise in `[0, 1]`: random values on a lattice, blended between.
struct Noise {
    key: u32,
    /// From a place in the picture to the lattice.
    right: Vec2,
    down: Vec2,
}

impl Noise {
    /// With about so many lattice cells across the picture.
    fn new(draw: &mut Draw, cells: f32) -> Self {
        Self::stretched(draw, cells, 1.0)
    }

    /// With fewer cells in one direction, as in wood.
    fn stretched(draw: &mut Draw, cells: f32, share: f32) -> Self {
        let turn = Vec2::from_angle(draw.between(0.0, std::f32::consts::TAU));
        let cells = cells * draw.between(0.75, 1.35);
        Self { key: draw.key(), right: turn * cells, down: turn.perp() * (cells * share) }
    }

    fn at(&self, place: Vec2) -> f32 {
        // Far from the origin, so that no cell has a negative number.
        let place = Vec2::new(place.dot(self.right), place.dot(self.down)) + Vec2::splat(4096.0);
        let corner = place.floor();
        let share = place - corner;
        let share = share * share * (Vec2::splat(3.0) - 2.0 * share);
        let (x, y) = (corner.x as u32, corner.y as u32);
        let top = mix(self.value(x, y), self.value(x + 1, y), share.x);
        let bottom = mix(self.value(x, y + 1), self.value(x + 1, y + 1), share.x);
        mix(top, bottom, share.y)
    }

    /// The lattice value of a cell: a hash of its number (the finaliser of MurmurHash3) as a fraction.
    fn value(&self, x: u32, y: u32) -> f32 {
        let mut hash = self.key ^ x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b).rotate_left(16);
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        ((hash ^ (hash >> 16)) >> 8) as f32 * (1.0 / 16_777_216.0)
    }
}

fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hexagon_is_deepest_in_its_middle_and_half_a_cell_wide() {
        let lattice = Vec2::new(1.0, 1.732_050_8);
        assert!(hexagon(lattice * 0.5) < 1e-6);
        assert!((hexagon(lattice * 0.5 + Vec2::new(0.5, 0.0)) - 0.5).abs() < 1e-6);
        let all = places(64).map(|place| hexagon(place * 9.0));
        assert!(all.into_iter().all(|depth| (0.0..=0.5 + 1e-5).contains(&depth)));
    }
}
