//! How the images of a data set are read: checked, reduced, kept in memory, and what is said where they do not fit. Which
//! data set it is, is `data`'s to say.

use std::sync::Arc;

use panal_data::{BadFiles, Cached, DataError, DataSource, ImageFolder, Reduced, ShorterSide};
use panal_report::ExcludedFile;
use rayon::prelude::*;

use crate::console::Console;

/// Bound of the decoded images kept in memory, for each split, and of what transforms without a draw make of others: epochs read
/// the same files again.
pub(crate) const CACHE_BYTES: usize = 1 << 30;

/// How images are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Where it is told how far decoding has come.
    pub(crate) console: &'a Console,
    /// Leave out images that cannot be decoded.
    pub(crate) skip_bad: bool,
    /// Reduce larger images to this.
    pub(crate) shorter_side: Option<ShorterSide>,
    /// The images will be asked for, but for few, so that each is kept as soon as it has been decoded to see that it can be.
    pub(crate) keep_all: bool,
}

impl<'a> Reading<'a> {
    /// All images as they are, a bad one an error.
    pub(crate) fn new(console: &'a Console) -> Self {
        Self { console, skip_bad: false, shorter_side: None, keep_all: false }
    }

    /// The images of the folder that `scan` opens unchecked, every one decoded to see that it can be, and the files that are not used.
    ///
    /// # Errors
    /// What `scan` says, and all images that cannot be decoded unless they are left out.
    pub(crate) fn open(
        self,
        scan: impl Fn() -> Result<ImageFolder, DataError>,
    ) -> Result<(Arc<dyn DataSource>, Vec<ExcludedFile>), DataError> {
        let mut folder = scan()?;
        let name = folder_name(&folder);
        let mut what = format!("decoding {name}");
        if self.keep_all {
            let not_used = excluded(&folder);
            let images = self.cached(Arc::new(folder));
            if self.console.watch(&what, images.len(), |decoded| images.decode_all(decoded)).is_ok() {
                return Ok((Arc::new(images), not_used));
            }
            what = format!("finding bad images in {name}");
            folder = scan()?;
        }
        let folder = self.checked(folder, &what)?;
        let not_used = excluded(&folder);
        Ok((self.kept(Arc::new(folder)), not_used))
    }

    /// The folder, opened unchecked, once every image has been decoded to see that it can be. It is neither reduced nor kept.
    ///
    /// # Errors
    /// All images that cannot be decoded unless they are left out.
    pub(crate) fn check(self, folder: ImageFolder) -> Result<ImageFolder, DataError> {
        let what = format!("decoding {}", folder_name(&folder));
        self.checked(folder, &what)
    }

    fn checked(self, folder: ImageFolder, what: &str) -> Result<ImageFolder, DataError> {
        let bad = if self.skip_bad { BadFiles::Skip } else { BadFiles::Error };
        self.console.watch(what, folder.len(), |decoded| folder.checked(bad, decoded))
    }

    /// The same images, reduced where that is asked for, and decoded or drawn once as far as there is room.
    pub(crate) fn kept(self, images: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        Arc::new(self.cached(images))
    }

    /// The same images, reduced where that is asked for.
    pub(crate) fn reduced(self, images: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        match self.shorter_side {
            Some(side) => Arc::new(Reduced::new(images, side)),
            None => images,
        }
    }

    fn cached(self, images: Arc<dyn DataSource>) -> Cached {
        Cached::new(self.reduced(images), CACHE_BYTES).with_views(CACHE_BYTES)
    }
}

/// The last part of a folder's path, or all of it.
fn folder_name(images: &ImageFolder) -> String {
    let root = images.root();
    root.file_name().map_or_else(|| root.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The files of a folder that are not used.
pub(crate) fn excluded(images: &ImageFolder) -> Vec<ExcludedFile> {
    let files = images.excluded().iter();
    files.map(|file| ExcludedFile { path: file.path.clone(), reason: file.reason.clone() }).collect()
}

/// Bounds for the shorter side that are worth naming, the largest first.
const SHORTER_SIDES: [u32; 4] = [1024, 768, 512, 384];

/// Warns where images that are asked for again and again do not all fit in memory. Those of each list are kept together;
/// transforms resize to `needed` at most, so that no smaller bound is proposed.
pub(crate) fn mind_memory(kept: &[Vec<&dyn DataSource>], needed: u32) -> Result<(), DataError> {
    let mut parts = Vec::new();
    for together in kept {
        let Some(first) = together.first() else { continue };
        let mut sizes = Vec::new();
        for images in together {
            let of_part = (0..images.len()).into_par_iter().map(|index| images.size(index));
            sizes.extend(of_part.collect::<Result<Vec<_>, _>>()?);
        }
        parts.push((first.name(), sizes));
    }
    if let Some(advice) = advice(&parts, CACHE_BYTES as u64, needed) {
        tracing::warn!("{advice}");
    }
    Ok(())
}

/// What to say of parts, each a name and the `(width, height)` of its images, of which `room` bytes are kept; nothing
/// where that is all of them.
fn advice(parts: &[(&str, Vec<(u32, u32)>)], room: u64, needed: u32) -> Option<String> {
    // Bytes of images whose shorter side is `side` at most.
    let reduced = |sizes: &[(u32, u32)], side: u32| -> u64 {
        let bytes = |&(width, height): &(u32, u32)| {
            let scale = (f64::from(side) / f64::from(width.min(height))).min(1.0);
            (3.0 * f64::from(width) * f64::from(height) * scale * scale) as u64
        };
        sizes.iter().map(bytes).sum()
    };
    let too_large: Vec<String> = parts
        .iter()
        .map(|(name, sizes)| (name, sizes.len(), reduced(sizes, u32::MAX)))
        .filter(|(_, _, bytes)| *bytes > room)
        .map(|(name, images, bytes)| format!("the {images} images of {name} take {} decoded", gigabytes(bytes)))
        .collect();
    if too_large.is_empty() {
        return None;
    }
    let fits = |side: &u32| *side >= needed && parts.iter().all(|(_, sizes)| reduced(sizes, *side) <= room);
    let remedy = match SHORTER_SIDES.into_iter().find(fits) {
        Some(side) => format!(
            ": `--set shorter_side={side}` reduces each image once, which keeps them all and changes results a little"
        ),
        None => String::new(),
    };
    let (too_large, room) = (too_large.join(" and "), gigabytes(room));
    Some(format!("{too_large}; {room} at most are kept, the others are decoded each time they are augmented{remedy}"))
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_the_same_whether_or_not_images_are_kept_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let console = Console::hidden();
        let open = |reading: Reading<'_>| reading.open(|| ImageFolder::open(folder.path(), BadFiles::Unchecked));
        for class in ["ants", "bees"] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for number in 0..3 {
                let file = folder.path().join(class).join(format!("{number}.png"));
                image::RgbImage::from_pixel(30 + number, 20, image::Rgb([90, 0, number as u8])).save(file).unwrap();
            }
        }
        std::fs::write(folder.path().join("ants/words.txt"), "no image").unwrap();
        let side = ShorterSide::new(10).ok();
        let everything = |reading| {
            let (images, excluded) = open(reading).unwrap();
            let all: Vec<_> = (0..images.len()).map(|index| (images.id(index), images.image(index).unwrap())).collect();
            (all, images.digest().unwrap(), excluded)
        };
        let reading = |skip_bad, keep_all| Reading { console: &console, skip_bad, keep_all, shorter_side: side };
        let read = |skip_bad, keep_all| everything(reading(skip_bad, keep_all));
        let (all, _, excluded) = read(false, true);
        assert_eq!((all.len(), all[5].1.dimensions(), excluded.len()), (6, (16, 10), 1));
        assert_eq!(read(false, false), read(false, true));

        for name in ["ants/1.png", "bees/2.png"] {
            std::fs::write(folder.path().join(name), "damaged").unwrap();
        }
        for keep_all in [false, true] {
            let said = open(reading(false, keep_all)).err().unwrap().to_string();
            assert!(said.contains("1.png") && said.contains("2.png"), "{said}");
        }
        let (all, _, excluded) = read(true, true);
        assert_eq!((all.len(), excluded.len()), (4, 3));
        assert_eq!(read(true, false), read(true, true));
    }

    #[test]
    fn photographs_that_do_not_fit_in_memory_come_with_a_remedy() {
        let phone = |images| vec![(4000, 3000); images];
        assert_eq!(advice(&[("train", phone(27)), ("val", phone(10))], 1 << 30, 224), None);
        let said = advice(&[("train", phone(244)), ("val", phone(10))], 1 << 30, 224).unwrap();
        assert_eq!(
            said,
            "the 244 images of train take 8.8 GB decoded; 1.1 GB at most are kept, the others are decoded each time they are augmented: \
             `--set shorter_side=1024` reduces each image once, which keeps them all and changes results a little"
        );
        // The remedy is for every part.
        let said = advice(&[("train", phone(40)), ("val", phone(400))], 1 << 30, 224).unwrap();
        assert!(
            said.starts_with("the 40 images of train take 1.4 GB decoded and the 400 images of val take 14.4 GB"),
            "{said}"
        );
        assert!(said.contains("shorter_side=768"), "{said}");
        // A network that looks at larger images is not shown enlarged ones.
        let said = advice(&[("train", phone(400))], 1 << 30, 800).unwrap();
        assert!(said.ends_with("augmented"), "{said}");
        // Too many even so.
        let said = advice(&[("train", phone(5000))], 1 << 30, 224).unwrap();
        assert!(said.ends_with("augmented"), "{said}");
    }

    #[test]
    fn a_remedy_does_what_it_says() {
        for (images, width, height) in [(100, 3000, 4000), (300, 2048, 1536), (400, 5000, 1000)] {
            let said = advice(&[("train", vec![(width, height); images])], 1 << 30, 224).unwrap();
            let side = said.split("shorter_side=").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
            let reduced = ShorterSide::new(side.parse().unwrap()).unwrap().reduce(image::RgbImage::new(width, height));
            assert_eq!(advice(&[("train", vec![reduced.dimensions(); images])], 1 << 30, 224), None, "{said}");
        }
    }
}
