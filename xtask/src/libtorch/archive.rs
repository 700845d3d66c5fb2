//! libtorch from PyTorch's own archives, where there is no pip.

use super::{Flavour, TORCH_VERSION, layout};
use crate::progress::Bar;
use anyhow::{Result, bail};
use panal_hub::Expect;
use std::fs;
use std::path::Path;

/// Where the archives lie; `PANAL_LIBTORCH_URL` names another place with the same names in it.
const OFFICIAL: &str = "https://download.pytorch.org/libtorch";

/// Downloads the archive into `downloads` and unpacks what libtorch needs of it into `fresh`; gives its URL.
pub(super) fn fetch(flavour: Flavour, downloads: &Path, fresh: &Path, note: &dyn Fn(&str)) -> Result<String> {
    let base = std::env::var("PANAL_LIBTORCH_URL").unwrap_or_else(|_| OFFICIAL.to_owned());
    let url = url(base.trim_end_matches('/'), flavour, std::env::consts::OS, std::env::consts::ARCH)?;
    note(&format!("downloading {url}"));
    let zip = downloads.join("libtorch.zip");
    panal_hub::download(&url, &zip, &Expect::default(), &Bar::new())?;
    let bytes = layout::unpack(&zip, fresh, |entry| layout::of_archive(flavour, entry))?;
    fs::remove_file(zip)?;
    note(&format!("unpacked {:.1} GB", bytes as f64 / 1e9));
    Ok(url)
}

fn url(base: &str, flavour: Flavour, os: &str, arch: &str) -> Result<String> {
    match (os, arch, flavour) {
        ("linux", "x86_64", _) => {
            let kind = if flavour == Flavour::Cuda { "cu130" } else { "cpu" };
            Ok(format!("{base}/{kind}/libtorch-shared-with-deps-{TORCH_VERSION}%2B{kind}.zip"))
        }
        ("macos", "aarch64", Flavour::Cpu) => Ok(format!("{base}/cpu/libtorch-macos-arm64-{TORCH_VERSION}.zip")),
        _ => bail!(
            "PyTorch has no libtorch {TORCH_VERSION} archive ({flavour}) for {os} on {arch}: install pip, or set \
             LIBTORCH to a libtorch of your own"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_are_the_official_ones() {
        let cpu = "u/cpu/libtorch-shared-with-deps-2.11.0%2Bcpu.zip";
        assert_eq!(url("u", Flavour::Cpu, "linux", "x86_64").unwrap(), cpu);
        let cuda = "u/cu130/libtorch-shared-with-deps-2.11.0%2Bcu130.zip";
        assert_eq!(url("u", Flavour::Cuda, "linux", "x86_64").unwrap(), cuda);
        let mac = "u/cpu/libtorch-macos-arm64-2.11.0.zip";
        assert_eq!(url("u", Flavour::Cpu, "macos", "aarch64").unwrap(), mac);
        assert!(url("u", Flavour::Cpu, "linux", "aarch64").unwrap_err().to_string().contains("install pip"));
    }
}
