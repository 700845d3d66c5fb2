//! A contact sheet: every species with its name and some of its pictures.

use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage, imageops};
use rayon::prelude::*;

use super::species::Table;
use super::{INSECT_SIDE, draw_insect};
use crate::DataError;

/// The most species side by side, and the most pictures of each.
const MOST: u32 = 64;

/// Height of a line of text, and how many pixels a dot of a letter is wide.
const LINE: u32 = 22;
const DOT: u32 = 2;

/// All species, `columns` of them side by side, each with its name above `each` pictures: those numbered 0 and on.
///
/// # Errors
/// [`DataError::Field`] unless both are 1 to 64.
pub fn contact_sheet(seed: u64, columns: u32, each: u32) -> Result<RgbImage, DataError> {
    for (field, value) in [("columns", columns), ("each", each)] {
        if !(1..=MOST).contains(&value) {
            return Err(DataError::field(field, format!("1 to {MOST}"), value));
        }
    }
    let species = &Table::builtin()?.species;
    let rows = (species.len() as u32).div_ceil(columns);
    let (width, height) = (each * INSECT_SIDE + 8, INSECT_SIDE + LINE + 4);
    let mut sheet = RgbImage::from_pixel(columns * width, rows * height, Rgb([255; 3]));
    let pictures: Vec<RgbImage> = (0..species.len() as u32 * each)
        .into_par_iter()
        .map(|index| draw_insect(&species[(index / each) as usize].name, seed, u64::from(index % each)))
        .collect::<Result<_, _>>()?;
    for (index, (species, pictures)) in (0..).zip(species.iter().zip(pictures.chunks(each as usize))) {
        let (x, y) = (index % columns * width, index / columns * height);
        write(&mut sheet, &format!("{} ({})", species.name.replace('_', " "), species.order), x + 2, y + 3);
        for (place, picture) in (0..).zip(pictures) {
            imageops::replace(&mut sheet, picture, i64::from(x + place * INSECT_SIDE), i64::from(y + LINE));
        }
    }
    Ok(sheet)
}

fn write(sheet: &mut RgbImage, text: &str, x: u32, y: u32) {
    for (letter, left) in text.chars().zip((x..).step_by(8 * DOT as usize)) {
        for (rows, top) in
            font8x8::BASIC_FONTS.get(letter).unwrap_or_default().into_iter().zip((y..).step_by(DOT as usize))
        {
            for dot in 0..8 {
                if rows >> dot & 1 == 1 {
                    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        if let Some(pixel) = sheet.get_pixel_mut_checked(left + dot * DOT + dx, top + dy) {
                            *pixel = Rgb([20; 3]);
                        }
                    }
                }
            }
        }
    }
}
