//! A file that takes its name only once it is whole. What is written into it is the caller's.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use crate::interrupt;

/// A file beside `path`, with its ending, to be written and then moved there; gone where that does not happen.
pub(crate) fn beside(path: &Path) -> Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    let file = builder.prefix(".unfinished-").suffix(&ending).tempfile_in(folder);
    file.with_context(|| format!("cannot write in {}", folder.display()))
}

/// Refuses a file that can't be written at `path`, before the work for it is done.
pub(crate) fn check(path: &Path) -> Result<()> {
    ensure!(!path.is_dir(), "cannot write {}: a folder has that name, so name another file", path.display());
    beside(path).map(drop)
}

/// The same for files in a folder, which need not be there yet.
pub(crate) fn check_folder(folder: &Path) -> Result<()> {
    let there = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new(""));
    beside(&there.join("any")).map(drop)
}

/// Puts `bytes` into the file at `path`, in place of what stood there, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let _whole = interrupt::watch();
    let mut file = beside(path)?;
    let written = file.write_all(bytes).and_then(|()| file.as_file().sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
