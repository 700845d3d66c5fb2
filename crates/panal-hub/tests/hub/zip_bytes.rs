//! Zip archives written byte by byte, so that they can say what no archiver would. Tests nothing itself.

use std::io::{Cursor, Read, Write};

/// One entry, with whatever headers it should claim.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: Vec<u8>,
    /// As it stands in the archive, compressed or not.
    data: Vec<u8>,
    /// 0: stored, 8: deflated.
    method: u16,
    crc: u32,
    /// The size that the headers claim.
    size: u32,
    mode: u32,
}

impl Item {
    pub(crate) fn file(name: &str, contents: &[u8]) -> Item {
        Item {
            name: name.into(),
            data: contents.to_vec(),
            method: 0,
            crc: crc32(contents),
            size: contents.len() as u32,
            mode: 0o100_644,
        }
    }

    pub(crate) fn folder(name: &str) -> Item {
        Item::file(name, b"").mode(0o040_755)
    }

    /// Compressed, as real archivers do it.
    pub(crate) fn deflated(name: &str, contents: &[u8]) -> Item {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file("x", options).unwrap();
        writer.write_all(contents).unwrap();
        let mut archive = zip::ZipArchive::new(writer.finish().unwrap()).unwrap();
        let mut data = Vec::new();
        archive.by_index_raw(0).unwrap().read_to_end(&mut data).unwrap();
        Item { data, method: 8, ..Item::file(name, contents) }
    }

    pub(crate) fn mode(mut self, mode: u32) -> Item {
        self.mode = mode;
        self
    }

    pub(crate) fn claiming_size(mut self, size: u32) -> Item {
        self.size = size;
        self
    }

    pub(crate) fn claiming_crc(mut self, crc: u32) -> Item {
        self.crc = crc;
        self
    }
}

/// The archive of these entries, in this order.
pub(crate) fn zip_bytes(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for item in items {
        let offset = bytes.len() as u32;
        // From "version needed" to the length of the extra field: the same in both headers. Bit 11: the name is UTF-8.
        let mut common = Vec::new();
        for field in [20, 1 << 11, item.method, 0, 0x21] {
            common.extend(u16::to_le_bytes(field));
        }
        for field in [item.crc, item.data.len() as u32, item.size] {
            common.extend(field.to_le_bytes());
        }
        common.extend((item.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);

        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(&item.name);
        bytes.extend(&item.data);

        directory.extend(b"PK\x01\x02");
        // Made by version 2.0 on Unix, so that the mode counts.
        directory.extend([20, 3]);
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((item.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&item.name);
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([(items.len() as u16).to_le_bytes(); 2].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}
