//! A catalogue file as it stands in TOML, and the checks that make entries of it. Finds and fetches nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Archive, Detail, Entry, Format, Kind, Pretrained};
use crate::error::HubError;
use crate::manifest::{Manifest, is_hex};
use crate::unpack::{Limits, check_name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) licences: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) citations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) dataset: Vec<RawEntry>,
    #[serde(default)]
    pub(super) weights: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntry {
    pub(super) id: String,
    title: String,
    file: String,
    url: Option<String>,
    sha256: Option<String>,
    sha256_prefix: Option<String>,
    md5: Option<String>,
    bytes: Option<u64>,
    licence: String,
    citation: String,
    homepage: String,
    note: Option<String>,
    instead: Option<String>,
    archive: Option<RawArchive>,
    arch: Option<String>,
    #[serde(default)]
    default: bool,
    parameters: Option<u64>,
    listed_mib: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArchive {
    root: Option<String>,
    manifest: Option<String>,
    max_bytes: u64,
    max_entries: usize,
}

/// What is wrong in an entry.
pub(super) enum Wrong {
    Field(&'static str, String),
    Manifest(HubError),
}

impl RawEntry {
    pub(super) fn check(
        self,
        kind: Kind,
        licences: &BTreeMap<String, String>,
        citations: &BTreeMap<String, String>,
        manifests: &[(&str, &str)],
    ) -> Result<Entry, Wrong> {
        let field = |name, reason: String| Wrong::Field(name, reason);
        check_plain("id", &self.id)?;
        check_plain("file", &self.file)?;
        if let Some(url) = &self.url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(field("url", format!("must start with https:// or http://, got `{url}`")));
        }
        if self.bytes == Some(0) {
            return Err(field("bytes", "must be > 0; leave it out where it is not known".into()));
        }
        let licence = licences.get(&self.licence);
        let citation = citations.get(&self.citation);
        let detail = match (kind, self.archive, self.arch) {
            (Kind::Dataset, Some(archive), None) => Detail::Dataset(archive.check(&self.id, &self.file, manifests)?),
            (Kind::Weights, None, Some(arch)) => Detail::Weights(Pretrained {
                arch,
                default: self.default,
                parameters: self.parameters,
                listed_mib: self.listed_mib,
            }),
            (Kind::Dataset, ..) => return Err(field("archive", "is needed in a data set, and no `arch`".into())),
            (Kind::Weights, ..) => return Err(field("arch", "is needed in weights, and no `archive`".into())),
        };
        let sha256 = check_digest(self.sha256, self.sha256_prefix)?;
        let md5 = check_md5(self.md5)?;
        match &detail {
            Detail::Weights(_) if md5.is_some() => {
                return Err(field("md5", "serves data sets only; weights need `sha256` or `sha256_prefix`".into()));
            }
            Detail::Weights(_) if sha256.is_none() => {
                return Err(field("sha256", "or `sha256_prefix` is needed, or nothing could be verified".into()));
            }
            Detail::Dataset(archive) => check_one_proof(archive, sha256.as_deref(), md5.as_deref())?,
            Detail::Weights(_) => {}
        }
        Ok(Entry {
            licence: licence
                .ok_or_else(|| field("licence", format!("`{}` is not under [licences]", self.licence)))?
                .clone(),
            citation: citation
                .ok_or_else(|| field("citation", format!("`{}` is not under [citations]", self.citation)))?
                .clone(),
            id: self.id,
            title: self.title,
            file: self.file,
            url: self.url,
            sha256,
            md5,
            bytes: self.bytes,
            homepage: self.homepage,
            note: self.note,
            instead: self.instead,
            detail,
        })
    }
}

impl RawArchive {
    fn check(self, id: &str, file: &str, manifests: &[(&str, &str)]) -> Result<Archive, Wrong> {
        let format = match file {
            _ if file.ends_with(".zip") => Format::Zip,
            _ if file.ends_with(".tar.gz") => Format::TarGz,
            _ => return Err(Wrong::Field("file", format!("must end in .zip or .tar.gz, got `{file}`"))),
        };
        let in_root = self.root.is_some();
        let root = self.root.unwrap_or_else(|| id.to_owned());
        check_plain("archive.root", &root)?;
        let manifest = self.manifest.map(|name| read_manifest(&name, manifests)).transpose()?;
        let files = manifest.as_ref().map_or(0, Manifest::len);
        if files > self.max_entries {
            let reason = format!("must be at least the manifest's {files} files, got {}", self.max_entries);
            return Err(Wrong::Field("archive.max_entries", reason));
        }
        let limits = Limits { max_bytes: self.max_bytes, max_entries: self.max_entries };
        Ok(Archive { root, in_root, format, manifest, limits })
    }
}

fn read_manifest(name: &str, manifests: &[(&str, &str)]) -> Result<Manifest, Wrong> {
    let text = manifests.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let text = text.ok_or_else(|| Wrong::Field("archive.manifest", format!("`{name}` is not there")))?;
    Manifest::parse(name, text).map_err(Wrong::Manifest)
}

/// An archive is known by what it holds or as a whole, and not by both.
fn check_one_proof(archive: &Archive, sha256: Option<&str>, md5: Option<&str>) -> Result<(), Wrong> {
    let reason = match (&archive.manifest, sha256, md5) {
        (Some(_), None, None) | (None, None, Some(_)) => return Ok(()),
        (None, Some(digest), None) if digest.len() == 64 => return Ok(()),
        (None, Some(_), None) => "or a whole `sha256` is needed: eight digits are no proof of an archive",
        (None, None, None) => "or the archive's published `sha256` or `md5` is needed, or nothing could be verified",
        (None, Some(_), Some(_)) => "is not there, and `sha256` and `md5` can't both be given: the first is enough",
        (Some(_), ..) => "can't be given beside `sha256` or `md5`: a repacked archive would be refused",
    };
    Err(Wrong::Field("archive.manifest", reason.into()))
}

fn check_md5(digest: Option<String>) -> Result<Option<String>, Wrong> {
    match digest {
        Some(digest) if digest.len() != 32 || !is_hex(&digest) => {
            Err(Wrong::Field("md5", format!("must be 32 lower-case hexadecimal digits, got `{digest}`")))
        }
        other => Ok(other),
    }
}

/// One component of a path, of letters, digits, `_`, `-` and `.`.
fn check_plain(field: &'static str, name: &str) -> Result<(), Wrong> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    match check_name(name) {
        Ok(()) if plain => Ok(()),
        _ => Err(Wrong::Field(
            field,
            format!("must be of letters, digits, `_`, `-` and `.`, got `{}`", name.escape_debug()),
        )),
    }
}

fn check_digest(whole: Option<String>, prefix: Option<String>) -> Result<Option<String>, Wrong> {
    let (field, digits, digest) = match (whole, prefix) {
        (None, None) => return Ok(None),
        (Some(whole), None) => ("sha256", 64, whole),
        (None, Some(prefix)) => ("sha256_prefix", 8, prefix),
        (Some(_), Some(_)) => return Err(Wrong::Field("sha256", "and `sha256_prefix` can't both be given".into())),
    };
    if digest.len() != digits || !is_hex(&digest) {
        return Err(Wrong::Field(field, format!("must be {digits} lower-case hexadecimal digits, got `{digest}`")));
    }
    Ok(Some(digest))
}
