//! Fetching by name: cache, mirror and official address, in that order, and what becomes of a damaged cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use panal_hub::{Catalogue, Hub, HubBuilder, HubError, Mirror, Quiet, Source, Status};
use tempfile::TempDir;

use crate::download::{patience, sha256};
use crate::server::{Reply, Server};
use crate::watcher::Watcher;
use crate::zip_bytes::{Item, zip_bytes};

/// Two files of weights for one architecture, one without an address, and a data set of three files.
pub(crate) fn toy_catalogue(base: &str) -> Catalogue {
    let head = "[licences]\nfree = \"Do what you like.\"\n[citations]\nus = \"Us.\"\n";
    let common = "title = \"T\"\nhomepage = \"https://example.org\"\nlicence = \"free\"\ncitation = \"us\"\n";
    let (v1, v2) = (sha256(&weights(1)), sha256(&weights(2)));
    let text = format!(
        "{head}
[[weights]]
id = \"net-v1\"\narch = \"net\"\nfile = \"net-v1.pth\"\nurl = \"{base}/official/net-v1.pth\"\nsha256_prefix = \"{}\"\n{common}
[[weights]]
id = \"net-v2\"\narch = \"net\"\nfile = \"net-v2.pth\"\nurl = \"{base}/official/net-v2.pth\"\nsha256 = \"{v2}\"\nbytes = 50000
default = true\n{common}
[[weights]]
id = \"net-mirror\"\narch = \"net\"\nfile = \"net-mirror.pth\"\nsha256 = \"{}\"\n{common}
[[dataset]]
id = \"toy\"\nfile = \"toy.zip\"\nurl = \"{base}/official/toy.zip\"\n{common}
archive = {{ root = \"toy_root\", manifest = \"toy.sha256\", max_bytes = 100000, max_entries = 10 }}
",
        &v1[..8],
        sha256(&weights(3)),
    );
    let manifest: String = toy_files().iter().map(|(path, text)| format!("{}  {path}\n", sha256(text))).collect();
    Catalogue::parse("toy.toml", &text, &[("toy.sha256", &manifest)]).unwrap()
}

pub(crate) fn weights(version: u8) -> Vec<u8> {
    vec![version; 50_000]
}

fn toy_files() -> [(&'static str, Vec<u8>); 3] {
    [("train/a/1.txt", b"one".to_vec()), ("train/b/2.txt", vec![b'2'; 40_000]), ("val/a/3.txt", b"three".to_vec())]
}

fn toy_items() -> Vec<Item> {
    toy_files().iter().map(|(path, text)| Item::deflated(&format!("toy_root/{path}"), text)).collect()
}

pub(crate) fn toy_zip() -> Vec<u8> {
    zip_bytes(&toy_items())
}

/// Answers what the catalogue's addresses promise.
pub(crate) fn honest(request: &crate::server::Request) -> Reply {
    let body = match request.path.rsplit('/').next().unwrap() {
        "net-v1.pth" => weights(1),
        "net-v2.pth" => weights(2),
        "net-mirror.pth" => weights(3),
        "toy.zip" => toy_zip(),
        _ => return Reply::new(404, b""),
    };
    Reply::file(request, &body, Some("\"v1\""))
}

/// A cache folder, a mirror folder and a server.
struct Lab {
    folder: TempDir,
    server: Server,
}

impl Lab {
    fn new() -> Lab {
        Lab::with(honest)
    }

    fn with(answer: impl Fn(&crate::server::Request) -> Reply + Send + Sync + 'static) -> Lab {
        let lab = Lab { folder: tempfile::tempdir().unwrap(), server: Server::start(answer) };
        fs::create_dir(lab.mirror()).unwrap();
        lab
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }

    fn builder(&self) -> HubBuilder {
        Hub::builder(toy_catalogue(&self.server.url("")), self.cache()).patience(patience())
    }

    fn hub(&self) -> Hub {
        self.builder().build()
    }

    fn hub_with_mirror(&self) -> Hub {
        self.builder().mirror(Mirror::Folder(self.mirror())).build()
    }

    fn official(&self, file: &str) -> String {
        self.server.url(&format!("/official/{file}"))
    }
}

/// The data set's files, as they are on the disk.
fn read_toy(root: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|f| f.file_type().is_file())
        .map(|f| (f.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned(), fs::read(f.path()).unwrap()))
        .collect()
}

fn toy_on_disk() -> BTreeMap<String, Vec<u8>> {
    toy_files().map(|(path, text)| (path.to_owned(), text)).into()
}

#[test]
fn weights_come_from_the_official_address_once_and_from_the_cache_then() {
    let lab = Lab::new();
    let first = lab.hub().weights("net-v1", &Quiet).unwrap();
    assert_eq!(first.source, Source::Url(lab.official("net-v1.pth")));
    assert_eq!((first.bytes, first.digest.clone()), (50_000, sha256(&weights(1))));
    assert_eq!(fs::read(&first.path).unwrap(), weights(1));
    let second = lab.hub().weights("net-v1", &Quiet).unwrap();
    assert_eq!(second.source, Source::Cache);
    assert_eq!((second.path, second.digest), (first.path, first.digest));
    assert_eq!(lab.server.count(), 1);
}

#[test]
fn a_data_set_comes_from_the_official_address_once_and_from_the_cache_then() {
    let lab = Lab::new();
    let first = lab.hub().dataset("toy", &Quiet).unwrap();
    assert_eq!(first.source, Source::Url(lab.official("toy.zip")));
    assert_eq!(first.path.file_name().unwrap(), "toy_root");
    assert_eq!((read_toy(&first.path), first.bytes), (toy_on_disk(), 40_008));
    let second = lab.hub().dataset("toy", &Quiet).unwrap();
    assert_eq!(second.source, Source::Cache);
    assert_eq!((second.path, second.bytes, second.digest), (first.path, first.bytes, first.digest));
    assert_eq!(lab.server.count(), 1);
}

#[test]
fn the_mirror_is_asked_before_the_official_address() {
    let lab = Lab::new();
    fs::write(lab.mirror().join("net-v2.pth"), weights(2)).unwrap();
    fs::write(lab.mirror().join("toy.zip"), toy_zip()).unwrap();
    let hub = lab.hub_with_mirror();
    let told = |file: &str| Source::Mirror(lab.mirror().join(file).display().to_string());
    assert_eq!(hub.weights("net-v2", &Quiet).unwrap().source, told("net-v2.pth"));
    assert_eq!(hub.dataset("toy", &Quiet).unwrap().source, told("toy.zip"));
    assert_eq!(lab.server.count(), 0);
    // What the mirror lacks comes from the official address.
    assert_eq!(hub.weights("net-v1", &Quiet).unwrap().source, Source::Url(lab.official("net-v1.pth")));
}

#[test]
fn a_mirror_can_be_an_address() {
    let lab = Lab::with(|request| if request.path == "/m/net-v1.pth" { Reply::new(404, b"") } else { honest(request) });
    let hub = lab.builder().mirror(Mirror::parse(&lab.server.url("/m/")).unwrap()).build();
    assert_eq!(hub.weights("net-mirror", &Quiet).unwrap().source, Source::Mirror(lab.server.url("/m/net-mirror.pth")));
    assert_eq!(hub.weights("net-v1", &Quiet).unwrap().source, Source::Url(lab.official("net-v1.pth")));
    let paths: Vec<_> = lab.server.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/m/net-mirror.pth", "/m/net-v1.pth", "/official/net-v1.pth"]);
}

#[test]
fn a_mirror_with_another_file_under_the_name_is_passed_over_and_told() {
    let lab = Lab::new();
    fs::write(lab.mirror().join("net-v2.pth"), weights(9)).unwrap();
    fs::write(lab.mirror().join("toy.zip"), b"no zip").unwrap();
    let watcher = Watcher::default();
    let hub = lab.hub_with_mirror();
    assert_eq!(hub.weights("net-v2", &watcher).unwrap().source, Source::Url(lab.official("net-v2.pth")));
    assert!(watcher.told("net-v2.pth does not serve: ") && watcher.told("has the SHA-256"), "{:?}", watcher.messages);
    assert_eq!(hub.dataset("toy", &watcher).unwrap().source, Source::Url(lab.official("toy.zip")));
    assert!(watcher.told("toy.zip does not serve: not a readable archive"), "{:?}", watcher.messages);
}

#[test]
fn a_repacked_archive_is_taken_for_what_it_holds() {
    let lab = Lab::new();
    let mut items = toy_items();
    items.reverse();
    items.insert(0, Item::folder("toy_root/"));
    items.push(Item::file("toy_root/Thumbs.db", b"thumbs"));
    items.push(Item::file("__MACOSX/toy_root/._1.txt", b"fork"));
    fs::write(lab.mirror().join("toy.zip"), zip_bytes(&items)).unwrap();
    let watcher = Watcher::default();
    let fetched = lab.hub_with_mirror().dataset("toy", &watcher).unwrap();
    assert_eq!(read_toy(&fetched.path), toy_on_disk());
    assert_eq!(fetched.left_out, ["toy_root/Thumbs.db", "__MACOSX/toy_root/._1.txt"]);
    assert!(watcher.told("Thumbs.db of toy.zip is not in the manifest, and is left out"));
    assert_eq!(fetched.digest, lab.hub().dataset("toy", &Quiet).unwrap().digest);
}

#[test]
fn an_archive_that_lacks_a_file_or_has_another_is_refused() {
    let mut other = toy_items();
    other[0] = Item::file("toy_root/train/a/1.txt", b"eno");
    let mut elsewhere = toy_items();
    elsewhere[2] = Item::file("val/a/3.txt", b"three");
    let missing = "1 of the manifest's 3 files are missing, first `toy_root/val/a/3.txt`";
    for (items, told) in [
        (toy_items()[..2].to_vec(), missing),
        (elsewhere, missing),
        (other, "`train/a/1.txt` has the SHA-256 "),
        ([toy_items(), vec![Item::file("../x", b"")]].concat(), "the entry `../x` is refused"),
    ] {
        let bytes = zip_bytes(&items);
        let lab = Lab::with(move |request| Reply::file(request, &bytes, None));
        let error = lab.hub().dataset("toy", &Quiet).unwrap_err().to_string();
        assert!(
            error.contains(&format!("official address {}: ", lab.official("toy.zip"))) && error.contains(told),
            "{error}"
        );
        // Neither the archive nor a part of it stays.
        let left = walkdir::WalkDir::new(lab.cache()).into_iter().map(Result::unwrap);
        let left: Vec<_> = left.filter(|f| f.file_type().is_file()).map(|f| f.file_name().to_owned()).collect();
        assert_eq!(left, ["toy.lock"]);
    }
}

#[test]
fn when_nothing_serves_every_source_is_named_with_its_reason_and_a_remedy() {
    let lab = Lab::with(|_| Reply::new(404, b""));
    let cached = lab.cache().join("weights/net-v1.pth");
    let error = lab.hub_with_mirror().weights("net-v1", &Quiet).unwrap_err().to_string();
    let expected = format!(
        "cannot get `net-v1`:
  - cache {}: it is not there
  - mirror {}: holds no net-v1.pth
  - official address {}: the server answered 404 Not Found
  = set PANAL_MIRROR to a folder or an address that has net-v1.pth, or put that file at {}",
        cached.display(),
        lab.mirror().display(),
        lab.official("net-v1.pth"),
        cached.display()
    );
    assert_eq!(error, expected);

    let hub = lab.builder().mirror(Mirror::Folder(lab.mirror().join("no"))).build();
    let error = hub.weights("net-mirror", &Quiet).unwrap_err().to_string();
    assert!(error.contains("there is no such folder") && error.contains("official address: there is none"), "{error}");
}

#[test]
fn what_a_user_puts_into_the_cache_serves_offline() {
    let lab = Lab::new();
    let hub = lab.builder().offline(true).build();
    let error = hub.weights("net-v1", &Quiet).unwrap_err().to_string();
    assert!(error.contains("not asked, for PANAL_OFFLINE is set"), "{error}");

    fs::create_dir_all(lab.cache().join("weights")).unwrap();
    fs::write(lab.cache().join("weights/net-v1.pth"), weights(1)).unwrap();
    assert_eq!(hub.weights("net-v1", &Quiet).unwrap().source, Source::Cache);

    fs::create_dir_all(lab.cache().join("archives")).unwrap();
    fs::write(lab.cache().join("archives/toy.zip"), toy_zip()).unwrap();
    let fetched = hub.dataset("toy", &Quiet).unwrap();
    assert_eq!((fetched.source, read_toy(&fetched.path)), (Source::Cache, toy_on_disk()));
    assert_eq!(lab.server.count(), 0);
}

#[test]
fn offline_a_mirror_folder_still_serves_and_a_mirror_address_does_not() {
    let lab = Lab::new();
    fs::write(lab.mirror().join("net-v1.pth"), weights(1)).unwrap();
    let hub = lab.builder().offline(true).mirror(Mirror::Folder(lab.mirror())).build();
    assert!(matches!(hub.weights("net-v1", &Quiet).unwrap().source, Source::Mirror(_)));
    let hub = lab.builder().offline(true).mirror(Mirror::Url(lab.server.url("/m"))).build();
    assert!(matches!(hub.weights("net-v2", &Quiet), Err(HubError::Unobtainable { .. })));
    assert_eq!(lab.server.count(), 0);
}

#[test]
fn a_wrong_or_damaged_weight_file_in_the_cache_is_replaced() {
    let lab = Lab::new();
    let path = lab.cache().join("weights/net-v2.pth");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, weights(9)).unwrap();
    let watcher = Watcher::default();
    assert!(matches!(lab.hub().weights("net-v2", &watcher).unwrap().source, Source::Url(_)));
    assert!(watcher.told("the cached net-v2.pth is damaged and is fetched again"), "{:?}", watcher.messages);
    assert_eq!(fs::read(&path).unwrap(), weights(2));
    // The stamp is no proof for a file that was written since.
    fs::write(&path, weights(9)).unwrap();
    assert!(matches!(lab.hub().weights("net-v2", &Quiet).unwrap().source, Source::Url(_)));
    fs::write(&path, &weights(2)[..100]).unwrap();
    assert!(matches!(lab.hub().weights("net-v2", &Quiet).unwrap().source, Source::Url(_)));
    assert_eq!(fs::read(&path).unwrap(), weights(2));
}

#[test]
fn a_damaged_data_set_is_unpacked_again_from_the_cached_archive() {
    let lab = Lab::new();
    let root = lab.hub().dataset("toy", &Quiet).unwrap().path;
    let file = root.join("train/b/2.txt");
    let stamp = root.parent().unwrap().join("stamp.toml");
    type Harm<'a> = (&'a str, &'a dyn Fn());
    let harms: [Harm<'_>; 6] = [
        ("train/b/2.txt has changed", &|| fs::write(&file, b"short").unwrap()),
        ("train/b/2.txt is missing", &|| fs::remove_file(&file).unwrap()),
        ("train/extra.jpg is not in the manifest", &|| fs::write(root.join("train/extra.jpg"), b"x").unwrap()),
        ("its stamp can't be read", &|| fs::remove_file(&stamp).unwrap()),
        ("its stamp does not parse", &|| fs::write(&stamp, b"manifest = 3").unwrap()),
        ("another manifest", &|| {
            let text = fs::read_to_string(&stamp).unwrap();
            fs::write(&stamp, text.replacen("manifest = \"", "manifest = \"0", 1)).unwrap();
        }),
    ];
    for (told, harm) in harms {
        harm();
        let watcher = Watcher::default();
        let fetched = lab.hub().dataset("toy", &watcher).unwrap();
        assert!(watcher.told(told), "{told}: {:?}", watcher.messages);
        assert_eq!((fetched.source, read_toy(&fetched.path)), (Source::Cache, toy_on_disk()), "{told}");
    }
    assert_eq!(lab.server.count(), 1, "the archive was kept");
    // Nothing of the work stays behind.
    assert!(!lab.cache().join("unpacking/toy").exists());
}

#[test]
#[cfg(unix)]
fn a_file_that_became_a_link_is_damage() {
    let lab = Lab::new();
    let root = lab.hub().dataset("toy", &Quiet).unwrap().path;
    let copy = lab.folder.path().join("copy");
    fs::rename(root.join("train/a/1.txt"), &copy).unwrap();
    std::os::unix::fs::symlink(&copy, root.join("train/a/1.txt")).unwrap();
    let watcher = Watcher::default();
    lab.hub().dataset("toy", &watcher).unwrap();
    assert!(watcher.told("train/a/1.txt is missing"), "{:?}", watcher.messages);
}

#[test]
fn an_interrupted_unpacking_leaves_what_was_there_and_the_next_starts_clean() {
    let lab = Lab::new();
    fs::write(lab.mirror().join("toy.zip"), toy_zip()).unwrap();
    let cancelling = Watcher { cancel_after: Some(3), ..Watcher::default() };
    let result = lab.hub_with_mirror().dataset("toy", &cancelling);
    assert!(matches!(result, Err(HubError::Cancelled)), "{result:?}");
    // What kill -9 would leave.
    let debris = lab.cache().join("unpacking/toy/new/toy_root/train");
    fs::create_dir_all(&debris).unwrap();
    fs::write(debris.join("half.jpg"), b"half").unwrap();
    let fetched = lab.hub_with_mirror().dataset("toy", &Quiet).unwrap();
    assert_eq!(read_toy(&fetched.path), toy_on_disk());
}

#[test]
fn verification_reads_every_byte() {
    let lab = Lab::new();
    let hub = lab.hub();
    assert!(matches!(hub.verify("toy", &Quiet), Err(HubError::NotCached { .. })));
    let root = hub.dataset("toy", &Quiet).unwrap().path;
    let path = hub.weights("net-v1", &Quiet).unwrap().path;
    let good = hub.verify("toy", &Quiet).unwrap();
    assert_eq!((good.files, good.bytes, good.faults), (3, 40_008, vec![]));
    let good = hub.verify("net-v1", &Quiet).unwrap();
    assert_eq!((good.files, good.bytes, good.faults), (1, 50_000, vec![]));

    // The quick check goes by sizes and can't see this.
    fs::write(root.join("train/a/1.txt"), b"eno").unwrap();
    assert_eq!(hub.dataset("toy", &Quiet).unwrap().source, Source::Cache);
    fs::remove_file(root.join("val/a/3.txt")).unwrap();
    fs::write(root.join("more.txt"), b"more").unwrap();
    let bad = hub.verify("toy", &Quiet).unwrap().faults;
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert!(
        bad[0].starts_with("train/a/1.txt has the SHA-256 ") && bad[1].starts_with("val/a/3.txt: cannot read"),
        "{bad:?}"
    );
    assert_eq!(bad[2], "more.txt is not in the manifest");
    fs::write(&path, weights(9)).unwrap();
    assert!(hub.verify("net-v1", &Quiet).unwrap().faults[0].starts_with("net-v1.pth has the SHA-256 "));
}

#[test]
fn what_is_near_comes_first_for_an_architecture() {
    let lab = Lab::new();
    let order = |hub: &Hub| -> Vec<String> { hub.weights_for("net").unwrap().iter().map(|e| e.id.clone()).collect() };
    // torchvision's DEFAULT first among what must be downloaded; what is nowhere last.
    assert_eq!(order(&lab.hub()), ["net-v2", "net-v1", "net-mirror"]);
    fs::write(lab.mirror().join("net-mirror.pth"), weights(3)).unwrap();
    assert_eq!(order(&lab.hub_with_mirror()), ["net-mirror", "net-v2", "net-v1"]);
    lab.hub().weights("net-v1", &Quiet).unwrap();
    assert_eq!(order(&lab.hub_with_mirror()), ["net-v1", "net-mirror", "net-v2"]);
    let error = lab.hub().weights_for("nte").unwrap_err().to_string();
    assert_eq!(error, "the catalogue has no weights for the architecture named `nte` (did you mean `net`?)");
}

#[test]
fn a_status_is_told_without_asking_a_server() {
    let lab = Lab::new();
    fs::write(lab.mirror().join("net-mirror.pth"), weights(3)).unwrap();
    let hub = lab.hub_with_mirror();
    assert_eq!(hub.status("net-mirror").unwrap(), Status::InMirror(lab.mirror().join("net-mirror.pth")));
    assert_eq!(hub.status("toy").unwrap(), Status::Remote(vec![lab.official("toy.zip")]));
    assert!(
        matches!(lab.hub().status("net-mirror").unwrap(), Status::Nowhere(remedy) if remedy.contains("net-mirror.pth"))
    );
    assert_eq!(lab.server.count(), 0);
    let path = hub.dataset("toy", &Quiet).unwrap().path;
    assert_eq!(hub.status("toy").unwrap(), Status::Cached(path.clone()));
    fs::remove_dir_all(path).unwrap();
    assert_eq!(hub.status("toy").unwrap(), Status::Remote(vec![lab.official("toy.zip")]));
}

#[test]
fn a_cache_that_can_not_be_written_is_told_at_once() {
    let lab = Lab::new();
    fs::write(lab.cache(), b"a file where a folder should be").unwrap();
    let error = lab.hub().weights("net-v1", &Quiet).unwrap_err();
    assert!(matches!(&error, HubError::Io { path, .. } if path.starts_with(lab.cache())), "{error}");
    assert_eq!(lab.server.count(), 0);
}

#[test]
fn what_can_be_had_is_asked_once_and_within_the_limit() {
    let limit = Duration::from_millis(500);
    let lab = Lab::with(|request| match request.path.as_str() {
        "/official/net-v1.pth" => Reply::new(503, b""),
        "/official/net-v2.pth" => Reply::ok(b"").silence(),
        _ => honest(request),
    });
    let reasons = |id: &str| match lab.hub().reach(id, limit) {
        Err(HubError::Unobtainable { tried, .. }) => tried.into_iter().map(|tried| tried.reason).collect::<Vec<_>>(),
        other => panic!("{id}: {other:?}"),
    };
    lab.hub().reach("toy", limit).unwrap();
    assert!(!lab.cache().join("toy.zip").exists(), "asking keeps nothing");
    assert!(reasons("net-v1")[2].contains("503"));
    let started = Instant::now();
    assert!(reasons("net-v2")[2].contains("timeout"), "{:?}", reasons("net-v2"));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(reasons("net-mirror")[2].contains("there is none"));
    // No second try, and no more than a byte asked for.
    let asked = lab.server.requests();
    assert_eq!(asked.iter().filter(|request| request.path == "/official/net-v1.pth").count(), 1);
    assert!(asked.iter().all(|request| request.header("range") == Some("bytes=0-0")));

    fs::write(lab.mirror().join("net-mirror.pth"), weights(3)).unwrap();
    lab.hub_with_mirror().reach("net-mirror", limit).unwrap();
    // An archive that the user put into the cache, as the error's remedy says, serves before it is unpacked.
    let offline_hub = || lab.builder().offline(true).build();
    fs::create_dir_all(lab.cache().join("archives")).unwrap();
    let archive = lab.cache().join("archives/toy.zip");
    fs::write(&archive, toy_zip()).unwrap();
    offline_hub().reach("toy", limit).unwrap();
    fs::remove_file(&archive).unwrap();
    let offline = offline_hub().reach("toy", limit).unwrap_err().to_string();
    assert!(offline.contains("PANAL_OFFLINE"), "{offline}");
    assert_eq!(lab.server.requests().len(), asked.len(), "neither needed the server");
}

#[test]
fn an_archive_may_hold_its_files_at_the_top() {
    let manifest: String = toy_files().iter().map(|(path, text)| format!("{}  {path}\n", sha256(text))).collect();
    let text = "[licences]\nfree = \"Do what you like.\"\n[citations]\nus = \"Us.\"\n[[dataset]]
id = \"flat\"\nfile = \"flat.zip\"\ntitle = \"T\"\nhomepage = \"https://example.org\"\nlicence = \"free\"\ncitation = \"us\"
archive = { manifest = \"toy.sha256\", max_bytes = 100000, max_entries = 10 }\n";
    let catalogue = Catalogue::parse("flat.toml", text, &[("toy.sha256", &manifest)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::builder(catalogue, folder.path().join("cache")).mirror(Mirror::Folder(folder.path().into())).build();
    let with = |files: usize| {
        let mut items: Vec<Item> = toy_files()[..files].iter().map(|(path, text)| Item::deflated(path, text)).collect();
        items.push(Item::deflated("notes.txt", b"left out"));
        fs::write(folder.path().join("flat.zip"), zip_bytes(&items)).unwrap();
        hub.dataset("flat", &Quiet)
    };
    let error = with(2).unwrap_err().to_string();
    assert!(error.contains("val/a/3.txt") && !error.contains("flat/val"), "{error}");
    let fetched = with(3).unwrap();
    assert_eq!(fetched.path, folder.path().join("cache/datasets/flat/flat"));
    assert_eq!(fs::read(fetched.path.join("train/a/1.txt")).unwrap(), b"one");
    assert_eq!(fetched.left_out, ["notes.txt"]);
    assert_eq!(hub.dataset("flat", &Quiet).unwrap().source, Source::Cache);
    assert_eq!(hub.verify("flat", &Quiet).unwrap().faults, Vec::<String>::new());
}

/// A data set whose archive has a digest in place of a manifest, and an edition of it that can take its place.
fn editions(original: &[u8], edition: &[u8]) -> Catalogue {
    let common = "title = \"T\"\nhomepage = \"https://example.org\"\nlicence = \"free\"\ncitation = \"us\"\n";
    let limits = "max_bytes = 100000, max_entries = 10";
    let text = format!(
        "[licences]\nfree = \"Do what you like.\"\n[citations]\nus = \"Us.\"\n
[[dataset]]
id = \"toy\"\nfile = \"toy.tar.gz\"\nsha256 = \"{}\"\ninstead = \"toy-small\"\n{common}
archive = {{ root = \"batches\", {limits} }}
[[dataset]]
id = \"toy-small\"\nfile = \"toy.zip\"\nsha256 = \"{}\"\n{common}
archive = {{ root = \"toy_root\", {limits} }}
",
        sha256(original),
        sha256(edition),
    );
    Catalogue::parse("toy.toml", &text, &[]).unwrap()
}

fn toy_tar() -> Vec<u8> {
    let file = tar::EntryType::Regular;
    crate::untar::tar_gz(&[
        ("batches/one.bin", file, 0o644, b"1"),
        ("batches/two.bin", file, 0o644, b"22"),
        ("else.txt", file, 0o644, b"left out"),
    ])
}

#[test]
fn an_archive_without_a_manifest_is_told_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let original = toy_tar();
    let hub = Hub::builder(editions(&original, &toy_zip()), folder.path().join("cache"))
        .mirror(Mirror::Folder(folder.path().into()))
        .build();
    let put = |bytes: &[u8]| fs::write(folder.path().join("toy.tar.gz"), bytes).unwrap();

    // Cut short, or another archive that would unpack well: refused before anything comes out of it.
    for bytes in [&original[..original.len() - 9], &crate::untar::tar_gz(&[])] {
        put(bytes);
        let error = hub.dataset("toy", &Quiet).unwrap_err().to_string();
        assert!(error.contains("has the SHA-256") && error.contains(&sha256(&original)), "{error}");
        assert!(!folder.path().join("cache/datasets/toy").exists());
    }
    put(&original);
    let fetched = hub.dataset("toy", &Quiet).unwrap();
    let listed = format!("{}  one.bin\n{}  two.bin\n", sha256(b"1"), sha256(b"22"));
    let digest = sha256(listed.as_bytes());
    assert_eq!((fetched.id.as_str(), fetched.bytes, fetched.digest.as_str()), ("toy", 3, digest.as_str()));
    assert_eq!(fetched.left_out, ["else.txt"]);
    assert_eq!(fs::read(fetched.path.join("two.bin")).unwrap(), b"22");
    assert_eq!(hub.dataset("toy", &Quiet).unwrap().source, Source::Cache);
    let verified = hub.verify("toy", &Quiet).unwrap();
    assert_eq!((verified.files, verified.bytes, verified.faults), (2, 3, vec![]));

    // What changed is found: by its size at once, by its contents when they are read.
    fs::write(fetched.path.join("two.bin"), b"33").unwrap();
    assert_eq!(hub.dataset("toy", &Quiet).unwrap().source, Source::Cache);
    let faults = hub.verify("toy", &Quiet).unwrap().faults;
    assert!(faults.len() == 1 && faults[0].starts_with("two.bin has the SHA-256 "), "{faults:?}");
    fs::write(fetched.path.join("three.bin"), b"").unwrap();
    let watcher = Watcher::default();
    assert!(matches!(hub.dataset("toy", &watcher).unwrap().source, Source::Mirror(_)));
    assert!(watcher.told("three.bin is not in the manifest"), "{:?}", watcher.messages);
    assert_eq!(fs::read(fetched.path.join("two.bin")).unwrap(), b"22");
}

#[test]
fn an_edition_takes_the_place_only_of_what_is_not_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let (original, edition) = (toy_tar(), toy_zip());
    let hub = Hub::builder(editions(&original, &edition), folder.path().join("cache"))
        .mirror(Mirror::Folder(folder.path().into()))
        .build();
    let error = hub.dataset("toy", &Quiet).unwrap_err().to_string();
    assert!(error.contains("cannot get `toy`") && error.contains("toy.tar.gz"), "{error}");

    fs::write(folder.path().join("toy.zip"), &edition).unwrap();
    let watcher = Watcher::default();
    let fetched = hub.dataset("toy", &watcher).unwrap();
    assert_eq!((fetched.id.as_str(), read_toy(&fetched.path)), ("toy-small", toy_on_disk()));
    assert!(watcher.told("toy is not at hand, and toy-small takes its place"), "{:?}", watcher.messages);

    fs::write(folder.path().join("toy.tar.gz"), &original).unwrap();
    assert_eq!(hub.dataset("toy", &Quiet).unwrap().id, "toy");
}
