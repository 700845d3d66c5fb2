//! Looking for a libtorch that is there already: what the user set, then the cache. Nothing is installed here.

use super::{Flavour, Libtorch, Origin, TORCH_VERSION, cache, install, version};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ASK_PYTHON: &str = "import os, torch; print(torch.__version__); print(os.path.dirname(torch.__file__))";

/// The libtorch that the user chose by `LIBTORCH_USE_PYTORCH` or `LIBTORCH` (in torch-sys's order), its version checked.
///
/// # Errors
/// A variable that leads to no libtorch, or to one of another version.
pub(crate) fn given(var: impl Fn(&str) -> Option<OsString>) -> Result<Option<Libtorch>> {
    let bypass = var("LIBTORCH_BYPASS_VERSION_CHECK").is_some();
    if var("LIBTORCH_USE_PYTORCH").is_some() {
        // The interpreter that torch-sys's build script takes.
        let python = if var("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
        return from_python(python, bypass).map(Some);
    }
    match var("LIBTORCH").filter(|value| !value.is_empty()) {
        Some(home) => from_folder(Path::new(&home), var("LIBTORCH_LIB"), bypass).map(Some),
        None => Ok(None),
    }
}

/// The complete installation of that flavour in the cache, if there is one.
pub(crate) fn cached(flavour: Flavour) -> Result<Option<Libtorch>> {
    Ok(install::installed(&cache()?.join(format!("{TORCH_VERSION}-{flavour}")), flavour))
}

/// The flavour that the user chose in an earlier `setup --cpu` or `--cuda`.
pub(crate) fn chosen() -> Result<Option<Flavour>> {
    let text = fs::read_to_string(cache()?.join("chosen")).unwrap_or_default();
    Ok([Flavour::Cpu, Flavour::Cuda].into_iter().find(|flavour| text.trim() == flavour.to_string()))
}

/// Keeps the user's choice for later commands; `None` forgets it.
pub(crate) fn remember(flavour: Option<Flavour>) -> Result<()> {
    let cache = cache()?;
    let file = cache.join("chosen");
    match flavour {
        Some(flavour) => fs::create_dir_all(&cache).and_then(|()| fs::write(&file, format!("{flavour}\n"))),
        None if file.exists() => fs::remove_file(&file),
        None => Ok(()),
    }
    .with_context(|| format!("cannot write {}", file.display()))
}

fn from_folder(home: &Path, lib: Option<OsString>, bypass: bool) -> Result<Libtorch> {
    let whence = format!("LIBTORCH={}", home.display());
    // torch-sys's build script runs in a folder of its own, where a relative path would mean something else.
    let home = std::path::absolute(home).with_context(|| whence.clone())?;
    let lib = lib.map_or_else(|| Ok(home.clone()), std::path::absolute)?.join("lib");
    ensure!(
        ["libtorch_cpu.so", "libtorch_cpu.dylib", "libtorch.a"].iter().any(|name| lib.join(name).exists()),
        "{whence} has no {}/libtorch_cpu: it must be the folder that holds lib/ and include/; unset it, and xtask \
         installs libtorch {TORCH_VERSION} in its cache",
        lib.display()
    );
    let found = version::of(&home);
    version::check(found.as_deref(), &whence, bypass)?;
    Ok(Libtorch { home, lib, version: found.unwrap_or_else(|| "?".into()), origin: Origin::Libtorch })
}

fn from_python(python: &str, bypass: bool) -> Result<Libtorch> {
    let whence = format!("LIBTORCH_USE_PYTORCH: the torch of {python}");
    let remedy = format!("install torch=={TORCH_VERSION} in it, or unset the variable and xtask installs libtorch");
    let output = Command::new(python)
        .args(["-c", ASK_PYTHON])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("LIBTORCH_USE_PYTORCH is set but {python} can't be started: {remedy}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let (Some(found), Some(home), true) = (lines.next(), lines.next(), output.status.success()) else {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{whence} can't be imported ({}): {remedy}", why.lines().last().unwrap_or("it said nothing"));
    };
    version::check(Some(found), &whence, bypass)?;
    let home = PathBuf::from(home);
    Ok(Libtorch { lib: home.join("lib"), home, version: found.to_owned(), origin: Origin::Pytorch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(version: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("lib")).unwrap();
        fs::write(home.path().join("lib/libtorch_cpu.so"), "").unwrap();
        fs::write(home.path().join("build-version"), version).unwrap();
        home
    }

    fn given_with(vars: &[(&str, &Path)]) -> Result<Option<Libtorch>> {
        given(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned()))
    }

    #[test]
    fn nothing_set_finds_nothing() {
        assert_eq!(given_with(&[]).unwrap(), None);
        assert_eq!(given_with(&[("LIBTORCH", Path::new(""))]).unwrap(), None);
    }

    #[test]
    fn the_right_version_is_taken_and_another_refused() {
        let right = folder("2.11.0+cu130\n");
        let found = given_with(&[("LIBTORCH", right.path())]).unwrap().unwrap();
        assert_eq!((found.home.as_path(), found.version.as_str()), (right.path(), "2.11.0+cu130"));
        assert_eq!(found.lib, right.path().join("lib"));

        let wrong = folder("2.10.0+cpu");
        let error = given_with(&[("LIBTORCH", wrong.path())]).unwrap_err().to_string();
        assert!(error.contains("2.10.0+cpu") && error.contains("tch binds 2.11.0"), "{error}");
        let bypassed = [("LIBTORCH", wrong.path()), ("LIBTORCH_BYPASS_VERSION_CHECK", Path::new("1"))];
        assert_eq!(given_with(&bypassed).unwrap().unwrap().version, "2.10.0+cpu");
    }

    #[test]
    fn a_folder_without_the_libraries_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        let error = given_with(&[("LIBTORCH", empty.path())]).unwrap_err().to_string();
        assert!(error.contains("holds lib/ and include/"), "{error}");
    }

    #[test]
    fn the_libraries_may_lie_elsewhere() {
        let (headers, libraries) = (tempfile::tempdir().unwrap(), folder("ignored"));
        fs::write(headers.path().join("build-version"), "2.11.0").unwrap();
        let vars = [("LIBTORCH", headers.path()), ("LIBTORCH_LIB", libraries.path())];
        assert_eq!(given_with(&vars).unwrap().unwrap().lib, libraries.path().join("lib"));
    }
}
