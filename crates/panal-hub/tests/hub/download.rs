//! One file from a server that cuts, lies, stalls and sends elsewhere.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use panal_hub::{DownloadFault, Downloaded, Expect, HubError, Patience, Quiet, download_with};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::server::{Reply, Request, Server};
use crate::watcher::Watcher;

const TAG: &str = "\"v1\"";

/// Long enough to come in several pieces.
fn body() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// As long as a loaded machine may need, with the waits between attempts next to nothing.
pub(crate) fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(20),
        read: Duration::from_secs(20),
        attempts: 3,
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_secs(2),
        redirects: 4,
    }
}

fn expect_body() -> Expect {
    Expect { sha256: Some(sha256(&body())), bytes: Some(300_000), ..Expect::default() }
}

/// A folder to download to.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn dest(&self) -> PathBuf {
        self.0.path().join("sub/file.bin")
    }

    fn get(&self, server: &Server, expect: &Expect) -> Result<Downloaded, HubError> {
        download_with(&patience(), &server.url("/f"), &self.dest(), expect, &Quiet)
    }

    /// The names in the folder of the file.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path().join("sub"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn assert_has_body(&self) {
        assert!(fs::read(self.dest()).unwrap() == body(), "the contents differ");
        assert_eq!(self.names(), ["file.bin"]);
    }
}

fn fault(result: Result<Downloaded, HubError>) -> DownloadFault {
    match result {
        Err(HubError::Download { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_file_comes_in_one_request() {
    let server = Server::start(|request| Reply::file(request, &body(), Some(TAG)));
    let (folder, watcher) = (Folder::new(), Watcher::default());
    let done = download_with(&patience(), &server.url("/f"), &folder.dest(), &Expect::default(), &watcher).unwrap();
    assert_eq!(done, Downloaded { bytes: 300_000, sha256: sha256(&body()) });
    folder.assert_has_body();
    assert_eq!(*watcher.starts.borrow(), [("downloading file.bin".to_owned(), Some(300_000), 0)]);
    assert_eq!((watcher.bytes.get(), watcher.finishes.get(), server.count()), (300_000, 1, 1));
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let server = Server::start(|request| match request.number {
        0 => Reply::file(request, &body(), Some(TAG)).cut(100_000),
        1 => Reply::file(request, &body(), Some(TAG)).cut(50_000),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let (folder, watcher) = (Folder::new(), Watcher::default());
    download_with(&patience(), &server.url("/f"), &folder.dest(), &expect_body(), &watcher).unwrap();
    folder.assert_has_body();
    let ranges: Vec<_> = server.requests().iter().map(Request::range_start).collect();
    assert_eq!(ranges, [None, Some(100_000), Some(150_000)]);
    assert_eq!(server.requests()[1].header("if-range"), Some(TAG));
    assert_eq!(watcher.bytes.get(), 300_000);
    assert_eq!(watcher.retries.borrow().len(), 2);
    assert_eq!(watcher.starts.borrow()[2], ("downloading file.bin".to_owned(), Some(300_000), 150_000));
}

#[test]
fn progress_renews_patience_and_standing_still_ends_it() {
    // Ten cuts, each after some new bytes: more than the three attempts that may bring nothing.
    let server = Server::start(|request| {
        let reply = Reply::file(request, &body(), Some(TAG));
        if request.number < 10 { reply.cut(20_000) } else { reply }
    });
    let folder = Folder::new();
    folder.get(&server, &expect_body()).unwrap();
    folder.assert_has_body();

    let server = Server::start(|request| match request.number {
        0 => Reply::file(request, &body(), Some(TAG)).cut(20_000),
        _ => Reply::file(request, &body(), Some(TAG)).cut(0),
    });
    let folder = Folder::new();
    let fault = fault(folder.get(&server, &expect_body()));
    assert!(matches!(fault, DownloadFault::Network { attempts: 3, .. }), "{fault}");
    // The first attempt brought something, so it counts as the first failure of a new row.
    assert_eq!(server.count(), 3);
    assert_eq!(folder.names(), ["file.bin.part", "file.bin.part.toml"]);
}

#[test]
fn a_server_that_always_cuts_and_ignores_ranges_is_given_up() {
    let server = Server::start(|_| Reply::ok(&body()).cut(1000));
    let fault = fault(Folder::new().get(&server, &expect_body()));
    assert!(matches!(fault, DownloadFault::Network { attempts: 3, .. }), "{fault}");
    assert_eq!(server.count(), 3);
}

#[test]
fn a_server_that_ignores_ranges_sends_the_file_anew() {
    let server = Server::start(|request| {
        let reply = Reply::ok(&body()).header("ETag", TAG);
        if request.number == 0 { reply.cut(100_000) } else { reply }
    });
    let (folder, watcher) = (Folder::new(), Watcher::default());
    download_with(&patience(), &server.url("/f"), &folder.dest(), &expect_body(), &watcher).unwrap();
    folder.assert_has_body();
    assert_eq!(server.requests()[1].range_start(), Some(100_000));
    assert_eq!(watcher.starts.borrow()[1].2, 0);
}

#[test]
fn a_file_that_changed_meanwhile_is_downloaded_anew() {
    let server = Server::start(|request| match request.number {
        0 => Reply::file(request, &vec![9; 300_000], Some("\"v0\"")).cut(100_000),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let folder = Folder::new();
    // No digest is known: only the entity tag tells.
    folder.get(&server, &Expect::default()).unwrap();
    folder.assert_has_body();
}

#[test]
fn without_an_entity_tag_the_digest_tells_that_the_file_changed() {
    let server = Server::start(|request| match request.number {
        0 => Reply::file(request, &vec![9; 300_000], None).cut(100_000),
        _ => Reply::file(request, &body(), None),
    });
    let (folder, watcher) = (Folder::new(), Watcher::default());
    download_with(&patience(), &server.url("/f"), &folder.dest(), &expect_body(), &watcher).unwrap();
    folder.assert_has_body();
    let ranges: Vec<_> = server.requests().iter().map(Request::range_start).collect();
    assert_eq!(ranges, [None, Some(100_000), None]);
    assert!(watcher.told("wrong contents; it is downloaded anew"));
}

#[test]
fn with_neither_tag_nor_digest_a_later_call_begins_anew() {
    let server = Server::start(|request| {
        let reply = Reply::file(request, &body(), None);
        if request.number == 0 { reply.cut(100_000) } else { reply }
    });
    let folder = Folder::new();
    let once = Patience { attempts: 1, ..patience() };
    download_with(&once, &server.url("/f"), &folder.dest(), &Expect::default(), &Quiet).unwrap_err();
    folder.get(&server, &Expect::default()).unwrap();
    folder.assert_has_body();
    assert_eq!(server.requests()[1].range_start(), None);
}

#[test]
fn wrong_bytes_are_deleted_and_both_digests_told() {
    let server = Server::start(|request| Reply::file(request, &vec![9; 300_000], Some(TAG)));
    let folder = Folder::new();
    let error = folder.get(&server, &expect_body()).unwrap_err();
    let (expected, got) = (sha256(&body()), sha256(&vec![9; 300_000]));
    let url = server.url("/f");
    assert_eq!(error.to_string(), format!("{url} has the SHA-256 {got}, where {expected} was expected"));
    assert_eq!((folder.names(), server.count()), (vec![], 1));
}

#[test]
fn the_first_digits_of_a_digest_are_enough_to_tell() {
    let server = Server::start(|request| Reply::file(request, &body(), Some(TAG)));
    let prefix = |digits: &str| Expect { sha256: Some(digits.into()), ..Expect::default() };
    Folder::new().get(&server, &prefix(&sha256(&body())[..8])).unwrap();
    let error = Folder::new().get(&server, &prefix("00000000")).unwrap_err().to_string();
    assert!(error.ends_with("where 00000000… was expected"), "{error}");
}

#[test]
fn a_length_other_than_the_known_one_is_refused_before_the_body() {
    for length in [299_999, 300_001] {
        let server = Server::start(move |request| Reply::file(request, &vec![9; length], Some(TAG)));
        let (folder, watcher) = (Folder::new(), Watcher::default());
        let error =
            download_with(&patience(), &server.url("/f"), &folder.dest(), &expect_body(), &watcher).unwrap_err();
        assert!(error.to_string().ends_with(&format!("has {length} bytes where 300000 were expected")), "{error}");
        assert_eq!((folder.names(), watcher.bytes.get(), server.count()), (vec![], 0, 1));
    }
}

#[test]
fn a_body_without_a_stated_length_is_bounded_and_must_be_whole() {
    let bounded = Expect { at_most: Some(200_000), ..Expect::default() };
    let server = Server::start(|_| Reply::ok(&body()).state_length(None));
    for expect in [bounded, Expect { bytes: Some(250_000), ..Expect::default() }] {
        let folder = Folder::new();
        let error = folder.get(&server, &expect).unwrap_err();
        assert!(matches!(error, HubError::WrongLength { .. }), "{error}");
        assert_eq!(folder.names(), Vec::<String>::new());
    }
    // It ends early, as a cut connection does: the rest is asked for.
    let server = Server::start(|request| match request.number {
        0 => Reply::ok(&body()[..1000]).header("ETag", TAG).state_length(None),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let folder = Folder::new();
    folder.get(&server, &expect_body()).unwrap();
    folder.assert_has_body();
}

#[test]
fn statuses_that_stay_are_not_tried_again() {
    for (status, told) in [(404, "the server answered 404 Not Found"), (403, "403 Forbidden"), (410, "410 Gone")] {
        let server = Server::start(move |_| Reply::new(status, b"no such file"));
        let folder = Folder::new();
        let error = folder.get(&server, &expect_body()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert_eq!(server.count(), 1);
        assert!(!folder.dest().exists());
    }
}

#[test]
fn statuses_that_pass_are_tried_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = Server::start(move |request| match request.number {
            0 | 1 => Reply::new(status, b"later"),
            _ => Reply::file(request, &body(), Some(TAG)),
        });
        let folder = Folder::new();
        folder.get(&server, &expect_body()).unwrap();
        folder.assert_has_body();
        assert_eq!(server.count(), 3);
    }
    let server = Server::start(|_| Reply::new(503, b"later"));
    let error = Folder::new().get(&server, &expect_body()).unwrap_err().to_string();
    assert!(error.ends_with("503 Service Unavailable (3 attempts without progress)"), "{error}");
}

#[test]
fn the_wait_that_a_server_asks_for_is_kept_within_reason() {
    let server = Server::start(|request| match request.number {
        0 => Reply::new(503, b"").header("Retry-After", "1"),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let begin = Instant::now();
    Folder::new().get(&server, &expect_body()).unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));

    let server = Server::start(|_| Reply::new(429, b"").header("Retry-After", "3600"));
    let fault = fault(Folder::new().get(&server, &expect_body()));
    assert_eq!(fault, DownloadFault::Busy { seconds: 3600 });
    assert_eq!(server.count(), 1);
}

#[test]
fn redirects_are_followed_and_a_loop_is_not() {
    let server = Server::start(|request| match (request.path.as_str(), request.number) {
        ("/f", _) => Reply::new(302, b"").header("Location", "/g"),
        (_, 1) => Reply::file(request, &body(), Some(TAG)).cut(100_000),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let folder = Folder::new();
    folder.get(&server, &expect_body()).unwrap();
    folder.assert_has_body();
    let requests = server.requests();
    assert_eq!(requests.iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), ["/f", "/g", "/f", "/g"]);
    assert_eq!(requests[3].range_start(), Some(100_000));

    let server = Server::start(|_| Reply::new(302, b"").header("Location", "/f"));
    let fault = fault(Folder::new().get(&server, &expect_body()));
    assert_eq!(fault, DownloadFault::TooManyRedirects(4));
    assert!(server.count() <= 6, "{}", server.count());
}

#[test]
fn a_stall_is_cut_and_resumed() {
    let short = Patience { read: Duration::from_millis(400), ..patience() };
    let server = Server::start(|request| match request.number {
        0 => Reply::file(request, &body(), Some(TAG)).silence(),
        1 => Reply::file(request, &body(), Some(TAG)).stall(100_000),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let (folder, watcher) = (Folder::new(), Watcher::default());
    let begin = Instant::now();
    download_with(&short, &server.url("/f"), &folder.dest(), &expect_body(), &watcher).unwrap();
    folder.assert_has_body();
    assert!(begin.elapsed() < Duration::from_secs(20), "the server stalls for a minute");
    assert_eq!(server.requests()[2].range_start(), Some(100_000));
    assert!(watcher.retries.borrow().iter().all(|(reason, _)| reason.contains("timeout")), "{:?}", watcher.retries);
}

#[test]
fn nobody_there_is_told_after_the_last_attempt() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (folder, watcher) = (Folder::new(), Watcher::default());
    let result = download_with(&patience(), &format!("http://{gone}/f"), &folder.dest(), &expect_body(), &watcher);
    let fault = fault(result);
    assert!(matches!(&fault, DownloadFault::Network { reason, attempts: 3 } if reason.contains("refused")), "{fault}");
    assert_eq!(watcher.retries.borrow().len(), 2);
}

#[test]
fn an_address_that_can_not_be_used_is_told_at_once() {
    for url in ["nonsense", "ftp://127.0.0.1/f", "http://"] {
        let watcher = Watcher::default();
        let folder = Folder::new();
        let fault = fault(download_with(&patience(), url, &folder.dest(), &expect_body(), &watcher));
        assert!(matches!(fault, DownloadFault::Refused(_)), "{url}: {fault}");
        assert_eq!(watcher.retries.borrow().len(), 0, "{url}");
    }
}

#[test]
fn another_range_than_the_one_asked_for_is_not_appended() {
    let server = Server::start(|request| match request.number {
        0 => Reply::file(request, &body(), Some(TAG)).cut(100_000),
        1 => Reply::new(206, &body()[5..]).header("Content-Range", "bytes 5-299999/300000"),
        _ => Reply::file(request, &body(), Some(TAG)),
    });
    let folder = Folder::new();
    folder.get(&server, &Expect::default()).unwrap();
    folder.assert_has_body();
}

#[test]
fn a_part_that_is_whole_already_is_only_verified() {
    let server = Server::start(|request| Reply::file(request, &body(), Some(TAG)));
    for (expect, requests) in [(expect_body(), 0), (Expect { bytes: None, ..expect_body() }, 1)] {
        let folder = Folder::new();
        fs::create_dir(folder.0.path().join("sub")).unwrap();
        fs::write(folder.0.path().join("sub/file.bin.part"), body()).unwrap();
        let before = server.count();
        folder.get(&server, &expect).unwrap();
        folder.assert_has_body();
        assert_eq!(server.count() - before, requests);
    }
}

#[test]
fn a_stale_part_is_used_where_it_fits_and_not_where_it_can_not() {
    let server = Server::start(|request| Reply::file(request, &body(), Some(TAG)));
    for (stale, range) in [(body()[..70_000].to_vec(), Some(70_000)), (vec![1; 300_001], None)] {
        let folder = Folder::new();
        fs::create_dir(folder.0.path().join("sub")).unwrap();
        fs::write(folder.0.path().join("sub/file.bin.part"), stale).unwrap();
        folder.get(&server, &expect_body()).unwrap();
        folder.assert_has_body();
        assert_eq!(server.requests().last().unwrap().range_start(), range);
    }
}

#[test]
fn what_came_before_a_cancellation_is_kept() {
    let server = Server::start(|request| Reply::file(request, &body(), Some(TAG)));
    let folder = Folder::new();
    let watcher = Watcher { cancel_after: Some(100_000), ..Watcher::default() };
    let result = download_with(&patience(), &server.url("/f"), &folder.dest(), &expect_body(), &watcher);
    assert!(matches!(result, Err(HubError::Cancelled)), "{result:?}");
    assert!(!folder.dest().exists());
    folder.get(&server, &expect_body()).unwrap();
    folder.assert_has_body();
    assert_eq!(server.requests()[1].range_start().map(|n| n as u64), Some(watcher.bytes.get()));
}
