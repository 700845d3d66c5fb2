//! From 8-bit pixels to normalised floats.

use image::RgbImage;

/// ImageNet's mean of each channel, of pixels in `[0, 1]`.
pub const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// ImageNet's standard deviation of each channel, of pixels in `[0, 1]`.
pub const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// `(pixel / 255 - mean) / std` in every channel: `torchvision.transforms.ToTensor` and then `Normalize`, bit for bit.
///
/// A pixel has only 256 values, so the whole function is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalize {
    table: Box<[[f32; 3]; 256]>,
}

impl Normalize {
    /// From the mean and the standard deviation of each channel, red first, of pixels in `[0, 1]`.
    pub fn new(mean: [f64; 3], std: [f64; 3]) -> Self {
        let value = |level: usize, c: usize| (level as f32 / 255.0 - mean[c] as f32) / std[c] as f32;
        Self { table: Box::new(std::array::from_fn(|level| std::array::from_fn(|c| value(level, c)))) }
    }

    /// The pixels that [`apply`](Self::apply) made `values` of: rows of pixels of three channels (NHWC). Of other values, as
    /// `random_erasing` writes, the nearest that a pixel can have.
    pub fn invert(&self, values: &[f32]) -> Vec<u8> {
        // Each channel is a straight line over the levels, and these are its ends.
        let (low, high) = (self.table[0], self.table[255]);
        let level = |(place, value): (usize, &f32)| {
            let c = place % 3;
            ((value - low[c]) / (high[c] - low[c]) * 255.0).round().clamp(0.0, 255.0) as u8
        };
        values.iter().enumerate().map(level).collect()
    }

    /// Writes `image`, as it is or mirrored, to `out`: rows of pixels of three channels (NHWC).
    ///
    /// # Panics
    /// Unless `out` has `height * width * 3` places.
    pub fn apply(&self, image: &RgbImage, flip_horizontal: bool, flip_vertical: bool, out: &mut [f32]) {
        let (width, height) = (image.width() as usize, image.height() as usize);
        assert_eq!(out.len(), height * width * 3, "a place for every channel of {height} x {width} pixels");
        let table = &*self.table;
        let look_up = |pixel: &[u8]| -> [f32; 3] { std::array::from_fn(|c| table[usize::from(pixel[c])][c]) };
        let row_length = (width * 3).max(1);
        for (y, target) in out.chunks_exact_mut(row_length).enumerate() {
            let from = if flip_vertical { height - 1 - y } else { y };
            let source = image.as_raw()[from * row_length..][..row_length].chunks_exact(3);
            let targets = target.chunks_exact_mut(3);
            if flip_horizontal {
                targets.zip(source.rev()).for_each(|(to, pixel)| to.copy_from_slice(&look_up(pixel)));
            } else {
                targets.zip(source).for_each(|(to, pixel)| to.copy_from_slice(&look_up(pixel)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_comes_back() {
        let normalize = Normalize::new(IMAGENET_MEAN, IMAGENET_STD);
        let image =
            RgbImage::from_fn(16, 16, |x, y| image::Rgb([(16 * y + x) as u8, (255 - 16 * y - x) as u8, x as u8]));
        let mut values = vec![0.0; 16 * 16 * 3];
        normalize.apply(&image, false, false, &mut values);
        assert_eq!(&normalize.invert(&values), image.as_raw());
        assert_eq!(normalize.invert(&[-9.0, 9.0, f32::NAN]), [0, 255, 0]);
    }
}
