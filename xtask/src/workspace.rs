//! Where the workspace and what is built from it lie, and which of its crates need no libtorch.

use crate::process;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that compile and pass their tests on a machine without libtorch; a test in `tests/` holds them to it.
pub(crate) const WITHOUT_TCH: [&str; 7] =
    ["panal-metrics", "panal-energy", "panal-hub", "panal-data", "panal-report", "panal-tensorboard", "xtask"];

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// `cargo`, the same that started xtask, in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The few fields of `cargo metadata` that xtask reads.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) target_directory: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
}

/// The workspace's own packages and its target folder, as cargo sees them.
pub(crate) fn metadata() -> Result<Metadata> {
    let text = process::stdout(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cargo metadata printed something else than its JSON")
}

/// Where the release build puts the `panal` binary.
pub(crate) fn panal_binary() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.join("release").join("panal"))
}
