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

/// What a Python environment is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To run a notebook without a browser.
    Run,
    /// To open it in one.
    Open,
    /// To make a page of it.
    Page,
}

impl Purpose {
    /// The packages that must be there, each of one version.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["nbclient==0.11.0", "nbformat==5.11.1"],
            Self::Open => &["jupyterlab==4.6.6"],
            Self::Page => &["nbconvert==7.17.2"],
        }
    }
}

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
pub(super) fn jupyter_detail(place: &Place, purpose: Purpose) -> String {
    let wanted = purpose.packages().join(" ");
    match lacking(place, purpose).is_empty() {
        true => format!("{wanted} in {}", place.environment().display()),
        false => format!("installing {wanted} by pip (a minute, once)"),
    }
}

/// Installs what `purpose` needs in a Python environment of panal's own, beside what is there for another.
pub(super) fn jupyter(place: &Place, purpose: Purpose) -> Result<()> {
    let _lock = Lock::acquire(&place.file("install.lock"), &Quiet)?;
    let lacking = lacking(place, purpose);
    if lacking.is_empty() {
        return Ok(());
    }
    let list = list(&place.environment());
    if !(list.exists() && place.python().exists()) {
        make_environment(place)?;
    }
    let mut pip = Command::new(place.python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(&lacking);
    pip.env("PIP_REQUIRE_VIRTUALENV", "0").env_remove("PIP_TARGET").env_remove("PIP_USER");
    if quietly(&mut pip).is_err() {
        bail!("pip could not install {}", lacking.join(" "));
    }
    let before = fs::read_to_string(&list).unwrap_or_default();
    crate::files::write(&list, &listed(&before, &lacking))
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

/// What the environment does not have yet.
fn lacking(place: &Place, purpose: Purpose) -> Vec<&'static str> {
    let has_python = place.python().exists();
    let installed = fs::read_to_string(list(&place.environment())).unwrap_or_default();
    let there = |package: &str| has_python && installed.lines().any(|line| line == package);
    purpose.packages().iter().copied().filter(|package| !there(package)).collect()
}

/// The list after an installation: one version of each package.
fn listed(before: &str, added: &[&str]) -> String {
    let name = |package: &str| package.split('=').next().unwrap_or_default().to_owned();
    let kept = before.lines().filter(|line| added.iter().all(|package| name(package) != name(line)));
    kept.chain(added.iter().copied()).collect::<Vec<_>>().join("\n")
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
    fn every_version_is_fixed() {
        for purpose in [Purpose::Run, Purpose::Open, Purpose::Page] {
            assert!(purpose.packages().iter().all(|package| package.contains("==")), "{purpose:?}");
        }
    }

    #[test]
    fn what_one_purpose_installed_stays_beside_anothers_and_an_old_version_goes() {
        assert_eq!(listed("", &["a==1", "b==2"]), "a==1\nb==2");
        assert_eq!(listed("a==1\nb==2", &["c==3"]), "a==1\nb==2\nc==3");
        assert_eq!(listed("ab==1\na==1", &["a==2"]), "ab==1\na==2");
    }
}
