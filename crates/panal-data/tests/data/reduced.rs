//! Images that are reduced as they are read: how far, and what stays as it was. How a resize mixes pixels is tested in `transforms_golden`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use image::RgbImage;
use panal_data::transforms::{Interpolation, Resize, Size};
use panal_data::{Cached, DataSource, ImageFolder, Reduced, ShorterSide};
use proptest::prelude::*;

use crate::shared::{Painted, picture, write_png};

fn side(pixels: u32) -> ShorterSide {
    ShorterSide::new(pixels).unwrap()
}

proptest! {
    #[test]
    fn no_shorter_side_is_longer_than_the_bound(width in 1_u32..90, height in 1_u32..90, bound in 1_u32..100) {
        let image = picture(width, height, 3);
        let reduced = side(bound).reduce(image.clone());
        let (short, long) = (reduced.width().min(reduced.height()), reduced.width().max(reduced.height()));
        prop_assert_eq!(short, bound.min(width.min(height)));
        if width.min(height) <= bound {
            prop_assert_eq!(reduced, image);
        } else {
            // The aspect ratio, to a pixel.
            let exact = f64::from(bound) * f64::from(width.max(height)) / f64::from(width.min(height));
            prop_assert!((f64::from(long) - exact).abs() < 1.0, "{} for {}", long, exact);
            prop_assert_eq!(reduced.width() <= reduced.height(), width <= height || reduced.width() == reduced.height());
        }
    }
}

#[test]
fn a_source_says_and_shows_the_reduced_image() {
    // The images are 20, 21, 22 ... pixels wide and 15 high.
    let source = Arc::new(Painted::new(5));
    let reduced = Reduced::new(source.clone(), side(6));
    let resize = Resize { size: Size::Side(6), interpolation: Interpolation::Bicubic };
    for index in 0..5 {
        let expected = resize.apply(&source.image(index).unwrap());
        assert_eq!((expected.height(), expected.width()), (6, 6 * (20 + index as u32) / 15));
        assert_eq!(reduced.size(index).unwrap(), expected.dimensions());
        let mut shown = RgbImage::default();
        reduced.look_at(index, &mut |image| shown.clone_from(image)).unwrap();
        assert_eq!((&shown, &reduced.image(index).unwrap()), (&expected, &expected));
        assert_eq!((reduced.id(index), reduced.label(index)), (source.id(index), source.label(index)));
    }
    assert_eq!(reduced.digest().unwrap(), source.digest().unwrap());
    assert_eq!((reduced.name(), reduced.class_counts()), ("painted", vec![2, 2, 1]));
}

#[test]
fn small_images_stay_as_they_are() {
    let source = Arc::new(Painted::new(3));
    let reduced = Reduced::new(source.clone(), side(15));
    for index in 0..3 {
        let mut shown = RgbImage::default();
        reduced.look_at(index, &mut |image| shown.clone_from(image)).unwrap();
        assert_eq!((&shown, &reduced.image(index).unwrap()), (&source.image(index).unwrap(), &shown));
    }
}

#[test]
fn a_file_is_measured_by_its_header() {
    let folder = tempfile::tempdir().unwrap();
    write_png(folder.path(), "ants/a.png", 4);
    let files = Arc::new(ImageFolder::open(folder.path(), panal_data::BadFiles::Error).unwrap());
    let reduced = Reduced::new(files, side(3));
    assert_eq!((reduced.size(0).unwrap(), reduced.image(0).unwrap().dimensions()), ((5, 3), (5, 3)));
}

#[test]
fn reduced_images_fit_where_whole_ones_do_not() {
    // Whole, one takes 900 bytes at least.
    let bytes = 3 * 6 * (8 + 8 + 8 + 9 + 9);
    let painted = || Arc::new(Painted::new(5));
    let whole = Cached::new(painted(), bytes);
    let source = painted();
    let reduced = Cached::new(Arc::new(Reduced::new(source.clone(), side(6))), bytes);
    for index in [0, 1, 2, 3, 4, 0, 1, 2, 3, 4] {
        whole.image(index).unwrap();
        reduced.image(index).unwrap();
    }
    assert_eq!((whole.kept(), reduced.kept(), source.asked.load(Ordering::Relaxed)), (0, 5, 5));
}

#[test]
fn a_bound_out_of_range_is_refused() {
    for pixels in [0, 16_385] {
        let error = format!("shorter_side must be in [1, 16384], got {pixels}");
        assert_eq!(ShorterSide::new(pixels).unwrap_err().to_string(), error);
    }
    for pixels in [0, 16_385, -1, 1_i64 << 40] {
        let error = serde_json::from_value::<ShorterSide>(pixels.into()).unwrap_err().to_string();
        assert_eq!(error, format!("must be in [1, 16384], got {pixels}"));
    }
    assert_eq!(serde_json::to_string(&side(512)).unwrap(), "512");
}
