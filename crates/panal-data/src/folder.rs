//! A folder with one folder of images per class, as torchvision's `ImageFolder` takes it. Decoding lives in `decode`.

mod walk;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::file::{HasFiles, ImageFile, ImageFiles};
use crate::{BadFile, DataError, DataSource};
use walk::{Folder, Walk, below, printable};

pub(crate) use walk::image_files;

/// The endings of torchvision's `IMG_EXTENSIONS`, in any case.
pub const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"];

/// The one class of images whose classes are not known.
pub const UNLABELLED: &str = "unlabelled";

/// Whether torchvision takes a file of this name for an image.
pub fn is_image_name(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| EXTENSIONS.iter().any(|extension| end.eq_ignore_ascii_case(extension)))
}

/// What happens to images that cannot be read or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFiles {
    /// Every image is decoded once when the folder is opened, and all bad ones are named in one error.
    Error,
    /// Every image is decoded once when the folder is opened; bad ones are left out and listed as excluded.
    Skip,
    /// Nothing is decoded in advance: opening a huge folder is quick, and a bad image is an error when its turn comes.
    Unchecked,
}

/// A file or folder that lies below the folder and is not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excluded {
    /// Its path below the folder, with `/` between the parts.
    pub path: String,
    /// Why, for example `extension .gif is not one of .jpg ...`.
    pub reason: String,
}

/// Labelled images in one folder per class.
///
/// The meaning is that of `torchvision.datasets.ImageFolder`: each folder directly below the root is a class, classes
/// are sorted, their folders are searched to any depth, and the images of a class come sorted by folder and then by
/// name. All sorting is by bytes, which for UTF-8 is how Python sorts. What isn't used is listed in
/// [`excluded`](Self::excluded), with a reason each.
///
/// Two things differ. Files and folders whose name begins with a dot are excluded, where torchvision would make a class
/// of `.ipynb_checkpoints`. And a class without images is an error, as it is there unless asked for.
///
/// Links are followed, to files and to folders, as torchvision follows them; one that leads back to a folder above it is
/// an error. A name that is not UTF-8 keeps its place, and in ids and class names its odd bytes are written as `\xNN`.
pub struct ImageFolder {
    root: PathBuf,
    files: ImageFiles,
    excluded: Vec<Excluded>,
}

/// What the folders below the root stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Each directly below the root is a class.
    Classes,
    /// Each directly below the root is a group, and each directly below that a class.
    Groups,
    /// Nothing.
    Unlabelled,
}

impl ImageFolder {
    /// Opens the folder `root`, whose folders are the classes.
    ///
    /// Unless `bad` says otherwise every image is decoded once, on all threads of rayon's global pool: at 400 to 600
    /// images a second on each core, an error now is worth more than one in the last epoch.
    ///
    /// # Errors
    /// [`DataError::Folder`] for no such folder, a file in its place, no class folders, a class without images (also
    /// after bad ones were skipped), a link that leads in circles, or two names that cannot be told apart;
    /// [`DataError::Read`] for a folder that cannot be listed; and with [`BadFiles::Error`], [`DataError::Decode`] for
    /// one bad image or [`DataError::BadFiles`] for several.
    pub fn open(root: &Path, bad: BadFiles) -> Result<Self, DataError> {
        Self::scan(root, Layout::Classes)?.checked(bad, &|| {})
    }

    /// Opens the folder `root` for its images alone: all that lie in it, at any depth, as one class called
    /// [`UNLABELLED`]. What is excluded, and when images are decoded, is as in [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open), but that there need be no folders in it.
    pub fn open_unlabelled(root: &Path, bad: BadFiles) -> Result<Self, DataError> {
        Self::scan(root, Layout::Unlabelled)?.checked(bad, &|| {})
    }

    /// Opens the folder `root`, whose folders are groups that hold a folder per class each, as Omniglot's alphabets hold
    /// characters. A class is called by both names, `Greek/character05`; otherwise as [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`DataError::Folder`] for a group without classes.
    pub fn open_grouped(root: &Path, bad: BadFiles) -> Result<Self, DataError> {
        Self::scan(root, Layout::Groups)?.checked(bad, &|| {})
    }

    /// Decodes every image, as [`open`](Self::open) does, and calls `decoded` after each, from any thread: for a folder that was
    /// opened with [`BadFiles::Unchecked`], so that it can be watched. Where `bad` is [`BadFiles::Unchecked`] nothing is done.
    ///
    /// # Errors
    /// With [`BadFiles::Error`], [`DataError::Decode`] for one bad image or [`DataError::BadFiles`] for several; with
    /// [`BadFiles::Skip`], [`DataError::Folder`] for a class of which no image is left.
    pub fn checked(self, bad: BadFiles, decoded: &(dyn Fn() + Sync)) -> Result<Self, DataError> {
        let mut folder = self;
        match bad {
            BadFiles::Unchecked => {}
            BadFiles::Skip => {
                folder.leave_out(folder.find_bad(decoded));
                folder.check_no_class_is_empty()?;
            }
            BadFiles::Error => {
                let found = folder.find_bad(decoded);
                if !found.is_empty() {
                    return Err(bad_files(found.into_iter().map(|(_, file)| file).collect()));
                }
            }
        }
        Ok(folder)
    }

    /// Everything below the folder that is not used, sorted by path.
    pub fn excluded(&self) -> &[Excluded] {
        &self.excluded
    }

    /// The folder that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that image `index` is read from.
    pub fn path(&self, index: usize) -> &Path {
        &self.files.images[index].path
    }

    /// Decodes every image, on all threads of rayon's global pool, and names all that can't be.
    /// [`open`](Self::open) has done so already unless it was told [`BadFiles::Unchecked`].
    pub fn verify(&self) -> Vec<BadFile> {
        self.find_bad(&|| {}).into_iter().map(|(_, file)| file).collect()
    }

    /// Checks that there are classes enough to tell apart.
    ///
    /// # Errors
    /// [`DataError::Folder`] for fewer than `least`, naming those there are.
    pub fn require_classes(&self, least: usize) -> Result<(), DataError> {
        if self.files.classes.len() >= least {
            return Ok(());
        }
        let there = self.files.classes.join(", ");
        let (classes, them) = if self.files.classes.len() == 1 { ("class", "it") } else { ("classes", "them") };
        Err(self.problem(format!(
            "has {} {classes} only ({there}), and at least {least} are needed: put a folder of images of another class beside {them}",
            self.files.classes.len()
        )))
    }

    fn scan(root: &Path, layout: Layout) -> Result<Self, DataError> {
        check_is_folder(root)?;
        let mut walk = Walk::new(root);
        let mut folder = Self {
            root: root.to_owned(),
            files: ImageFiles { name: root.display().to_string(), ..ImageFiles::default() },
            excluded: Vec::new(),
        };
        match layout {
            Layout::Classes => {
                for class in walk.folders(root, b"", "class")? {
                    folder.add_class(&mut walk, &class, printable(&class.place))?;
                }
            }
            Layout::Groups => {
                for group in walk.folders(root, b"", "group")? {
                    for class in walk.folders(&group.path, &group.place, "class")? {
                        folder.add_class(&mut walk, &class, printable(&class.place))?;
                        folder.files.group_of.push(folder.files.groups.len());
                    }
                    folder.files.groups.push(printable(&group.place));
                }
            }
            Layout::Unlabelled => {
                let whole = Folder { place: Vec::new(), path: root.to_owned() };
                folder.add_class(&mut walk, &whole, UNLABELLED.to_owned())?;
            }
        }
        folder.excluded = walk.excluded;
        folder.excluded.sort();
        folder.check_has_folders(layout, walk.loose)?;
        folder.check_unique()?;
        folder.check_no_class_is_empty()?;
        Ok(folder)
    }

    fn add_class(&mut self, walk: &mut Walk<'_>, class: &Folder, name: String) -> Result<(), DataError> {
        walk.folder(&class.path, &class.place)?;
        walk.files.sort();
        let label = self.files.classes.len();
        let named = walk.files.drain(..).map(|file| (printable(&below(&file.folder, &file.name)), file.path));
        self.files.images.extend(named.map(|(id, path)| ImageFile::new(id, path, label)));
        self.files.classes.push(name);
        Ok(())
    }

    fn check_has_folders(&self, layout: Layout, loose: usize) -> Result<(), DataError> {
        if self.files.classes.is_empty() && self.files.groups.is_empty() {
            let found = if loose == 0 { String::new() } else { format!(", but {loose} images directly in it") };
            let expected = if layout == Layout::Groups {
                "one folder of class folders per group"
            } else {
                "one folder of images per class"
            };
            return Err(self.problem(format!("has no folders in it{found}: {expected} is expected")));
        }
        let empty = self.files.groups.iter().enumerate().filter(|(group, _)| !self.files.group_of.contains(group));
        let empty: Vec<&str> = empty.map(|(_, name)| name.as_str()).collect();
        if empty.is_empty() {
            return Ok(());
        }
        let groups = if empty.len() == 1 { "a group" } else { "groups" };
        Err(self.problem(format!(
            "has {groups} without a single class folder: {} (each group holds one folder of images per class; images that \
             lie in one folder per class have no groups)",
            empty.join(", ")
        )))
    }

    fn find_bad(&self, decoded: &(dyn Fn() + Sync)) -> Vec<(usize, BadFile)> {
        let check = |(index, image): (usize, &ImageFile)| {
            let found = match image.decode() {
                Ok(_) => None,
                Err(DataError::Decode { name, reason }) => Some((index, BadFile { name, reason })),
                Err(DataError::Read { path, source }) => {
                    let reason = format!("it cannot be read: {source}");
                    Some((index, BadFile { name: path.display().to_string(), reason }))
                }
                Err(other) => {
                    Some((index, BadFile { name: image.path.display().to_string(), reason: other.to_string() }))
                }
            };
            decoded();
            found
        };
        self.files.images.par_iter().enumerate().filter_map(check).collect()
    }

    fn leave_out(&mut self, bad: Vec<(usize, BadFile)>) {
        let gone: HashSet<usize> = bad.iter().map(|(index, _)| *index).collect();
        for (index, file) in bad {
            self.excluded.push(Excluded { path: self.files.images[index].id.clone(), reason: file.reason });
        }
        self.excluded.sort();
        let mut index = 0..;
        self.files.images.retain(|_| index.next().is_some_and(|index| !gone.contains(&index)));
    }

    fn check_unique(&self) -> Result<(), DataError> {
        let mut seen = HashSet::new();
        let twice = self
            .files
            .classes
            .iter()
            .chain(self.files.images.iter().map(|image| &image.id))
            .find(|id| !seen.insert(*id));
        twice.map_or(Ok(()), |id| {
            Err(self.problem(format!("holds two things that are both written {id}: rename one of them in plain UTF-8")))
        })
    }

    fn check_no_class_is_empty(&self) -> Result<(), DataError> {
        let counts = self.class_counts();
        let empty: Vec<&str> =
            self.files.classes.iter().zip(counts).filter(|(_, n)| *n == 0).map(|(c, _)| c.as_str()).collect();
        if empty.is_empty() {
            return Ok(());
        }
        let (class, folder) = if empty.len() == 1 { ("a class", "the folder") } else { ("classes", "the folders") };
        Err(self.problem(format!(
            "has {class} without a single usable image: {} (put images there, or remove {folder})",
            empty.join(", ")
        )))
    }

    fn problem(&self, problem: String) -> DataError {
        DataError::Folder { root: self.root.clone(), problem }
    }
}

impl HasFiles for ImageFolder {
    fn files(&self) -> &ImageFiles {
        &self.files
    }
}

fn check_is_folder(root: &Path) -> Result<(), DataError> {
    let problem = match fs::metadata(root) {
        Ok(kind) if kind.is_dir() => return Ok(()),
        Ok(_) => "is a file: the folder that holds one folder of images per class is expected",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "is not there: the folder that holds one folder of images per class is expected"
        }
        Err(source) => return Err(DataError::Read { path: root.to_owned(), source }),
    };
    Err(DataError::Folder { root: root.to_owned(), problem: problem.to_owned() })
}

fn bad_files(mut files: Vec<BadFile>) -> DataError {
    if files.len() == 1 {
        let BadFile { name, reason } = files.remove(0);
        return DataError::Decode { name, reason };
    }
    DataError::BadFiles { files }
}
