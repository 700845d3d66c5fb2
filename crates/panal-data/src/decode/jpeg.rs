//! JPEG: what its markers say, and its pixels by way of `zune-jpeg`. The other formats live in `decode`.

use image::RgbImage;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::check_size;
use crate::error::grouped;

/// The decoder paints what is missing from a file with this value.
const MISSING: u8 = 128;

pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let layout = Layout::of(bytes);
    if !layout.ended {
        return Err(cut_short(bytes, &layout));
    }
    pixels(bytes, !layout.stray_bytes).map_err(|failure| match failure {
        Failure::Refused(reason) => reason,
        Failure::Damaged(reason) => format!("the JPEG is damaged or unsupported: {reason}"),
    })
}

enum Failure {
    /// Not for damage: it is too large, or of a kind that isn't read.
    Refused(String),
    Damaged(String),
}

/// `strict` makes an error of damaged data, which are otherwise painted over.
fn pixels(bytes: &[u8], strict: bool) -> Result<RgbImage, Failure> {
    let options =
        DecoderOptions::default().set_strict_mode(strict).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| Failure::Damaged(error.to_string()))?;
    let info = decoder.info().ok_or_else(|| Failure::Damaged("it has no frame header".to_owned()))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size("JPEG", width, height).map_err(Failure::Refused)?;
    let grey = matches!(decoder.input_colorspace(), Some(ColorSpace::Luma));
    let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let decoded = decoder.decode().map_err(|error| Failure::Damaged(error.to_string()))?;
    let decoded = if grey { decoded.iter().flat_map(|&grey| [grey; 3]).collect() } else { decoded };
    RgbImage::from_raw(width, height, decoded)
        .ok_or_else(|| Failure::Refused("its colours are in a form that panal does not read".to_owned()))
}

/// What the markers of a JPEG file say, without decoding it.
#[derive(Debug, Default, PartialEq)]
struct Layout {
    /// The end marker is there.
    ended: bool,
    /// Bytes before the compressed data of the first scan.
    header: Option<usize>,
    /// Progressive: every scan covers the whole image.
    progressive: bool,
    /// There are bytes between two segments that belong to neither. All decoders but a strict one pass over them.
    stray_bytes: bool,
}

impl Layout {
    fn of(bytes: &[u8]) -> Self {
        let mut layout = Self::default();
        let mut at = 2;
        loop {
            let Some(skip) = bytes.get(at..).and_then(|rest| memchr::memchr(0xff, rest)) else { return layout };
            layout.stray_bytes |= skip > 0;
            at += skip + 1;
            let Some(&marker) = bytes.get(at) else { return layout };
            match marker {
                0xff => {}
                0xd9 => {
                    layout.ended = true;
                    return layout;
                }
                0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
                _ => {
                    layout.progressive |= marker == 0xc2;
                    let Some(length) = bytes.get(at + 1..at + 3) else { return layout };
                    at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                    if marker == 0xda {
                        layout.header.get_or_insert(at);
                        at = end_of_scan(bytes, at);
                    }
                }
            }
        }
    }
}

/// Where the compressed data that begin at `start` give way to a marker; markers that mean nothing are damage in them.
fn end_of_scan(bytes: &[u8], start: usize) -> usize {
    let data = bytes.get(start..).unwrap_or_default();
    let is_marker = |at: &usize| matches!(data.get(at + 1), Some(0xc0..=0xcf | 0xd8..=0xfe));
    start + memchr::memchr_iter(0xff, data).find(is_marker).unwrap_or(data.len())
}

/// How far a file reaches that ends too early, and about how far it should.
fn cut_short(bytes: &[u8], layout: &Layout) -> String {
    let there = grouped(bytes.len() as u64);
    match (layout.header, whole_size(bytes, layout)) {
        (None, _) => format!("the JPEG ends after {there} bytes, within its header"),
        (_, None) => format!("the JPEG ends after {there} bytes, before the image is complete"),
        (_, Some(whole)) => format!("the JPEG ends after {there} of about {} bytes", grouped(whole)),
    }
}

/// The size that the file should have, to two digits, if each row takes as many bytes as those that are there. Not
/// known of a progressive file, which holds all rows in each of its scans.
fn whole_size(bytes: &[u8], layout: &Layout) -> Option<u64> {
    let header = layout.header.filter(|_| !layout.progressive)? as f64;
    let image = pixels(bytes, false).ok()?;
    let row = 3 * image.width() as usize;
    let missing = image.as_raw().rchunks(row).take_while(|row| row.iter().all(|&value| value == MISSING)).count();
    let decoded = image.height() as usize - missing;
    if decoded == 0 || missing == 0 {
        return None;
    }
    let whole = header + (bytes.len() as f64 - header) * f64::from(image.height()) / decoded as f64;
    let unit = 10_f64.powf(whole.log10().floor() - 1.0);
    Some(((whole / unit).round() * unit) as u64)
}
