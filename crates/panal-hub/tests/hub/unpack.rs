//! Archives made to do harm are refused, and nothing is ever written outside the target.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use panal_hub::{ArchiveFault, HubError, Limits, Quiet, Unpacked, unpack_zip};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::watcher::Watcher;
use crate::zip_bytes::{Item, zip_bytes};

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_entries: 20 };

/// A folder with the archive in it, and the target `in/`.
struct Place(TempDir);

impl Place {
    fn with(bytes: &[u8]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.zip"), bytes).unwrap();
        Place(folder)
    }

    fn unpack(&self) -> Result<Unpacked, HubError> {
        self.unpack_some(&mut |name| Some(name.to_owned()))
    }

    fn unpack_some(&self, choose: &mut dyn FnMut(&str) -> Option<String>) -> Result<Unpacked, HubError> {
        unpack_zip(&self.0.path().join("a.zip"), &self.0.path().join("in"), &LIMITS, choose, &Quiet)
    }

    /// Every file in the folder and its contents, the archive left out.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = contents(self.0.path());
        found.remove("a.zip");
        found
    }
}

fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|found| !found.file_type().is_dir())
        .map(|found| {
            let path = found.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (path, fs::read(found.path()).unwrap())
        })
        .collect()
}

fn refused(items: &[Item]) -> ArchiveFault {
    let place = Place::with(&zip_bytes(items));
    match place.unpack() {
        Err(HubError::Archive { fault, .. }) => fault,
        other => panic!("{items:?} gave {other:?}"),
    }
}

#[test]
fn a_good_archive_comes_out_as_it_was_packed() {
    let text = b"abc".repeat(1000);
    let place = Place::with(&zip_bytes(&[
        Item::folder("toy/"),
        Item::file("toy/a/1.txt", b"one"),
        Item::deflated("toy/b/2.txt", &text),
        Item::file("toy/empty", b"").mode(0o644),
        Item::file("toy/run.sh", b"#!").mode(0o100_755),
    ]));
    let unpacked =
        place.unpack_some(&mut |name| name.strip_prefix("toy/").filter(|n| *n != "run.sh").map(str::to_owned)).unwrap();
    let names: Vec<_> = unpacked.files.iter().map(|f| (f.path.as_str(), f.bytes)).collect();
    assert_eq!(names, [("a/1.txt", 3), ("b/2.txt", 3000), ("empty", 0)]);
    // echo -n one | sha256sum
    assert_eq!(unpacked.files[0].sha256, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
    assert_eq!(unpacked.skipped, ["toy/run.sh"]);
    let expected = [("in/a/1.txt", b"one".to_vec()), ("in/b/2.txt", text), ("in/empty", vec![])];
    assert_eq!(place.files(), expected.map(|(k, v)| (k.to_owned(), v)).into());
}

#[test]
fn names_that_lead_elsewhere_are_refused_whole() {
    for name in [
        "/etc/x",
        "../x",
        "a/../../x",
        "a/..",
        "\\x",
        "..\\x",
        "C:\\x",
        "C:/x",
        "//server/x",
        "a//x",
        "./x",
        "a\0b",
        "",
        "nul",
    ] {
        let items = [Item::file("good", b"good"), Item::file(name, b"bad")];
        let place = Place::with(&zip_bytes(&items));
        let error = place.unpack().unwrap_err();
        assert!(
            matches!(&error, HubError::Archive { fault: ArchiveFault::UnsafeName { .. }, .. }),
            "{name:?}: {error}"
        );
        // Looked at before anything is written.
        assert_eq!(place.files(), BTreeMap::new(), "{name:?}");
    }
}

#[test]
fn a_bad_name_is_refused_also_where_it_is_not_chosen() {
    let place = Place::with(&zip_bytes(&[Item::file("good", b"good"), Item::file("../x", b"bad")]));
    let error = place.unpack_some(&mut |name| (name == "good").then(|| name.to_owned())).unwrap_err();
    assert!(error.to_string().contains("the entry `../x` is refused: it climbs out"), "{error}");
}

#[test]
fn a_choice_that_leads_elsewhere_is_refused() {
    let place = Place::with(&zip_bytes(&[Item::file("good", b"good")]));
    let error = place.unpack_some(&mut |_| Some("../x".into())).unwrap_err();
    assert!(matches!(error, HubError::Archive { fault: ArchiveFault::UnsafeName { .. }, .. }), "{error}");
    assert_eq!(place.files(), BTreeMap::new());
}

#[test]
fn links_and_devices_and_setuid_are_refused() {
    assert_eq!(refused(&[Item::file("l", b"/etc/passwd").mode(0o120_777)]), ArchiveFault::Link("l".into()));
    // A character device, a block device, a pipe, a socket; setuid, setgid, sticky; a folder's mode on a file and the reverse.
    for mode in [0o020_644, 0o060_644, 0o010_644, 0o140_644, 0o104_755, 0o102_755, 0o101_755, 0o040_755] {
        assert_eq!(refused(&[Item::file("x", b"").mode(mode)]), ArchiveFault::OddMode { name: "x".into(), mode });
    }
    assert!(matches!(refused(&[Item::folder("x/").mode(0o100_644)]), ArchiveFault::OddMode { .. }));
}

#[test]
fn two_entries_for_one_path_are_refused() {
    assert_eq!(refused(&[Item::file("a", b"1"), Item::file("a", b"2")]), ArchiveFault::DuplicateNames);
    let nested = refused(&[Item::file("a/b", b"1"), Item::file("a", b"2")]);
    assert_eq!(nested, ArchiveFault::Duplicate("a".into()));
    let place = Place::with(&zip_bytes(&[Item::file("a", b"1"), Item::file("b", b"2")]));
    let error = place.unpack_some(&mut |_| Some("same".into())).unwrap_err();
    assert!(matches!(error, HubError::Archive { fault: ArchiveFault::Duplicate(_), .. }), "{error}");
}

#[test]
fn more_entries_than_the_bound_are_refused() {
    let items: Vec<_> = (0..21).map(|i| Item::file(&format!("f{i}"), b"")).collect();
    assert_eq!(refused(&items), ArchiveFault::TooManyEntries { max: 20, got: 21 });
    assert_eq!(Place::with(&zip_bytes(&items[..20])).unpack().unwrap().files.len(), 20);
}

#[test]
fn a_bomb_is_stopped_also_where_its_header_claims_to_be_small() {
    let bomb = Item::deflated("bomb", &vec![0; 8 << 20]);
    for (item, is_caught) in [(bomb.clone(), false), (bomb.claiming_size(10), true)] {
        let place = Place::with(&zip_bytes(&[item]));
        let fault = match place.unpack() {
            Err(HubError::Archive { fault, .. }) => fault,
            other => panic!("{other:?}"),
        };
        // A header that lies is found out by the unpacker, before the bound is.
        match fault {
            ArchiveFault::TooManyBytes { max, name } => {
                assert_eq!((max, name.as_str(), is_caught), (1 << 20, "bomb", false));
            }
            ArchiveFault::Damaged { .. } => assert!(is_caught),
            other => panic!("{other}"),
        }
        let written: usize = place.files().values().map(Vec::len).sum();
        assert!(written <= 1 << 20, "{written} bytes were written");
    }
}

#[test]
fn the_bound_on_bytes_is_for_all_files_together() {
    let half = vec![7; 600_000];
    let fault = refused(&[Item::deflated("a", &half), Item::deflated("b", &half)]);
    assert_eq!(fault, ArchiveFault::TooManyBytes { max: 1 << 20, name: "b".into() });
    let exact = vec![7; 1 << 19];
    assert!(Place::with(&zip_bytes(&[Item::file("a", &exact), Item::file("b", &exact)])).unpack().is_ok());
}

#[test]
fn damaged_data_is_refused() {
    let fault = refused(&[Item::file("a", b"hello").claiming_crc(7)]);
    assert!(matches!(&fault, ArchiveFault::Damaged { name, .. } if name == "a"), "{fault}");

    let whole = zip_bytes(&[Item::deflated("a", &b"hello".repeat(100))]);
    for bytes in [&whole[..whole.len() - 30], &whole[..10], b"no zip at all", b""] {
        let error = Place::with(bytes).unpack().unwrap_err();
        assert!(matches!(error, HubError::Archive { fault: ArchiveFault::Unreadable(_), .. }), "{error}");
    }
}

#[test]
fn the_target_must_be_empty() {
    let place = Place::with(&zip_bytes(&[Item::file("a", b"1")]));
    place.unpack().unwrap();
    let error = place.unpack().unwrap_err().to_string();
    assert!(error.contains("cannot unpack into") && error.contains("not empty"), "{error}");
}

#[test]
fn unpacking_stops_when_cancelled() {
    let place = Place::with(&zip_bytes(&[Item::file("a", &[1; 9]), Item::file("b", &[2; 9])]));
    let watcher = Watcher { cancel_after: Some(9), ..Watcher::default() };
    let (archive, target) = (place.0.path().join("a.zip"), place.0.path().join("in"));
    let result = unpack_zip(&archive, &target, &LIMITS, &mut |name| Some(name.into()), &watcher);
    assert!(matches!(result, Err(HubError::Cancelled)), "{result:?}");
    assert_eq!(*watcher.starts.borrow(), [("unpacking a.zip".to_owned(), Some(18), 0)]);
}

/// Names that are likely to lead somewhere else.
fn any_name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just("C:".to_owned()),
        Just("a".to_owned()),
        Just("ü".to_owned()),
        "[a-z.]{1,4}",
        any::<String>(),
    ];
    let separator = prop_oneof![4 => Just("/"), 1 => Just("\\"), 1 => Just("//")];
    (any::<bool>(), prop::collection::vec((piece, separator), 1..5)).prop_map(|(absolute, pieces)| {
        let mut name = if absolute { "/".to_owned() } else { String::new() };
        for (piece, separator) in &pieces {
            name += piece;
            name += separator;
        }
        name.trim_end_matches(['/', '\\']).to_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_name_ever_writes_outside_the_target(name in any_name(), utf8 in any::<bool>()) {
        let mut item = Item::file(&name, b"x");
        if !utf8 {
            item.name = name.chars().map(|c| c as u8).collect();
        }
        let place = Place::with(&zip_bytes(&[item]));
        let result = place.unpack();
        let files = place.files();
        match result {
            Err(error) => {
                let is_refusal = matches!(error, HubError::Archive { .. });
                prop_assert!(is_refusal, "{error}");
                prop_assert!(files.is_empty(), "{error}, and wrote {files:?}");
            }
            Ok(unpacked) => {
                let expected: Vec<_> = unpacked.files.iter().map(|f| format!("in/{}", f.path)).collect();
                prop_assert_eq!(files.into_keys().collect::<Vec<_>>(), expected);
            }
        }
    }
}
