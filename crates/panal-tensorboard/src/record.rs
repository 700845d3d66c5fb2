//! The framing of an event file (TFRecord): length, its checksum, bytes, their checksum. What the bytes mean is in `message`.

/// What is added to a turned checksum, so that a checksum of bytes that hold checksums stays a good one
/// (TensorFlow, `tensorflow/core/lib/hash/crc32c.h`, `kMaskDelta`).
const MASK_DELTA: u32 = 0xa282_ead8;

/// CRC-32C (Castagnoli) of `bytes`, masked as TFRecord has it: turned right by 15 bits, and [`MASK_DELTA`] added.
pub(crate) fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

/// One record: `u64` length, its masked checksum, the bytes, their masked checksum; all numbers little-endian
/// (TensorFlow, `tensorflow/core/lib/io/record_writer.h`).
pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(bytes.len() + 16);
    record.extend(length);
    record.extend(masked_crc32c(&length).to_le_bytes());
    record.extend(bytes);
    record.extend(masked_crc32c(bytes).to_le_bytes());
    record
}

/// The records of a file, and how many of its last bytes are no whole one.
#[cfg(test)]
pub(crate) fn unframed(mut file: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut records = Vec::new();
    let take = |at: &[u8]| -> Option<(Vec<u8>, usize)> {
        let (length, crc) = (at.get(..8)?, at.get(8..12)?);
        assert_eq!(crc, masked_crc32c(length).to_le_bytes(), "checksum of the length");
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let (bytes, crc) = (at.get(12..12 + length)?, at.get(12 + length..16 + length)?);
        assert_eq!(crc, masked_crc32c(bytes).to_le_bytes(), "checksum of the bytes");
        Some((bytes.to_vec(), 16 + length))
    };
    while let Some((bytes, length)) = take(file) {
        records.push(bytes);
        file = &file[length..];
    }
    (records, file.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_has_its_published_values() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        let vectors: [(&[u8], u32); 5] = [
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ];
        for (bytes, expected) in vectors {
            assert_eq!(crc32c::crc32c(bytes), expected);
        }
    }

    proptest! {
        #[test]
        fn what_was_framed_is_read_back(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
            let file: Vec<u8> = records.iter().flat_map(|bytes| framed(bytes)).collect();
            prop_assert_eq!(unframed(&file), (records, 0));
        }

        /// A kill leaves every whole record, and at most one that is cut.
        #[test]
        fn a_cut_costs_one_record(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            cut in 0.0_f64..1.0,
        ) {
            let file: Vec<u8> = records.iter().flat_map(|bytes| framed(bytes)).collect();
            let kept = (file.len() as f64 * cut) as usize;
            let whole = records.iter().scan(0, |end, bytes| { *end += bytes.len() + 16; Some(*end) });
            let whole = whole.filter(|&end| end <= kept).count();
            prop_assert_eq!(&unframed(&file[..kept]).0, &records[..whole]);
        }
    }
}
