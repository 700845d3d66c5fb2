//! The central crop. The random one, which resizes too, lives in `resized_crop`.

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};

use super::{PixelBox, Resize, Size};

/// Cuts the middle out of an image, with black around it where it is too small: `torchvision.transforms.CenterCrop`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// One number for a square, or `[height, width]`.
    pub size: Size,
}

impl CenterCrop {
    /// The crop.
    pub fn apply(&self, image: &RgbImage) -> RgbImage {
        self.place(image.height(), image.width(), |window| {
            imageops::crop_imm(image, window.left, window.top, window.width, window.height).to_image()
        })
    }

    /// The first row and the first column of the image that the crop shows; negative where there is black before it. Where
    /// the image is too small torchvision pads it, the odd pixel of padding going to the far side.
    pub fn start(&self, height: u32, width: u32) -> (i64, i64) {
        let axis = |image: u32, crop: u32| {
            if crop > image { -i64::from((crop - image) / 2) } else { i64::from(half_even(image - crop)) }
        };
        let (crop_height, crop_width) = self.size.square();
        (axis(height, crop_height), axis(width, crop_width))
    }

    /// What resizing and then cropping gives, with only the cropped part computed.
    pub(crate) fn of_resized(&self, resize: &Resize, image: &RgbImage) -> RgbImage {
        let (height, width) = resize.target(image.height(), image.width());
        self.place(height, width, |window| resize.window(image, window))
    }

    /// Asks `pixels` for the part of a `height` x `width` image that the crop shows, and puts black around it as needed.
    fn place(&self, height: u32, width: u32, pixels: impl FnOnce(PixelBox) -> RgbImage) -> RgbImage {
        let (crop_height, crop_width) = self.size.square();
        let (top, left) = self.start(height, width);
        let inside = |start: i64| start.max(0) as u32;
        let (rows, columns) = (height.min(crop_height), width.min(crop_width));
        let shown = pixels(PixelBox { top: inside(top), left: inside(left), height: rows, width: columns });
        if shown.dimensions() == (crop_width, crop_height) {
            return shown;
        }
        let mut out = RgbImage::new(crop_width, crop_height);
        imageops::replace(&mut out, &shown, (-left).max(0), (-top).max(0));
        out
    }
}

/// Half of `n`, a half rounded to the even neighbour, as Python's `round` does.
fn half_even(n: u32) -> u32 {
    n / 2 + u32::from(n % 4 == 3)
}
