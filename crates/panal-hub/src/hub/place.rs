//! Putting a local file into the cache: an archive verified, by what it holds or as a whole, and unpacked; a file copied and verified.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;

use sha2::{Digest, Sha256};

use std::borrow::Cow;

use crate::cache::{Cache, Held, expectation, stamp_unpacked};
use crate::catalogue::{Archive, Entry, Format};
use crate::download::{Downloaded, Expect};
use crate::error::{ArchiveFault, At, HubError};
use crate::files::{CHUNK, beside, create_parent, hex, parent, sync_folder};
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::unpack::{Unpacked, UnpackedFile, unpack_zip};
use crate::untar::unpack_tar_gz;

/// Unpacks `file`, compares every file with the manifest, and only then puts the folder in the place of what was there. An archive that is
/// known by its own digest is verified before it is unpacked. To be called under the entry's lock. Returns also the archive's files
/// that are left out: not in the manifest, or not under the root.
pub(super) fn unpack_into_cache(
    cache: &Cache,
    entry: &Entry,
    archive: &Archive,
    file: &Path,
    progress: &dyn Progress,
) -> Result<(Held, Vec<String>), HubError> {
    let workshop = cache.workshop(entry);
    remove_folder(&workshop)?;
    let made = unpack_in(&workshop, cache, entry, archive, file, progress);
    // What was replaced, or what did not come to anything.
    let removed = remove_folder(&workshop);
    let (held, skipped) = made?;
    removed?;
    let lacking = if archive.manifest.is_some() { "in the manifest" } else { "under the data set's root" };
    for name in &skipped {
        progress.message(&format!("{name} of {} is not {lacking}, and is left out", entry.file));
    }
    Ok((held, skipped))
}

fn unpack_in(
    workshop: &Path,
    cache: &Cache,
    entry: &Entry,
    archive: &Archive,
    file: &Path,
    progress: &dyn Progress,
) -> Result<(Held, Vec<String>), HubError> {
    if archive.manifest.is_none() {
        expectation(entry).verify_file(&file.display().to_string(), file)?;
        if entry.sha256.is_none() {
            progress.message(&format!(
                "{} has its published MD5: it is not damaged, which is no proof against an attacker",
                entry.file
            ));
        }
    }
    let (new, old, place) = (workshop.join("new"), workshop.join("old"), cache.unpacked(entry));
    let root = new.join(&archive.root);
    let mut chosen = |name: &str| archive.chosen(name).map(str::to_owned);
    let unpacked = match archive.format {
        Format::Zip => unpack_zip(file, &root, &archive.limits, &mut chosen, progress)?,
        Format::TarGz => unpack_tar_gz(file, &root, &archive.limits, &mut chosen, progress)?,
    };
    let manifest = compare(archive, &unpacked).map_err(|fault| HubError::Archive { archive: file.into(), fault })?;
    sync_files(&root, &unpacked.files)?;
    stamp_unpacked(&new, entry, archive, &manifest, &unpacked)?;
    create_parent(&place)?;
    match fs::rename(&place, &old) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).at("replace", &place),
        _ => fs::rename(&new, &place).at("create", &place)?,
    }
    sync_folder(parent(&place))?;
    let held = Held { bytes: unpacked.files.iter().map(|f| f.bytes).sum(), digest: manifest.digest() };
    Ok((held, unpacked.skipped))
}

/// Every file of the manifest is there, with its contents. No other file is: none was chosen. Where there is no manifest, it is made of
/// what came out. Returns the manifest.
fn compare<'a>(archive: &'a Archive, unpacked: &Unpacked) -> Result<Cow<'a, Manifest>, ArchiveFault> {
    let Some(manifest) = &archive.manifest else {
        let files = unpacked.files.iter().map(|f| (f.path.clone(), f.sha256.clone()));
        return Manifest::of(files).map(Cow::Owned).ok_or_else(|| ArchiveFault::Empty(archive.root.clone()));
    };
    for file in &unpacked.files {
        let expected = manifest.get(&file.path).unwrap_or_default();
        if file.sha256 != expected {
            let (name, got) = (file.path.clone(), file.sha256.clone());
            return Err(ArchiveFault::WrongContents { name, expected: expected.into(), got });
        }
    }
    let is_there = |path: &str| unpacked.files.iter().any(|f| f.path == path);
    let mut missing = manifest.iter().map(|(path, _)| path).filter(|path| !is_there(path));
    match missing.next() {
        None => Ok(Cow::Borrowed(manifest)),
        Some(first) => {
            Err(ArchiveFault::Missing { first: archive.name_of(first), count: 1 + missing.count(), of: manifest.len() })
        }
    }
}

/// Sees to it that the files outlive a power cut. Several at a time: a file system commits them together, ten times faster.
fn sync_files(root: &Path, files: &[UnpackedFile]) -> Result<(), HubError> {
    const THREADS: usize = 8;
    let sync = |file: &UnpackedFile| {
        let path = root.join(&file.path);
        File::options().append(true).open(&path).and_then(|f| f.sync_data()).at("write", path)
    };
    thread::scope(|scope| {
        let share = files.len().div_ceil(THREADS).max(1);
        let threads: Vec<_> =
            files.chunks(share).map(|some| scope.spawn(move || some.iter().try_for_each(sync))).collect();
        // A panic in there would be a bug; it is carried on as one.
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Copies `from` to `to`, which appears only when it is whole and is what `expect` says. To be called under a lock.
pub(super) fn copy_verified(
    from: &Path,
    to: &Path,
    expect: &Expect,
    progress: &dyn Progress,
) -> Result<Downloaded, HubError> {
    create_parent(to)?;
    let copy = beside(to, ".copy");
    let copied = copy_hashed(from, &copy, progress).and_then(|contents| {
        expect.verify(&from.display().to_string(), contents.bytes, &contents.sha256)?;
        fs::rename(&copy, to).at("create", to)?;
        sync_folder(parent(to))?;
        Ok(contents)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&copy);
    }
    copied
}

fn copy_hashed(from: &Path, to: &Path, progress: &dyn Progress) -> Result<Downloaded, HubError> {
    let mut source = File::open(from).at("open", from)?;
    let total = source.metadata().at("read", from)?.len();
    let mut copy = File::create(to).at("create", to)?;
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    progress.start(&format!("copying {name}"), Some(total), 0);
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        if progress.cancelled() {
            return Err(HubError::Cancelled);
        }
        let n = match source.read(&mut chunk).at("read", from)? {
            0 => break,
            n => n,
        };
        copy.write_all(&chunk[..n]).at("write", to)?;
        hasher.update(&chunk[..n]);
        bytes += n as u64;
        progress.advance(n as u64);
    }
    copy.sync_all().at("write", to)?;
    progress.finish();
    Ok(Downloaded { bytes, sha256: hex(hasher) })
}

fn remove_folder(path: &Path) -> Result<(), HubError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", path),
        _ => Ok(()),
    }
}
