//! A folder with one folder of images per class, as torchvision's `ImageFolder` takes it. Decoding lives in `decode`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::RgbImage;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::decode::image_size;
use crate::{BadFile, DataError, DataSource, decode_bytes, decode_image};

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
    name: String,
    classes: Vec<String>,
    images: Vec<Image>,
    excluded: Vec<Excluded>,
}

struct Image {
    id: String,
    path: PathBuf,
    label: usize,
    /// Known once the file has been read.
    digest: OnceLock<[u8; 32]>,
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
        Self::scan(root)?.checked(bad)
    }

    /// Opens the folder `root` for its images alone: all that lie in it, at any depth, as one class called
    /// [`UNLABELLED`]. What is excluded, and when images are decoded, is as in [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open), but that there need be no folders in it.
    pub fn open_unlabelled(root: &Path, bad: BadFiles) -> Result<Self, DataError> {
        check_is_folder(root)?;
        let mut walk = Walk::new(root);
        walk.folder(root, b"")?;
        let images = walk.images(0).collect();
        Self::new(root, vec![UNLABELLED.to_owned()], images, walk).checked(bad)
    }

    fn checked(self, bad: BadFiles) -> Result<Self, DataError> {
        let mut folder = self;
        folder.check_unique()?;
        folder.check_no_class_is_empty()?;
        if bad != BadFiles::Unchecked {
            let found = folder.find_bad();
            if bad == BadFiles::Skip {
                folder.leave_out(found);
                folder.check_no_class_is_empty()?;
            } else if !found.is_empty() {
                return Err(bad_files(found.into_iter().map(|(_, file)| file).collect()));
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
        &self.images[index].path
    }

    /// Decodes every image, on all threads of rayon's global pool, and names all that can't be.
    /// [`open`](Self::open) has done so already unless it was told [`BadFiles::Unchecked`].
    pub fn verify(&self) -> Vec<BadFile> {
        self.find_bad().into_iter().map(|(_, file)| file).collect()
    }

    /// Checks that there are classes enough to tell apart.
    ///
    /// # Errors
    /// [`DataError::Folder`] for fewer than `least`, naming those there are.
    pub fn require_classes(&self, least: usize) -> Result<(), DataError> {
        if self.classes.len() >= least {
            return Ok(());
        }
        let there = self.classes.join(", ");
        let (classes, them) = if self.classes.len() == 1 { ("class", "it") } else { ("classes", "them") };
        Err(self.problem(format!(
            "has {} {classes} only ({there}), and at least {least} are needed: put a folder of images of another class beside {them}",
            self.classes.len()
        )))
    }

    fn new(root: &Path, classes: Vec<String>, images: Vec<Image>, walk: Walk<'_>) -> Self {
        let mut excluded = walk.excluded;
        excluded.sort();
        Self { root: root.to_owned(), name: root.display().to_string(), classes, images, excluded }
    }

    fn scan(root: &Path) -> Result<Self, DataError> {
        check_is_folder(root)?;
        let mut walk = Walk::new(root);
        let mut classes = Vec::new();
        let mut images = Vec::new();
        let mut loose = 0;
        for entry in entries(root)? {
            let name = printable(&entry.name);
            if hidden(&name) {
                walk.exclude(&entry.name, hidden_reason(&entry.path));
            } else if entry.path.is_dir() {
                walk.folder(&entry.path, &entry.name)?;
                images.extend(walk.images(classes.len()));
                classes.push(name);
            } else {
                loose += usize::from(is_image_name(&name));
                walk.exclude(&entry.name, "it lies beside the class folders, not in one".to_owned());
            }
        }
        let folder = Self::new(root, classes, images, walk);
        if folder.classes.is_empty() {
            let found = if loose == 0 { String::new() } else { format!(", but {loose} images directly in it") };
            return Err(
                folder.problem(format!("has no folders in it{found}: one folder of images per class is expected"))
            );
        }
        Ok(folder)
    }

    fn find_bad(&self) -> Vec<(usize, BadFile)> {
        let check = |(index, image): (usize, &Image)| match image.check() {
            Ok(()) => None,
            Err(DataError::Decode { name, reason }) => Some((index, BadFile { name, reason })),
            Err(DataError::Read { path, source }) => {
                let reason = format!("it cannot be read: {source}");
                Some((index, BadFile { name: path.display().to_string(), reason }))
            }
            Err(other) => Some((index, BadFile { name: image.path.display().to_string(), reason: other.to_string() })),
        };
        self.images.par_iter().enumerate().filter_map(check).collect()
    }

    fn leave_out(&mut self, bad: Vec<(usize, BadFile)>) {
        let gone: HashSet<usize> = bad.iter().map(|(index, _)| *index).collect();
        for (index, file) in bad {
            self.excluded.push(Excluded { path: self.images[index].id.clone(), reason: file.reason });
        }
        self.excluded.sort();
        let mut index = 0..;
        self.images.retain(|_| index.next().is_some_and(|index| !gone.contains(&index)));
    }

    fn check_unique(&self) -> Result<(), DataError> {
        let mut seen = HashSet::new();
        let twice = self.classes.iter().chain(self.images.iter().map(|image| &image.id)).find(|id| !seen.insert(*id));
        twice.map_or(Ok(()), |id| {
            Err(self.problem(format!("holds two things that are both written {id}: rename one of them in plain UTF-8")))
        })
    }

    fn check_no_class_is_empty(&self) -> Result<(), DataError> {
        let counts = self.class_counts();
        let empty: Vec<&str> =
            self.classes.iter().zip(counts).filter(|(_, n)| *n == 0).map(|(c, _)| c.as_str()).collect();
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

impl DataSource for ImageFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn label(&self, index: usize) -> usize {
        self.images[index].label
    }

    fn id(&self, index: usize) -> String {
        self.images[index].id.clone()
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        decode_image(&self.images[index].path)
    }

    fn size(&self, index: usize) -> Result<(u32, u32), DataError> {
        image_size(&self.images[index].path)
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        let image = &self.images[index];
        if let Some(digest) = image.digest.get() {
            return Ok(*digest);
        }
        let digest = Sha256::digest(image.read()?).into();
        Ok(*image.digest.get_or_init(|| digest))
    }
}

impl Image {
    fn read(&self) -> Result<Vec<u8>, DataError> {
        fs::read(&self.path).map_err(|source| DataError::Read { path: self.path.clone(), source })
    }

    /// Decodes the image, and keeps the digest of the bytes on the way.
    fn check(&self) -> Result<(), DataError> {
        let bytes = self.read()?;
        decode_bytes(&bytes, &self.path.display().to_string())?;
        self.digest.get_or_init(|| Sha256::digest(&bytes).into());
        Ok(())
    }
}

/// A search through the folder of one class after another.
struct Walk<'a> {
    root: &'a Path,
    /// The images of the class.
    files: Vec<Found>,
    excluded: Vec<Excluded>,
    /// The folders that the search is in, links resolved, to notice a circle.
    above: Vec<PathBuf>,
}

/// An image file; sorted by folder, then by name, both as bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    /// Below the root, with `/` between the parts.
    folder: Vec<u8>,
    name: Vec<u8>,
    path: PathBuf,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, files: Vec::new(), excluded: Vec::new(), above: Vec::new() }
    }

    /// The images found since the last call, in their order, as those of class `label`.
    fn images(&mut self, label: usize) -> impl Iterator<Item = Image> + use<'_, 'a> {
        self.files.sort();
        self.files.drain(..).map(move |file| Image {
            id: printable(&below(&file.folder, &file.name)),
            path: file.path,
            label,
            digest: OnceLock::new(),
        })
    }

    /// Searches `folder`, which is `place` below the root, to any depth.
    fn folder(&mut self, folder: &Path, place: &[u8]) -> Result<(), DataError> {
        let resolved =
            fs::canonicalize(folder).map_err(|source| DataError::Read { path: folder.to_owned(), source })?;
        if self.above.contains(&resolved) {
            let problem = format!(
                "cannot be searched: the link {} leads back to a folder that holds it; remove it",
                printable(place)
            );
            return Err(DataError::Folder { root: self.root.to_owned(), problem });
        }
        self.above.push(resolved);
        for entry in entries(folder)? {
            let name = printable(&entry.name);
            let inner = below(place, &entry.name);
            if hidden(&name) {
                self.exclude(&inner, hidden_reason(&entry.path));
                continue;
            }
            // A link that leads nowhere is taken for a file, so that an image that is missing is not passed over.
            match fs::metadata(&entry.path) {
                Ok(kind) if kind.is_dir() => self.folder(&entry.path, &inner)?,
                Ok(kind) if !kind.is_file() => self.exclude(&inner, "it is neither a file nor a folder".to_owned()),
                _ if !is_image_name(&name) => self.exclude(&inner, wrong_extension(&name)),
                _ => self.files.push(Found { folder: place.to_owned(), name: entry.name, path: entry.path }),
            }
        }
        self.above.pop();
        Ok(())
    }

    fn exclude(&mut self, place: &[u8], reason: String) {
        self.excluded.push(Excluded { path: printable(place), reason });
    }
}

struct Entry {
    name: Vec<u8>,
    path: PathBuf,
}

/// What lies directly in a folder, sorted by name.
fn entries(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let list = || -> std::io::Result<Vec<Entry>> {
        fs::read_dir(folder)?
            .map(|entry| {
                entry.map(|entry| Entry { name: entry.file_name().as_encoded_bytes().to_vec(), path: entry.path() })
            })
            .collect()
    };
    let mut entries = list().map_err(|source| DataError::Read { path: folder.to_owned(), source })?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
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

fn hidden(name: &str) -> bool {
    name.starts_with('.')
}

fn hidden_reason(path: &Path) -> String {
    format!("it is a hidden {}", if path.is_dir() { "folder" } else { "file" })
}

fn wrong_extension(name: &str) -> String {
    let accepted = EXTENSIONS.map(|extension| format!(".{extension}")).join(" ");
    match name.rsplit_once('.') {
        Some((_, extension)) => format!("extension .{extension} is not one of {accepted}"),
        None => format!("it has no extension, and is not one of {accepted}"),
    }
}

/// The path of what is called `name` in `folder`, which is empty for the root.
fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, name].join(&b'/') }
}

/// A name as text: bytes that are not UTF-8 become `\xNN`.
fn printable(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
