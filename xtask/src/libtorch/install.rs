//! One installation in the cache: begun in a folder of its own, moved into place when whole, one at a time.
//! What is fetched and from where is `pip`'s and `archive`'s.

use super::{Flavour, Libtorch, Origin, TORCH_VERSION, archive, cache, pip};
use crate::progress::Bar;
use anyhow::{Context, Result, bail, ensure};
use panal_hub::Lock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Written last; an installation without it, or whose libraries are not as it says, is none.
const RECORD: &str = "installed.json";

/// What was installed.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    version: String,
    source: String,
    /// Bytes of each file in `lib/`, links followed.
    libraries: BTreeMap<String, u64>,
}

/// The installation in `folder`, where it is whole.
pub(super) fn installed(folder: &Path, flavour: Flavour) -> Option<Libtorch> {
    let record: Record = serde_json::from_str(&fs::read_to_string(folder.join(RECORD)).ok()?).ok()?;
    let home = flavour.home(folder);
    let lib = home.join("lib");
    let whole = home.join("include").is_dir() && sizes(&lib).is_ok_and(|found| found == record.libraries);
    whole.then_some(Libtorch { home, lib, version: record.version, origin: Origin::Cache })
}

/// Installs libtorch in the cache, unless another process has just done so while we waited; `force` replaces what is
/// there. `note` is told what happens.
pub(crate) fn install(flavour: Flavour, force: bool, note: &dyn Fn(&str)) -> Result<Libtorch> {
    let cache = cache()?;
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot create {}; PANAL_CACHE names another place", cache.display()))?;
    let folder = cache.join(format!("{TORCH_VERSION}-{flavour}"));
    let _lock = Lock::acquire(&cache.join(format!(".{flavour}.lock")), &Bar::new())?;
    if let Some(found) = installed(&folder, flavour).filter(|_| !force) {
        return Ok(found);
    }
    let prefix = format!(".partial-{flavour}-");
    sweep(&cache, &prefix)?;

    let partial = tempfile::Builder::new().prefix(&prefix).tempdir_in(&cache)?;
    let fresh = partial.path().join("fresh");
    fs::create_dir(&fresh)?;
    let source = fetch(flavour, &partial.path().join("downloads"), &fresh, note)?;
    complete(&fresh, flavour, source)?;
    if folder.exists() {
        fs::rename(&folder, partial.path().join("old"))?;
    }
    fs::rename(&fresh, &folder)?;
    installed(&folder, flavour).with_context(|| format!("{} is not whole after its installation", folder.display()))
}

/// Removes what installations that were cut off have left; the lock says that none of them still runs.
fn sweep(cache: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path())
                .with_context(|| format!("cannot remove the left-over {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Brings libtorch into `fresh` by pip, else from the official archive; says which it was.
fn fetch(flavour: Flavour, downloads: &Path, fresh: &Path, note: &dyn Fn(&str)) -> Result<String> {
    let pip_failed = match pip::find() {
        Some(pip) => match pip.fetch(flavour, downloads, fresh, note) {
            Ok(()) => return Ok(format!("{pip}")),
            Err(error) => Some(error),
        },
        None => None,
    };
    match &pip_failed {
        Some(error) => note(&format!("pip did not do it ({error:#}); trying the official archive")),
        None => note("no pip here: taking the official archive"),
    }
    // Whatever pip left half done.
    for folder in [downloads, fresh] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir(folder)?;
    }
    match (archive::fetch(flavour, downloads, fresh, note), pip_failed) {
        (Ok(url), _) => Ok(url),
        (Err(error), None) => Err(error.context("neither pip nor the official archive gave libtorch; there is no pip")),
        (Err(error), Some(pip)) => bail!("neither pip nor the official archive gave libtorch; {pip:#}; {error:#}"),
    }
}

/// Adds what the unpacked files lack to be an installation, and checks that it is one.
fn complete(fresh: &Path, flavour: Flavour, source: String) -> Result<()> {
    let home = flavour.home(fresh);
    let lib = home.join("lib");
    let (cpu, all) = (lib.join("libtorch_cpu.so"), lib.join("libtorch.so"));
    if cpu.exists() && !all.exists() {
        // The wheel's own libtorch.so needs the CUDA libraries; it holds nothing, and the linker only wants the name.
        std::os::unix::fs::symlink("libtorch_cpu.so", all)?;
    }
    ensure!(
        home.join("include").is_dir() && (cpu.exists() || lib.join("libtorch_cpu.dylib").exists()),
        "{source} held no libtorch"
    );
    if flavour == Flavour::Cuda {
        let cuda = lib.join("libtorch_cuda.so");
        ensure!(cuda.exists(), "{source} held a libtorch without CUDA; `cargo xtask setup --cpu` installs that one");
        ensure_loadable(&cuda)?;
    }
    ensure_loadable(&cpu)?;
    let version = format!("{TORCH_VERSION}+{flavour}");
    fs::write(home.join("build-version"), format!("{version}\n"))?;
    let record = Record { version, source, libraries: sizes(&lib)? };
    fs::write(fresh.join(RECORD), serde_json::to_string_pretty(&record)?)?;
    Ok(())
}

/// Asks the loader (`ldd`, where there is one) whether everything that a library names can be found.
fn ensure_loadable(library: &Path) -> Result<()> {
    let said = crate::process::ask("ldd", &[&library.to_string_lossy()]).unwrap_or_default();
    let absent: Vec<&str> = said.lines().filter(|line| line.contains("not found")).map(str::trim).collect();
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    ensure!(absent.is_empty(), "{name} cannot be loaded on this system: {}", absent.join("; "));
    Ok(())
}

/// The size of each file in a folder.
fn sizes(lib: &Path) -> Result<BTreeMap<String, u64>> {
    let entries = fs::read_dir(lib).with_context(|| format!("cannot read {}", lib.display()))?;
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), fs::metadata(entry.path())?.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(folder: &Path) {
        for name in ["lib/libtorch_cpu.so", "include/torch.h"] {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), "content").unwrap();
        }
        complete(folder, Flavour::Cpu, "a test".into()).unwrap();
    }

    #[test]
    fn a_whole_installation_is_found_and_tells_torch_sys_its_version() {
        let folder = tempfile::tempdir().unwrap();
        whole(folder.path());
        let found = installed(folder.path(), Flavour::Cpu).unwrap();
        assert_eq!((found.home.as_path(), found.version.as_str()), (folder.path(), "2.11.0+cpu"));
        assert_eq!(fs::read_to_string(folder.path().join("build-version")).unwrap(), "2.11.0+cpu\n");
        assert_eq!(fs::read_link(folder.path().join("lib/libtorch.so")).unwrap(), Path::new("libtorch_cpu.so"));
    }

    #[test]
    fn a_damaged_installation_is_none() {
        type Damage = fn(&Path) -> std::io::Result<()>;
        let damages: [Damage; 5] = [
            |folder| fs::remove_file(folder.join(RECORD)),
            |folder| fs::write(folder.join(RECORD), "{\"version\": "),
            |folder| fs::write(folder.join("lib/libtorch_cpu.so"), "cut"),
            |folder| fs::remove_file(folder.join("lib/libtorch.so")),
            |folder| fs::remove_dir_all(folder.join("include")),
        ];
        for (i, damage) in damages.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            whole(folder.path());
            damage(folder.path()).unwrap();
            assert_eq!(installed(folder.path(), Flavour::Cpu), None, "damage {i}");
        }
    }

    #[test]
    fn only_left_overs_of_the_same_flavour_are_swept() {
        let cache = tempfile::tempdir().unwrap();
        for name in [".partial-cpu-a1", ".partial-cuda-b2", "2.11.0-cpu"] {
            fs::create_dir_all(cache.path().join(name).join("lib")).unwrap();
        }
        sweep(cache.path(), ".partial-cpu-").unwrap();
        let mut left: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".partial-cuda-b2", "2.11.0-cpu"]);
    }
}
