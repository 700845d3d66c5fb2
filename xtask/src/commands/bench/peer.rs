//! What the peers need: their scripts, a Python with PyTorch, the data and the weights. It is not run here.

use crate::libtorch::TORCH_VERSION;
use crate::progress::Bar;
use crate::{venv, workspace};
use anyhow::{Context, Result, bail};
use panal_hub::{Detail, Entry, Hub};
use std::path::{Path, PathBuf};

/// What the peers' scripts import, torch itself left out.
const PACKAGES: [&str; 6] =
    ["torchvision==0.26.0", "numpy", "pillow", "safetensors", "scikit-learn", "nvidia-dali-cuda130==2.4.0"];

/// The folder of the peers' scripts that are kept here.
pub(super) fn ours() -> PathBuf {
    workspace::root().join("xtask/peers")
}

/// The folder of `lab.py` and `pipeline.py`: the one that was given, else that of ours.
pub(super) fn folder(given: Option<&Path>) -> Result<PathBuf> {
    let Some(given) = given else { return Ok(ours()) };
    match ["lab.py", "pipeline.py"].into_iter().find(|script| !given.join(script).is_file()) {
        None => Ok(std::path::absolute(given)?),
        Some(missing) => {
            bail!("there is no {}: --peer must be the folder of the peer's scripts", given.join(missing).display())
        }
    }
}

/// The Python that was given, else one of our own in the cache with the peer's packages.
pub(super) fn python(given: Option<&Path>, note: &dyn Fn(&str)) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let torch = format!("torch=={TORCH_VERSION}");
    let packages: Vec<&str> = [torch.as_str()].into_iter().chain(PACKAGES).collect();
    venv::python(&format!("peers-2-torch-{TORCH_VERSION}"), &packages, || {
        note("installing torch, torchvision, scikit-learn and DALI for it: some GB, some minutes");
    })
    .context("the peer needs a python3 with venv; or give one that has torch with --python")
}

/// The unpacked photographs: the folder that was given, else the hub's.
pub(super) fn data(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None => Ok(Hub::from_env()?.dataset("hymenoptera_data", &Bar::new())?.path),
    }
}

/// The weights that both start from: the file that was given, else the hub's safetensors file, which the peer can read.
pub(super) fn weights(given: Option<&Path>, arch: &str) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let hub = Hub::from_env()?;
    let fits = |entry: &&Entry| {
        matches!(&entry.detail, Detail::Weights(of) if of.arch == arch) && entry.file.ends_with(".safetensors")
    };
    let entry = hub.catalogue().weights().find(fits);
    let entry = entry.with_context(|| format!("the hub has no safetensors file of {arch}: name one with --weights"))?;
    Ok(hub.weights(&entry.id, &Bar::new())?.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_ours_unless_a_folder_of_others_is_given() {
        assert!(["lab.py", "pipeline.py"].iter().all(|script| folder(None).unwrap().join(script).is_file()));
        let others = tempfile::tempdir().unwrap();
        std::fs::write(others.path().join("lab.py"), "").unwrap();
        let missing = folder(Some(others.path())).unwrap_err().to_string();
        assert!(missing.contains("pipeline.py") && missing.contains("--peer"), "{missing}");
        std::fs::write(others.path().join("pipeline.py"), "").unwrap();
        assert_eq!(folder(Some(others.path())).unwrap(), std::path::absolute(others.path()).unwrap());
    }
}
