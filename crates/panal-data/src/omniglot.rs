//! What is particular to Omniglot: who drew an image, and the official one-shot task. Its alphabets are an `ImageFolder` opened by groups.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::file::{HasFiles, ImageFile, ImageFiles};
use crate::folder::image_files;
use crate::{DataError, Episode, EpisodeClass, EpisodeItem, Rotation};

/// The file of each run that says which test image is of which class.
const LABELS: &str = "class_labels.txt";

/// Who drew an Omniglot image, from 1, by the end of its file name: 7 for `Greek/character05/0398_07.png`; `None` where the name
/// has no such end.
pub fn omniglot_drawer(id: &str) -> Option<u32> {
    let (stem, _) = id.rsplit('/').next()?.rsplit_once('.')?;
    let (_, drawer) = stem.rsplit_once('_')?;
    drawer.parse().ok().filter(|_| drawer.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Omniglot's official one-shot classification task (Lake, Salakhutdinov and Tenenbaum, Science 350, 2015): 20 runs, each an
/// alphabet's 20 characters drawn once by one person to learn from, and once by another to be told apart.
///
/// As a data set its classes are `run01/class01` and so on, its groups are the runs, and its ids are paths such as
/// `run01/test/item01.png`. Each run is an [`Episode`] of it.
pub struct OneShotRuns {
    files: ImageFiles,
    runs: Vec<Episode>,
}

impl OneShotRuns {
    /// Opens the folder that `all_runs.zip` unpacks to: a folder for each run, with the folders `training` and `test` and the
    /// file `class_labels.txt`, whose lines each name a test image and the training image of its class.
    ///
    /// # Errors
    /// [`DataError::Read`]; [`DataError::Folder`] for no runs, one without training images, or a test image that no line
    /// names; [`DataError::Line`] for a line that is not two paths, or names an image that is not there or is named before.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let list = fs::read_dir(root).and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect());
        let mut folders: Vec<PathBuf> = list.map_err(|source| DataError::Read { path: root.to_owned(), source })?;
        folders.retain(|folder| folder.join(LABELS).is_file());
        folders.sort();
        let files = ImageFiles { name: root.display().to_string(), ..ImageFiles::default() };
        let mut this = Self { files, runs: Vec::new() };
        for folder in folders {
            this.add_run(&folder)?;
        }
        if this.runs.is_empty() {
            let problem = format!("holds no runs: folders with a {LABELS} are expected, as in all_runs.zip");
            return Err(DataError::Folder { root: root.to_owned(), problem });
        }
        Ok(this)
    }

    /// The runs in order. The labels of their queries are the truth, which a method under test must not see.
    pub fn runs(&self) -> &[Episode] {
        &self.runs
    }

    fn add_run(&mut self, folder: &Path) -> Result<(), DataError> {
        let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let problem = |problem: String| DataError::Folder { root: folder.to_owned(), problem };
        let training = image_files(&folder.join("training"))?;
        let tests = image_files(&folder.join("test"))?;
        if training.is_empty() {
            return Err(problem("has no images in its folder training".to_owned()));
        }
        let first_class = self.files.classes.len();
        let mut episode =
            Episode { number: self.runs.len() as u64, ways: Vec::new(), support: Vec::new(), query: Vec::new() };
        for (label, (name, path)) in training.iter().enumerate() {
            let class = self.files.classes.len();
            self.files.classes.push(format!("{run}/{}", name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem)));
            self.files.group_of.push(self.files.groups.len());
            episode.ways.push(EpisodeClass { class, rotation: Rotation::None });
            episode.support.push(EpisodeItem { image: self.files.images.len(), rotation: Rotation::None, label });
            self.files.images.push(ImageFile::new(format!("{run}/training/{name}"), path.clone(), class));
        }
        let mut named = HashSet::new();
        for (test, class) in read_labels(&folder.join(LABELS), &run, &tests, &training)? {
            let (name, path) = &tests[test];
            named.insert(test);
            episode.query.push(EpisodeItem { image: self.files.images.len(), rotation: Rotation::None, label: class });
            self.files.images.push(ImageFile::new(format!("{run}/test/{name}"), path.clone(), first_class + class));
        }
        if let Some(left) = (0..tests.len()).find(|test| !named.contains(test)) {
            return Err(problem(format!("has an image test/{} that no line of {LABELS} names", tests[left].0)));
        }
        self.files.groups.push(run);
        self.runs.push(episode);
        Ok(())
    }
}

/// The pairs of a run's `class_labels.txt`: places of a test image and of the training image of its class.
fn read_labels(
    path: &Path,
    run: &str,
    tests: &[(String, PathBuf)],
    training: &[(String, PathBuf)],
) -> Result<Vec<(usize, usize)>, DataError> {
    let text = fs::read_to_string(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |problem: String| DataError::Line { path: path.to_owned(), line: index + 1, problem };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [test, class] = words[..] else {
            let problem =
                format!("a test image and the training image of its class are expected, got {} words", words.len());
            return Err(wrong(problem));
        };
        let find = |word: &str, folder: &str, images: &[(String, PathBuf)]| {
            let name = word.strip_prefix(run).and_then(|rest| rest.strip_prefix(folder));
            let place = name.and_then(|name| images.iter().position(|(image, _)| image == name));
            place.ok_or_else(|| wrong(format!("{} is no image of {run}{folder}", word.escape_debug())))
        };
        let (test, class) = (find(test, "/test/", tests)?, find(class, "/training/", training)?);
        if !seen.insert(test) {
            return Err(wrong(format!("{} is named twice", tests[test].0)));
        }
        pairs.push((test, class));
    }
    Ok(pairs)
}

impl HasFiles for OneShotRuns {
    fn files(&self) -> &ImageFiles {
        &self.files
    }
}
