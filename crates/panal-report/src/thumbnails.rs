//! Small pictures of images, handed in by whoever has the images. Nothing here decodes or shrinks one.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::ReportError;

/// The most bytes of one picture: a page may hold dozens.
const MOST: usize = 256 * 1024;

/// JPEG or PNG files by the id of their image, as predictions name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thumbnails(BTreeMap<String, Picture>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Thumbnails {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes of a JPEG or PNG file as the picture of image `id`, in place of an earlier one.
    ///
    /// # Errors
    /// [`ReportError::Thumbnail`] for other bytes, none or more than 256 KiB.
    pub fn insert(&mut self, id: impl Into<String>, bytes: Vec<u8>) -> Result<(), ReportError> {
        let id = id.into();
        let refuse = |message: String| ReportError::Thumbnail { id: id.clone(), message, most: MOST };
        if !(1..=MOST).contains(&bytes.len()) {
            return Err(refuse(format!("{} bytes", bytes.len())));
        }
        let kind = if bytes.starts_with(b"\xff\xd8\xff") {
            "image/jpeg"
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            "image/png"
        } else {
            return Err(refuse("begins like neither a JPEG nor a PNG file".to_owned()));
        };
        self.0.insert(id, Picture { kind, bytes });
        Ok(())
    }

    /// The picture of an image as a `data:` URI.
    pub(crate) fn uri(&self, id: &str) -> Option<String> {
        self.0.get(id).map(|Picture { kind, bytes }| format!("data:{kind};base64,{}", BASE64_STANDARD.encode(bytes)))
    }
}
