//! Which sources an entry has, in which order, and what is said when none of them serves.

use std::fmt;
use std::path::PathBuf;

use super::{Hub, Source};
use crate::catalogue::Entry;
use crate::error::{HubError, Tried};
use crate::progress::Progress;
use crate::settings::{MIRROR, Mirror};

/// One place that an entry's file can be taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file in the cache: an archive that was downloaded before, or that the user put there.
    Cache(PathBuf),
    /// The file in the mirror folder.
    Folder(PathBuf),
    /// The file's address in the mirror.
    Mirror(String),
    /// The official address.
    Official(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Cache(path) => write!(f, "cache {}", path.display()),
            Origin::Folder(path) => write!(f, "mirror {}", path.display()),
            Origin::Mirror(url) => write!(f, "mirror {url}"),
            Origin::Official(url) => write!(f, "official address {url}"),
        }
    }
}

impl Tried {
    /// What came of one source; the error's own words for where it was are left out.
    pub(super) fn new(origin: &Origin, error: HubError) -> Tried {
        let reason = match error {
            HubError::Download { fault, .. } => fault.to_string(),
            HubError::Archive { fault, .. } => fault.to_string(),
            other => other.to_string(),
        };
        Tried { source: origin.to_string(), reason }
    }
}

impl From<&Origin> for Source {
    fn from(origin: &Origin) -> Source {
        match origin {
            Origin::Cache(_) => Source::Cache,
            Origin::Folder(path) => Source::Mirror(path.display().to_string()),
            Origin::Mirror(url) => Source::Mirror(url.clone()),
            Origin::Official(url) => Source::Url(url.clone()),
        }
    }
}

impl Hub {
    /// Has `take` try the entry's sources one after the other; what writes holds the entry's lock. An error that another source can't mend
    /// ends the search.
    pub(super) fn obtain<T>(
        &self,
        entry: &Entry,
        progress: &dyn Progress,
        take: impl Fn(&Origin) -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut tried = Vec::new();
        for origin in [self.cached_file(entry)].into_iter().chain(self.remote_origins(entry)) {
            let origin = match origin {
                Ok(origin) => origin,
                Err(reason) => {
                    tried.push(reason);
                    continue;
                }
            };
            match take(&origin) {
                Ok(taken) => return Ok(taken),
                Err(error) if self.is_hopeless(&error) => return Err(error),
                Err(error) => {
                    let failed = Tried::new(&origin, error);
                    progress.message(&format!("{} does not serve: {}", failed.source, failed.reason));
                    tried.push(failed);
                }
            }
        }
        Err(HubError::Unobtainable { id: entry.id.clone(), tried, remedy: self.remedy(entry) })
    }

    /// The mirror and the official address, or what speaks against them.
    pub(super) fn remote_origins(&self, entry: &Entry) -> [Result<Origin, Tried>; 2] {
        let mirror = match &self.mirror {
            None => tried("mirror".into(), format!("{MIRROR} is not set")),
            Some(Mirror::Url(base)) => self.if_online(Origin::Mirror(format!("{base}/{}", entry.file))),
            Some(Mirror::Folder(folder)) => match folder.join(&entry.file) {
                path if path.is_file() => Ok(Origin::Folder(path)),
                _ if folder.is_dir() => {
                    tried(format!("mirror {}", folder.display()), format!("holds no {}", entry.file))
                }
                _ => tried(format!("mirror {}", folder.display()), "there is no such folder".into()),
            },
        };
        let official = match &entry.url {
            None => tried("official address".into(), "there is none".into()),
            Some(url) => self.if_online(Origin::Official(url.clone())),
        };
        [mirror, official]
    }

    /// What the user can do when nothing serves.
    pub(super) fn remedy(&self, entry: &Entry) -> String {
        let (file, path) = (&entry.file, self.cache.file(entry));
        format!("set {MIRROR} to a folder or an address that has {file}, or put that file at {}", path.display())
    }

    /// The file in the cache, or that it is not there.
    fn cached_file(&self, entry: &Entry) -> Result<Origin, Tried> {
        let origin = Origin::Cache(self.cache.file(entry));
        if self.cache.file(entry).is_file() { Ok(origin) } else { tried(origin.to_string(), "it is not there".into()) }
    }

    fn if_online(&self, origin: Origin) -> Result<Origin, Tried> {
        if self.offline { tried(origin.to_string(), "not asked, for PANAL_OFFLINE is set".into()) } else { Ok(origin) }
    }

    /// Whether the error is the cache's own, or the caller's wish to stop, so that no other source would help.
    fn is_hopeless(&self, error: &HubError) -> bool {
        match error {
            HubError::Cancelled | HubError::Setting { .. } | HubError::Expectation { .. } => true,
            HubError::Io { path, .. } => path.starts_with(self.cache.root()),
            _ => false,
        }
    }
}

fn tried(source: String, reason: String) -> Result<Origin, Tried> {
    Err(Tried { source, reason })
}
