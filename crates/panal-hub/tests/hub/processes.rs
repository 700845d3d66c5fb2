//! Several processes at one cache, processes that die, and what only the environment sets. The test binary runs itself.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use panal_hub::{Expect, Hub, HubError, Lock, Quiet, download};

use crate::download::{patience, sha256};
use crate::fetch::{honest, toy_catalogue, weights};
use crate::server::Server;
use crate::watcher::Watcher;

/// Runs one of the `child_*` functions below in a process of its own.
fn child(function: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", &format!("processes::{function}")])
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn assert_well(mut child: Child) {
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_fetches() {
    let hub = Hub::builder(toy_catalogue(&env::var("TEST_BASE").unwrap()), env::var("TEST_CACHE").unwrap());
    let hub = hub.patience(patience()).build();
    assert_eq!(fs::read(hub.weights("net-v1", &Quiet).unwrap().path).unwrap(), weights(1));
    assert!(hub.dataset("toy", &Quiet).unwrap().path.join("val/a/3.txt").is_file());
}

#[test]
fn processes_and_threads_at_once_fetch_each_thing_once() {
    let server = Server::start(|request| {
        // Long enough for the others to arrive.
        thread::sleep(Duration::from_millis(300));
        honest(request)
    });
    let cache = tempfile::tempdir().unwrap();
    let environment = [("TEST_BASE", server.url("")), ("TEST_CACHE", cache.path().display().to_string())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let children: Vec<_> = (0..3).map(|_| child("child_that_fetches", &environment)).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let hub = Hub::builder(toy_catalogue(&server.url("")), cache.path()).patience(patience()).build();
                assert_eq!(fs::read(hub.weights("net-v1", &Quiet).unwrap().path).unwrap(), weights(1));
                assert!(hub.dataset("toy", &Quiet).unwrap().path.join("val/a/3.txt").is_file());
            });
        }
    });
    children.into_iter().for_each(assert_well);
    let mut paths: Vec<_> = server.requests().into_iter().map(|r| r.path).collect();
    paths.sort();
    assert_eq!(paths, ["/official/net-v1.pth", "/official/toy.zip"]);
}

#[test]
fn what_a_killed_process_downloaded_is_continued() {
    let server = Server::start(|request| match request.number {
        0 => honest(request).stall(20_000),
        _ => honest(request),
    });
    let cache = tempfile::tempdir().unwrap();
    let environment = [("TEST_BASE", server.url("")), ("TEST_CACHE", cache.path().display().to_string())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut killed = child("child_that_fetches", &environment);
    let part = cache.path().join("weights/net-v1.pth.part");
    let begin = Instant::now();
    while fs::metadata(&part).map_or(0, |meta| meta.len()) < 20_000 {
        assert!(begin.elapsed() < Duration::from_secs(15), "the child does not download");
        thread::sleep(Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    // Its lock went with it.
    assert_well(child("child_that_fetches", &environment));
    assert_eq!(server.requests()[1].range_start(), Some(20_000));
    assert!(!part.exists());
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_downloads() {
    let expect = Expect { sha256: Some(sha256(&weights(1))), ..Expect::default() };
    let (url, dest) = (env::var("TEST_URL").unwrap(), env::var("TEST_DEST").unwrap());
    download(&url, Path::new(&dest), &expect, &Quiet).unwrap();
}

#[test]
fn a_proxy_is_used_but_not_for_loopback() {
    let proxy = Server::start(honest);
    let folder = tempfile::tempdir().unwrap();
    let (file, address) = (folder.path().join("net-v1.pth").display().to_string(), proxy.url(""));
    let far = [
        ("TEST_URL", "http://far.invalid/net-v1.pth"),
        ("TEST_DEST", &file),
        ("http_proxy", &address),
        ("no_proxy", ""),
    ];
    assert_well(child("child_that_downloads", &far));
    assert_eq!(fs::read(&file).unwrap(), weights(1));
    let seen = proxy.requests();
    assert!(seen[0].path.contains("far.invalid"), "{seen:?}");

    let near = Server::start(honest);
    let (url, used) = (near.url("/net-v1.pth"), proxy.count());
    assert_well(child("child_that_downloads", &[("TEST_URL", &url), ("TEST_DEST", &file), ("http_proxy", &address)]));
    assert_eq!((near.count(), proxy.count()), (1, used));
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_reads_the_environment() {
    let told = match Hub::from_env() {
        Ok(hub) => format!("{}\n{:?}", hub.cache().display(), hub.status("mobilenet_v2-imagenet1k").unwrap()),
        Err(error) => error.to_string(),
    };
    fs::write(env::var("TEST_TOLD").unwrap(), told).unwrap();
}

#[test]
fn the_environment_says_where_cache_and_mirror_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(at("mirror")).unwrap();
    fs::write(at("mirror") + "/mobilenet_v2-imagenet1k.safetensors", b"not looked into").unwrap();
    let told = |environment: &[(&str, &str)]| {
        let file = at("told");
        let defaults = [("TEST_TOLD", file.as_str()), ("PANAL_CACHE", ""), ("PANAL_MIRROR", ""), ("PANAL_OFFLINE", "")];
        assert_well(child("child_that_reads_the_environment", &[&defaults, environment].concat()));
        fs::read_to_string(&file).unwrap()
    };
    let both = told(&[("PANAL_CACHE", &at("cache")), ("PANAL_MIRROR", &at("mirror"))]);
    assert!(both.starts_with(&at("cache")) && both.contains("InMirror("), "{both}");
    let url = told(&[("PANAL_CACHE", &at("cache")), ("PANAL_MIRROR", "https://host/m/")]);
    assert!(url.contains("Remote([\"https://host/m/mobilenet_v2-imagenet1k.safetensors\"])"), "{url}");
    let offline = told(&[("PANAL_CACHE", &at("cache")), ("PANAL_MIRROR", "https://host/m"), ("PANAL_OFFLINE", "1")]);
    assert!(offline.contains("Nowhere("), "{offline}");
    let wrong = told(&[("PANAL_CACHE", &at("cache")), ("PANAL_OFFLINE", "perhaps")]);
    assert_eq!(wrong, "PANAL_OFFLINE is `perhaps`: give 1 (ask no server) or 0 (ask them)");
    if cfg!(target_os = "linux") {
        let platform = told(&[("XDG_CACHE_HOME", &at("xdg"))]);
        assert!(platform.starts_with(&at("xdg/panal")), "{platform}");
    }
}

#[test]
fn waiting_for_a_lock_can_be_cancelled_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locks/a.lock");
    let held = Lock::acquire(&path, &Quiet).unwrap();
    let watcher = Watcher { cancel_after: Some(0), ..Watcher::default() };
    assert!(matches!(Lock::acquire(&path, &watcher), Err(panal_hub::HubError::Cancelled)));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let watcher = Watcher::default();
            let lock = Lock::acquire(&path, &watcher);
            (lock.is_ok(), watcher.messages.into_inner())
        });
        thread::sleep(Duration::from_millis(200));
        drop(held);
        let (locked, messages) = waiting.join().unwrap();
        assert!(locked);
        assert_eq!(messages, [format!("waiting for another process that holds {}", path.display())]);
    });
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_asks_with_unusable_certificates() {
    let hub = Hub::builder(toy_catalogue(&env::var("TEST_BASE").unwrap()), env::var("TEST_CACHE").unwrap());
    let hub = hub.patience(patience()).build();
    let errors = [hub.reach("toy", Duration::from_secs(2)).err(), hub.dataset("toy", &Quiet).err()];
    for error in errors {
        let HubError::Setting { variable, value, .. } = error.unwrap() else { panic!("another error") };
        assert_eq!((variable, value), ("SSL_CERT_FILE", env::var("SSL_CERT_FILE").unwrap()));
    }
}

/// Anything else would let a slip in a setting pass for a server that can't be reached.
#[test]
fn certificates_that_cannot_be_used_are_an_error_of_their_own() {
    let (server, folder) = (Server::start(honest), tempfile::tempdir().unwrap());
    let (address, cache) = (server.url(""), folder.path().join("cache").display().to_string());
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    for file in [empty, folder.path().join("absent.pem")] {
        let file = file.display().to_string();
        let environment = [("TEST_BASE", &*address), ("TEST_CACHE", &cache), ("SSL_CERT_FILE", &file)];
        assert_well(child("child_that_asks_with_unusable_certificates", &environment));
    }
    assert_eq!(server.count(), 0);
}
