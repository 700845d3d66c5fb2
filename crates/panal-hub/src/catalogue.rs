//! What can be fetched by name: the entries, read from TOML and checked once. Fetches nothing.

mod read;

use std::fmt;

use crate::error::HubError;
use crate::manifest::Manifest;
use crate::unpack::Limits;
use read::{RawFile, Wrong};

/// The catalogue's files, compiled in. Each is a link into `data/catalogue/` at the root of the repository.
const BUILTIN: [(&str, &str); 2] = [
    ("datasets.toml", include_str!("../catalogue/datasets.toml")),
    ("weights.toml", include_str!("../catalogue/weights.toml")),
];
const MANIFESTS: [(&str, &str); 4] = [
    ("hymenoptera_data.sha256", include_str!("../catalogue/manifests/hymenoptera_data.sha256")),
    ("images_background_small1.sha256", include_str!("../catalogue/manifests/images_background_small1.sha256")),
    ("images_background_small2.sha256", include_str!("../catalogue/manifests/images_background_small2.sha256")),
    ("all_runs.sha256", include_str!("../catalogue/manifests/all_runs.sha256")),
];

/// A data set or a file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An archive of images, unpacked in the cache.
    Dataset,
    /// One file of pretrained weights.
    Weights,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Dataset => "a data set",
            Kind::Weights => "weights",
        })
    }
}

/// One thing that can be fetched.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name that users say, such as `resnet18-imagenet1k_v1`.
    pub id: String,
    /// One line on what it is.
    pub title: String,
    /// The file's name, in the cache and in a mirror.
    pub file: String,
    /// The official address; some files have none and come from a mirror only.
    pub url: Option<String>,
    /// What the file's SHA-256 starts with: all 64 hexadecimal digits, or the 8 that torchvision's file names carry.
    /// An archive has none where its [manifest](Archive::manifest) says what it must hold.
    pub sha256: Option<String>,
    /// The MD5 that an archive's publisher states, where nothing better is known: 32 hexadecimal digits. It finds a damaged file and is no
    /// protection against an attacker.
    pub md5: Option<String>,
    /// The file's exact size in bytes, where it is known for certain.
    pub bytes: Option<u64>,
    /// What is known of the terms it comes under.
    pub licence: String,
    /// Whom to cite.
    pub citation: String,
    /// Where to read more.
    pub homepage: String,
    /// What else a user should know.
    pub note: Option<String>,
    /// An entry of the same kind that takes this one's place where it is at hand and this one would have to be downloaded.
    pub instead: Option<String>,
    /// What only one kind of entry has.
    pub detail: Detail,
}

/// What only one kind of entry has.
#[derive(Debug, Clone)]
pub enum Detail {
    /// A data set's archive.
    Dataset(Archive),
    /// Of which network the weights are.
    Weights(Pretrained),
}

/// What an archive must hold and how far it may inflate.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The folder's name in the cache.
    pub root: String,
    /// Whether the files lie in a folder of that name in the archive too, and not at its top.
    pub in_root: bool,
    /// How it is packed.
    pub format: Format,
    /// The files under the root; `None` where the archive is known as a whole, by [`Entry::sha256`] or [`Entry::md5`], and every
    /// file under the root is taken.
    pub manifest: Option<Manifest>,
    /// How much the archive may hold.
    pub limits: Limits,
}

/// How an archive is packed; its file's name ends so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.zip`.
    Zip,
    /// `.tar.gz`.
    TarGz,
}

/// Of which network weights are.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// torchvision's function name, such as `resnet18`. What that means is not the hub's business.
    pub arch: String,
    /// Whether torchvision calls this member `DEFAULT`.
    pub default: bool,
    /// How many parameters the network has, where stated.
    pub parameters: Option<u64>,
    /// torchvision's figure for the file's size: MiB, rounded.
    pub listed_mib: Option<f64>,
}

impl Archive {
    /// The path under the root of what is called `name` in the archive, if it is to be unpacked.
    pub(crate) fn chosen<'a>(&self, name: &'a str) -> Option<&'a str> {
        let path = self.path_of(name)?;
        self.manifest.as_ref().is_none_or(|manifest| manifest.get(path).is_some()).then_some(path)
    }

    /// What the file at `path` under the root is called in the archive.
    pub(crate) fn name_of(&self, path: &str) -> String {
        if self.in_root { format!("{}/{path}", self.root) } else { path.to_owned() }
    }

    /// The path under the root of what is called `name` in the archive, if it is there at all.
    fn path_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.in_root { name.strip_prefix(&self.root)?.strip_prefix('/') } else { Some(name) }
    }
}

impl Entry {
    /// A data set or weights.
    pub fn kind(&self) -> Kind {
        match self.detail {
            Detail::Dataset(_) => Kind::Dataset,
            Detail::Weights(_) => Kind::Weights,
        }
    }

    /// About how many bytes a download is; exact where [`Entry::bytes`] is known.
    pub fn about_bytes(&self) -> Option<u64> {
        self.bytes.or(match &self.detail {
            Detail::Dataset(_) => None,
            Detail::Weights(w) => w.listed_mib.map(|mib| (mib * MIB) as u64),
        })
    }

    /// No honest server sends more than this.
    pub(crate) fn at_most_bytes(&self) -> Option<u64> {
        self.bytes.or(match &self.detail {
            Detail::Dataset(archive) => Some(archive.limits.max_bytes),
            Detail::Weights(w) => w.listed_mib.map(|mib| ((mib * 1.01 + 1.0) * MIB) as u64),
        })
    }
}

const MIB: f64 = 1_048_576.0;

/// All that can be fetched by name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

impl Catalogue {
    /// The catalogue that is compiled in, from `data/catalogue/`.
    ///
    /// # Errors
    /// Only where those files are wrong, which the tests exclude.
    pub fn builtin() -> Result<Catalogue, HubError> {
        let mut catalogue = Catalogue::default();
        for (file, text) in BUILTIN {
            catalogue.add(file, text, &MANIFESTS)?;
        }
        Ok(catalogue)
    }

    /// Reads one catalogue file. `manifests` are the texts of the manifests that it names.
    ///
    /// # Errors
    /// [`HubError::Catalogue`] names `file` and what is wrong in it; [`HubError::Manifest`].
    pub fn parse(file: &str, text: &str, manifests: &[(&str, &str)]) -> Result<Catalogue, HubError> {
        let mut catalogue = Catalogue::default();
        catalogue.add(file, text, manifests)?;
        Ok(catalogue)
    }

    /// Every entry, in the files' order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The data sets.
    pub fn datasets(&self) -> impl Iterator<Item = &Entry> {
        self.entries().filter(|e| e.kind() == Kind::Dataset)
    }

    /// The files of weights.
    pub fn weights(&self) -> impl Iterator<Item = &Entry> {
        self.entries().filter(|e| e.kind() == Kind::Weights)
    }

    /// The entry with this id.
    ///
    /// # Errors
    /// [`HubError::Unknown`] with the nearest id.
    pub fn find(&self, id: &str) -> Result<&Entry, HubError> {
        self.lookup("entry", id, self.entries())
    }

    /// The data set with this id, and its archive.
    ///
    /// # Errors
    /// [`HubError::Unknown`] with the nearest data set; [`HubError::WrongKind`] for weights.
    pub fn find_dataset(&self, id: &str) -> Result<(&Entry, &Archive), HubError> {
        let entry = self.find(id).or_else(|_| self.lookup("data set", id, self.datasets()))?;
        match &entry.detail {
            Detail::Dataset(archive) => Ok((entry, archive)),
            Detail::Weights(_) => Err(wrong_kind(entry, Kind::Dataset)),
        }
    }

    /// The weights with this id.
    ///
    /// # Errors
    /// [`HubError::Unknown`] with the nearest weights; [`HubError::WrongKind`] for a data set.
    pub fn find_weights(&self, id: &str) -> Result<(&Entry, &Pretrained), HubError> {
        let entry = self.find(id).or_else(|_| self.lookup("weights", id, self.weights()))?;
        match &entry.detail {
            Detail::Weights(pretrained) => Ok((entry, pretrained)),
            Detail::Dataset(_) => Err(wrong_kind(entry, Kind::Weights)),
        }
    }

    fn lookup<'a>(
        &self,
        what: &'static str,
        id: &str,
        mut entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<&'a Entry, HubError>
    where
        Self: 'a,
    {
        let mut names = Vec::new();
        entries
            .find(|e| {
                names.push(e.id.as_str());
                e.id == id
            })
            .ok_or_else(|| HubError::Unknown { what, name: id.into(), suggestion: nearest(id, names) })
    }

    fn add(&mut self, file: &str, text: &str, manifests: &[(&str, &str)]) -> Result<(), HubError> {
        let wrong = |reason: String| HubError::Catalogue { file: file.into(), reason };
        let raw: RawFile = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let datasets = raw.dataset.into_iter().map(|e| (Kind::Dataset, e));
        let weights = raw.weights.into_iter().map(|e| (Kind::Weights, e));
        for (kind, entry) in datasets.chain(weights) {
            let id = entry.id.clone();
            if self.entries.iter().any(|e| e.id == id) {
                return Err(wrong(format!("the id `{id}` stands here twice")));
            }
            let entry = entry.check(kind, &raw.licences, &raw.citations, manifests).map_err(|error| match error {
                Wrong::Field(field, reason) => wrong(format!("`{id}`: {field} {reason}")),
                Wrong::Manifest(error) => error,
            })?;
            self.entries.push(entry);
        }
        for entry in &self.entries {
            let known =
                |id: &String| self.entries.iter().any(|e| e.id == *id && e.id != entry.id && e.kind() == entry.kind());
            if let Some(id) = entry.instead.as_ref().filter(|id| !known(id)) {
                return Err(wrong(format!("`{}`: instead `{id}` is no other entry of the same kind", entry.id)));
            }
        }
        Ok(())
    }
}

/// The name of `names` that `name` is a slip of, if any.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let starts = |candidate: &str| !name.is_empty() && candidate.starts_with(name);
    names
        .into_iter()
        .map(|n| (if starts(n) { 0 } else { strsim::damerau_levenshtein(name, n) }, n))
        .filter(|(distance, n)| *distance <= 1 + n.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, n)| n.to_owned())
}

fn wrong_kind(entry: &Entry, wanted: Kind) -> HubError {
    HubError::WrongKind { id: entry.id.clone(), is: entry.kind(), wanted }
}
