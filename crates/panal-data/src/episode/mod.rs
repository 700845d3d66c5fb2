//! One few-shot task: images that are shown with their class, and images whose class is asked for. How tasks are drawn lives in `sampler`.

mod list;
mod sampler;
mod spec;

use std::collections::HashSet;

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};

use crate::{DataError, DataSource};

pub use list::EpisodeList;
pub use sampler::Episodes;
pub use spec::{EpisodeSize, EpisodeSpec, FixedSize, VariableSize, Within};

/// A turn by a multiple of 90 degrees, clockwise, which makes a class of its own of the images of a class
/// (Santoro et al., arXiv 1605.06065). In files it is the number of degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum Rotation {
    /// As it is.
    #[default]
    None,
    /// 90 degrees.
    Quarter,
    /// 180 degrees.
    Half,
    /// 270 degrees.
    ThreeQuarters,
}

impl Rotation {
    /// All four, in order of degrees.
    pub const ALL: [Self; 4] = [Self::None, Self::Quarter, Self::Half, Self::ThreeQuarters];

    /// 0, 90, 180 or 270.
    pub fn degrees(self) -> u16 {
        self as u16 * 90
    }

    /// The image, turned.
    pub fn apply(self, image: RgbImage) -> RgbImage {
        match self {
            Self::None => image,
            Self::Quarter => imageops::rotate90(&image),
            Self::Half => imageops::rotate180(&image),
            Self::ThreeQuarters => imageops::rotate270(&image),
        }
    }
}

impl From<Rotation> for u16 {
    fn from(rotation: Rotation) -> Self {
        rotation.degrees()
    }
}

impl TryFrom<u16> for Rotation {
    type Error = DataError;

    fn try_from(degrees: u16) -> Result<Self, DataError> {
        let known = Self::ALL.into_iter().find(|rotation| rotation.degrees() == degrees);
        known.ok_or_else(|| DataError::field("rotation", "0, 90, 180 or 270", degrees))
    }
}

/// A class as it stands in an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpisodeClass {
    /// The class in the data set.
    pub class: usize,
    /// How all of its images are turned.
    pub rotation: Rotation,
}

/// An image as it stands in an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpisodeItem {
    /// The image in the data set.
    pub image: usize,
    /// How it is turned.
    pub rotation: Rotation,
    /// Its class in the episode, an index into [`Episode::ways`].
    pub label: usize,
}

impl EpisodeItem {
    /// The image's pixels, turned.
    ///
    /// # Errors
    /// As [`DataSource::image`].
    pub fn pixels(&self, source: &dyn DataSource) -> Result<RgbImage, DataError> {
        source.image(self.image).map(|image| self.rotation.apply(image))
    }
}

/// A task of `k` classes (ways): some images of each (shots) come with their class, the support; the classes of others, the
/// queries, are to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Its number in the sequence it is of, from 0.
    pub number: u64,
    /// The classes; a label is an index into them.
    pub ways: Vec<EpisodeClass>,
    /// The images whose class is known, class by class.
    pub support: Vec<EpisodeItem>,
    /// The images whose class is asked for, class by class.
    pub query: Vec<EpisodeItem>,
}

impl Episode {
    /// Every image of the episode, the support first.
    pub fn items(&self) -> impl Iterator<Item = &EpisodeItem> {
        self.support.iter().chain(&self.query)
    }

    /// How many support images each class has.
    pub fn shots(&self) -> Vec<usize> {
        let mut shots = vec![0; self.ways.len()];
        self.support.iter().for_each(|item| shots[item.label] += 1);
        shots
    }

    /// Checks that the episode is one of `source`: every image is there and of the class that its label says, no image is in
    /// it twice, every class has support, and there is a query.
    ///
    /// # Errors
    /// [`DataError::Episode`] says what is wrong.
    pub fn check(&self, source: &dyn DataSource) -> Result<(), DataError> {
        self.contradiction(source).map_or(Ok(()), |problem| Err(DataError::Episode { number: self.number, problem }))
    }

    pub(crate) fn contradiction(&self, source: &dyn DataSource) -> Option<String> {
        let classes = source.classes();
        if let Some(way) = self.ways.iter().find(|way| way.class >= classes.len()) {
            return Some(format!("has class {}, but the data have {} classes", way.class, classes.len()));
        }
        let mut seen = HashSet::new();
        for item in self.items() {
            if item.image >= source.len() {
                return Some(format!("has image {}, but the data have {} images", item.image, source.len()));
            }
            let id = source.id(item.image);
            let Some(way) = self.ways.get(item.label) else {
                return Some(format!("gives {id} the label {}, but has {} classes", item.label, self.ways.len()));
            };
            let class = source.label(item.image);
            if class != way.class {
                return Some(format!("takes {id} for {}, but it is {}", classes[way.class], classes[class]));
            }
            if item.rotation != way.rotation {
                return Some(format!("turns {id} otherwise than its class"));
            }
            if !seen.insert((item.image, item.rotation)) {
                return Some(format!("has {id} twice"));
            }
        }
        let bare = (0..self.ways.len()).find(|label| self.support.iter().all(|item| item.label != *label));
        if let Some(label) = bare {
            return Some(format!("has no support image of {}", classes[self.ways[label].class]));
        }
        if self.query.is_empty() { Some("has no query".to_owned()) } else { None }
    }
}
