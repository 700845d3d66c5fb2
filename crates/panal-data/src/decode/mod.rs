//! From the bytes of a file to 8-bit RGB, as torchvision's default loader gives it. Finding files lives in `folder`.
//!
//! That loader is `PIL.Image.open(path).convert("RGB")`, and its habits are kept:
//!
//! - The format is known by the content, whatever the file is called.
//! - The EXIF orientation is *not* applied, nor are colour profiles, gamma or the pixels' aspect.
//! - Alpha is dropped, not composited; greyscale and palettes are spread over three channels.
//! - Sixteen bits become eight by dropping the low byte. PIL does so in colour and for greyscale with alpha; 16-bit
//!   greyscale alone it clips at 255, which leaves most such images white, and there panal still keeps the high byte.
//! - CMYK is taken as Adobe stores it, inverted: each channel becomes `(255 - ink) * (255 - black) / 255`.
//! - Of an animation or a set of pages the first is taken.
//!
//! Where PIL is lenient panal is not: a JPEG in whose data the decoder runs into damage is an error here, and a picture
//! with garbage in it there. Formats that PIL knows and panal doesn't (GIF, JPEG 2000, AVIF, and of TIFF those with a
//! palette) are refused by name.

mod jpeg;

use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::DataError;
use crate::error::{grouped, panic_message};

/// The most pixels that an image may claim to have, the bound at which PIL too sees a decompression bomb.
pub const MAX_PIXELS: u64 = 178_956_970;

/// The most that a decoder may allocate beside the pixels it returns.
const MAX_SCRATCH_BYTES: u64 = 1 << 30;

/// Reads and decodes the file at `path`; errors name it.
///
/// # Errors
/// [`DataError::Read`], and whatever [`decode_bytes`] says.
pub fn decode_image(path: &Path) -> Result<RgbImage, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    decode_bytes(&bytes, &path.display().to_string())
}

/// Width and height of the image in the file at `path`, as its header says; the rest is not read as an image.
///
/// # Errors
/// As [`decode_image`], where the header cannot be read.
pub(crate) fn image_size(path: &Path) -> Result<(u32, u32), DataError> {
    let header = || ImageReader::open(path).ok()?.with_guessed_format().ok()?.into_dimensions().ok();
    match header() {
        Some(size) => Ok(size),
        // The decoder says what is wrong, or knows better.
        None => decode_image(path).map(|image| image.dimensions()),
    }
}

/// Decodes JPEG, PNG, WebP, BMP, PPM/PGM/PBM or TIFF, known by its content; `name` is for errors only.
///
/// # Errors
/// [`DataError::Decode`] for bytes that are empty, in no such format, cut short, damaged, or that claim more than
/// [`MAX_PIXELS`]. Any bytes at all are safe to hand over: a decoder that panics is reported in the same way.
pub fn decode_bytes(bytes: &[u8], name: &str) -> Result<RgbImage, DataError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes)))
        .unwrap_or_else(|panic| Err(format!("the decoder gave up: {}", panic_message(panic.as_ref()))));
    decoded.map_err(|reason| DataError::Decode { name: name.to_owned(), reason })
}

fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    if bytes.is_empty() {
        return Err("the file is empty (0 bytes)".to_owned());
    }
    let format = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => return jpeg::decode(bytes),
        Ok(format) => format,
        Err(_) => return Err(format!("this is no image: {}", beginning(bytes))),
    };
    let kind = match format {
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Pnm => "PNM",
        ImageFormat::Tiff => "TIFF",
        other => return Err(format!("this is a {} file, which panal does not read", extension(other))),
    };
    decode_with_image(bytes, format, kind).map_err(|problem| match problem {
        Problem::Said(reason) => reason,
        Problem::Image(ImageError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            format!("the {kind} ends after {} bytes, before the image is complete", grouped(bytes.len() as u64))
        }
        Problem::Image(error) => format!("the {kind} is damaged or unsupported: {error}"),
    })
}

enum Problem {
    Said(String),
    Image(ImageError),
}

fn decode_with_image(bytes: &[u8], format: ImageFormat, kind: &str) -> Result<RgbImage, Problem> {
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(Problem::Image)?;
    let (width, height) = decoder.dimensions();
    check_size(kind, width, height).map_err(Problem::Said)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(decoder.total_bytes().saturating_add(MAX_SCRATCH_BYTES));
    decoder.set_limits(limits).map_err(Problem::Image)?;
    to_rgb(DynamicImage::from_decoder(decoder).map_err(Problem::Image)?).map_err(Problem::Said)
}

/// Refuses an image by its header, before anything is allocated for it.
fn check_size(kind: &str, width: u32, height: u32) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("the {kind} claims {width} x {height} pixels, so there is nothing in it"));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "the {kind} claims {} x {} pixels, more than the {} that panal reads",
            grouped(width.into()),
            grouped(height.into()),
            grouped(MAX_PIXELS)
        ));
    }
    Ok(())
}

fn to_rgb(image: DynamicImage) -> Result<RgbImage, String> {
    fn high(sample: u16) -> u8 {
        sample.to_be_bytes()[0]
    }
    let (width, height) = (image.width(), image.height());
    let pixels: Vec<u8> = match image {
        DynamicImage::ImageRgb8(image) => return Ok(image),
        DynamicImage::ImageLuma8(image) => image.as_raw().iter().flat_map(|&grey| [grey; 3]).collect(),
        DynamicImage::ImageLumaA8(image) => image.pixels().flat_map(|pixel| [pixel.0[0]; 3]).collect(),
        DynamicImage::ImageRgba8(image) => image.pixels().flat_map(|pixel| drop_alpha(pixel.0)).collect(),
        DynamicImage::ImageLuma16(image) => image.as_raw().iter().flat_map(|&grey| [high(grey); 3]).collect(),
        DynamicImage::ImageLumaA16(image) => image.pixels().flat_map(|pixel| [high(pixel.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(image) => image.as_raw().iter().copied().map(high).collect(),
        DynamicImage::ImageRgba16(image) => image.pixels().flat_map(|pixel| drop_alpha(pixel.0.map(high))).collect(),
        other => return Err(format!("its samples are {:?}; panal reads 8 and 16 bits", other.color())),
    };
    RgbImage::from_raw(width, height, pixels).ok_or_else(|| "the decoder returned too few pixels".to_owned())
}

fn drop_alpha([red, green, blue, _]: [u8; 4]) -> [u8; 3] {
    [red, green, blue]
}

/// The name that people know a format by.
fn extension(format: ImageFormat) -> String {
    format.extensions_str().first().map_or_else(|| format!("{format:?}"), |name| name.to_uppercase())
}

/// What a file that is no image begins with, so that its owner may know it again.
fn beginning(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(24)];
    match std::str::from_utf8(start).or_else(|error| std::str::from_utf8(&start[..error.valid_up_to()])) {
        Ok(text)
            if text.len() >= 4.min(start.len()) && !text.contains(|c: char| c.is_control() && !c.is_whitespace()) =>
        {
            format!("it begins with the text {text:?}")
        }
        _ => {
            let hex: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("it begins with the bytes {}", hex.join(" "))
        }
    }
}
