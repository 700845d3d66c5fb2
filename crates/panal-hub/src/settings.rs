//! Where the cache and the mirror are: from the environment, or as a caller says. Fetches nothing.

use std::env;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::error::HubError;

/// A second place that has files under their [names](crate::Entry::file), asked before the official address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A folder that holds the files.
    Folder(PathBuf),
    /// An address that a file's name is appended to.
    Url(String),
}

impl Mirror {
    /// Reads what `PANAL_MIRROR` may hold: a folder, a `file://` address of one, or an `http(s)://` address.
    ///
    /// # Errors
    /// [`HubError::Setting`] for another scheme.
    pub fn parse(text: &str) -> Result<Mirror, HubError> {
        match text.split_once("://") {
            Some(("http" | "https", _)) => Ok(Mirror::Url(text.trim_end_matches('/').into())),
            Some(("file", path)) => Ok(Mirror::Folder(path.into())),
            Some((scheme, _)) => Err(HubError::Setting {
                variable: MIRROR,
                value: text.into(),
                reason: format!("`{scheme}` is not served; give a folder or an address with https, http or file"),
            }),
            None => Ok(Mirror::Folder(text.into())),
        }
    }
}

pub(crate) const MIRROR: &str = "PANAL_MIRROR";
const CACHE: &str = "PANAL_CACHE";
const OFFLINE: &str = "PANAL_OFFLINE";

/// The cache folder: `PANAL_CACHE`, else `panal` in the platform's folder for caches. It need not exist.
///
/// # Errors
/// [`HubError::NoCacheFolder`] where there is neither.
pub fn cache_dir() -> Result<PathBuf, HubError> {
    match env::var_os(CACHE).filter(|path| !path.is_empty()) {
        Some(path) => Ok(path.into()),
        None => {
            let platform = etcetera::choose_base_strategy().map_err(|_| HubError::NoCacheFolder)?;
            Ok(platform.cache_dir().join("panal"))
        }
    }
}

/// `PANAL_MIRROR`.
pub(crate) fn mirror() -> Result<Option<Mirror>, HubError> {
    match env::var_os(MIRROR).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match text.to_str() {
            Some(text) => Mirror::parse(text).map(Some),
            None => Ok(Some(Mirror::Folder(text.into()))),
        },
    }
}

/// `PANAL_OFFLINE`: whether no server may be asked.
pub(crate) fn offline() -> Result<bool, HubError> {
    let value = env::var_os(OFFLINE).unwrap_or_default().to_string_lossy().to_lowercase();
    switch(&value).ok_or_else(|| HubError::Setting {
        variable: OFFLINE,
        value,
        reason: "give 1 (ask no server) or 0 (ask them)".into(),
    })
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_folder_or_an_address() {
        assert_eq!(Mirror::parse("../mirror").unwrap(), Mirror::Folder("../mirror".into()));
        assert_eq!(Mirror::parse("file:///srv/mirror").unwrap(), Mirror::Folder("/srv/mirror".into()));
        assert_eq!(Mirror::parse("http://host/m/").unwrap(), Mirror::Url("http://host/m".into()));
        let error = Mirror::parse("ftp://host/m").unwrap_err().to_string();
        assert!(error.starts_with("PANAL_MIRROR is `ftp://host/m`: `ftp` is not served"), "{error}");
    }

    #[test]
    fn offline_is_a_switch() {
        assert_eq!(
            [switch("1"), switch(""), switch("off"), switch("maybe")],
            [Some(true), Some(false), Some(false), None]
        );
    }
}
