//! Installing the Rust kernel and Jupyter in the private folder; whole or not at all, and once a version.

use super::kernel::Place;
use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use panal_hub::{Lock, Quiet};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// The release of evcxr_jupyter; a newer one may ask for another compiler.
pub(super) const EVCXR: &str = "0.22.0";

/// What runs a notebook without a browser.
const RUNNER: [&str; 2] = ["nbclient==0.11.0", "nbformat==5.11.1"];
/// What shows it in one.
const BROWSER: [&str; 1] = ["jupyterlab==4.6.6"];

/// What to say of [`kernel`].
pub(super) fn kernel_detail(place: &Place) -> String {
    match place.kernel(EVCXR).exists() {
        true => format!("evcxr_jupyter {EVCXR} in {}", place.kernel(EVCXR).display()),
        false => format!("installing evcxr_jupyter {EVCXR} (about 10 min on 2 cores, once)"),
    }
}

/// Builds the kernel, unless it is there.
pub(super) fn kernel(place: &Place) -> Result<()> {
    let target = place.kernel(EVCXR);
    let _lock = Lock::acquire(&place.file("install.lock"), &Quiet)?;
    if target.exists() {
        return Ok(());
    }
    let fresh = fresh(place)?;
    let mut cargo = workspace::cargo();
    cargo.args(["install", "evcxr_jupyter", "--locked", "--version", EVCXR, "--no-track", "--root"]).arg(fresh.path());
    // Not where the workspace's own profile and target folder would count.
    cargo.current_dir(fresh.path()).env_remove("CARGO_TARGET_DIR");
    process::run(&mut cargo).context("the Rust kernel could not be built")?;
    fs::rename(fresh.keep(), &target).with_context(|| format!("cannot put the kernel to {}", target.display()))
}

/// What to say of [`jupyter`].
pub(super) fn jupyter_detail(place: &Place, open: bool) -> String {
    let wanted = wanted(open).join(" ");
    match has(place, open) {
        true => format!("{wanted} in {}", place.environment().display()),
        false => format!("installing {wanted} by pip (a minute, once)"),
    }
}

/// Installs what runs notebooks in a Python environment of its own, and what shows them if they are to be opened.
pub(super) fn jupyter(place: &Place, open: bool) -> Result<()> {
    let _lock = Lock::acquire(&place.file("install.lock"), &Quiet)?;
    if has(place, open) {
        return Ok(());
    }
    let list = list(&place.environment());
    if !(list.exists() && place.python().exists()) {
        make_environment(place)?;
    }
    let mut pip = Command::new(place.python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(wanted(open));
    pip.env("PIP_REQUIRE_VIRTUALENV", "0").env_remove("PIP_TARGET").env_remove("PIP_USER");
    if quietly(&mut pip).is_err() {
        bail!("pip could not install {}", wanted(open).join(" "));
    }
    crate::files::write(&list, &wanted(open).join("\n"))
}

/// An empty environment in the place of one that was never finished; one that was may be in use.
fn make_environment(place: &Place) -> Result<()> {
    let has_venv = |name: &&str| process::ask(name, &["-c", "import venv, ensurepip"]).is_some();
    let python = ["python3", "python"].into_iter().find(has_venv).context(
        "no python3 with the module venv was found: install Python 3.10 or newer, on Debian also python3-venv",
    )?;
    // Scripts in an environment hold its path, so it is made where it will be; the list of what it has comes last.
    quietly(Command::new(python).args(["-m", "venv", "--clear"]).arg(place.environment()))
}

/// What is to be in the environment.
fn wanted(open: bool) -> Vec<&'static str> {
    let browser: &[&str] = if open { &BROWSER } else { &[] };
    RUNNER.iter().chain(browser).copied().collect()
}

/// Whether the environment has it.
fn has(place: &Place, open: bool) -> bool {
    let installed = fs::read_to_string(list(&place.environment())).unwrap_or_default();
    let installed: Vec<&str> = installed.lines().collect();
    place.python().exists() && wanted(open).iter().all(|package| installed.contains(package))
}

fn list(environment: &Path) -> std::path::PathBuf {
    environment.join("installed-by-panal")
}

fn fresh(place: &Place) -> Result<tempfile::TempDir> {
    let folder = place.file("");
    tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempdir_in(&folder)
        .with_context(|| format!("cannot write in {}", folder.display()))
}

/// Runs a program whose output is for people, not for a shell that reads xtask's.
fn quietly(command: &mut Command) -> Result<()> {
    process::run(command.stdin(Stdio::null()).stdout(std::io::stderr().as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_comes_only_where_it_is_to_be_opened() {
        assert!(!wanted(false).iter().any(|package| package.starts_with("jupyterlab")));
        assert!(wanted(true).iter().any(|package| package.starts_with("jupyterlab")));
        // Every version is fixed.
        assert!(wanted(true).iter().all(|package| package.contains("==")));
    }
}
