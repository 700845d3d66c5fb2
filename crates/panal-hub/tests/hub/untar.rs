//! Gzipped tars made to do harm are refused, and nothing is ever written outside the target.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use panal_hub::{ArchiveFault, HubError, Limits, Quiet, Unpacked, unpack_tar_gz};
use tempfile::TempDir;

use crate::watcher::Watcher;

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_entries: 5 };

/// One entry: name as it is written, kind, mode, data.
type Item<'a> = (&'a str, tar::EntryType, u32, &'a [u8]);

fn file<'a>(name: &'a str, data: &'a [u8]) -> Item<'a> {
    (name, tar::EntryType::Regular, 0o644, data)
}

/// The archive's bytes; names are written as they are, which the library's own writer would not do.
pub(crate) fn tar_gz(items: &[Item<'_>]) -> Vec<u8> {
    let mut plain = Vec::new();
    for (name, kind, mode, data) in items {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_size(data.len() as u64);
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        }
        header.set_cksum();
        plain.extend(header.as_bytes());
        plain.extend(*data);
        plain.resize(plain.len().next_multiple_of(512), 0);
    }
    plain.extend([0; 1024]);
    gzip(&plain)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(plain).unwrap();
    gzip.finish().unwrap()
}

/// A folder with the archive in it, and what came of unpacking it into `in/`.
struct Place(TempDir);

impl Place {
    fn with(bytes: &[u8]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.tar.gz"), bytes).unwrap();
        Place(folder)
    }

    fn unpack(&self) -> Result<Unpacked, HubError> {
        let (archive, target) = (self.0.path().join("a.tar.gz"), self.0.path().join("in"));
        unpack_tar_gz(&archive, &target, &LIMITS, &mut |name| (name != "b/skip").then(|| name.to_owned()), &Quiet)
    }

    fn fault(&self) -> ArchiveFault {
        match self.unpack() {
            Err(HubError::Archive { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    /// Every file in the folder, the archive left out, and its contents.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let all = walkdir::WalkDir::new(self.0.path()).into_iter().map(Result::unwrap);
        let name = |path: &std::path::Path| path.strip_prefix(self.0.path()).unwrap().to_str().unwrap().to_owned();
        all.filter(|found| !found.file_type().is_dir() && found.file_name() != "a.tar.gz")
            .map(|found| (name(found.path()), fs::read(found.path()).unwrap()))
            .collect()
    }
}

#[test]
fn a_good_archive_comes_out_as_it_was_packed() {
    let long = vec![7; 3000];
    let folder = ("b/", tar::EntryType::Directory, 0o755, &[][..]);
    let place = Place::with(&tar_gz(&[file("a.bin", b"one"), folder, file("b/c.bin", &long), file("b/skip", b"no")]));
    let unpacked = place.unpack().unwrap();
    assert_eq!(unpacked.skipped, ["b/skip"]);
    let told: Vec<_> = unpacked.files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    assert_eq!(told, [("a.bin", 3), ("b/c.bin", 3000)]);
    assert_eq!(unpacked.files[0].sha256, crate::download::sha256(b"one"));
    assert_eq!(place.files(), [("in/a.bin".into(), b"one".to_vec()), ("in/b/c.bin".into(), long)].into());
    assert!(matches!(place.unpack(), Err(HubError::Io { .. })), "the target must be empty");
}

#[test]
fn names_that_lead_elsewhere_and_what_is_no_file_are_refused() {
    use tar::EntryType as Kind;
    for (item, word) in [
        (file("../a", b"x"), "climbs"),
        (file("/a", b"x"), "absolute"),
        (file("a/../../b", b"x"), "climbs"),
        (file("C:a", b"x"), "specially"),
        (("a", Kind::Symlink, 0o777, &[]), "it is a link"),
        (("a", Kind::Link, 0o644, &[]), "it is a link"),
        (("a", Kind::Fifo, 0o644, &[]), "no plain file's"),
        (("a", Kind::Char, 0o644, &[]), "no plain file's"),
        (("a", Kind::Regular, 0o4755, b"x"), "no plain file's"),
        (("a", Kind::GNUSparse, 0o644, b"x"), "sparse"),
    ] {
        let place = Place::with(&tar_gz(&[item]));
        let fault = place.fault().to_string();
        assert!(fault.contains(word), "{item:?}: {fault}");
        assert_eq!(place.files(), BTreeMap::new(), "{item:?}");
    }
}

#[test]
fn one_path_is_written_once() {
    for items in
        [[file("a", b"1"), file("a", b"2")], [file("a", b"1"), file("a/b", b"2")], [file("a/b", b"1"), file("a", b"2")]]
    {
        let fault = Place::with(&tar_gz(&items)).fault();
        assert!(matches!(fault, ArchiveFault::Duplicate(_)), "{fault:?}");
    }
}

#[test]
fn entries_and_bytes_have_their_bounds() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let many = names.map(|name| file(name, b"x"));
    assert_eq!(Place::with(&tar_gz(&many)).fault(), ArchiveFault::TooManyEntries { max: 5, got: 6 });
    // 1.5 MB, also where it is not chosen.
    let zeros = vec![0; 3 << 19];
    for name in ["big", "b/skip"] {
        let fault = Place::with(&tar_gz(&[file(name, &zeros)])).fault();
        assert_eq!(fault, ArchiveFault::TooManyBytes { max: 1 << 20, name: name.into() });
    }
    // Headers without end: what comes out of gzip is bounded too.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 33);
    header.set_cksum();
    let mut bomb = header.as_bytes().to_vec();
    bomb.resize(8 << 20, b'a');
    assert!(matches!(Place::with(&gzip(&bomb)).fault(), ArchiveFault::Unreadable(_)));
}

#[test]
fn what_is_cut_or_damaged_is_refused() {
    let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let whole = tar_gz(&[file("a", &noise)]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xff;
    for bytes in [&whole[..whole.len() / 2], &flipped, b"no archive at all", b"", &gzip(b"no tar at all, but gzip")] {
        let fault = Place::with(bytes).fault();
        assert!(matches!(fault, ArchiveFault::Damaged { .. } | ArchiveFault::Unreadable(_)), "{fault:?}");
    }
}

#[test]
fn unpacking_stops_when_cancelled() {
    let place = Place::with(&tar_gz(&[file("a", b"x")]));
    let watcher = Watcher { cancel_after: Some(0), ..Watcher::default() };
    let (archive, target) = (place.0.path().join("a.tar.gz"), place.0.path().join("in"));
    let stopped = unpack_tar_gz(&archive, &target, &LIMITS, &mut |name| Some(name.to_owned()), &watcher);
    assert!(matches!(stopped, Err(HubError::Cancelled)), "{stopped:?}");
}
