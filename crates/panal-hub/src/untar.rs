//! Archives of the kind `.tar.gz` unpacked without trusting them, as `unpack` does with zip: names, kinds, counts and sizes are
//! checked. Knows no manifest.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use crate::error::{ArchiveFault, At, HubError};
use crate::files::{CHUNK, create_folder, create_parent, hex};
use crate::progress::Progress;
use crate::unpack::{Limits, Unpacked, UnpackedFile, check_name};

/// What an entry of a tar takes at most beside its data: its header and the padding of its last block.
const BESIDE_DATA: u64 = 1024;
/// Blocks of zeros that end a tar, as the usual programs write them.
const END: u64 = 20 * 512;

/// Unpacks the gzipped tar at `archive` into the folder `target`, which must be empty or missing.
///
/// `choose`, what becomes of files and folders, and what stays after a refusal are as in [`unpack_zip`](crate::unpack_zip). The
/// archive is read once from its beginning to its end, so an entry that is refused is found after those before it were written.
///
/// Refused are: a name that is absolute, climbs out or is no plain relative path on every platform; whatever is neither a
/// file nor a folder; a setuid, setgid or sticky bit; two entries for one path; more entries than `limits.max_entries`; and the
/// archive as soon as more than `limits.max_bytes` have come out, those of files that were not chosen included.
///
/// # Errors
/// [`HubError::Archive`] for a refused or damaged archive, [`HubError::Io`], [`HubError::Cancelled`].
pub fn unpack_tar_gz(
    archive: &Path,
    target: &Path,
    limits: &Limits,
    choose: &mut dyn FnMut(&str) -> Option<String>,
    progress: &dyn Progress,
) -> Result<Unpacked, HubError> {
    let refuse = |fault| HubError::Archive { archive: archive.into(), fault };
    create_folder(target)?;
    if fs::read_dir(target).at("read the folder", target)?.next().is_some() {
        let taken = io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty");
        return Err(taken).at("unpack into", target);
    }
    let file = io::BufReader::new(File::open(archive).at("open", archive)?);
    // A tar holds a block before each entry, so the bound on what comes out of gzip is somewhat larger than that of the files.
    let bound = limits.max_bytes.saturating_add(BESIDE_DATA * (limits.max_entries as u64 + 1) + END);
    let mut tar = Archive::new(MultiGzDecoder::new(file).take(bound));

    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    progress.start(&format!("unpacking {name}"), None, 0);
    let mut unpacked = Unpacked::default();
    let mut seen = Seen::default();
    let mut room = limits.max_bytes;
    for (number, entry) in tar.entries().map_err(|e| refuse(unreadable(&e)))?.enumerate() {
        if number >= limits.max_entries {
            return Err(refuse(ArchiveFault::TooManyEntries { max: limits.max_entries, got: number + 1 }));
        }
        let mut entry = entry.map_err(|e| refuse(unreadable(&e)))?;
        let bytes = entry.path_bytes().into_owned();
        let name = String::from_utf8(bytes).map_err(|_| refuse(unreadable(&"a name is not UTF-8")))?;
        let is_folder = check_kind(&name, entry.header()).map_err(refuse)?;
        let bare = name.strip_suffix('/').unwrap_or(&name);
        let unsafe_name =
            |name: &str, reason| refuse(ArchiveFault::UnsafeName { name: name.escape_debug().to_string(), reason });
        check_name(bare).map_err(|reason| unsafe_name(&name, reason))?;
        if is_folder {
            continue;
        }
        // Said by the header, and all that the reader hands out.
        let too_many = || refuse(ArchiveFault::TooManyBytes { max: limits.max_bytes, name: name.clone() });
        room = room.checked_sub(entry.size()).ok_or_else(too_many)?;
        let Some(path) = choose(&name) else {
            unpacked.skipped.push(name);
            continue;
        };
        check_name(&path).map_err(|reason| unsafe_name(&path, reason))?;
        seen.add(&path).map_err(refuse)?;
        let (bytes, sha256) = write_entry(&mut entry, &target.join(&path), &path, progress, |reason| {
            refuse(ArchiveFault::Damaged { name: name.clone(), reason })
        })?;
        unpacked.files.push(UnpackedFile { path, bytes, sha256 });
    }
    progress.finish();
    Ok(unpacked)
}

/// The file and its size and digest.
fn write_entry(
    entry: &mut dyn Read,
    place: &Path,
    path: &str,
    progress: &dyn Progress,
    damaged: impl Fn(String) -> HubError,
) -> Result<(u64, String), HubError> {
    create_parent(place)?;
    let mut out = match File::options().write(true).create_new(true).open(place) {
        // Names that differ, and are one on this file system.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(damaged(format!("{path} is there already on this file system")));
        }
        other => other.at("create", place)?,
    };
    let (mut hasher, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        if progress.cancelled() {
            return Err(HubError::Cancelled);
        }
        match entry.read(&mut chunk) {
            Ok(0) => return Ok((bytes, hex(hasher))),
            Ok(n) => {
                out.write_all(&chunk[..n]).at("write", place)?;
                hasher.update(&chunk[..n]);
                bytes += n as u64;
                progress.advance(n as u64);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(damaged(e.to_string())),
        }
    }
}

/// The paths written so far, and the folders that they lie in.
#[derive(Default)]
struct Seen {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Seen {
    fn add(&mut self, path: &str) -> Result<(), ArchiveFault> {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        for folder in folders {
            if self.files.contains(folder) {
                return Err(ArchiveFault::Duplicate(folder.into()));
            }
            if !self.folders.contains(folder) {
                self.folders.insert(folder.into());
            }
        }
        if self.folders.contains(path) || !self.files.insert(path.into()) {
            return Err(ArchiveFault::Duplicate(path.into()));
        }
        Ok(())
    }
}

/// Whether it is a folder; anything that is neither that nor a plain file is refused.
fn check_kind(name: &str, header: &tar::Header) -> Result<bool, ArchiveFault> {
    const SPECIAL_BITS: u32 = 0o7_000;
    let shown = || name.escape_debug().to_string();
    let mode = header.mode().map_err(|e| unreadable(&e))?;
    match header.entry_type() {
        EntryType::Symlink | EntryType::Link => Err(ArchiveFault::Link(shown())),
        _ if mode & SPECIAL_BITS != 0 => Err(ArchiveFault::OddMode { name: shown(), mode }),
        EntryType::Directory => Ok(true),
        EntryType::Regular if !name.ends_with('/') => Ok(false),
        _ => Err(ArchiveFault::OddMode { name: shown(), mode }),
    }
}

fn unreadable(reason: &dyn ToString) -> ArchiveFault {
    ArchiveFault::Unreadable(reason.to_string())
}
