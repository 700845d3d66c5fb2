//! A list of episodes and its file, so that others can be held to the very same tasks. Drawing them lives in `sampler`.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Episode, EpisodeClass, EpisodeItem, EpisodeSpec, Rotation};
use crate::source::hex;
use crate::{DataError, DataSource};

/// What the first line of a file says it is.
const FORMAT: &str = "panal episodes 1";

/// Episodes of one data set.
///
/// As a file it is JSON, one value a line. The first is an object with the `format`, the data set's name (`source`), the
/// `seed` and `spec` of the draws if they were drawn, the number of `episodes`, the names of their `classes`, and their
/// `images`, each an array of id and SHA-256. Every line after it is an episode: its `number`; its `ways`, each an array of
/// a place in `classes` and degrees; its `support` and `query`, each image an array of a place in `images` and a place
/// in `ways`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpisodeList {
    /// What the data set is called. It may be called otherwise where the list is read; the images decide.
    pub source: String,
    /// The seed of the draws, if any were made.
    pub seed: Option<u64>,
    /// What was drawn, if anything was.
    pub spec: Option<EpisodeSpec>,
    /// The episodes.
    pub episodes: Vec<Episode>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    source: String,
    seed: Option<u64>,
    spec: Option<EpisodeSpec>,
    episodes: usize,
    classes: Vec<String>,
    images: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    number: u64,
    ways: Vec<(usize, Rotation)>,
    support: Vec<(usize, usize)>,
    query: Vec<(usize, usize)>,
}

impl EpisodeList {
    /// Writes the list to `path`, which is replaced only once all is written.
    ///
    /// # Errors
    /// [`DataError::Episode`] for an episode that is not one of `source`; what [`DataSource::content_digest`] says;
    /// [`DataError::Write`].
    pub fn write(&self, path: &Path, source: &dyn DataSource) -> Result<(), DataError> {
        self.episodes.iter().try_for_each(|episode| episode.check(source))?;
        let items = || self.episodes.iter().flat_map(Episode::items);
        let images: BTreeSet<usize> = items().map(|item| item.image).collect();
        let classes: BTreeSet<usize> =
            self.episodes.iter().flat_map(|episode| &episode.ways).map(|way| way.class).collect();
        let images: Vec<usize> = images.into_iter().collect();
        let digests: Vec<_> = images.par_iter().map(|&image| source.content_digest(image)).collect();
        let digests: Vec<[u8; 32]> = digests.into_iter().collect::<Result<_, _>>()?;
        let header = Header {
            format: FORMAT.to_owned(),
            source: self.source.clone(),
            seed: self.seed,
            spec: self.spec.clone(),
            episodes: self.episodes.len(),
            classes: classes.iter().map(|&class| source.classes()[class].clone()).collect(),
            images: images.iter().zip(digests).map(|(&image, digest)| (source.id(image), hex(&digest))).collect(),
        };
        let place_of: HashMap<usize, usize> = images.iter().enumerate().map(|(place, &image)| (image, place)).collect();
        let class_of: HashMap<usize, usize> =
            classes.iter().enumerate().map(|(place, &class)| (class, place)).collect();
        let placed = |items: &[EpisodeItem]| items.iter().map(|item| (place_of[&item.image], item.label)).collect();
        let lines = self.episodes.iter().map(|episode| Line {
            number: episode.number,
            ways: episode.ways.iter().map(|way| (class_of[&way.class], way.rotation)).collect(),
            support: placed(&episode.support),
            query: placed(&episode.query),
        });
        let json = |error: serde_json::Error| DataError::Write { path: path.to_owned(), source: error.into() };
        let mut text = serde_json::to_vec(&header).map_err(json)?;
        for line in lines {
            text.push(b'\n');
            serde_json::to_writer(&mut text, &line).map_err(json)?;
        }
        text.push(b'\n');
        write_atomic(path, &text).map_err(|source| DataError::Write { path: path.to_owned(), source })
    }

    /// Reads the list at `path`, and finds its images in `source` by their ids.
    ///
    /// # Errors
    /// [`DataError::Read`]; what [`DataSource::content_digest`] says; and [`DataError::Line`] for a file that is cut short
    /// or no list of episodes, for the first image or class that `source` does not have, for the first image whose contents
    /// are others than when the list was written, and for an episode that contradicts itself.
    pub fn read(path: &Path, source: &dyn DataSource) -> Result<Self, DataError> {
        let text = fs::read_to_string(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        let wrong = |line: usize, problem: String| DataError::Line { path: path.to_owned(), line, problem };
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().ok_or_else(|| wrong(1, "the file is empty".to_owned()))?;
        let header: Header = serde_json::from_str(first)
            .map_err(|error| wrong(1, format!("this is no beginning of a list of episodes: {error}")))?;
        if header.format != FORMAT {
            let problem = format!("the format must be `{FORMAT}`, got `{}`", header.format.escape_debug());
            return Err(wrong(1, problem));
        }
        let known = Known::find(&header, source).map_err(|problem| wrong(1, problem))?;
        known.compare(&header, source)?.map_or(Ok(()), |problem| Err(wrong(1, problem)))?;
        let mut episodes = Vec::new();
        for (index, line) in lines {
            let wrong = |problem: String| wrong(index + 1, problem);
            let line: Line =
                serde_json::from_str(line).map_err(|error| wrong(format!("this is no episode: {error}")))?;
            let episode = known.episode(line).map_err(wrong)?;
            if let Some(problem) = episode.contradiction(source) {
                return Err(wrong(format!("episode {} {problem}", episode.number)));
            }
            episodes.push(episode);
        }
        if episodes.len() != header.episodes {
            let problem =
                format!("the list ends after {} episodes, and {} are announced", episodes.len(), header.episodes);
            return Err(wrong(episodes.len() + 1, problem));
        }
        Ok(Self { source: header.source, seed: header.seed, spec: header.spec, episodes })
    }
}

/// Where the classes and images of a file are in a data set.
struct Known {
    classes: Vec<usize>,
    images: Vec<usize>,
}

impl Known {
    fn find(header: &Header, source: &dyn DataSource) -> Result<Self, String> {
        let absent = |what: &str, name: &str| format!("the {what} {} is not in {}", name.escape_debug(), source.name());
        let class_of: HashMap<&str, usize> =
            source.classes().iter().enumerate().map(|(class, name)| (name.as_str(), class)).collect();
        let classes = header.classes.iter();
        let classes = classes.map(|name| class_of.get(name.as_str()).copied().ok_or_else(|| absent("class", name)));
        let image_of: HashMap<String, usize> = (0..source.len()).map(|image| (source.id(image), image)).collect();
        let images = header.images.iter();
        let images = images.map(|(id, _)| image_of.get(id).copied().ok_or_else(|| absent("image", id)));
        Ok(Self { classes: classes.collect::<Result<_, _>>()?, images: images.collect::<Result<_, _>>()? })
    }

    /// Says which image is the first whose contents are not those that the file has.
    fn compare(&self, header: &Header, source: &dyn DataSource) -> Result<Option<String>, DataError> {
        let digests: Vec<_> = self.images.par_iter().map(|&image| source.content_digest(image)).collect();
        for (digest, (id, expected)) in digests.into_iter().zip(&header.images) {
            let found = hex(&digest?);
            if found != *expected {
                return Ok(Some(format!(
                    "the image {id} has the SHA-256 {found}, but had {} when the list was written",
                    expected.escape_debug()
                )));
            }
        }
        Ok(None)
    }

    fn episode(&self, line: Line) -> Result<Episode, String> {
        let number = line.number;
        let beyond =
            |what: &str, place: usize| format!("episode {number} names {what} {place}, which line 1 does not list");
        let way = |(place, rotation): (usize, Rotation)| match self.classes.get(place) {
            Some(&class) => Ok(EpisodeClass { class, rotation }),
            None => Err(beyond("class", place)),
        };
        let ways: Vec<EpisodeClass> = line.ways.into_iter().map(way).collect::<Result<_, _>>()?;
        let item = |(place, label): (usize, usize)| {
            let &image = self.images.get(place).ok_or_else(|| beyond("image", place))?;
            let rotation = ways.get(label).map_or(Rotation::None, |way| way.rotation);
            Ok::<_, String>(EpisodeItem { image, rotation, label })
        };
        let support = line.support.into_iter().map(item).collect::<Result<_, _>>()?;
        let query = line.query.into_iter().map(item).collect::<Result<_, _>>()?;
        Ok(Episode { number, ways, support, query })
    }
}

/// A reader finds the old file or the new one, and never a part.
fn write_atomic(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    let mut file = builder.prefix(".unfinished-").tempfile_in(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
