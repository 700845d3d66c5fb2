//! What can go wrong in the hub, each with one message that says what, where and what to do. No logic.

use std::io;
use std::path::PathBuf;

use crate::catalogue::Kind;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The catalogue has no such entry.
    #[error("the catalogue has no {what} named `{name}`{}", did_you_mean(.suggestion.as_deref()))]
    Unknown {
        /// What was looked for: `data set`, `weights`, `entry` or `weights for the architecture`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The nearest name that exists, where one is near.
        suggestion: Option<String>,
    },
    /// The entry exists, but is of the other kind.
    #[error("`{id}` is {is} in the catalogue, not {wanted}")]
    WrongKind {
        /// The entry.
        id: String,
        /// What it is.
        is: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// A catalogue file does not parse or says something impossible.
    #[error("{file}: {reason}")]
    Catalogue {
        /// The catalogue file.
        file: String,
        /// What is wrong in it.
        reason: String,
    },
    /// A manifest of digests does not parse.
    #[error("{manifest}, line {line}: {reason}")]
    Manifest {
        /// The manifest.
        manifest: String,
        /// 1-based.
        line: usize,
        /// What is wrong in it.
        reason: String,
    },
    /// An environment variable holds something unusable.
    #[error("{variable} is `{value}`: {reason}")]
    Setting {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// Why that can't be used, and what could.
        reason: String,
    },
    /// The caller's own [`Expect`](crate::Expect) can't be met by any file.
    #[error("cannot check a download against {field} `{value}`: {reason}")]
    Expectation {
        /// The field of [`Expect`](crate::Expect).
        field: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        reason: &'static str,
    },
    /// No home folder, hence no cache folder.
    #[error("cannot tell where the cache folder is, for there is no home folder; set PANAL_CACHE to a folder")]
    NoCacheFolder,
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// The verb, such as `create`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own word.
        source: io::Error,
    },
    /// The server, or the way to it, did not give the file.
    #[error("cannot download {url}: {fault}")]
    Download {
        /// The address asked for.
        url: String,
        /// Why it did not come.
        fault: DownloadFault,
    },
    /// A file is longer or shorter than it must be.
    #[error("{what} has {got} bytes where {expected} were expected")]
    WrongLength {
        /// The file or address.
        what: String,
        /// In bytes.
        expected: String,
        /// In bytes.
        got: String,
    },
    /// A file's contents are not what they must be.
    #[error("{what} has the {algorithm} {got}, where {expected} was expected")]
    WrongDigest {
        /// The file or address.
        what: String,
        /// `SHA-256` or `MD5`.
        algorithm: &'static str,
        /// Hexadecimal, whole or the first digits.
        expected: String,
        /// Hexadecimal, whole.
        got: String,
    },
    /// An archive was refused.
    #[error("{}: {fault}", .archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// Why.
        fault: ArchiveFault,
    },
    /// Every source was tried.
    #[error("cannot get `{id}`:{}\n  = {remedy}", list(.tried))]
    Unobtainable {
        /// The entry.
        id: String,
        /// Each source, in the order tried.
        tried: Vec<Tried>,
        /// What the user can do.
        remedy: String,
    },
    /// Something was to be verified that the cache does not hold.
    #[error("`{id}` is not in the cache: {} is missing", .path.display())]
    NotCached {
        /// The entry.
        id: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// The caller's [`Progress::cancelled`](crate::Progress::cancelled) said stop. What was downloaded is kept for the next time.
    #[error("interrupted; what was downloaded so far is kept, and the next run continues there")]
    Cancelled,
}

/// Why a download did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadFault {
    /// An HTTP status that trying again does not mend.
    #[error("the server answered {status}{}", status_name(*.status))]
    Status {
        /// Such as 404.
        status: u16,
    },
    /// The redirects have no end, or more than are followed.
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    /// The address can't be used: its scheme, its host, a certificate, a proxy.
    #[error("{0}")]
    Refused(String),
    /// Every attempt failed; the last one's reason.
    #[error("{reason}{}", after(*.attempts))]
    Network {
        /// The last attempt's.
        reason: String,
        /// How many attempts in a row brought no new byte.
        attempts: u32,
    },
    /// The server asks for a longer wait than is reasonable.
    #[error("the server asks to come back in {seconds} s")]
    Busy {
        /// The wait it asks for.
        seconds: u64,
    },
}

/// How often it was tried, where that is worth saying.
fn after(attempts: u32) -> String {
    if attempts > 1 { format!(" ({attempts} attempts without progress)") } else { String::new() }
}

/// Why an archive, or one entry of it, was refused. Nothing is ever written outside the target folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveFault {
    /// Not an archive of its kind, or a damaged one.
    #[error("not a readable archive: {0}")]
    Unreadable(String),
    /// An entry's name is absolute, climbs out, or is no plain relative path.
    #[error("the entry `{name}` is refused: {reason}")]
    UnsafeName {
        /// The name, control characters escaped.
        name: String,
        /// What is wrong in it.
        reason: &'static str,
    },
    /// An entry is a symbolic link.
    #[error("the entry `{0}` is refused: it is a link")]
    Link(String),
    /// An entry is neither a file nor a folder, or has a mode that no such file needs (setuid, setgid, sticky).
    #[error("the entry `{name}` is refused: its mode {mode:o} is no plain file's or folder's")]
    OddMode {
        /// The entry.
        name: String,
        /// Unix mode.
        mode: u32,
    },
    /// Two entries would be the same file, or one would be both a file and a folder.
    #[error("two entries would be written to `{0}`")]
    Duplicate(String),
    /// Two entries of the archive carry one and the same name.
    #[error("two entries carry the same name")]
    DuplicateNames,
    /// More entries than the bound.
    #[error("it has {got} entries, more than the bound of {max}")]
    TooManyEntries {
        /// The bound.
        max: usize,
        /// How many it has.
        got: usize,
    },
    /// More bytes than the bound, counted as they come out.
    #[error("it unpacks to more than the bound of {max} bytes (at `{name}`)")]
    TooManyBytes {
        /// The bound.
        max: u64,
        /// The entry at which it was passed.
        name: String,
    },
    /// One entry's data is damaged, or packed in a way that is not supported.
    #[error("the entry `{name}` can't be unpacked: {reason}")]
    Damaged {
        /// The entry.
        name: String,
        /// The unpacker's own word.
        reason: String,
    },
    /// No file of the archive is under its root.
    #[error("it holds no file under `{0}/`")]
    Empty(String),
    /// Files of the manifest that the archive does not hold.
    #[error("{count} of the manifest's {of} files are missing, first `{first}`")]
    Missing {
        /// How many.
        count: usize,
        /// How many the manifest has.
        of: usize,
        /// The first of them.
        first: String,
    },
    /// A file of the manifest has other contents.
    #[error("`{name}` has the SHA-256 {got}, where the manifest says {expected}")]
    WrongContents {
        /// The file.
        name: String,
        /// Hexadecimal.
        expected: String,
        /// Hexadecimal.
        got: String,
    },
}

/// One source that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which: a path or an address, with its role.
    pub source: String,
    /// Why it did not serve.
    pub reason: String,
}

/// Names the file in an I/O error.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, HubError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, HubError> {
        self.map_err(|source| HubError::Io { doing, path: path.into(), source })
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(|t| format!("\n  - {}: {}", t.source, t.reason)).collect()
}

fn status_name(status: u16) -> String {
    let code = ureq::http::StatusCode::from_u16(status).ok();
    code.and_then(|c| c.canonical_reason()).map(|name| format!(" {name}")).unwrap_or_default()
}
