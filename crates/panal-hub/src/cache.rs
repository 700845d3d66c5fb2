//! What the cache folder holds and how it is checked, quickly and in full. Fetches nothing.
//!
//! ```text
//! <cache>/weights/<file>            and beside it <file>.stamp
//! <cache>/archives/<file>           data sets as they were downloaded
//! <cache>/datasets/<id>/<root>/     unpacked; beside the root stamp.toml, and manifest.sha256 where the catalogue has no manifest
//! <cache>/unpacking/<id>/           while it is being unpacked
//! <cache>/locks/<id>.lock
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::catalogue::{Archive, Detail, Entry};
use crate::download::{Downloaded, Expect};
use crate::error::HubError;
use crate::files::{beside, sha256_file, write_atomic};
use crate::manifest::Manifest;
use crate::unpack::Unpacked;

/// The paths of one cache folder.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Why a cached entry can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is not there.
    Missing,
    /// It is there and is not what it should be.
    Damaged(String),
}

/// An unpacked data set that is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Of all files together.
    pub(crate) bytes: u64,
    /// [`crate::Manifest::digest`].
    pub(crate) digest: String,
}

/// What was written into a weight file's stamp when its contents were last hashed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FileStamp {
    bytes: u64,
    /// Nanoseconds since 1970 of the file's last change.
    modified: u64,
    sha256: String,
}

/// What was unpacked, as the stamp beside it says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FolderStamp {
    /// The archive's published digest, where that is what the catalogue knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
    /// [`crate::Manifest::digest`].
    manifest: String,
    /// Each file's size.
    files: BTreeMap<String, u64>,
}

impl FileStamp {
    /// Beside `path`. The cache may be read-only, which only costs time later.
    fn write(&self, path: &Path) {
        if let Ok(text) = toml::to_string(self) {
            let _ = write_atomic(&stamp_of(path), text.as_bytes());
        }
    }
}

impl Cache {
    pub(crate) fn new(root: PathBuf) -> Cache {
        Cache { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the entry's file is: weights as they are used, an archive as it was downloaded.
    pub(crate) fn file(&self, entry: &Entry) -> PathBuf {
        let folder = match entry.detail {
            Detail::Dataset(_) => "archives",
            Detail::Weights(_) => "weights",
        };
        self.root.join(folder).join(&entry.file)
    }

    /// The folder that holds the root and the stamp of an unpacked data set.
    pub(crate) fn unpacked(&self, entry: &Entry) -> PathBuf {
        self.root.join("datasets").join(&entry.id)
    }

    /// The root of an unpacked data set.
    pub(crate) fn root_of(&self, entry: &Entry, archive: &Archive) -> PathBuf {
        self.unpacked(entry).join(&archive.root)
    }

    /// A folder for what is not ready yet, to be used under the entry's lock only.
    pub(crate) fn workshop(&self, entry: &Entry) -> PathBuf {
        self.root.join("unpacking").join(&entry.id)
    }

    pub(crate) fn lock(&self, entry: &Entry) -> PathBuf {
        self.root.join("locks").join(format!("{}.lock", entry.id))
    }

    /// Checks a file of weights: by its stamp where that fits, by its contents otherwise.
    pub(crate) fn check_weights(&self, entry: &Entry) -> Result<Downloaded, Flaw> {
        let path = self.file(entry);
        let (bytes, modified) = look(&path)?;
        let stamp = fs::read_to_string(stamp_of(&path)).ok().and_then(|text| toml::from_str::<FileStamp>(&text).ok());
        let stamp = match stamp {
            Some(stamp) if (stamp.bytes, stamp.modified) == (bytes, modified) => stamp,
            _ => {
                let sha256 = sha256_file(&path).map_err(|e| Flaw::Damaged(e.to_string()))?;
                let stamp = FileStamp { bytes, modified, sha256 };
                stamp.write(&path);
                stamp
            }
        };
        expectation(entry).verify("it", bytes, &stamp.sha256).map_err(|e| Flaw::Damaged(e.to_string()))?;
        Ok(Downloaded { bytes, sha256: stamp.sha256 })
    }

    /// Notes that the file, just put there, was hashed. To be called under the entry's lock.
    pub(crate) fn stamp_weights(&self, entry: &Entry, contents: &Downloaded) {
        let path = self.file(entry);
        if let Ok((bytes, modified)) = look(&path) {
            FileStamp { bytes, modified, sha256: contents.sha256.clone() }.write(&path);
        }
    }

    /// Checks an unpacked data set without reading its images: the stamp's manifest is the catalogue's, every file is there
    /// with its size, and no other file is.
    pub(crate) fn check_unpacked(&self, entry: &Entry, archive: &Archive) -> Result<Held, Flaw> {
        let folder = self.unpacked(entry);
        let damaged = |reason: String| Flaw::Damaged(reason);
        let text = match fs::read_to_string(stamp_in(&folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.exists() => return Err(Flaw::Missing),
            other => other.map_err(|e| damaged(format!("its stamp can't be read: {e}")))?,
        };
        let stamp: FolderStamp =
            toml::from_str(&text).map_err(|e| damaged(format!("its stamp does not parse: {}", e.message())))?;
        let manifest = self.manifest(entry, archive)?;
        let digest = manifest.digest();
        if stamp.manifest != digest {
            return Err(damaged("it was unpacked for another manifest".into()));
        }
        if stamp.archive != published(entry) {
            return Err(damaged("it was unpacked from another archive".into()));
        }
        let root = folder.join(&archive.root);
        let mut bytes = 0;
        for (path, _) in manifest.iter() {
            let size = stamp.files.get(path).copied();
            match fs::symlink_metadata(root.join(path)) {
                Ok(meta) if meta.is_file() && Some(meta.len()) == size => bytes += meta.len(),
                Ok(meta) if meta.is_file() => return Err(damaged(format!("{path} has changed: {} bytes", meta.len()))),
                _ => return Err(damaged(format!("{path} is missing"))),
            }
        }
        match extra_file(&root, &manifest) {
            Some(extra) => Err(damaged(format!("{extra} is not in the manifest"))),
            None => Ok(Held { bytes, digest }),
        }
    }

    /// What an unpacked data set must hold: the catalogue's manifest, or the one that was written when its archive, known by its own
    /// digest, was unpacked.
    pub(crate) fn manifest<'a>(&self, entry: &Entry, archive: &'a Archive) -> Result<Cow<'a, Manifest>, Flaw> {
        if let Some(manifest) = &archive.manifest {
            return Ok(Cow::Borrowed(manifest));
        }
        let path = manifest_in(&self.unpacked(entry));
        let text = fs::read_to_string(&path).map_err(|e| Flaw::Damaged(format!("its manifest can't be read: {e}")))?;
        let manifest = Manifest::parse(MANIFEST, &text).map_err(|e| Flaw::Damaged(e.to_string()))?;
        Ok(Cow::Owned(manifest))
    }
}

/// Stamps a folder whose root holds just what `manifest` lists.
pub(crate) fn stamp_unpacked(
    folder: &Path,
    entry: &Entry,
    archive: &Archive,
    manifest: &Manifest,
    unpacked: &Unpacked,
) -> Result<(), HubError> {
    if archive.manifest.is_none() {
        write_atomic(&manifest_in(folder), manifest.to_text().as_bytes())?;
    }
    let files = unpacked.files.iter().map(|f| (f.path.clone(), f.bytes)).collect();
    let stamp = FolderStamp { archive: published(entry), manifest: manifest.digest(), files };
    write_atomic(&stamp_in(folder), toml::to_string(&stamp).unwrap_or_default().as_bytes())
}

/// The digest by which the catalogue knows an archive as a whole.
fn published(entry: &Entry) -> Option<String> {
    let sha256 = entry.sha256.as_ref().map(|digest| format!("sha256:{digest}"));
    sha256.or_else(|| entry.md5.as_ref().map(|digest| format!("md5:{digest}")))
}

const MANIFEST: &str = "manifest.sha256";

fn manifest_in(folder: &Path) -> PathBuf {
    folder.join(MANIFEST)
}

fn stamp_in(folder: &Path) -> PathBuf {
    folder.join("stamp.toml")
}

/// What the catalogue knows of an entry's file.
pub(crate) fn expectation(entry: &Entry) -> Expect {
    Expect { sha256: entry.sha256.clone(), md5: entry.md5.clone(), bytes: entry.bytes, at_most: entry.at_most_bytes() }
}

/// The first file under `root` that the manifest does not list, if any.
pub(crate) fn extra_file(root: &Path, manifest: &Manifest) -> Option<String> {
    WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|found| !found.file_type().is_dir())
        .filter_map(|found| Some(slashed(found.path().strip_prefix(root).ok()?)))
        .find(|path| manifest.get(path).is_none())
}

fn slashed(path: &Path) -> String {
    path.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn stamp_of(path: &Path) -> PathBuf {
    beside(path, ".stamp")
}

/// A file's size and the time of its last change.
fn look(path: &Path) -> Result<(u64, u64), Flaw> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => {
            let modified = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            Ok((meta.len(), u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX)))
        }
        Ok(_) => Err(Flaw::Damaged("it is no file".into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Flaw::Missing),
        Err(e) => Err(Flaw::Damaged(e.to_string())),
    }
}
