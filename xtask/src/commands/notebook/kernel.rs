//! Where kernel and Jupyter live, and what the kernel must find: its spec, libtorch, the workspace's versions, and torch-sys built
//! before, which the kernel would otherwise compile anew for minutes.

use crate::libtorch::Libtorch;
use crate::{files, process, workspace};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package whose build script compiles C++ for minutes, and its `links` key.
const TORCH_SYS: &str = "torch-sys";
const LINKS: &str = "tch";

/// The private folder in panal's cache that holds everything.
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    /// The folder, made where it is missing.
    pub(super) fn new() -> Result<Self> {
        let root = std::path::absolute(panal_hub::cache_dir()?)?.join("notebook");
        // Jupyter warns where the folder above its own is missing.
        fs::create_dir_all(root.join("config")).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Self { root })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where the kernel of this version is installed, its program below `bin`.
    pub(super) fn kernel(&self, version: &str) -> PathBuf {
        self.root.join(format!("evcxr_jupyter-{version}"))
    }

    /// Where the Python environment is.
    pub(super) fn environment(&self) -> PathBuf {
        self.root.join("jupyter")
    }

    /// Its interpreter.
    pub(super) fn python(&self) -> PathBuf {
        self.environment().join("bin/python")
    }

    /// The folder in which a kernel builds cells and dependencies; kept, so that the latter are built once. Two kernels can't share
    /// one, so a notebook that is open has another than one that is run.
    fn build(&self, open: bool) -> PathBuf {
        self.root.join(if open { "build-open" } else { "build" })
    }

    /// What Jupyter and the kernel must find in their environment, so that neither looks into the home folder.
    pub(super) fn set_on<'c>(&self, command: &'c mut Command, open: bool) -> &'c mut Command {
        for (name, folder) in [
            ("JUPYTER_PATH", "share"),
            ("JUPYTER_DATA_DIR", "data"),
            ("JUPYTER_CONFIG_DIR", "config"),
            ("JUPYTER_RUNTIME_DIR", "runtime"),
            ("JUPYTERLAB_SETTINGS_DIR", "config/lab"),
            ("JUPYTERLAB_WORKSPACES_DIR", "config/workspaces"),
            ("IPYTHONDIR", "config/ipython"),
            ("EVCXR_CONFIG_DIR", "config/evcxr"),
        ] {
            command.env(name, self.root.join(folder));
        }
        // glibc maps every large tensor anew and gives it back when it is freed, and the system clears its pages each time: a third
        // of a training step. So it is to map none (a threshold would not do, for 32 MiB is its most), and to keep what is freed.
        for (name, value) in
            [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "17179869184"), ("MALLOC_TOP_PAD_", "67108864")]
        {
            command.env(name, value);
        }
        command
            .env("EVCXR_TMPDIR", self.build(open))
            .env("PYTHONNOUSERSITE", "1")
            .env_remove("PYTHONHOME")
            .env_remove("PYTHONPATH")
    }
}

/// Everything that may differ from call to call: the kernel's spec, versions, the build of torch-sys.
pub(super) fn prepare(place: &Place, libtorch: &Libtorch, open: bool) -> Result<()> {
    let write = |file: PathBuf, text: &str| -> Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        files::write(&file, text)
    };
    // The kernel writes its own spec to where JUPYTER_PATH points.
    let mut kernel = Command::new(place.kernel(super::install::EVCXR).join("bin/evcxr_jupyter"));
    process::stdout(place.set_on(kernel.arg("--install"), open))?;

    let mut build = workspace::cargo();
    build.args(["build", "--release", "--package", "panal", "--message-format", "json-render-diagnostics"]);
    let said = process::stdout(libtorch.set_on(&mut build))?;
    let host = process::ask("rustc", &["-vV"]).unwrap_or_default();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    let config = override_of(&said, host, &libtorch.lib).unwrap_or_default();
    // Above the folder in which the kernel builds, whose own configuration the kernel writes itself.
    write(place.file(".cargo/config.toml"), &config)?;
    // The kernel's folder is no workspace member; with this file it takes the same versions.
    let lock = workspace::root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    write(place.build(open).join("Cargo.lock"), &lock)
}

/// A cargo configuration that puts what torch-sys's build script printed in the place of running it; `None` where cargo's
/// messages don't tell of it.
fn override_of(messages: &str, host: &str, libraries: &Path) -> Option<String> {
    let ran = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|message| {
        message["reason"] == "build-script-executed"
            && message["package_id"]
                .as_str()
                .is_some_and(|id| id.contains(&format!("{TORCH_SYS}@")) || id.contains(&format!("/{TORCH_SYS}#")))
    })?;
    // A JSON list of strings is a TOML one too.
    let (libs, paths) = (&ran["linked_libs"], &ran["linked_paths"]);
    let libraries = json!(libraries);
    Some(format!(
        "# Written by `cargo xtask notebook`: {TORCH_SYS} as panal's own build made it.\n\
         [target.{host}.{LINKS}]\nrustc-link-lib = {libs}\nrustc-link-search = {paths}\nlibtorch_lib = {libraries}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torch_syss_build_is_found_among_cargos_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"package_id\":\"registry+x#torch-sys@0.24.0\"}\n",
            "{\"reason\":\"build-script-executed\",\"package_id\":\"registry+x#zlib-sys@1.0.0\",\"linked_libs\":[\"z\"]}\n",
            "no JSON\n",
            "{\"reason\":\"build-script-executed\",\"package_id\":\"registry+x#torch-sys@0.24.0\",",
            "\"linked_libs\":[\"static=tch\",\"torch_cpu\"],\"linked_paths\":[\"native=/its/out\"]}\n",
        );
        let config = override_of(messages, "x86_64-unknown-linux-gnu", Path::new("/lib torch/lib")).unwrap();
        assert!(config.ends_with(
            "[target.x86_64-unknown-linux-gnu.tch]\nrustc-link-lib = [\"static=tch\",\"torch_cpu\"]\n\
             rustc-link-search = [\"native=/its/out\"]\nlibtorch_lib = \"/lib torch/lib\"\n"
        ));
        assert_eq!(override_of("{\"reason\":\"build-finished\"}\n", "x", Path::new("/l")), None);
    }
}
