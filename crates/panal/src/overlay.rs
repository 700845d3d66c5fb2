//! The picture of a Grad-CAM map: the network's input in grey, its places coloured by how much they speak for a class.

use image::{DynamicImage, Rgb, RgbImage, imageops};
use panal_data::AugmentSpec;

/// Colours from little to much: dark violet, red, orange, yellow.
const COLORS: [[f32; 3]; 4] = [[70.0, 20.0, 110.0], [200.0, 45.0, 70.0], [250.0, 140.0, 30.0], [255.0, 240.0, 90.0]];
/// How much of the picture the strongest colour covers.
const COVER: f32 = 0.65;

/// A map of `height` x `width` places, row by row, at least 0.
pub(crate) struct Map {
    pub(crate) values: Vec<f32>,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// The pixels of a network's input, `[height, width, 3]` normalised by `spec`, as a picture.
pub(crate) fn picture(pixels: &[f32], (height, width): (u32, u32), spec: &AugmentSpec) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let at = 3 * (y * width + x) as usize;
        Rgb([0, 1, 2].map(|channel| {
            let value = f64::from(pixels[at + channel]) * spec.std[channel] + spec.mean[channel];
            (255.0 * value).round().clamp(0.0, 255.0) as u8
        }))
    })
}

/// `picture` in grey, so that every colour is the map's, which is laid over it and scaled by its own maximum.
pub(crate) fn over(picture: &RgbImage, map: &Map) -> RgbImage {
    let most = map.values.iter().copied().fold(0.0, f32::max);
    let mut out: RgbImage = DynamicImage::from(imageops::grayscale(picture)).into_rgb8();
    if most <= 0.0 {
        return out;
    }
    let (width, height) = out.dimensions();
    for (x, y, pixel) in out.enumerate_pixels_mut() {
        let strength = at(map, (x, width), (y, height)) / most;
        let color = color(strength);
        for (channel, value) in pixel.0.iter_mut().enumerate() {
            let mixed = f32::from(*value) * (1.0 - COVER * strength) + color[channel] * COVER * strength;
            *value = mixed.round().clamp(0.0, 255.0) as u8;
        }
    }
    out
}

/// The map at a pixel, bilinearly between the middles of its places.
fn at(map: &Map, (x, width): (u32, u32), (y, height): (u32, u32)) -> f32 {
    let place = |pixel: u32, pixels: u32, places: usize| {
        let middle = ((pixel as f32 + 0.5) / pixels as f32 * places as f32 - 0.5).clamp(0.0, (places - 1) as f32);
        let low = middle.floor() as usize;
        (low, (low + 1).min(places - 1), middle - low as f32)
    };
    let (left, right, across) = place(x, width, map.width);
    let (top, bottom, down) = place(y, height, map.height);
    let value = |row: usize, column: usize| map.values[row * map.width + column];
    let upper = value(top, left) * (1.0 - across) + value(top, right) * across;
    let lower = value(bottom, left) * (1.0 - across) + value(bottom, right) * across;
    upper * (1.0 - down) + lower * down
}

fn color(strength: f32) -> [f32; 3] {
    let place = strength.clamp(0.0, 1.0) * (COLORS.len() - 1) as f32;
    let low = (place as usize).min(COLORS.len() - 2);
    let share = place - low as f32;
    [0, 1, 2].map(|channel| COLORS[low][channel] * (1.0 - share) + COLORS[low + 1][channel] * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_place_is_yellow_and_where_nothing_speaks_the_picture_is_grey() {
        let grey = RgbImage::from_pixel(40, 20, Rgb([100; 3]));
        let map = Map { values: vec![0.0, 0.0, 0.0, 2.0], height: 1, width: 4 };
        let out = over(&grey, &map);
        assert_eq!(out.get_pixel(2, 10), &Rgb([100; 3]));
        // 35 % of grey and 65 % of the last colour.
        assert_eq!(out.get_pixel(39, 3), &Rgb([201, 191, 94]));
        let green = RgbImage::from_pixel(5, 4, Rgb([0, 200, 0]));
        let nothing = over(&green, &Map { values: vec![0.0; 4], height: 2, width: 2 });
        assert!(nothing.pixels().all(|pixel| pixel.0 == [143; 3]), "{:?}", nothing.get_pixel(0, 0));
    }

    #[test]
    fn between_places_the_map_is_linear_as_torch_interpolates() {
        // torch.nn.functional.interpolate(torch.tensor([[[[0., 1.], [2., 5.]]]]), (4, 4), mode="bilinear")
        let map = Map { values: vec![0.0, 1.0, 2.0, 5.0], height: 2, width: 2 };
        let got: Vec<f32> = (0..16).map(|i| at(&map, (i % 4, 4), (i / 4, 4))).collect();
        let expected = [0.0, 0.25, 0.75, 1.0, 0.5, 0.875, 1.625, 2.0, 1.5, 2.125, 3.375, 4.0, 2.0, 2.75, 4.25, 5.0];
        assert_eq!(got, expected);
    }

    #[test]
    fn an_input_is_seen_as_the_image_it_was() {
        let spec = AugmentSpec { ops: Vec::new(), mean: [0.5, 0.25, 0.125], std: [0.5, 0.25, 2.0] };
        let pixels = [[1.0, 0.0], [-1.0, 1.0], [0.0625, 0.9]];
        let pixels: Vec<f32> = (0..2).flat_map(|pixel| pixels.map(|channel| channel[pixel])).collect();
        let seen = picture(&pixels, (1, 2), &spec);
        assert_eq!((seen.get_pixel(0, 0), seen.get_pixel(1, 0)), (&Rgb([255, 0, 64]), &Rgb([128, 128, 255])));
    }
}
