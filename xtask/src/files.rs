//! Small files that appear whole or not at all.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Writes `text` to `file`, in place of what was there.
pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    write_bytes(file, text.as_bytes())
}

/// The same for bytes.
pub(crate) fn write_bytes(file: &Path, bytes: &[u8]) -> Result<()> {
    let put = || {
        // Beside the file, since a rename must not cross file systems; in a folder, so that it has ordinary permissions.
        let folder = file.parent().unwrap_or(Path::new("."));
        let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(folder)?;
        let whole = unfinished.path().join("file");
        fs::write(&whole, bytes)?;
        fs::rename(whole, file)
    };
    put().with_context(|| format!("cannot write {}", file.display()))
}
