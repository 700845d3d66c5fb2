//! Resizing as PIL does it, of a whole image or of part of one. Which part is for the transforms that crop to say.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use super::warp::warp;
use super::{Interpolation, PixelBox, Size};

/// Resizes the whole image: `torchvision.transforms.Resize`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// One number is the length of the shorter side, the longer one keeping the aspect ratio; or `[height, width]`.
    pub size: Size,
    /// How pixels are mixed; `bilinear` if not given.
    #[serde(default)]
    pub interpolation: Interpolation,
}

impl Resize {
    /// The `(height, width)` that an image of `height` x `width` gets. The longer side is rounded down, as in torchvision.
    pub fn target(&self, height: u32, width: u32) -> (u32, u32) {
        let longer = |side: u32| {
            let (short, long) = (height.min(width).max(1), height.max(width));
            u32::try_from(u64::from(side) * u64::from(long) / u64::from(short)).unwrap_or(u32::MAX).max(1)
        };
        match self.size {
            Size::Side(side) if width <= height => (longer(side), side),
            Size::Side(side) => (side, longer(side)),
            Size::Both([height, width]) => (height, width),
        }
    }

    /// The resized image.
    pub fn apply(&self, image: &RgbImage) -> RgbImage {
        let (height, width) = self.target(image.height(), image.width());
        self.window(image, PixelBox { top: 0, left: 0, height, width })
    }

    /// The part `window` of the resized image, with only that part computed: what resizing and then cropping gives.
    pub(crate) fn window(&self, image: &RgbImage, window: PixelBox) -> RgbImage {
        let (height, width) = self.target(image.height(), image.width());
        // The stretch of `source` pixels that `part` of `whole` resized pixels, beginning at `start`, stands for.
        let stretch = |start: u32, part: u32, whole: u32, source: u32| {
            let scale = f64::from(source) / f64::from(whole);
            let start = f64::from(start) * scale;
            if part == whole {
                (0.0, f64::from(source))
            } else {
                (start, (f64::from(part) * scale).min(f64::from(source) - start))
            }
        };
        let across = stretch(window.left, window.width, width, image.width());
        let down = stretch(window.top, window.height, height, image.height());
        resample(image, whole(image), across, down, (window.height, window.width), self.interpolation)
    }
}

/// The box that covers all of `image`.
fn whole(image: &RgbImage) -> PixelBox {
    PixelBox { top: 0, left: 0, height: image.height(), width: image.width() }
}

/// Crops `image` to `part` and resizes that to `(height, width)`, without copying the crop.
pub(crate) fn resize_part(image: &RgbImage, part: PixelBox, size: (u32, u32), how: Interpolation) -> RgbImage {
    resample(image, part, (0.0, f64::from(part.width)), (0.0, f64::from(part.height)), size, how)
}

/// Makes an image of `(height, width)` pixels from the columns `across = (start, length)` and the rows `down` of the
/// part `within` of `image`. Nothing outside `within` is looked at; black where there is nothing to look at.
fn resample(
    image: &RgbImage,
    within: PixelBox,
    across: (f64, f64),
    down: (f64, f64),
    (height, width): (u32, u32),
    how: Interpolation,
) -> RgbImage {
    if [within.height, within.width, height, width].contains(&0) {
        return RgbImage::new(width, height);
    }
    match how {
        Interpolation::Nearest => {
            let (left, top) = (f64::from(within.left) + across.0, f64::from(within.top) + down.0);
            let matrix = [across.1 / f64::from(width), 0.0, left, 0.0, down.1 / f64::from(height), top];
            warp(image, matrix, (height, width), how, Rgb([0; 3]))
        }
        Interpolation::Bilinear => convolve(image, within, across, down, (height, width), FilterType::Bilinear),
        // Cubic weights overshoot, and what leaves 0..=255 between the two directions is cut off, so their order shows.
        // `fast_image_resize` goes down first, PIL across (but for some sizes in Pillow 13), and so do we.
        Interpolation::Bicubic => {
            let rows = (0.0, f64::from(within.height));
            let wide = convolve(image, within, across, rows, (within.height, width), FilterType::CatmullRom);
            let columns = (0.0, f64::from(width));
            convolve(&wide, whole(&wide), columns, down, (height, width), FilterType::CatmullRom)
        }
    }
}

/// The same with antialiasing. `within` must lie inside the image, and nothing be empty.
fn convolve(
    image: &RgbImage,
    within: PixelBox,
    across: (f64, f64),
    down: (f64, f64),
    (height, width): (u32, u32),
    filter: FilterType,
) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(across.0, down.0, across.1, down.1);
    let done = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_raw())
        .ok()
        .and_then(|source| TypedCroppedImage::new(source, within.left, within.top, within.width, within.height).ok())
        .zip(TypedImage::<U8x3>::from_buffer(width, height, &mut out).ok())
        .is_some_and(|(source, mut target)| Resizer::new().resize_typed(&source, &mut target, &options).is_ok());
    assert!(done, "{within:?} lies inside an image of {} x {}", image.height(), image.width());
    out
}
