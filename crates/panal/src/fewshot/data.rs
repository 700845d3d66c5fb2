//! What few-shot learners learn from and are judged by: several data sets as one, nothing of one in the other. Nothing is drawn or
//! learnt here but the list of episodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use image::RgbImage;
use panal_data::{
    BadFiles, DataError, DataSource, Episode, EpisodeList, EpisodeSize, EpisodeSpec, Episodes, ImageFolder,
    OneShotRuns, Pipeline, leaks,
};

use super::config::Test;
use crate::data;
use crate::reading::{Reading, excluded};

/// Images, and the episodes of them that learners are judged by.
pub(crate) struct Judging {
    pub(crate) images: Arc<dyn DataSource>,
    pub(crate) list: EpisodeList,
    /// Episodes drawn in the same way, but no two of which share an image; `None` where `list` was not drawn, shares none itself, or there are
    /// fewer than five.
    pub(crate) apart: Option<Vec<Episode>>,
}

impl Judging {
    /// What the numbers of a table are over.
    pub(crate) fn about(&self) -> String {
        let episodes = self.list.episodes.len();
        let mut about = format!(
            "{episodes} episodes, a method's seeds averaged in each. In brackets Student's 95 % intervals over them, which cover the draw of episodes; \
             differences are taken episode by episode."
        );
        if let Some(apart) = &self.apart {
            about += &format!(
                " Without replacement: {} episodes of fewer queries, no two of which share an image, whose intervals cover the choice of images too.",
                apart.len()
            );
        } else if !shares_images(&self.list.episodes) {
            about += " No two of them share an image.";
        }
        about
    }
}

/// Whether an image is in two episodes.
fn shares_images(episodes: &[Episode]) -> bool {
    let mut seen = BTreeSet::new();
    episodes.iter().flat_map(Episode::items).any(|item| !seen.insert(item.image))
}

/// The data sets of these names as one; a class that an earlier one has too, by its name or an image, is left out of the later one.
pub(crate) fn open_training(names: &[String], reading: Reading<'_>) -> Result<Arc<dyn DataSource>> {
    let mut whole: Option<Arc<dyn DataSource>> = None;
    for name in names {
        let next = open_classes(&data::find_folder(name, reading.console)?, reading)?;
        whole = Some(match whole {
            None => next,
            Some(before) => {
                let next = without_shared(before.as_ref(), next, name)?;
                Arc::new(Joined::new(vec![before, next])?)
            }
        });
    }
    let whole = whole.context("no data set is named")?;
    tracing::info!("to learn from: {} images of {} classes", whole.len(), whole.classes().len());
    Ok(whole)
}

/// What `test` names, less the classes that are in `train` too, by their name or an image.
pub(crate) fn open_test(
    test: &Test,
    train: &dyn DataSource,
    replay: Option<&Path>,
    reading: Reading<'_>,
) -> Result<Judging> {
    let folder = data::find_folder(&test.data, reading.console)?;
    let runs = match &test.draw {
        Some(_) => None,
        None => Some(OneShotRuns::open(&folder).with_context(|| {
            format!("test.draw is missing, so that {} is read as the runs of a one-shot task", folder.display())
        })?),
    };
    let (images, list): (Arc<dyn DataSource>, _) = match (runs, &test.draw) {
        (Some(runs), _) => {
            let shared = leaks(train, &runs)?;
            if !shared.images.is_empty() || !shared.classes.is_empty() {
                bail!("the images to learn from are among those of the one-shot task: {shared}");
            }
            let list =
                EpisodeList { source: runs.name().to_owned(), seed: None, spec: None, episodes: runs.runs().to_vec() };
            (Arc::new(runs), list)
        }
        (None, Some(draw)) => {
            let images = without_shared(train, open_classes(&folder, reading)?, &test.data)?;
            let images: Arc<dyn DataSource> = Arc::new(Joined::new(vec![images])?);
            let list = Episodes::new(images.as_ref(), draw.episode.clone(), draw.seed)?.list(draw.episodes)?;
            (images, list)
        }
        (None, None) => bail!("test.draw is missing"),
    };
    let (list, apart) = match (replay, &test.draw) {
        (Some(path), _) => (EpisodeList::read(path, images.as_ref())?, None),
        (None, Some(draw)) => (list, apart(images.as_ref(), &draw.episode, draw.seed)?),
        (None, None) => (list, None),
    };
    let classes = images.class_counts().into_iter().filter(|&count| count > 0).count();
    tracing::info!("to be judged by: {} episodes of {} images of {classes} classes", list.episodes.len(), images.len());
    Ok(Judging { images, list, apart })
}

/// Fewer episodes than this give no interval worth a look.
const LEAST_APART: usize = 5;

/// All episodes of this kind no two of which share an image; `None` for fewer than five, and where that is what `spec` asks for. They have as many
/// queries a class as shots, or two, where `spec` has more: with few queries more episodes fit into the same images, and their mean is known
/// better (Lafargue et al., arXiv 2409.02850, on the size of tasks).
pub(crate) fn apart(images: &dyn DataSource, spec: &EpisodeSpec, seed: u64) -> Result<Option<Vec<Episode>>> {
    if spec.disjoint {
        return Ok(None);
    }
    let mut spec = EpisodeSpec { disjoint: true, ..spec.clone() };
    if let EpisodeSize::Fixed(size) = &mut spec.size {
        size.queries = size.queries.min(size.shots.max(2));
    }
    let episodes = match Episodes::new(images, spec, seed) {
        Ok(episodes) => episodes,
        // With rotations a class stands for one in place of four, and may then be one too few.
        Err(DataError::Field { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let available = episodes.available().unwrap_or_default();
    if available < LEAST_APART { Ok(None) } else { Ok(Some(episodes.list(available)?.episodes)) }
}

/// A folder of classes, or of groups of classes.
fn open_classes(folder: &Path, reading: Reading<'_>) -> Result<Arc<dyn DataSource>> {
    let images = if has_groups(folder)? {
        let parts: Vec<_> = ["train", "val", "test"].into_iter().filter(|part| folder.join(part).is_dir()).collect();
        if let ["train", evaluation, ..] = parts[..] {
            bail!(
                "{} holds the parts `train` and `{evaluation}` of one data set, and no groups of classes: name one of them, as in {}",
                folder.display(),
                folder.join("train").display()
            );
        }
        ImageFolder::open_grouped(folder, BadFiles::Unchecked)?
    } else {
        ImageFolder::open(folder, BadFiles::Unchecked)?
    };
    let images = reading.check(images)?;
    data::report_excluded(&excluded(&images));
    Ok(Arc::new(images))
}

/// Whether there are folders in the folders of a folder; hidden ones don't count.
fn has_groups(folder: &Path) -> Result<bool> {
    let below = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        Ok(paths.into_iter().filter(|path| path.is_dir() && !hidden(path)).collect())
    };
    for inner in below(folder)? {
        if !below(&inner)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `images` without the classes that `known` has too: by their name, which begins with that of the group where there are groups, or by an image,
/// byte for byte.
fn without_shared(known: &dyn DataSource, images: Arc<dyn DataSource>, name: &str) -> Result<Arc<dyn DataSource>> {
    let shared = leaks(known, images.as_ref())?;
    let ids: BTreeSet<&str> = shared.images.iter().map(|image| image.test.as_str()).collect();
    let names: BTreeSet<&str> = shared.classes.iter().map(|class| class.name.as_str()).collect();
    let class_of = |index: usize| images.classes()[images.label(index)].as_str();
    let is_shared = |index: &usize| names.contains(class_of(*index)) || ids.contains(images.id(*index).as_str());
    let classes: BTreeSet<usize> = (0..images.len()).filter(is_shared).map(|index| images.label(index)).collect();
    let kept: Vec<usize> = (0..images.len()).filter(|&index| !classes.contains(&images.label(index))).collect();
    if let Some(&first) = classes.first() {
        tracing::info!(
            "{name}: {} classes are left out ({} is the first), for others have their names or images:\n{shared}",
            classes.len(),
            images.classes()[first]
        );
    }
    if kept.is_empty() {
        bail!("{name}: nothing is left, for other data sets have every class, by its name or an image");
    }
    let groups: BTreeSet<usize> = kept.iter().filter_map(|&index| images.group(images.label(index))).collect();
    for group in groups.into_iter().map(|group| &images.groups()[group]) {
        if shared.groups.iter().any(|shared| shared.name == *group) {
            tracing::warn!("{name}: other classes of the group {group} are in another data set, so it is not new");
        }
    }
    if classes.is_empty() { Ok(images) } else { Ok(Arc::new(panal_data::Subset::new(images, kept)?)) }
}

/// Several data sets as one; classes without images are gone.
struct Joined {
    parts: Vec<Arc<dyn DataSource>>,
    name: String,
    classes: Vec<String>,
    groups: Vec<String>,
    group_of: Vec<Option<usize>>,
    /// Part, index in it, and class.
    images: Vec<(usize, usize, usize)>,
}

impl Joined {
    fn new(parts: Vec<Arc<dyn DataSource>>) -> Result<Self> {
        let name = parts.iter().map(|part| part.name().to_owned()).collect::<Vec<_>>().join(" + ");
        let mut this = Self {
            parts: Vec::new(),
            name,
            classes: Vec::new(),
            groups: Vec::new(),
            group_of: Vec::new(),
            images: Vec::new(),
        };
        for (at, part) in parts.iter().enumerate() {
            let mut places: BTreeMap<usize, usize> = BTreeMap::new();
            let mut groups: BTreeMap<usize, usize> = BTreeMap::new();
            for index in 0..part.len() {
                let old = part.label(index);
                let class = match places.get(&old) {
                    Some(class) => *class,
                    None => {
                        this.classes.push(part.classes()[old].clone());
                        let group = part.group(old).map(|group| {
                            *groups.entry(group).or_insert_with(|| {
                                this.groups.push(part.groups()[group].clone());
                                this.groups.len() - 1
                            })
                        });
                        this.group_of.push(group);
                        places.insert(old, this.classes.len() - 1);
                        this.classes.len() - 1
                    }
                };
                this.images.push((at, index, class));
            }
        }
        if this.group_of.iter().any(Option::is_some) && this.group_of.iter().any(Option::is_none) {
            bail!(
                "of the data sets {} some have groups and some have none: give all of them groups, or none",
                this.name
            );
        }
        this.parts = parts;
        Ok(this)
    }

    fn at(&self, index: usize) -> (&dyn DataSource, usize) {
        let (part, inner, _) = self.images[index];
        (self.parts[part].as_ref(), inner)
    }
}

impl DataSource for Joined {
    fn name(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn groups(&self) -> &[String] {
        &self.groups
    }

    fn group(&self, class: usize) -> Option<usize> {
        self.group_of.get(class).copied().flatten()
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn label(&self, index: usize) -> usize {
        self.images[index].2
    }

    fn id(&self, index: usize) -> String {
        let (part, inner) = self.at(index);
        part.id(inner)
    }

    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        let (part, inner) = self.at(index);
        part.size(inner)
    }

    fn look_at(&self, index: usize, look: &mut dyn FnMut(&RgbImage)) -> Result<(), DataError> {
        let (part, inner) = self.at(index);
        part.look_at(inner, look)
    }

    fn view(&self, index: usize, pipeline: &Pipeline, out: &mut [f32]) -> Result<(), DataError> {
        let (part, inner) = self.at(index);
        part.view(inner, pipeline, out)
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let (part, inner) = self.at(index);
        part.image(inner)
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        let (part, inner) = self.at(index);
        part.content_digest(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;
    use image::Rgb;

    fn open(folder: &Path) -> Result<Arc<dyn DataSource>> {
        open_classes(folder, Reading::new(&Console::hidden()))
    }

    /// Writes small images, each of one tone.
    fn drawn(root: &Path, images: &[(&str, u8)]) {
        for (path, tone) in images {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(3, 2, Rgb([*tone; 3])).save(path).unwrap();
        }
    }

    #[test]
    fn a_class_of_the_same_group_and_name_is_left_out_of_the_test() {
        let (train, test) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drawn(train.path(), &[("Greek/a/1.png", 1), ("Latin/a/1.png", 2)]);
        // No image is the same. `Latin/b` and `Thai/a` are new, though each shares a name.
        drawn(test.path(), &[("Latin/a/1.png", 3), ("Latin/b/1.png", 4), ("Thai/a/1.png", 5)]);
        let known = open(train.path()).unwrap();
        let left = without_shared(known.as_ref(), open(test.path()).unwrap(), "test").unwrap();
        let left = Joined::new(vec![left]).unwrap();
        assert_eq!(left.classes(), ["Latin/b", "Thai/a"]);
        let none = without_shared(known.as_ref(), open(train.path()).unwrap(), "same").map(|_| ());
        assert!(none.unwrap_err().to_string().starts_with("same: nothing is left"));
    }

    #[test]
    fn the_parts_of_a_data_set_are_no_groups() {
        let root = tempfile::tempdir().unwrap();
        for part in ["train", "val"] {
            drawn(&root.path().join(part), &[("ants/1.png", 1), ("bees/1.png", 2)]);
        }
        std::fs::create_dir_all(root.path().join("train/ants/.thumbnails")).unwrap();
        let error = open(root.path()).map(|_| ()).unwrap_err().to_string();
        let named = root.path().join("train");
        assert!(error.contains(&format!("name one of them, as in {}", named.display())), "{error}");
        assert_eq!(open(&named).unwrap().classes(), ["ants", "bees"]);
    }
}
