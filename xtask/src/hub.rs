//! What xtask asks of panal-hub: the cache, a download with its progress bar, and what of the catalogue is here.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The folder of panal's cache.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("PANAL_CACHE") {
        return Ok(std::path::absolute(dir)?);
    }
    use etcetera::BaseStrategy;
    Ok(etcetera::choose_base_strategy().context("no home")?.cache_dir().join("panal"))
}

/// Downloads a file, with a progress bar on a terminal.
pub(crate) fn download(url: &str, to: &Path) -> Result<()> {
    bail!("no hub yet: {url} {}", to.display())
}
