//! Several pictures as one, for people to look at. Nothing is learnt from it.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::DataError;

/// Free space around each picture, in pixels.
const GAP: u32 = 3;

/// The most pixels of a side of the whole, as of a JPEG's.
const MOST: u32 = 65_535;

/// The pictures side by side on white, `columns` of them in a line, each scaled so that its longer side has `side` pixels and put
/// in the middle of its place.
///
/// # Errors
/// [`DataError::Field`] without pictures, for 0 columns or pixels, and where the whole would have more than 65,535 pixels a side.
pub fn mosaic(pictures: &[RgbImage], columns: u32, side: u32) -> Result<RgbImage, DataError> {
    if pictures.is_empty() || pictures.iter().any(|picture| picture.width() == 0 || picture.height() == 0) {
        return Err(DataError::field("pictures", "at least one, none of them empty", pictures.len()));
    }
    for (field, value) in [("columns", columns), ("side", side)] {
        if value == 0 {
            return Err(DataError::field(field, "at least 1", value));
        }
    }
    let columns = columns.min(u32::try_from(pictures.len()).unwrap_or(u32::MAX));
    let lines = u32::try_from(pictures.len()).unwrap_or(u32::MAX).div_ceil(columns);
    let place = side.saturating_add(2 * GAP);
    let (width, height) = (place.saturating_mul(columns), place.saturating_mul(lines));
    if width.max(height) > MOST {
        return Err(DataError::field(
            "the mosaic's sides",
            format!("at most {MOST} pixels"),
            format!("{width} x {height}"),
        ));
    }
    let mut whole = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    for (index, picture) in (0..).zip(pictures) {
        let (width, height) = fitted(picture.dimensions(), side);
        let small = imageops::resize(picture, width, height, FilterType::Triangle);
        let (left, top) = (index % columns * place, index / columns * place);
        let (x, y) = (left + GAP + (side - width) / 2, top + GAP + (side - height) / 2);
        imageops::replace(&mut whole, &small, i64::from(x), i64::from(y));
    }
    Ok(whole)
}

/// Width and height with the same ratio, the longer of them `side`.
fn fitted((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let longer = f64::from(width.max(height));
    let scaled = |length: u32| ((f64::from(length) * f64::from(side) / longer).round() as u32).clamp(1, side);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: u32, height: u32, color: [u8; 3]) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb(color))
    }

    #[test]
    fn each_picture_stands_whole_in_the_middle_of_its_place() {
        let pictures = [plain(40, 20, [255, 0, 0]), plain(10, 30, [0, 255, 0]), plain(5, 5, [0, 0, 255])];
        let whole = mosaic(&pictures, 2, 30).unwrap();
        assert_eq!(whole.dimensions(), (72, 72));
        for ((x, y), color) in [((18, 18), [255, 0, 0]), ((54, 18), [0, 255, 0]), ((18, 54), [0, 0, 255])] {
            assert_eq!(whole.get_pixel(x, y).0, color, "at {x}, {y}");
        }
        // The wide one has 15 lines of 30, from 7 below the gap on.
        assert_eq!((whole.get_pixel(18, 9).0, whole.get_pixel(18, 10).0), ([255; 3], [255, 0, 0]));
        assert_eq!(whole.get_pixel(54, 54).0, [255; 3], "an empty place is white");
    }

    #[test]
    fn impossible_mosaics_are_refused_by_the_field_that_is_wrong() {
        let one = [plain(4, 4, [0; 3])];
        for (pictures, columns, side, field) in [
            (&[][..], 1, 8, "pictures"),
            (&one[..], 0, 8, "columns"),
            (&one[..], 1, 0, "side"),
            (&one[..], 1, u32::MAX, "the mosaic's sides"),
        ] {
            let error = mosaic(pictures, columns, side).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
