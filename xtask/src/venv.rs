//! Virtual environments of Python in panal's cache, made once, for what is compared with or read by Python. Panal itself needs none.

use crate::process;
use crate::progress::Bar;
use anyhow::Result;
use panal_hub::Lock;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The Python of the environment `name`, in which pip has installed these packages; `first` is called where that has yet to be done.
pub(crate) fn python(name: &str, packages: &[&str], first: impl FnOnce()) -> Result<PathBuf> {
    let cache = std::path::absolute(panal_hub::cache_dir()?)?;
    fs::create_dir_all(&cache)?;
    let _lock = Lock::acquire(&cache.join(format!(".{name}.lock")), &Bar::new())?;
    let folder = cache.join(name);
    // Written last: an installation that was cut short is begun anew.
    let (python, whole) = (folder.join("bin/python"), folder.join("whole"));
    if !whole.exists() {
        first();
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        process::run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
        fs::write(whole, "")?;
    }
    Ok(python)
}
