//! Zip archives unpacked without trusting them: names, kinds, counts and sizes are checked. Knows no manifest.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::error::{ArchiveFault, At, HubError};
use crate::files::{CHUNK, create_folder, create_parent, hex};
use crate::progress::Progress;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all unpacked files together, counted as they come out, whatever the headers say.
    pub max_bytes: u64,
    /// Entries in the archive, folders and files that are not unpacked included.
    pub max_entries: usize,
}

/// What [`unpack_zip`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The files written, in the archive's order.
    pub files: Vec<UnpackedFile>,
    /// The files of the archive that were not chosen, in the archive's order.
    pub skipped: Vec<String>,
}

/// One file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackedFile {
    /// Where, relative to the target folder, `/` between folders.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Unpacks the zip archive at `archive` into the folder `target`, which must be empty or missing.
///
/// `choose` maps a file's name in the archive to its path under `target` (`/` between folders), or to `None` to leave it out.
/// Files get the platform's usual permissions; folders are made as files need them. Nothing is synced to the disk.
///
/// The whole archive is refused for one bad entry, chosen or not: a name that is absolute, climbs out or is no plain relative
/// path on every platform; a link, a device, a setuid bit; two entries for one path; more entries than
/// `limits.max_entries`. It is also refused as soon as more than `limits.max_bytes` have come out, and where an entry's
/// data is damaged. What was written until then stays: unpack into a temporary folder and rename it.
///
/// # Errors
/// [`HubError::Archive`] for a refused archive, [`HubError::Io`], [`HubError::Cancelled`].
pub fn unpack_zip(
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
    let mut zip = ZipArchive::new(file).map_err(|e| refuse(ArchiveFault::Unreadable(e.to_string())))?;
    let plan = plan(&zip, limits, choose).map_err(refuse)?;

    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    progress.start(&format!("unpacking {name}"), Some(plan.stated_bytes.min(limits.max_bytes)), 0);
    let mut unpacked = Unpacked { files: Vec::with_capacity(plan.files.len()), skipped: plan.skipped };
    let mut room = limits.max_bytes;
    for Chosen { index, name, path } in plan.files {
        let damaged = |reason: String| refuse(ArchiveFault::Damaged { name: name.clone(), reason });
        let mut entry = zip.by_index(index).map_err(|e| damaged(e.to_string()))?;
        let place = target.join(&path);
        create_parent(&place)?;
        let mut out = match File::options().write(true).create_new(true).open(&place) {
            // Names that differ, and are one on this file system.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(refuse(ArchiveFault::Duplicate(path))),
            other => other.at("create", &place)?,
        };
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        let mut chunk = vec![0; CHUNK];
        loop {
            if progress.cancelled() {
                return Err(HubError::Cancelled);
            }
            let n = match entry.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(damaged(e.to_string())),
            };
            room = room
                .checked_sub(n as u64)
                .ok_or_else(|| refuse(ArchiveFault::TooManyBytes { max: limits.max_bytes, name: name.clone() }))?;
            out.write_all(&chunk[..n]).at("write", &place)?;
            hasher.update(&chunk[..n]);
            bytes += n as u64;
            progress.advance(n as u64);
        }
        unpacked.files.push(UnpackedFile { path, bytes, sha256: hex(hasher) });
    }
    progress.finish();
    Ok(unpacked)
}

/// What will be written, every entry of the archive having been looked at.
struct Plan {
    files: Vec<Chosen>,
    skipped: Vec<String>,
    /// As the headers have it, which may lie.
    stated_bytes: u64,
}

struct Chosen {
    index: usize,
    name: String,
    path: String,
}

fn plan<R: Read + io::Seek>(
    zip: &ZipArchive<R>,
    limits: &Limits,
    choose: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Plan, ArchiveFault> {
    if zip.len() > limits.max_entries {
        return Err(ArchiveFault::TooManyEntries { max: limits.max_entries, got: zip.len() });
    }
    if zip.has_duplicate_names() {
        return Err(ArchiveFault::DuplicateNames);
    }
    let mut plan = Plan { files: Vec::new(), skipped: Vec::new(), stated_bytes: 0 };
    let mut paths = HashSet::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|e| ArchiveFault::Unreadable(e.to_string()))?;
        let name = entry.name().map_err(|e| ArchiveFault::Unreadable(e.to_string()))?.into_owned();
        check_kind(&name, entry.external_attributes() >> 16)?;
        let bare = name.strip_suffix('/').unwrap_or(&name);
        check_name(bare).map_err(|reason| unsafe_name(&name, reason))?;
        if bare.len() < name.len() {
            continue;
        }
        match choose(&name) {
            None => plan.skipped.push(name),
            Some(path) => {
                check_name(&path).map_err(|reason| unsafe_name(&path, reason))?;
                plan.stated_bytes = plan.stated_bytes.saturating_add(entry.size());
                if !paths.insert(path.clone()) {
                    return Err(ArchiveFault::Duplicate(path));
                }
                plan.files.push(Chosen { index, name, path });
            }
        }
    }
    for Chosen { path, .. } in &plan.files {
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        if let Some(folder) = folders.find(|folder| paths.contains(*folder)) {
            return Err(ArchiveFault::Duplicate(folder.into()));
        }
    }
    Ok(plan)
}

/// Only plain files and folders, with plain permissions. `mode` is what the archive says, whatever system it claims to be from.
fn check_kind(name: &str, mode: u32) -> Result<(), ArchiveFault> {
    const KIND: u32 = 0o170_000;
    const FILE: u32 = 0o100_000;
    const FOLDER: u32 = 0o040_000;
    const LINK: u32 = 0o120_000;
    const SPECIAL_BITS: u32 = 0o7_000;
    let shown = || name.escape_debug().to_string();
    match mode & KIND {
        LINK => Err(ArchiveFault::Link(shown())),
        _ if mode & SPECIAL_BITS != 0 => Err(ArchiveFault::OddMode { name: shown(), mode }),
        0 => Ok(()),
        FILE if !name.ends_with('/') => Ok(()),
        FOLDER if name.ends_with('/') => Ok(()),
        _ => Err(ArchiveFault::OddMode { name: shown(), mode }),
    }
}

/// Whether `name` is a plain relative path on every platform: components between `/`, none of them empty, `.` or `..`, no
/// character or device name that some platform treats specially, of bearable length. The error says what is wrong.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.starts_with('/') {
        return Err("it is absolute");
    }
    if name.len() > 1024 {
        return Err("it is longer than 1024 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("it has control characters");
    }
    if name.contains(['\\', ':', '<', '>', '"', '|', '?', '*']) {
        return Err("it has characters that some platforms treat specially");
    }
    name.split('/').try_for_each(check_component)
}

fn check_component(component: &str) -> Result<(), &'static str> {
    const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
    if component.is_empty() {
        return Err("it has an empty component");
    }
    if component == ".." {
        return Err("it climbs out with `..`");
    }
    if component.ends_with(['.', ' ']) {
        return Err("it has a component that ends with a dot or a space");
    }
    if component.len() > 255 {
        return Err("it has a component longer than 255 bytes");
    }
    let stem = component.split('.').next().unwrap_or(component).trim_end().to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).unwrap_or_default();
    if DEVICES.contains(&stem.as_str()) || is_port_number(port) {
        return Err("it has a component that is a device on some platforms");
    }
    Ok(())
}

/// One digit, also a raised one; `COMM` is no port.
fn is_port_number(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_numeric) && chars.next().is_none()
}

fn unsafe_name(name: &str, reason: &'static str) -> ArchiveFault {
    ArchiveFault::UnsafeName { name: name.escape_debug().to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_plain_paths_everywhere() {
        for name in [
            "a",
            "train/ants/0013035.jpg",
            ".hidden",
            "a b/ü.jpg",
            "...a",
            "console/com10.txt",
            "cuda/comm.py",
            "lib/libc10.so",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_are_not() {
        for (name, word) in [
            ("", "empty"),
            ("/etc/passwd", "absolute"),
            ("..", "climbs"),
            ("a/../../b", "climbs"),
            ("a//b", "empty component"),
            ("a/", "empty component"),
            ("./a", "dot"),
            ("a/. ./b", "dot"),
            ("..\\a", "specially"),
            ("C:/a", "specially"),
            ("a:stream", "specially"),
            ("a\0b", "control"),
            ("a\nb", "control"),
            ("NUL", "device"),
            ("a/aux.jpg", "device"),
            ("a/com1 .jpg", "device"),
            ("a/lpt²", "device"),
            (&"a/".repeat(600), "1024"),
            (&"a".repeat(300), "255"),
        ] {
            assert!(check_name(name).is_err_and(|reason| reason.contains(word)), "{name:?}: {:?}", check_name(name));
        }
    }
}
