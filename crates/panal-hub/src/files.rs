//! Files written whole or not at all, digests of files, and locks between processes. Knows nothing of catalogues.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::error::{At, HubError};
use crate::progress::Progress;

/// How much is read or written at once.
pub(crate) const CHUNK: usize = 1 << 16;

/// Writes `contents` to `path`, so that a reader finds the old file or the new one and never a part, also after a power cut.
/// Missing parent folders are made.
///
/// # Errors
/// [`HubError::Io`] naming the path.
pub fn write_atomic(path: &Path, contents: &[u8]) -> Result<(), HubError> {
    create_parent(path)?;
    let mut temporary = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        temporary.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = temporary.prefix(".new-").tempfile_in(parent(path)).at("create a file in", parent(path))?;
    file.write_all(contents).at("write", path)?;
    file.as_file().sync_all().at("write", path)?;
    file.persist(path).map_err(|e| e.error).at("create", path)?;
    sync_folder(parent(path))
}

/// SHA-256 of a file's bytes, as 64 lower-case hexadecimal digits.
///
/// # Errors
/// [`HubError::Io`] naming the path.
pub fn sha256_file(path: &Path) -> Result<String, HubError> {
    hash_file(path, Sha256::new())
}

/// MD5 of a file's bytes, as 32 lower-case hexadecimal digits: to compare with a published one, never as a protection.
pub(crate) fn md5_file(path: &Path) -> Result<String, HubError> {
    hash_file(path, Md5::new())
}

fn hash_file(path: &Path, mut hasher: impl Digest) -> Result<String, HubError> {
    let mut file = File::open(path).at("open", path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).at("read", path)? {
            0 => return Ok(hex(hasher)),
            n => hasher.update(&chunk[..n]),
        }
    }
}

/// A lock between processes (and between threads of one), held until dropped. The lock file stays: removing it would let two in.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock on `path`, a file that is made where it is missing.
    ///
    /// # Errors
    /// [`HubError::Io`] where the file can't be made or the file system has no locks; [`HubError::Cancelled`].
    pub fn acquire(path: &Path, progress: &dyn Progress) -> Result<Lock, HubError> {
        create_parent(path)?;
        let file = File::options().create(true).append(true).open(path).at("open", path)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(source)) => return Err(source).at("lock", path),
                Err(TryLockError::WouldBlock) if progress.cancelled() => return Err(HubError::Cancelled),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        progress.message(&format!("waiting for another process that holds {}", path.display()));
                        told = true;
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
}

/// Makes a rename in `folder` durable, where the platform has a way to.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), HubError> {
    if cfg!(unix) { File::open(folder).and_then(|f| f.sync_all()).at("write", folder) } else { Ok(()) }
}

pub(crate) fn create_parent(path: &Path) -> Result<(), HubError> {
    create_folder(parent(path))
}

pub(crate) fn create_folder(path: &Path) -> Result<(), HubError> {
    fs::create_dir_all(path).at("create the folder", path)
}

/// `path` with `suffix` after its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn hex(hasher: impl Digest) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder that `path` is in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
