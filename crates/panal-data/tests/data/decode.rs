//! Decoding against PIL's pixels, and against everything that is not a whole image.

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use image::{ImageFormat, RgbImage};
use panal_data::{DataError, MAX_PIXELS, decode_bytes, decode_image};
use proptest::prelude::*;

use crate::shared::{golden, picture};

/// The fixtures whose pixels are given.
const EXACT: [&str; 30] = [
    "bmp-1bit.bmp",
    "bmp-24.bmp",
    "bmp-32.bmp",
    "bmp-palette.bmp",
    "png-1bit.png",
    "png-grey-alpha.png",
    "png-grey-alpha16.png",
    "png-grey.png",
    "png-grey16.png",
    "png-interlaced.png",
    "png-palette-1bit.png",
    "png-palette-transparent.png",
    "png-palette.png",
    "png-rgb.png",
    "png-rgb16.png",
    "png-rgba.png",
    "png-rgba16.png",
    "pnm-1bit.pbm",
    "pnm-grey.pgm",
    "pnm-grey16.pgm",
    "pnm-plain-maxval-100.ppm",
    "pnm-rgb.ppm",
    "tiff-1bit.tif",
    "tiff-deflate.tif",
    "tiff-grey.tif",
    "tiff-lzw.tif",
    "tiff-rgb.tif",
    "webp-animated.webp",
    "webp-lossless-alpha.webp",
    "webp-lossless.webp",
];
/// The fixtures that decoders may round differently.
const ROUNDED: [&str; 16] = [
    "jpeg-420.jpg",
    "jpeg-422.jpg",
    "jpeg-444.jpg",
    "jpeg-cmyk-not-adobe.jpg",
    "jpeg-cmyk.jpg",
    "jpeg-exif.jpg",
    "jpeg-grey-progressive.jpg",
    "jpeg-grey.jpg",
    "jpeg-large.jpg",
    "jpeg-progressive.jpg",
    "jpeg-restart.jpg",
    "jpeg-rgb.jpg",
    "jpeg-stray.jpg",
    "jpeg-ycck.jpg",
    "webp-lossy-alpha.webp",
    "webp-lossy.webp",
];

/// The pixels that PIL made of a fixture, from the PPM beside it.
fn expected(name: &str) -> RgbImage {
    let bytes = golden(&format!("{name}.ppm"));
    let end = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0;
    let header: Vec<u32> =
        std::str::from_utf8(&bytes[2..end]).unwrap().split_whitespace().map(|n| n.parse().unwrap()).collect();
    RgbImage::from_raw(header[0], header[1], bytes[end + 1..].to_vec()).unwrap()
}

fn differences(name: &str) -> (f64, u8) {
    let (got, expected) = (decode_bytes(&golden(name), name).unwrap(), expected(name));
    assert_eq!(got.dimensions(), expected.dimensions(), "{name}");
    let apart: Vec<u8> = got.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
    (apart.iter().map(|&d| f64::from(d)).sum::<f64>() / apart.len() as f64, apart.into_iter().max().unwrap())
}

fn reason(bytes: &[u8]) -> String {
    match decode_bytes(bytes, "some/file.jpg") {
        Err(DataError::Decode { name, reason }) => {
            assert_eq!(name, "some/file.jpg");
            reason
        }
        Err(other) => panic!("expected a decoding error, got {other}"),
        Ok(image) => panic!("expected a decoding error, got an image of {:?}", image.dimensions()),
    }
}

#[test]
fn lossless_formats_give_pils_pixels() {
    for name in EXACT {
        assert_eq!(differences(name), (0.0, 0), "{name}");
    }
}

#[test]
fn lossy_formats_give_pils_pixels_up_to_rounding() {
    for name in ROUNDED {
        let (mean, most) = differences(name);
        println!("{name}: mean {mean:.3}, most {most}");
        assert!(mean <= 0.5 && most <= 4, "{name}: mean {mean}, most {most}");
    }
}

#[test]
fn every_fixture_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/decode");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let untested: Vec<String> = names
        .filter(|name| !EXACT.contains(&name.as_str()) && !ROUNDED.contains(&name.as_str()))
        .filter(|name| !name.strip_suffix(".ppm").is_some_and(|name| EXACT.contains(&name) || ROUNDED.contains(&name)))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// Torchvision's default loader does not turn images, so this one is as wide as it is stored.
#[test]
fn the_exif_orientation_is_not_applied() {
    assert_eq!(decode_bytes(&golden("jpeg-exif.jpg"), "").unwrap().dimensions(), (23, 17));
}

#[test]
fn the_name_of_a_file_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in truth a PNG.jpg");
    std::fs::write(&path, golden("png-rgb.png")).unwrap();
    assert_eq!(decode_image(&path).unwrap(), expected("png-rgb.png"));
}

#[test]
fn a_missing_file_is_named() {
    let error = decode_image(Path::new("nowhere/at all.png")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read nowhere/at all.png: "), "{error}");
}

#[test]
fn what_is_no_image_is_told_apart() {
    assert_eq!(reason(b""), "the file is empty (0 bytes)");
    assert_eq!(reason(b"Not found, sorry.\n"), "this is no image: it begins with the text \"Not found, sorry.\\n\"");
    assert_eq!(
        reason(b"\x00\x01\x02\x03\x04\x05\x06\x07\x08"),
        "this is no image: it begins with the bytes 00 01 02 03 04 05 06 07"
    );
    assert_eq!(
        reason("zażółć gęślą jaźń".as_bytes()),
        "this is no image: it begins with the text \"zażółć gęślą jaź\""
    );
    assert_eq!(reason(b"GIF89a\x01\x00\x01\x00"), "this is a GIF file, which panal does not read");
    assert_eq!(reason(&[0xff, 0xd8]), "this is no image: it begins with the bytes ff d8");
}

#[test]
fn a_jpeg_that_is_cut_short_says_how_much_is_missing() {
    let whole = golden("jpeg-large.jpg");
    assert_eq!(whole.len(), 1560);
    assert_eq!(reason(&whole[..300]), "the JPEG ends after 300 bytes, within its header");
    assert_eq!(reason(&whole[..1200]), "the JPEG ends after 1,200 of about 1,500 bytes");
    assert_eq!(reason(&whole[..1558]), "the JPEG ends after 1,558 bytes, before the image is complete");
    for length in 0..whole.len() {
        assert!(decode_bytes(&whole[..length], "").is_err(), "{length}");
    }
    let progressive = golden("jpeg-progressive.jpg");
    assert_eq!(reason(&progressive[..700]), "the JPEG ends after 700 bytes, before the image is complete");
}

#[test]
fn half_a_file_is_an_error_in_every_format() {
    for name in EXACT.iter().chain(&ROUNDED) {
        let whole = golden(name);
        let error = decode_bytes(&whole[..whole.len() / 2], name).expect_err(name);
        assert!(error.to_string().starts_with(&format!("cannot decode {name}: the ")), "{error}");
    }
}

#[test]
fn a_jpeg_with_other_data_in_its_middle_is_damaged() {
    let mut bytes = golden("jpeg-large.jpg");
    bytes[900..902].copy_from_slice(&[0xff, 0x07]);
    assert!(reason(&bytes).starts_with("the JPEG is damaged or unsupported: "), "{}", reason(&bytes));
}

/// A PNG is all checksums, so the header is made here; the others are patched.
#[test]
fn an_image_too_large_is_refused_by_its_header() {
    let side = 60_000_u32;
    let mut header = b"IHDR".to_vec();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png.extend(b"\0\0\0\x01IDAT\0\0\0\0\0");
    let mut jpeg = golden("jpeg-444.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    let mut bmp = golden("bmp-24.bmp");
    bmp[18..22].copy_from_slice(&side.to_le_bytes());
    bmp[22..26].copy_from_slice(&side.to_le_bytes());
    let pnm = b"P6\n60000 60000\n255\n0123".to_vec();
    for (kind, bytes) in [("PNG", png), ("JPEG", jpeg), ("BMP", bmp), ("PNM", pnm)] {
        let start = Instant::now();
        assert_eq!(
            reason(&bytes),
            format!("the {kind} claims 60,000 x 60,000 pixels, more than the 178,956,970 that panal reads")
        );
        assert!(start.elapsed() < Duration::from_secs(1), "{kind}");
    }
    assert_eq!(MAX_PIXELS, 178_956_970);
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Whatever it is, it is an image of some size or an error that names the file.
fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    match decode_bytes(bytes, "odd.bin") {
        Ok(image) => prop_assert!(image.width() > 0 && image.height() > 0),
        Err(DataError::Decode { name, reason }) => {
            prop_assert_eq!(name, "odd.bin");
            prop_assert!(!reason.is_empty());
        }
        Err(other) => prop_assert!(false, "{other}"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn lossless_files_come_back(width in 1_u32..40, height in 1_u32..40, seed: usize) {
        let image = picture(width, height, seed);
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Pnm, ImageFormat::Tiff] {
            let mut file = Cursor::new(Vec::new());
            image.write_to(&mut file, format).unwrap();
            prop_assert_eq!(&decode_bytes(file.get_ref(), "").unwrap(), &image);
        }
    }

    #[test]
    fn random_bytes_are_survived(start in 0_usize..7, mut rest in proptest::collection::vec(any::<u8>(), 0..600)) {
        let magics: [&[u8]; 7] = [
            b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\x40\0\0\0WEBPVP8 ", b"P6 9 9 255 ", b"II*\0",
        ];
        rest.splice(0..0, magics[start].iter().copied());
        survives(&rest)?;
    }

    #[test]
    fn mutated_files_are_survived(
        which in 0..EXACT.len() + ROUNDED.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = golden(EXACT.iter().chain(&ROUNDED).nth(which).unwrap());
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        survives(&bytes)?;
    }
}
