//! Searching a folder for images in torchvision's order. What the folders mean lives in `folder`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{EXTENSIONS, Excluded, is_image_name};
use crate::DataError;

/// A search through the folder of one class after another.
pub(super) struct Walk<'a> {
    root: &'a Path,
    /// The images of the class.
    pub(super) files: Vec<Found>,
    pub(super) excluded: Vec<Excluded>,
    /// Images that lie where only folders should.
    pub(super) loose: usize,
    /// The folders that the search is in, links resolved, to notice a circle.
    above: Vec<PathBuf>,
}

/// An image file; sorted by folder, then by name, both as bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// Below the root, with `/` between the parts.
    pub(super) folder: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) path: PathBuf,
}

/// The folder of a class or of a group of them.
pub(super) struct Folder {
    /// Below the root, with `/` between the parts.
    pub(super) place: Vec<u8>,
    pub(super) path: PathBuf,
}

impl<'a> Walk<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, files: Vec::new(), excluded: Vec::new(), loose: 0, above: Vec::new() }
    }

    /// The folders directly in `folder`, which is `place` below the root, sorted by name; each is a `what`, and anything
    /// beside them is excluded.
    pub(super) fn folders(&mut self, folder: &Path, place: &[u8], what: &str) -> Result<Vec<Folder>, DataError> {
        let mut folders = Vec::new();
        for entry in entries(folder)? {
            let name = printable(&entry.name);
            let inner = below(place, &entry.name);
            if hidden(&name) {
                self.exclude(&inner, hidden_reason(&entry.path));
            } else if entry.path.is_dir() {
                folders.push(Folder { place: inner, path: entry.path });
            } else {
                self.loose += usize::from(is_image_name(&name));
                self.exclude(&inner, format!("it lies beside the {what} folders, not in one"));
            }
        }
        Ok(folders)
    }

    /// Searches `folder`, which is `place` below the root, to any depth.
    pub(super) fn folder(&mut self, folder: &Path, place: &[u8]) -> Result<(), DataError> {
        let resolved =
            fs::canonicalize(folder).map_err(|source| DataError::Read { path: folder.to_owned(), source })?;
        if self.above.contains(&resolved) {
            let problem = format!(
                "cannot be searched: the link {} leads back to a folder that holds it; remove it",
                printable(place)
            );
            return Err(DataError::Folder { root: self.root.to_owned(), problem });
        }
        self.above.push(resolved);
        for entry in entries(folder)? {
            let name = printable(&entry.name);
            let inner = below(place, &entry.name);
            if hidden(&name) {
                self.exclude(&inner, hidden_reason(&entry.path));
                continue;
            }
            // A link that leads nowhere is taken for a file, so that an image that is missing is not passed over.
            match fs::metadata(&entry.path) {
                Ok(kind) if kind.is_dir() => self.folder(&entry.path, &inner)?,
                Ok(kind) if !kind.is_file() => self.exclude(&inner, "it is neither a file nor a folder".to_owned()),
                _ if !is_image_name(&name) => self.exclude(&inner, wrong_extension(&name)),
                _ => self.files.push(Found { folder: place.to_owned(), name: entry.name, path: entry.path }),
            }
        }
        self.above.pop();
        Ok(())
    }

    fn exclude(&mut self, place: &[u8], reason: String) {
        self.excluded.push(Excluded { path: printable(place), reason });
    }
}

struct Entry {
    name: Vec<u8>,
    path: PathBuf,
}

/// What lies directly in a folder, sorted by name.
fn entries(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let list = || -> std::io::Result<Vec<Entry>> {
        fs::read_dir(folder)?
            .map(|entry| {
                entry.map(|entry| Entry { name: entry.file_name().as_encoded_bytes().to_vec(), path: entry.path() })
            })
            .collect()
    };
    let mut entries = list().map_err(|source| DataError::Read { path: folder.to_owned(), source })?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// The images directly in `folder`, sorted by name.
pub(crate) fn image_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let named = entries(folder)?.into_iter().map(|entry| (printable(&entry.name), entry.path));
    Ok(named.filter(|(name, _)| !hidden(name) && is_image_name(name)).collect())
}

fn hidden(name: &str) -> bool {
    name.starts_with('.')
}

fn hidden_reason(path: &Path) -> String {
    format!("it is a hidden {}", if path.is_dir() { "folder" } else { "file" })
}

fn wrong_extension(name: &str) -> String {
    let accepted = EXTENSIONS.map(|extension| format!(".{extension}")).join(" ");
    match name.rsplit_once('.') {
        Some((_, extension)) => format!("extension .{extension} is not one of {accepted}"),
        None => format!("it has no extension, and is not one of {accepted}"),
    }
}

/// The path of what is called `name` in `folder`.
pub(super) fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_owned() } else { [folder, name].join(&b'/') }
}

/// A name as text: bytes that are not UTF-8 become `\xNN`.
pub(super) fn printable(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
