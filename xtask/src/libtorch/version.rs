//! Which version a libtorch folder is, read from its files, and whether it is the one that `tch` binds.

use super::TORCH_VERSION;
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;

/// Where `TORCH_VERSION` is defined, newest torch first.
const HEADERS: [&str; 3] =
    ["include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h", "include/torch/version.h"];

/// The version of the libtorch in `home`, such as `2.11.0+cpu`: from the archive's `build-version`, a Python package's
/// `version.py`, or the headers; `None` where none of them says.
pub(super) fn of(home: &Path) -> Option<String> {
    let read = |name: &str| fs::read_to_string(home.join(name)).ok();
    let archive = || read("build-version").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let python = || quoted_after(&read("version.py")?, "__version__ =");
    let header = |name: &&str| quoted_after(&read(name)?, "#define TORCH_VERSION ");
    archive().or_else(python).or_else(|| HEADERS.iter().find_map(header))
}

/// Holds a libtorch that the user chose to the version that `tch` binds, unless `bypass`.
pub(super) fn check(version: Option<&str>, whence: &str, bypass: bool) -> Result<()> {
    if bypass || version.is_some_and(|version| version.split('+').next() == Some(TORCH_VERSION)) {
        return Ok(());
    }
    let found = version.unwrap_or("of unknown version");
    bail!(
        "{whence} is libtorch {found}, but tch binds {TORCH_VERSION}: unset the variable and xtask installs the right \
         one, or set LIBTORCH_BYPASS_VERSION_CHECK=1 to go on at your own risk"
    )
}

/// The first string literal after `key`, across an escaped line end.
fn quoted_after(text: &str, key: &str) -> Option<String> {
    let rest = &text[text.find(key)? + key.len()..];
    let rest = rest.trim_start_matches([' ', '\t', '\\', '\r', '\n']);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split_once(quote).map(|(version, _)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, text: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        home
    }

    #[test]
    fn each_place_that_tells_the_version_is_read() {
        let header = "#define TORCH_VERSION_MAJOR 2\n/// text\n#define TORCH_VERSION \\\n  \"2.11.0\"\n";
        for (name, text, expected) in [
            ("build-version", "2.11.0+cpu\n", "2.11.0+cpu"),
            ("version.py", "debug = False\n__version__ = '2.11.0+cu130'\n", "2.11.0+cu130"),
            ("include/torch/headeronly/version.h", header, "2.11.0"),
            ("include/torch/csrc/api/include/torch/version.h", header, "2.11.0"),
        ] {
            assert_eq!(of(folder(name, text).path()).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(of(folder("build-version", "\n").path()), None);
        assert_eq!(of(folder("include/torch/version.h", "#include <torch/headeronly/version.h>").path()), None);
    }

    #[test]
    fn another_version_is_refused_unless_bypassed() {
        assert!(check(Some("2.11.0+cu130"), "LIBTORCH=/t", false).is_ok());
        for wrong in [Some("2.9.0+cpu"), Some("2.11.01"), None] {
            let error = check(wrong, "LIBTORCH=/t", false).unwrap_err().to_string();
            assert!(error.contains("LIBTORCH=/t") && error.contains("2.11.0"), "{error}");
            assert!(check(wrong, "LIBTORCH=/t", true).is_ok());
        }
    }
}
