//! Small pictures of the images that a lab's rows were most wrong about, for its page. Which these are, the report says.

use std::collections::HashSet;

use anyhow::Result;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use panal_data::DataSource;
use panal_report::{Table, Thumbnails};

/// The longer side, in pixels.
const SIDE: u32 = 192;
const QUALITY: u8 = 80;

/// JPEG files of the images of `source` that the table names among its mistakes.
/// One that can't be made is left out with a warning: the results don't depend on it.
pub(crate) fn of_mistakes(table: &Table, source: &dyn DataSource) -> Thumbnails {
    let mut thumbnails = Thumbnails::new();
    let wanted: HashSet<&str> =
        table.rows.iter().flat_map(|row| &row.mistakes).map(|mistake| mistake.id.as_str()).collect();
    for index in 0..source.len() {
        let id = source.id(index);
        if wanted.contains(id.as_str()) {
            let made = small(source, index).and_then(|bytes| Ok(thumbnails.insert(id.as_str(), bytes)?));
            if let Err(error) = made {
                tracing::warn!("no small picture of {id} on the page: {error:#}");
            }
        }
    }
    thumbnails
}

fn small(source: &dyn DataSource, index: usize) -> Result<Vec<u8>> {
    let image = source.image(index)?;
    let (width, height) = image.dimensions();
    let scale = (f64::from(SIDE) / f64::from(width.max(height))).min(1.0);
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let small = resize(&image, scaled(width), scaled(height), FilterType::Triangle);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&small)?;
    Ok(bytes)
}
