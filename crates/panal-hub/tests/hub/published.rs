//! An archive that is known as a whole, by the digest that its publisher states: from a server on loopback, a mirror and the cache.

use std::fs;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use panal_hub::{Catalogue, Hub, HubError, Mirror, Quiet, Source, sha256_file};
use tempfile::TempDir;

use crate::download::{patience, sha256};
use crate::server::{Reply, Server};
use crate::watcher::Watcher;
use crate::zip_bytes::{Item, zip_bytes};

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn archive() -> Vec<u8> {
    zip_bytes(&[
        Item::folder("root/"),
        Item::deflated("root/a/1.txt", b"one"),
        Item::deflated("root/b/2.txt", &[b'2'; 40_000]),
        Item::file("__MACOSX/root/._a", b"fork"),
    ])
}

/// A catalogue of one archive with this line of digests, a server that sends `sent`, a cache and a mirror.
struct Lab {
    folder: TempDir,
    server: Server,
    digests: String,
}

impl Lab {
    fn new(digests: &str, sent: Vec<u8>) -> Lab {
        let server = Server::start(move |request| Reply::file(request, &sent, Some("\"v1\"")));
        Lab { folder: tempfile::tempdir().unwrap(), server, digests: digests.into() }
    }

    fn hub(&self) -> Hub {
        let text = format!(
            "[licences]\nfree = \"Do what you like.\"\n[citations]\nus = \"Us.\"\n[[dataset]]
id = \"toy\"\nfile = \"toy.zip\"\nurl = \"{}\"\n{}\ntitle = \"T\"\nhomepage = \"https://example.org\"\nlicence = \"free\"
citation = \"us\"\narchive = {{ root = \"root\", max_bytes = 100000, max_entries = 10 }}\n",
            self.server.url("/toy.zip"),
            self.digests
        );
        let catalogue = Catalogue::parse("toy.toml", &text, &[]).unwrap();
        Hub::builder(catalogue, self.cache()).patience(patience()).mirror(Mirror::Folder(self.mirror())).build()
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }

    fn with_mirror(self, bytes: &[u8]) -> Lab {
        fs::create_dir_all(self.mirror()).unwrap();
        fs::write(self.mirror().join("toy.zip"), bytes).unwrap();
        self
    }
}

fn names(root: &Path) -> Vec<String> {
    let found = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = found.filter(|f| f.file_type().is_file());
    files.map(|f| f.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
}

fn by_md5(of: &[u8]) -> String {
    format!("md5 = \"{}\"", md5(of))
}

#[test]
fn the_right_archive_is_unpacked_whole_and_kept() {
    let whole = format!("sha256 = \"{}\"", sha256(&archive()));
    for (digests, says_md5) in [(by_md5(&archive()), true), (whole, false)] {
        let lab = Lab::new(&digests, archive());
        let watcher = Watcher::default();
        let first = lab.hub().dataset("toy", &watcher).unwrap();
        assert!(matches!(first.source, Source::Url(_)));
        assert_eq!(names(&first.path), ["a/1.txt", "b/2.txt"]);
        assert_eq!((first.bytes, first.left_out.as_slice()), (40_003, ["__MACOSX/root/._a".to_owned()].as_slice()));
        assert!(
            watcher.told("__MACOSX/root/._a of toy.zip is not under the data set's root"),
            "{:?}",
            watcher.messages
        );
        assert_eq!(watcher.told("no proof against an attacker"), says_md5, "{:?}", watcher.messages);
        let second = lab.hub().dataset("toy", &Quiet).unwrap();
        assert_eq!((second.source, second.digest, second.bytes), (Source::Cache, first.digest, first.bytes));
        assert_eq!(lab.server.count(), 1);
    }
}

#[test]
fn another_archive_is_refused_before_it_is_unpacked() {
    let mut other = archive();
    let last = other.len() - 60;
    other[last] ^= 1;
    let lab = Lab::new(&by_md5(&archive()), other.clone()).with_mirror(&other);
    fs::create_dir_all(lab.cache().join("archives")).unwrap();
    fs::write(lab.cache().join("archives/toy.zip"), &other).unwrap();
    let error = lab.hub().dataset("toy", &Quiet).unwrap_err();
    let HubError::Unobtainable { tried, .. } = &error else { panic!("{error}") };
    let told = format!("has the MD5 {}, where {} was expected", md5(&other), md5(&archive()));
    assert_eq!(tried.len(), 3);
    assert!(tried.iter().all(|t| t.reason.contains(&told)), "{error}");
    // Nothing was unpacked, and the cache keeps nothing of it.
    assert_eq!(names(&lab.cache()), ["locks/toy.lock"]);
    assert!(lab.mirror().join("toy.zip").exists(), "the mirror is not ours to clean");
}

#[test]
fn a_damaged_mirror_is_passed_over_for_the_official_address() {
    let lab = Lab::new(&by_md5(&archive()), archive()).with_mirror(&archive()[..1000.min(archive().len() - 1)]);
    assert!(matches!(lab.hub().dataset("toy", &Quiet).unwrap().source, Source::Url(_)));
    let lab = Lab::new(&by_md5(&archive()), Vec::new()).with_mirror(&archive());
    assert!(matches!(lab.hub().dataset("toy", &Quiet).unwrap().source, Source::Mirror(_)));
}

#[test]
fn later_harm_is_found_by_what_was_unpacked() {
    let lab = Lab::new(&by_md5(&archive()), archive());
    let root = lab.hub().dataset("toy", &Quiet).unwrap().path;
    assert_eq!(lab.hub().verify("toy", &Quiet).unwrap().faults, Vec::<String>::new());
    fs::write(root.join("a/1.txt"), b"eno").unwrap();
    let faults = lab.hub().verify("toy", &Quiet).unwrap().faults;
    assert!(faults.len() == 1 && faults[0].starts_with("a/1.txt has the SHA-256 "), "{faults:?}");

    let list = root.parent().unwrap().join("manifest.sha256");
    type Harm<'a> = (&'a str, &'a dyn Fn());
    let harms: [Harm<'_>; 4] = [
        ("b/2.txt is missing", &|| fs::remove_file(root.join("b/2.txt")).unwrap()),
        ("more.txt is not in the manifest", &|| fs::write(root.join("more.txt"), b"x").unwrap()),
        ("another manifest", &|| {
            let line = format!("{}  a/1.txt\n", sha256_file(&root.join("a/1.txt")).unwrap());
            fs::write(&list, line).unwrap();
        }),
        ("its manifest can't be read", &|| fs::remove_file(&list).unwrap()),
    ];
    for (told, harm) in harms {
        harm();
        let watcher = Watcher::default();
        lab.hub().dataset("toy", &watcher).unwrap();
        assert!(watcher.told(told), "{told}: {:?}", watcher.messages);
        assert_eq!(names(&root), ["a/1.txt", "b/2.txt"], "{told}");
    }
    assert_eq!(fs::read(root.join("a/1.txt")).unwrap(), b"one");
    assert_eq!(lab.server.count(), 1, "the archive was kept");
}

#[test]
fn another_published_digest_means_another_data_set() {
    let lab = Lab::new(&by_md5(&archive()), archive());
    lab.hub().dataset("toy", &Quiet).unwrap();
    let other = zip_bytes(&[Item::deflated("root/a/1.txt", b"new")]);
    let lab = Lab { digests: by_md5(&other), ..lab }.with_mirror(&other);
    let watcher = Watcher::default();
    let fetched = lab.hub().dataset("toy", &watcher).unwrap();
    assert!(watcher.told("it was unpacked from another archive"), "{:?}", watcher.messages);
    assert_eq!(fs::read(fetched.path.join("a/1.txt")).unwrap(), b"new");
}

#[test]
fn an_archive_with_nothing_under_its_root_is_refused() {
    let empty = zip_bytes(&[Item::deflated("elsewhere/a/1.txt", b"one")]);
    let lab = Lab::new(&by_md5(&empty), empty);
    let error = lab.hub().dataset("toy", &Quiet).unwrap_err().to_string();
    assert!(error.contains("it holds no file under `root/`"), "{error}");
}
