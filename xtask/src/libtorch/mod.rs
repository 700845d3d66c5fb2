//! Which libtorch there is and how a child is told: the one that the user set, the one in the cache, or a fresh one.
//! What is inside it is libtorch's affair; nothing here loads it.

mod archive;
mod find;
mod install;
mod layout;
mod pip;
mod version;

pub(crate) use find::{cached, chosen, given, remember};
pub(crate) use install::install;
pub(crate) use pip::find as find_pip;

use clap::ValueEnum;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The torch release that `tch` binds. It moves with `tch` and `torch-sys` in the root `Cargo.toml`: tch 0.24.0 binds
/// torch 2.11.0. A test reads torch-sys's own build script, so that the two can't part.
pub(crate) const TORCH_VERSION: &str = "2.11.0";

/// The variable in which the system's loader looks for libraries.
pub(crate) const LOADER_PATH: &str = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };

/// Which libraries to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavour {
    /// The few libraries that computing on the CPU needs (on a Mac with the Apple GPU).
    Cpu,
    /// Those, and the CUDA libraries for an NVIDIA GPU.
    Cuda,
}

impl Flavour {
    /// Inside an installation's folder, the one that holds `lib/` and `include/`. The CUDA libraries want it two levels
    /// deep, for theirs is the run path `$ORIGIN/../../nvidia`.
    fn home(self, installed: &Path) -> PathBuf {
        match self {
            Self::Cpu => installed.to_owned(),
            Self::Cuda => installed.join("torch"),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// How a libtorch came to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user's `LIBTORCH`.
    Libtorch,
    /// The user's `LIBTORCH_USE_PYTORCH`: the torch package of their Python.
    Pytorch,
    /// xtask's own cache.
    Cache,
}

/// A libtorch that can be built against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Libtorch {
    /// The folder that holds `include/`, and `lib/` unless `LIBTORCH_LIB` says otherwise.
    pub(crate) home: PathBuf,
    /// The folder of the libraries.
    pub(crate) lib: PathBuf,
    /// As it says itself, such as `2.11.0+cpu`.
    pub(crate) version: String,
    pub(crate) origin: Origin,
}

impl Libtorch {
    /// Whether the CUDA libraries are in it.
    pub(crate) fn has_cuda(&self) -> bool {
        self.lib.join("libtorch_cuda.so").exists()
    }

    /// What a build and a test run must find in their environment; `inherited` is the loader's path so far.
    pub(crate) fn env(&self, inherited: Option<&OsStr>) -> Vec<(&'static str, OsString)> {
        let before = inherited
            .iter()
            .flat_map(|paths| std::env::split_paths(*paths))
            .filter(|path| !path.as_os_str().is_empty());
        // A path with a colon can't be joined; then the run path in the binaries has to do.
        let path = std::env::join_paths(std::iter::once(self.lib.clone()).chain(before)).unwrap_or_default();
        let home = (self.origin != Origin::Pytorch).then(|| ("LIBTORCH", self.home.clone().into_os_string()));
        home.into_iter().chain([(LOADER_PATH, path)]).collect()
    }

    /// Sets [`Libtorch::env`] on a command.
    pub(crate) fn set_on<'c>(&self, command: &'c mut std::process::Command) -> &'c mut std::process::Command {
        command.envs(self.env(std::env::var_os(LOADER_PATH).as_deref()))
    }
}

impl fmt::Display for Libtorch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.has_cuda() { "with CUDA" } else { "CPU" };
        let said = match self.origin {
            Origin::Libtorch => ", from LIBTORCH",
            Origin::Pytorch => ", from LIBTORCH_USE_PYTORCH",
            Origin::Cache => "",
        };
        write!(f, "libtorch {} ({kind}{said}) in {}", self.version, self.home.display())
    }
}

/// The folder of the cache that holds installations: `<cache>/libtorch`, absolute.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(panal_hub::cache_dir()?)?.join("libtorch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libtorch(origin: Origin) -> Libtorch {
        Libtorch { home: "/t".into(), lib: "/t/lib".into(), version: "2.11.0+cpu".into(), origin }
    }

    #[test]
    fn the_library_folder_comes_first_in_the_loaders_path() {
        let env = libtorch(Origin::Cache).env(Some(OsStr::new("/a:/b")));
        assert_eq!(env, [("LIBTORCH", "/t".into()), (LOADER_PATH, OsString::from("/t/lib:/a:/b"))]);
    }

    #[test]
    fn an_empty_loaders_path_adds_no_empty_entry() {
        // An empty entry would mean the working directory.
        let env = libtorch(Origin::Libtorch).env(Some(OsStr::new("")));
        assert_eq!(env[1].1, OsString::from("/t/lib"));
    }

    #[test]
    fn with_the_users_pytorch_torch_sys_goes_on_asking_python() {
        let env = libtorch(Origin::Pytorch).env(None);
        assert_eq!(env, [(LOADER_PATH, OsString::from("/t/lib"))]);
    }

    #[test]
    fn the_version_is_the_one_that_torch_sys_binds() {
        let metadata = crate::workspace::cargo().args(["metadata", "--format-version", "1"]).output().unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let torch_sys = packages.iter().find(|package| package["name"] == "torch-sys").unwrap();
        let manifest = Path::new(torch_sys["manifest_path"].as_str().unwrap());
        let build = std::fs::read_to_string(manifest.with_file_name("build.rs")).unwrap();
        let line = format!("const TORCH_VERSION: &str = \"{TORCH_VERSION}\";");
        assert!(build.contains(&line), "torch-sys {} does not say `{line}`", torch_sys["version"]);
    }
}
