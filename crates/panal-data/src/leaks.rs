//! What two data sets have in common that they should not: images, classes, groups. What to do about it is the caller's.

use std::collections::HashMap;
use std::fmt;

use rayon::prelude::*;

use crate::{DataError, DataSource};

/// What images to learn from and images to judge by have in common; see [`leaks`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaks {
    /// Every image to judge by that is also, byte for byte, one to learn from.
    pub images: Vec<SharedImage>,
    /// Every class name that stands in both.
    pub classes: Vec<SharedName>,
    /// Every group name that stands in both.
    pub groups: Vec<SharedName>,
}

/// An image of both sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedImage {
    /// The id of the first such image to learn from.
    pub train: String,
    /// Its id among those to judge by.
    pub test: String,
}

/// The name of a class or group in both sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedName {
    /// The name.
    pub name: String,
    /// How many images it has to learn from.
    pub train: usize,
    /// How many images it has to judge by.
    pub test: usize,
    /// How many of the images to judge by are images to learn from under the same name, byte for byte.
    pub same: usize,
}

impl SharedName {
    /// Whether all images are the same in both sets.
    pub fn is_identical(&self) -> bool {
        self.same == self.test && self.train == self.test
    }
}

impl Leaks {
    /// Whether the two sets have nothing in common.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.classes.is_empty() && self.groups.is_empty()
    }
}

/// One line for each group that stands in both sets, or, where there are none, each class; then the number of images.
impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "the two sets have no image, class or group in common");
        }
        let (what, names) = if self.groups.is_empty() { ("class", &self.classes) } else { ("group", &self.groups) };
        for shared in names {
            let SharedName { name, train, test, same } = shared;
            if shared.is_identical() {
                writeln!(f, "the {what} {name} is in both sets, byte for byte: {same} images")?;
            } else {
                writeln!(
                    f,
                    "the {what} {name} is in both sets: {train} and {test} images, {same} of them byte for byte the same"
                )?;
            }
        }
        write!(f, "{} of the images to judge by are also images to learn from", self.images.len())
    }
}

/// Compares images to learn from (`train`) with images to judge by (`test`): their contents, and the names of their classes
/// and groups. For few-shot learning nothing may be in common; where the classes are meant to be the same, as in ordinary
/// classification, no image may.
///
/// Classes without images, which a [`Subset`](crate::Subset) may have, are passed over. Contents are compared by SHA-256 of
/// the files, so that an image that was only stored anew goes unseen.
///
/// # Errors
/// What [`DataSource::content_digest`] says.
pub fn leaks(train: &dyn DataSource, test: &dyn DataSource) -> Result<Leaks, DataError> {
    let (train, test) = (Side::read(train)?, Side::read(test)?);
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    for (index, &digest) in train.digests.iter().enumerate() {
        first.entry(digest).or_insert(index);
    }
    let shared = test.digests.iter().enumerate();
    let shared = shared.filter_map(|(index, digest)| first.get(digest).map(|&twin| (twin, index)));
    let images = shared.map(|(twin, index)| SharedImage { train: train.source.id(twin), test: test.source.id(index) });
    Ok(Leaks {
        images: images.collect(),
        classes: shared_names(&train, &test, |side, index| {
            let class = side.source.label(index);
            side.source.classes().get(class).cloned()
        }),
        groups: shared_names(&train, &test, |side, index| {
            let group = side.source.group(side.source.label(index))?;
            side.source.groups().get(group).cloned()
        }),
    })
}

struct Side<'a> {
    source: &'a dyn DataSource,
    digests: Vec<[u8; 32]>,
}

impl<'a> Side<'a> {
    fn read(source: &'a dyn DataSource) -> Result<Self, DataError> {
        let digests: Vec<_> = (0..source.len()).into_par_iter().map(|index| source.content_digest(index)).collect();
        Ok(Self { source, digests: digests.into_iter().collect::<Result<_, _>>()? })
    }

    /// The digests of the images under each name, the names in order of first images.
    fn by_name(&self, name_of: &NameOf) -> Vec<(String, Vec<[u8; 32]>)> {
        let mut named: Vec<(String, Vec<[u8; 32]>)> = Vec::new();
        let mut place: HashMap<String, usize> = HashMap::new();
        for (index, &digest) in self.digests.iter().enumerate() {
            let Some(name) = name_of(self, index) else { continue };
            let at = *place.entry(name.clone()).or_insert_with(|| {
                named.push((name, Vec::new()));
                named.len() - 1
            });
            named[at].1.push(digest);
        }
        named
    }
}

/// The class or group of an image, by name.
type NameOf = fn(&Side<'_>, usize) -> Option<String>;

fn shared_names(train: &Side<'_>, test: &Side<'_>, name_of: NameOf) -> Vec<SharedName> {
    let to_learn: HashMap<String, Vec<[u8; 32]>> = train.by_name(&name_of).into_iter().collect();
    let to_judge = test.by_name(&name_of).into_iter();
    let shared = to_judge.filter_map(|(name, test)| to_learn.get(&name).map(|train| (name, train, test)));
    let shared = shared.map(|(name, train, test)| {
        let known: std::collections::HashSet<&[u8; 32]> = train.iter().collect();
        let same = test.iter().filter(|digest| known.contains(digest)).count();
        SharedName { name, train: train.len(), test: test.len(), same }
    });
    shared.collect()
}
