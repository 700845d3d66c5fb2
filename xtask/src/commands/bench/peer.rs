//! What the peer needs: its script, a Python with PyTorch, the data and the weights. It is not run here.

use crate::libtorch::{Lock, TORCH_VERSION};
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the peer's script imports, torch itself left out.
const PACKAGES: [&str; 5] = ["torchvision==0.26.0", "numpy", "pillow", "safetensors", "scikit-learn"];

/// The peer's `lab.py`: given as such, or by its folder.
pub(super) fn script(given: Option<&Path>) -> Result<PathBuf> {
    let Some(given) = given else {
        bail!("no peer to measure against: name the folder of its lab.py with --peer DIR or PANAL_PEERS");
    };
    let script = if given.is_dir() { given.join("lab.py") } else { given.to_owned() };
    match script.is_file() {
        true => Ok(std::path::absolute(script)?),
        false => {
            bail!("there is no {}: --peer must be the folder of the peer's lab.py, or that file", script.display())
        }
    }
}

/// The Python that was given, else one of our own in the cache with the peer's packages.
pub(super) fn python(given: Option<&Path>, note: &dyn Fn(&str)) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let cache = crate::hub::cache_dir()?;
    fs::create_dir_all(&cache)?;
    let _lock = Lock::take(&cache.join(".peers.lock"), "the peer's Python is being set up", note)?;
    let folder = cache.join(format!("peers-torch-{TORCH_VERSION}"));
    let (python, whole) = (folder.join("bin/python"), folder.join("whole"));
    if !whole.exists() {
        note("installing torch, torchvision and scikit-learn for it: some GB, some minutes");
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .context("the peer needs a python3 with venv; or give one that has torch with --python")?;
        let torch = format!("torch=={TORCH_VERSION}");
        let mut pip = Command::new(&python);
        process::run(pip.args(["-m", "pip", "install", "--quiet", &torch]).args(PACKAGES))?;
        fs::write(whole, "")?;
    }
    Ok(python)
}

/// The unpacked photographs.
pub(super) fn data(given: Option<&Path>) -> Result<PathBuf> {
    given.map(Path::to_owned).context("--data")
}

/// The weights.
pub(super) fn weights(given: Option<&Path>, arch: &str) -> Result<PathBuf> {
    given.map(Path::to_owned).context(arch.to_owned())
}
