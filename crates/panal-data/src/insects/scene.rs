//! One picture: an animal on its ground, lit, partly hidden, photographed by an imperfect camera. What an animal is, `body` knows.

use std::f32::consts::TAU;

use glam::{Mat3, Vec2, Vec3};
use image::{GrayImage, Luma, Rgb, RgbImage};
use imageproc::drawing::{draw_antialiased_line_segment_mut, draw_polygon_mut};
use imageproc::pixelops::interpolate;
use imageproc::point::Point;

use super::body::{Body, pose};
use super::draw::Draw;
use super::ground::ground;
use super::paint::{Camera, Canvas, Light, shadow};
use super::species::{Species, Table};

/// Side of a picture, in pixels.
pub(super) const SIDE: usize = 144;

/// What is painted is so many times finer, and averaged at the end.
const FINER: usize = 2;

/// A picture of one animal of `species`, everything in it drawn from `draw`.
pub(super) fn picture(table: &Table, species: &Species, draw: &mut Draw) -> RgbImage {
    let body = pose(table, species, draw);
    let light = light(draw);
    let camera = camera(&body, draw);
    let fine = SIDE * FINER;

    let mut behind = Plane { side: SIDE, pixels: ground(SIDE, draw) };
    // The ground lies before or behind the plane of focus.
    let blur = draw.between(0.0, 2.6);
    behind.blur(blur);
    let mut behind = behind.enlarged(FINER);
    let mut shade = Plane { side: fine, pixels: shadow(&body, &camera, &light, fine) };
    let softness = draw.between(2.0, 7.0);
    shade.blur(softness);
    let dark = draw.between(0.3, 0.7);
    for (rgb, shade) in behind.pixels.iter_mut().zip(&shade.pixels) {
        *rgb = rgb.map(|c| c * (1.0 - dark * shade));
    }

    let mut canvas = Canvas::new(fine, behind.pixels);
    canvas.paint(&body, &camera, &light);
    if draw.chance(0.4) {
        for _ in 0..=u32::from(draw.chance(0.3)) {
            hide(&mut canvas, &light, draw);
        }
    }
    let mut photograph = Plane { side: fine, pixels: canvas.rgb }.reduced(FINER);
    let blur = draw.between(0.0, 0.7);
    photograph.blur(blur);
    expose(&photograph, draw)
}

fn light(draw: &mut Draw) -> Light {
    let around = Vec2::from_angle(draw.between(0.0, TAU));
    let high = draw.between(0.55, 0.95);
    let flat = (1.0 - high * high).sqrt();
    let warmth = draw.between(-0.08, 0.1);
    let strength = draw.between(0.9, 1.35);
    Light {
        towards: Vec3::new(around.x * flat, around.y * flat, high),
        colour: [strength * (1.0 + warmth), strength, strength * (1.0 - warmth)],
        ambient: draw.between(0.3, 0.55),
    }
}

/// A camera somewhere above the animal that has most of it in the picture.
fn camera(body: &Body<'_>, draw: &mut Draw) -> Camera {
    let around = draw.between(0.0, TAU);
    let tilt = draw.between(0.0, 0.95);
    let roll = 0.25 * draw.swing();
    // From straight above (tilt 0) down to about a third of a right angle above the ground.
    let view = Mat3::from_rotation_z(roll) * Mat3::from_rotation_x(-tilt) * Mat3::from_rotation_z(around);
    let seen = |point: Vec3| (view * point).truncate();
    let (mut low, mut high) = (Vec2::splat(f32::INFINITY), Vec2::splat(f32::NEG_INFINITY));
    let mut trunk = [low, high];
    for solid in &body.solids {
        for end in [solid.axes.x_axis, -solid.axes.x_axis, solid.axes.y_axis, -solid.axes.y_axis] {
            let point = seen(solid.centre + end);
            trunk = [trunk[0].min(point), trunk[1].max(point)];
        }
    }
    let rods = body.rods.iter().flat_map(|rod| [rod.from, rod.to]);
    let wings =
        body.wings.iter().flat_map(|wing| [wing.hinge + wing.along, wing.hinge + wing.along * 0.7 + wing.across * 0.4]);
    for point in rods.chain(wings).map(seen) {
        (low, high) = (low.min(point), high.max(point));
    }
    (low, high) = (low.min(trunk[0]), high.max(trunk[1]));
    // Long legs and antennae may leave the picture, the trunk may not.
    let extent = 0.4 * (trunk[1] - trunk[0]).max_element() + 0.6 * (high - low).max_element();
    let fine = (SIDE * FINER) as f32;
    let scale = fine * draw.between(0.72, 1.0) / extent;
    let middle = (trunk[0] + trunk[1]) * 0.3 + (low + high) * 0.2;
    let shift = Vec2::new(draw.swing(), draw.swing()) * (0.09 * fine);
    Camera { view, scale, centre: Vec2::splat(fine * 0.5) + shift - Vec2::new(middle.x, -middle.y) * scale }
}

/// Puts a leaf in front, from one edge of the picture, over a part of it.
fn hide(canvas: &mut Canvas, light: &Light, draw: &mut Draw) {
    let side = canvas.side as f32;
    let around = Vec2::from_angle(draw.between(0.0, TAU));
    let stalk = Vec2::splat(0.5 * side) + around * (0.78 * side);
    let aim = Vec2::from_angle(0.6 * draw.swing()).rotate(-around);
    let (length, width) = (side * draw.between(0.4, 0.68), side * draw.between(0.04, 0.13));
    let across = aim.perp();
    // The outline of a blade: a sine's half wave on either side, as a polynomial.
    let edge = |share: f32, sign: f32| {
        let girth = 4.0 * share * (1.0 - share) * (1.2 - 0.4 * share);
        stalk + aim * (length * share) + across * (sign * width * girth)
    };
    let steps = (0..=12u8).map(|step| f32::from(step) / 12.0);
    let outline = steps.clone().map(|share| edge(share, 1.0)).chain(steps.rev().map(|share| edge(share, -1.0)));
    let pixel = |place: Vec2| Point::new(place.x.round() as i32, place.y.round() as i32);
    let mut outline: Vec<Point<i32>> = outline.map(pixel).collect();
    outline.dedup();
    if outline.first() == outline.last() {
        outline.pop();
    }
    let mut blade = GrayImage::new(canvas.side as u32, canvas.side as u32);
    draw_polygon_mut(&mut blade, &outline, Luma([255]));
    let mut rib = GrayImage::new(canvas.side as u32, canvas.side as u32);
    let (from, to) = (pixel(stalk), pixel(stalk + aim * length));
    for shift in 0..3 {
        let ends = ((from.x + shift, from.y), (to.x + shift, to.y));
        draw_antialiased_line_segment_mut(&mut rib, ends.0, ends.1, Luma([255]), interpolate);
    }
    let share = |image: &GrayImage| image.as_raw().iter().map(|&value| f32::from(value) / 255.0).collect();
    let mut cover = Plane { side: canvas.side, pixels: share(&blade) };
    let mut rib = Plane { side: canvas.side, pixels: share(&rib) };
    let blur = draw.between(0.0, 4.0);
    cover.blur(blur);
    rib.blur(blur + 0.5);
    let green = draw.between(0.3, 0.7);
    let leaf = [green * draw.between(0.45, 1.0), green, green * draw.between(0.2, 0.6)];
    let lit = 0.5 + 0.5 * light.towards.z;
    for ((rgb, cover), rib) in canvas.rgb.iter_mut().zip(&cover.pixels).zip(&rib.pixels) {
        *rgb = std::array::from_fn(|c| {
            let here = leaf[c] * lit * light.colour[c] * (1.0 + 0.35 * rib);
            rgb[c] + (here - rgb[c]) * cover
        });
    }
}

/// What the sensor makes of the light: gain, white balance, vignette, noise, eight bits.
fn expose(light: &Plane<[f32; 3]>, draw: &mut Draw) -> RgbImage {
    let gain: [f32; 3] = {
        let all = draw.between(0.75, 1.2);
        std::array::from_fn(|_| all * draw.between(0.94, 1.06))
    };
    let lift = draw.between(0.0, 0.06);
    let vignette = draw.between(0.0, 0.5);
    let noise = draw.between(0.004, 0.03);
    let side = light.side as f32;
    RgbImage::from_fn(light.side as u32, light.side as u32, |x, y| {
        let place = Vec2::new(x as f32, y as f32) / side - Vec2::splat(0.5);
        let dim = 1.0 - vignette * place.length_squared();
        let rgb = light.pixels[y as usize * light.side + x as usize];
        Rgb(std::array::from_fn(|c| {
            let value = lift + (1.0 - lift) * rgb[c] * gain[c] * dim + noise * draw.normal();
            (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8
        }))
    })
}

/// A square of values.
struct Plane<T> {
    side: usize,
    pixels: Vec<T>,
}

/// What can be averaged.
trait Average: Copy + Default {
    fn add(self, other: Self) -> Self;
    fn times(self, factor: f32) -> Self;
}

impl Average for f32 {
    fn add(self, other: Self) -> Self {
        self + other
    }

    fn times(self, factor: f32) -> Self {
        self * factor
    }
}

impl Average for [f32; 3] {
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|c| self[c] + other[c])
    }

    fn times(self, factor: f32) -> Self {
        self.map(|c| c * factor)
    }
}

impl<T: Average> Plane<T> {
    /// Twice a box of this radius, in pixels, along rows and columns: near a Gaussian.
    fn blur(&mut self, radius: f32) {
        if radius < 0.05 {
            return;
        }
        for _ in 0..2 {
            for row in self.pixels.chunks_exact_mut(self.side) {
                smooth(row, radius);
            }
            let mut column = vec![T::default(); self.side];
            for x in 0..self.side {
                for (y, value) in column.iter_mut().enumerate() {
                    *value = self.pixels[y * self.side + x];
                }
                smooth(&mut column, radius);
                for (y, value) in column.iter().enumerate() {
                    self.pixels[y * self.side + x] = *value;
                }
            }
        }
    }

    /// Every pixel `times` times as wide and high, with straight lines between the middles.
    fn enlarged(&self, times: usize) -> Self {
        let side = self.side * times;
        let place = |index: usize| {
            let middle = ((index as f32 + 0.5) / times as f32 - 0.5).clamp(0.0, self.side as f32 - 1.0);
            let before = middle.floor();
            (before as usize, (before as usize + 1).min(self.side - 1), middle - before)
        };
        let columns: Vec<_> = (0..side).map(place).collect();
        let mix = |from: T, to: T, share: f32| from.times(1.0 - share).add(to.times(share));
        let pixels = (0..side * side).map(|index| {
            let ((top, bottom, down), (left, right, along)) = (columns[index / side], columns[index % side]);
            let row = |y: usize| mix(self.pixels[y * self.side + left], self.pixels[y * self.side + right], along);
            mix(row(top), row(bottom), down)
        });
        Self { side, pixels: pixels.collect() }
    }

    /// The mean of every `times * times` pixels.
    fn reduced(&self, times: usize) -> Self {
        let side = self.side / times;
        let share = 1.0 / (times * times) as f32;
        let pixels = (0..side * side).map(|index| {
            let (x, y) = (index % side * times, index / side * times);
            let block =
                (0..times * times).map(|inner| self.pixels[(y + inner / times) * self.side + x + inner % times]);
            block.fold(T::default(), T::add).times(share)
        });
        Self { side, pixels: pixels.collect() }
    }
}

/// The mean over a window of `2 * radius + 1` places, its ends counted in part, edges repeated.
fn smooth<T: Average>(row: &mut [T], radius: f32) {
    let whole = radius.floor();
    let part = radius - whole;
    let reach = whole as usize;
    let last = row.len() - 1;
    let copy = row.to_vec();
    let at = |index: usize, shift: isize| copy[index.saturating_add_signed(shift).min(last)];
    let share = 1.0 / (2.0 * radius + 1.0);
    let end = reach as isize + 1;
    for (index, value) in row.iter_mut().enumerate() {
        let mut sum = copy[index];
        for shift in 1..end {
            sum = sum.add(at(index, shift)).add(at(index, -shift));
        }
        let ends = at(index, end).add(at(index, -end)).times(part);
        *value = sum.add(ends).times(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_what_is_flat_and_spreads_a_point_evenly() {
        let mut flat = Plane { side: 9, pixels: vec![0.25f32; 81] };
        flat.blur(1.7);
        assert!(flat.pixels.iter().all(|value| (value - 0.25).abs() < 1e-6));
        let mut point = Plane { side: 17, pixels: vec![0.0f32; 289] };
        point.pixels[8 * 17 + 8] = 1.0;
        point.blur(1.5);
        assert!((point.pixels.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((point.pixels[8 * 17 + 5] - point.pixels[5 * 17 + 8]).abs() < 1e-7);
    }

    #[test]
    fn larger_and_smaller_again_is_the_same_where_it_is_flat() {
        let plane = Plane { side: 4, pixels: vec![0.5f32; 16] };
        let back = plane.enlarged(2).reduced(2);
        assert!(back.side == 4 && back.pixels.iter().all(|value| (value - 0.5).abs() < 1e-6));
    }
}
