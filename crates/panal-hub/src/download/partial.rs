//! The part of a file that has come so far, and what is known of where it came from. Talks to no server.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Downloaded, Expect};
use crate::error::{At, HubError};
use crate::files::{beside, create_parent, parent, sync_folder, write_atomic};

/// `dest.part`, and beside it `dest.part.toml` that says whence it is.
pub(super) struct Partial {
    dest: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
    origin: Origin,
    resumed: bool,
}

/// Where the bytes came from, so that a later request can ask for the rest of the same file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    url: String,
    /// What `If-Range` takes: a strong entity tag, else the time of the last change.
    validator: Option<String>,
}

impl Partial {
    /// Opens what an earlier call left, or begins anew. The old bytes are used where the server can be asked whether the file
    /// is still the same, or where a digest will tell.
    pub(super) fn open(dest: &Path, url: &str, expect: &Expect) -> Result<Partial, HubError> {
        let path = beside(dest, ".part");
        create_parent(&path)?;
        let file = File::options().create(true).append(true).open(&path).at("open", &path)?;
        let bytes = file.metadata().at("read", &path)?.len();
        let origin = fs::read_to_string(beside(&path, ".toml")).ok().and_then(|text| toml::from_str(&text).ok());
        let origin = origin.filter(|o: &Origin| o.url == url).unwrap_or_default();
        let usable = bytes <= expect.limit() && (origin.validator.is_some() || expect.has_digest());
        let mut part = Partial { dest: dest.into(), path, file, bytes, origin, resumed: bytes > 0 };
        if !usable {
            part.restart()?;
        }
        Ok(part)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name that a user knows the file by.
    pub(super) fn name(&self) -> String {
        self.dest.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether the bytes came in more than one piece.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed
    }

    pub(super) fn mark_resumed(&mut self) {
        self.resumed = true;
    }

    pub(super) fn validator(&self) -> Option<&str> {
        self.origin.validator.as_deref()
    }

    /// Empties the file.
    pub(super) fn restart(&mut self) -> Result<(), HubError> {
        self.file.set_len(0).at("empty", &self.path)?;
        self.bytes = 0;
        self.resumed = false;
        self.origin = Origin::default();
        Ok(())
    }

    /// Empties the file, for contents that come from `url` and are known there by `validator`.
    pub(super) fn begin(&mut self, url: &str, validator: Option<String>) -> Result<(), HubError> {
        self.restart()?;
        self.origin = Origin { url: url.into(), validator };
        let text = toml::to_string(&self.origin).unwrap_or_default();
        write_atomic(&beside(&self.path, ".toml"), text.as_bytes())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).at("write", &self.path)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Whether the file is what it should be; `url` names it in errors.
    pub(super) fn verify(&self, url: &str, expect: &Expect) -> Result<Downloaded, HubError> {
        expect.verify_file(url, &self.path)
    }

    /// Makes it the file that was asked for.
    pub(super) fn publish(self) -> Result<(), HubError> {
        self.file.sync_all().at("write", &self.path)?;
        fs::rename(&self.path, &self.dest).at("create", &self.dest)?;
        let _ = fs::remove_file(beside(&self.path, ".toml"));
        sync_folder(parent(&self.dest))
    }

    /// Deletes it. An error here would hide the one that made it useless.
    pub(super) fn discard(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(beside(&self.path, ".toml"));
    }
}
