//! Fetching by name: the cache, then the mirror, then the official address. The parts it uses live in the other modules.

mod origin;
mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::{Cache, Flaw, Held, expectation, extra_file};
use crate::catalogue::{Archive, Catalogue, Detail, Entry, nearest};
use crate::download::{self, Downloaded, Patience, download_with};
use crate::error::{At, HubError};
use crate::files::{Lock, sha256_file};
use crate::progress::{Progress, Quiet};
use crate::settings::{self, Mirror};
use origin::Origin;
use place::{copy_verified, unpack_into_cache};

/// Fetches what the [`Catalogue`] names. Cheap to make and to clone; two hubs, also of two processes, can share a cache.
#[derive(Debug, Clone)]
pub struct Hub {
    catalogue: Catalogue,
    cache: Cache,
    mirror: Option<Mirror>,
    offline: bool,
    patience: Patience,
}

/// A [`Hub`] in the making, for callers that don't want the environment's settings. See [`Hub::builder`].
#[derive(Debug, Clone)]
pub struct HubBuilder {
    hub: Hub,
}

impl HubBuilder {
    /// Asks this mirror before the official address.
    pub fn mirror(mut self, mirror: Mirror) -> HubBuilder {
        self.hub.mirror = Some(mirror);
        self
    }

    /// Asks no server at all.
    pub fn offline(mut self, offline: bool) -> HubBuilder {
        self.hub.offline = offline;
        self
    }

    /// Waits and tries again like this.
    pub fn patience(mut self, patience: Patience) -> HubBuilder {
        self.hub.patience = patience;
        self
    }

    /// The hub.
    pub fn build(self) -> Hub {
        self.hub
    }
}

/// Something fetched and verified, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The entry that was fetched: the one asked for, or its [`instead`](Entry::instead).
    pub id: String,
    /// A data set's unpacked root folder, or the file of weights.
    pub path: PathBuf,
    /// Where it was found this time.
    pub source: Source,
    /// The file's size, or that of all files of the data set.
    pub bytes: u64,
    /// The file's SHA-256 in hexadecimal, or [`Manifest::digest`](crate::Manifest::digest) of the data set.
    pub digest: String,
    /// Files of the archive that the manifest does not list or, where there is none, that are not under the root. They were not
    /// unpacked, so nothing can read them; an archive is not refused for them, since archivers add their own (`__MACOSX/`, `Thumbs.db`).
    pub left_out: Vec<String>,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was in the cache already; for a data set, at least its archive was.
    Cache,
    /// The mirror, with the file's path or address there.
    Mirror(String),
    /// The official address.
    Url(String),
}

/// Where an entry would come from. No server is asked to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// In the cache, at this path.
    Cached(PathBuf),
    /// In the mirror folder, at this path.
    InMirror(PathBuf),
    /// It has to be downloaded; the addresses in the order they would be tried.
    Remote(Vec<String>),
    /// Nowhere; what the user can do.
    Nowhere(String),
}

/// What [`Hub::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// What was verified.
    pub path: PathBuf,
    /// How many files were read.
    pub files: usize,
    /// Their size together.
    pub bytes: u64,
    /// One line for each thing that is wrong; empty where all is well.
    pub faults: Vec<String>,
}

impl Hub {
    /// The built-in catalogue and the environment's settings: `PANAL_CACHE` (else the platform's cache folder),
    /// `PANAL_MIRROR` (a folder or an address), `PANAL_OFFLINE` (`1`: ask no server).
    ///
    /// # Errors
    /// [`HubError::Setting`], [`HubError::NoCacheFolder`].
    pub fn from_env() -> Result<Hub, HubError> {
        Ok(Hub {
            catalogue: Catalogue::builtin()?,
            cache: Cache::new(settings::cache_dir()?),
            mirror: settings::mirror()?,
            offline: settings::offline()?,
            patience: Patience::default(),
        })
    }

    /// A hub on the given catalogue and cache folder, with no mirror unless one is set. The environment is not read.
    pub fn builder(catalogue: Catalogue, cache: impl Into<PathBuf>) -> HubBuilder {
        let cache = Cache::new(cache.into());
        HubBuilder { hub: Hub { catalogue, cache, mirror: None, offline: false, patience: Patience::default() } }
    }

    /// What can be fetched.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        self.cache.root()
    }

    /// The unpacked root folder of a data set, fetched where it is not in the cache.
    ///
    /// What is in the cache is checked by its stamp and the files' sizes, and is unpacked again where a file is missing, has
    /// changed its size or was added. The folder belongs to the hub.
    ///
    /// # Errors
    /// [`HubError::Unknown`], [`HubError::WrongKind`], [`HubError::Unobtainable`] with every source tried,
    /// [`HubError::Io`] where the cache can't be written, [`HubError::Cancelled`].
    pub fn dataset(&self, id: &str, progress: &dyn Progress) -> Result<Fetched, HubError> {
        let (wanted, _) = self.catalogue.find_dataset(id)?;
        let (entry, archive) = self.catalogue.find_dataset(self.at_hand(wanted, progress))?;
        let id = entry.id.as_str();
        if let Ok(fetched) = self.unpacked(entry, archive) {
            return Ok(fetched);
        }
        let _lock = Lock::acquire(&self.cache.lock(entry), progress)?;
        // Another process may have been at it.
        match self.unpacked(entry, archive) {
            Ok(fetched) => return Ok(fetched),
            Err(Flaw::Missing) => {}
            Err(Flaw::Damaged(reason)) => {
                progress.message(&format!("the cached {id} is damaged and is unpacked again: {reason}"));
            }
        }
        let downloaded = self.cache.file(entry);
        self.obtain(entry, progress, |origin| {
            let file = match origin {
                Origin::Cache(path) | Origin::Folder(path) => path,
                Origin::Mirror(url) | Origin::Official(url) => {
                    download_with(&self.patience, url, &downloaded, &expectation(entry), progress)?;
                    &downloaded
                }
            };
            let unpacked = unpack_into_cache(&self.cache, entry, archive, file, progress);
            if unpacked.as_ref().is_err_and(is_the_files_fault) && *file == downloaded {
                let _ = fs::remove_file(&downloaded);
            }
            let (held, left_out) = unpacked?;
            Ok(Fetched { source: origin.into(), left_out, ..self.fetched_dataset(entry, archive, held) })
        })
    }

    /// A file of weights, fetched where it is not in the cache.
    ///
    /// # Errors
    /// As [`Hub::dataset`].
    pub fn weights(&self, id: &str, progress: &dyn Progress) -> Result<Fetched, HubError> {
        let (entry, _) = self.catalogue.find_weights(id)?;
        if let Ok(fetched) = self.cached_weights(entry) {
            return Ok(fetched);
        }
        let _lock = Lock::acquire(&self.cache.lock(entry), progress)?;
        // Another process may have been at it.
        match self.cached_weights(entry) {
            Ok(fetched) => return Ok(fetched),
            Err(Flaw::Missing) => {}
            Err(Flaw::Damaged(reason)) => {
                progress.message(&format!("the cached {} is damaged and is fetched again: {reason}", entry.file));
            }
        }
        let path = self.cache.file(entry);
        self.obtain(entry, progress, |origin| {
            let contents = match origin {
                Origin::Cache(from) | Origin::Folder(from) => {
                    copy_verified(from, &path, &expectation(entry), progress)?
                }
                Origin::Mirror(url) | Origin::Official(url) => {
                    download_with(&self.patience, url, &path, &expectation(entry), progress)?
                }
            };
            self.cache.stamp_weights(entry, &contents);
            Ok(Fetched { source: origin.into(), ..self.fetched_weights(entry, contents) })
        })
    }

    /// The weights of an architecture, in the order to try them: what is in the cache, what is in the mirror folder, what can
    /// be downloaded, the rest; among equals torchvision's `DEFAULT` first, then the catalogue's order.
    ///
    /// Which comes first depends on the machine: a run that must be repeatable records the id and the digest, or names the id.
    ///
    /// # Errors
    /// [`HubError::Unknown`] where no weights are of that architecture.
    pub fn weights_for(&self, arch: &str) -> Result<Vec<&Entry>, HubError> {
        let all = self.catalogue.weights().filter_map(|entry| match &entry.detail {
            Detail::Weights(pretrained) => Some((entry, pretrained)),
            Detail::Dataset(_) => None,
        });
        let (mut fitting, mut others) = (Vec::new(), Vec::new());
        for (entry, pretrained) in all {
            if pretrained.arch == arch {
                let nearness = match self.status_of(entry) {
                    Status::Cached(_) => 0,
                    Status::InMirror(_) => 1,
                    Status::Remote(_) => 2,
                    Status::Nowhere(_) => 3,
                };
                fitting.push((nearness, !pretrained.default, entry));
            } else {
                others.push(pretrained.arch.as_str());
            }
        }
        if fitting.is_empty() {
            let suggestion = nearest(arch, others);
            return Err(HubError::Unknown { what: "weights for the architecture", name: arch.into(), suggestion });
        }
        fitting.sort_by_key(|(nearness, other, _)| (*nearness, *other));
        Ok(fitting.into_iter().map(|(_, _, entry)| entry).collect())
    }

    /// Where an entry would come from. Asks no server and hashes no contents.
    ///
    /// # Errors
    /// [`HubError::Unknown`].
    pub fn status(&self, id: &str) -> Result<Status, HubError> {
        self.catalogue.find(id).map(|entry| self.status_of(entry))
    }

    /// Whether an entry can be had: it is in the cache (for a data set, at least its archive is) or in the mirror folder, or a
    /// server answers for it. Each server is asked once, for one byte, and given `limit`. No contents are verified.
    ///
    /// # Errors
    /// [`HubError::Unknown`]; [`HubError::Unobtainable`] with every source and why it does not serve; [`HubError::Setting`] for an
    /// unusable `SSL_CERT_FILE`, which no other source mends.
    pub fn reach(&self, id: &str, limit: Duration) -> Result<(), HubError> {
        let entry = self.catalogue.find(id)?;
        if matches!(self.status_of(entry), Status::Cached(_)) {
            return Ok(());
        }
        self.obtain(entry, &Quiet, |origin| match origin {
            Origin::Cache(_) | Origin::Folder(_) => Ok(()),
            Origin::Mirror(url) | Origin::Official(url) => download::ask(url, limit),
        })
    }

    /// Reads every byte of a cached entry and compares it with the catalogue.
    ///
    /// # Errors
    /// [`HubError::Unknown`], [`HubError::NotCached`], [`HubError::Cancelled`]. What is wrong with the entry is no error, but stands in
    /// [`Verification::faults`].
    pub fn verify(&self, id: &str, progress: &dyn Progress) -> Result<Verification, HubError> {
        let entry = self.catalogue.find(id)?;
        let path = match &entry.detail {
            Detail::Dataset(archive) => self.cache.root_of(entry, archive),
            Detail::Weights(_) => self.cache.file(entry),
        };
        if !path.exists() {
            return Err(HubError::NotCached { id: id.into(), path });
        }
        let mut found = Verification { path: path.clone(), files: 0, bytes: 0, faults: Vec::new() };
        match &entry.detail {
            Detail::Weights(_) => {
                found.check_file(&path, &entry.file, |bytes, sha256| {
                    expectation(entry).verify(&entry.file, bytes, sha256).map_err(|e| e.to_string())
                });
            }
            Detail::Dataset(archive) => {
                progress.start(&format!("verifying {id}"), None, 0);
                let manifest = match self.cache.manifest(entry, archive) {
                    Ok(manifest) => manifest,
                    Err(Flaw::Damaged(reason)) => {
                        found.faults.push(reason);
                        return Ok(found);
                    }
                    Err(Flaw::Missing) => return Err(HubError::NotCached { id: id.into(), path }),
                };
                for (name, expected) in manifest.iter() {
                    if progress.cancelled() {
                        return Err(HubError::Cancelled);
                    }
                    let before = found.bytes;
                    found.check_file(&path.join(name), name, |_, sha256| {
                        let right = sha256 == expected;
                        if right {
                            Ok(())
                        } else {
                            Err(format!("{name} has the SHA-256 {sha256}, expected {expected}"))
                        }
                    });
                    progress.advance(found.bytes - before);
                }
                found
                    .faults
                    .extend(extra_file(&path, &manifest).map(|extra| format!("{extra} is not in the manifest")));
                progress.finish();
            }
        }
        Ok(found)
    }

    /// The entry's own id, or that of the one in its place where only that is at hand.
    fn at_hand<'a>(&self, entry: &'a Entry, progress: &dyn Progress) -> &'a str {
        let Some(instead) = &entry.instead else { return &entry.id };
        let is_near = |id: &str| {
            let found = self.catalogue.find(id).map(|entry| (self.status_of(entry), self.cache.file(entry).is_file()));
            matches!(found, Ok((Status::Cached(_) | Status::InMirror(_), _) | (_, true)))
        };
        if is_near(&entry.id) || !is_near(instead) {
            return &entry.id;
        }
        let remedy = self.remedy(entry);
        progress
            .message(&format!("{} is not at hand, and {instead} takes its place; for the former {remedy}", entry.id));
        instead
    }

    fn status_of(&self, entry: &Entry) -> Status {
        let cached = match &entry.detail {
            Detail::Weights(_) => Some(self.cache.file(entry)).filter(|path| path.is_file()),
            Detail::Dataset(archive) => self.unpacked(entry, archive).ok().map(|fetched| fetched.path),
        };
        if let Some(path) = cached {
            return Status::Cached(path);
        }
        let mut urls = Vec::new();
        for origin in self.remote_origins(entry).into_iter().flatten() {
            match origin {
                Origin::Cache(path) | Origin::Folder(path) => return Status::InMirror(path),
                Origin::Mirror(url) | Origin::Official(url) => urls.push(url),
            }
        }
        if urls.is_empty() { Status::Nowhere(self.remedy(entry)) } else { Status::Remote(urls) }
    }

    /// The unpacked data set, checked by its stamp.
    fn unpacked(&self, entry: &Entry, archive: &Archive) -> Result<Fetched, Flaw> {
        let held = self.cache.check_unpacked(entry, archive)?;
        Ok(self.fetched_dataset(entry, archive, held))
    }

    /// The file of weights, checked by its stamp or its contents.
    fn cached_weights(&self, entry: &Entry) -> Result<Fetched, Flaw> {
        let contents = self.cache.check_weights(entry)?;
        Ok(self.fetched_weights(entry, contents))
    }

    fn fetched_dataset(&self, entry: &Entry, archive: &Archive, held: Held) -> Fetched {
        Fetched {
            id: entry.id.clone(),
            path: self.cache.root_of(entry, archive),
            source: Source::Cache,
            bytes: held.bytes,
            digest: held.digest,
            left_out: Vec::new(),
        }
    }

    fn fetched_weights(&self, entry: &Entry, contents: Downloaded) -> Fetched {
        Fetched {
            id: entry.id.clone(),
            path: self.cache.file(entry),
            source: Source::Cache,
            bytes: contents.bytes,
            digest: contents.sha256,
            left_out: Vec::new(),
        }
    }
}

/// Whether another file, in its place, might serve.
fn is_the_files_fault(error: &HubError) -> bool {
    matches!(error, HubError::Archive { .. } | HubError::WrongDigest { .. } | HubError::WrongLength { .. })
}

impl Verification {
    /// Reads one file and notes what `judge` has against its size and digest.
    fn check_file(&mut self, path: &Path, name: &str, judge: impl FnOnce(u64, &str) -> Result<(), String>) {
        let read = fs::metadata(path).at("read", path).and_then(|meta| Ok((meta.len(), sha256_file(path)?)));
        let judged = read.map_err(|error| format!("{name}: {error}")).and_then(|(bytes, sha256)| {
            self.files += 1;
            self.bytes += bytes;
            judge(bytes, &sha256)
        });
        self.faults.extend(judged.err());
    }
}
