//! A picture of answers: each query, and beside it every class with some of its support images and the similarity as a bar.

use std::path::Path;

use anyhow::{Context, Result, bail};
use font8x8::UnicodeFonts;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage, imageops};
use panal_data::DataSource;
use panal_trainers::SupportSet;

use super::files::Files;
use super::predict::{Answer, Known, of_class};
use crate::unfinished;

/// Side of a query and of a support image, and how many of these are shown of a class.
const QUERY: u32 = 192;
const SHOWN: u32 = 64;
const SHOTS: usize = 4;
/// Space between things, height of a line of text, and how many pixels a dot of a letter is wide.
const GAP: u32 = 8;
const LINE: u32 = 22;
const DOT: u32 = 2;
/// Length of the bar of similarity 1, and room for text.
const BAR: u32 = 200;
const TEXT: u32 = 400;

const BLACK: Rgb<u8> = Rgb([20; 3]);
const GREY: Rgb<u8> = Rgb([170; 3]);
const BLUE: Rgb<u8> = Rgb([0, 114, 178]);
const VERMILION: Rgb<u8> = Rgb([213, 94, 0]);

/// Refuses a file whose name says no format that is written.
pub(super) fn check(file: &Path) -> Result<()> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !["jpg", "jpeg", "png"].contains(&ending.as_str()) {
        bail!("--picture must end in .jpg or .png, got {}", file.display());
    }
    Ok(())
}

/// Refuses a JPEG that would be higher than the format can hold.
pub(super) fn check_height(file: &Path, classes: usize, queries: usize) -> Result<()> {
    let height = row(classes) as usize * queries;
    if !file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) && height > usize::from(u16::MAX) {
        bail!(
            "--picture {}: {queries} queries make {height} pixels in height, and a JPEG has at most 65535: use .png or fewer queries",
            file.display()
        );
    }
    Ok(())
}

/// Height of a query with so many classes beside it.
fn row(classes: usize) -> u32 {
    (classes as u32 * (SHOWN + GAP)).max(QUERY + LINE) + LINE + 2 * GAP
}

/// Writes the picture; the file appears whole or not at all. Classes of a saved set have no images to show.
pub(super) fn write(file: &Path, set: &SupportSet, known: &[Known], queries: &Files, answers: &[Answer]) -> Result<()> {
    let classes = set.classes();
    let shown = classes.iter().map(|class| thumbnails(known, class)).collect::<Result<Vec<_>>>()?;
    let row = row(classes.len());
    let left = QUERY + 2 * GAP;
    let width = left + SHOTS as u32 * (SHOWN + 2) + BAR.max(TEXT) + 2 * GAP;
    let mut sheet = RgbImage::from_pixel(width, row * answers.len().max(1) as u32, Rgb([255; 3]));
    for (index, (answer, top)) in answers.iter().zip((0..).step_by(row as usize)).enumerate() {
        let verdict = answer.class.as_deref().unwrap_or("none of these");
        letter(&mut sheet, &format!("{}: {verdict}", name(queries.path(index))), GAP, top + GAP, BLACK);
        let top = top + LINE + GAP;
        place(&mut sheet, &square(&queries.image(index)?, QUERY), GAP, top);
        for ((similarity, shown), top) in
            answer.similarities.iter().zip(&shown).zip((top..).step_by((SHOWN + GAP) as usize))
        {
            for (image, x) in shown.iter().zip((left..).step_by(SHOWN as usize + 2)) {
                place(&mut sheet, image, x, top);
            }
            let x = left + SHOTS as u32 * (SHOWN + 2) + GAP;
            let wins = answer.class.as_ref() == Some(&similarity.class);
            let text = format!("{} {:.3}", similarity.class, similarity.similarity);
            letter(&mut sheet, &text, x, top + 6, if wins { BLUE } else { BLACK });
            let length = (similarity.similarity.clamp(0.0, 1.0) * f64::from(BAR)).round() as u32;
            fill(&mut sheet, (x, top + 32), (length, 16), if wins { BLUE } else { GREY });
            if let Some(threshold) = set.reject {
                let at = (threshold.clamp(0.0, 1.0) * f64::from(BAR)).round() as u32;
                fill(&mut sheet, (x + at, top + 28), (2, 24), VERMILION);
            }
        }
    }
    let temporary = unfinished::beside(file)?.into_temp_path();
    sheet.save(&temporary).with_context(|| format!("cannot write {}", file.display()))?;
    temporary.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// The first images of a class that are at hand.
fn thumbnails(known: &[Known], class: &str) -> Result<Vec<RgbImage>> {
    let mut shown = Vec::new();
    for Known { images, .. } in known {
        let Some(label) = images.classes().iter().position(|name| name == class) else { continue };
        for index in of_class(images, label).into_iter().take(SHOTS - shown.len()) {
            shown.push(square(&images.image(index)?, SHOWN));
        }
    }
    Ok(shown)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The middle of an image, as large as it can be, at a side of so many pixels.
fn square(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let least = width.min(height);
    let middle = imageops::crop_imm(image, (width - least) / 2, (height - least) / 2, least, least);
    resize(&middle.to_image(), side, side, FilterType::Triangle)
}

fn place(sheet: &mut RgbImage, image: &RgbImage, x: u32, y: u32) {
    imageops::replace(sheet, image, i64::from(x), i64::from(y));
}

fn fill(sheet: &mut RgbImage, (left, top): (u32, u32), (width, height): (u32, u32), color: Rgb<u8>) {
    for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (left + x, top + y))) {
        if let Some(pixel) = sheet.get_pixel_mut_checked(x, y) {
            *pixel = color;
        }
    }
}

/// Text; what does not fit is cut off, and letters beyond ASCII are left blank.
fn letter(sheet: &mut RgbImage, text: &str, x: u32, y: u32, color: Rgb<u8>) {
    for (letter, left) in text.chars().zip((x..).step_by(8 * DOT as usize)) {
        let glyph = font8x8::BASIC_FONTS.get(letter).unwrap_or_default();
        for (bits, top) in glyph.into_iter().zip((y..).step_by(DOT as usize)) {
            for dot in (0..8).filter(|dot| bits >> dot & 1 == 1) {
                fill(sheet, (left + dot * DOT, top), (DOT, DOT), color);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_is_not_higher_than_the_format_allows() {
        let said = |file: &str, queries| check_height(Path::new(file), 2, queries).map_err(|error| error.to_string());
        assert_eq!((said("x.jpg", 200), said("x.PNG", 1000)), (Ok(()), Ok(())));
        let error = said("x.jpeg", 1000).unwrap_err();
        assert!(error.contains("has at most 65535: use .png or fewer queries"), "{error}");
    }
}
