//! How the images of a data set are read: checked, reduced, kept in memory, and what is said where they do not fit. Which
//! data set it is, is `data`'s to say.

use std::sync::Arc;

use panal_data::{BadFiles, Cached, DataError, DataSource, ImageFolder, Pipeline, Reduced, ShorterSide};
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
    /// Transforms that all will be asked for through; what no draw changes is made when they are decoded.
    pub(crate) views: &'a [Pipeline],
    /// Bytes of images that are kept at most, and of what transforms made of them; less than [`CACHE_BYTES`] in tests alone.
    pub(crate) memory: usize,
}

/// Transforms that images are asked for through.
pub(crate) struct Transforms {
    pub(crate) train: Vec<Pipeline>,
    pub(crate) eval: Vec<Pipeline>,
}

impl Transforms {
    /// Those of both parts.
    pub(crate) fn of_both(&self) -> Vec<Pipeline> {
        self.eval.iter().filter(|transform| self.train.contains(transform)).cloned().collect()
    }
}

impl<'a> Reading<'a> {
    /// All images as they are, a bad one an error.
    pub(crate) fn new(console: &'a Console) -> Self {
        Self { console, skip_bad: false, shorter_side: None, keep_all: false, views: &[], memory: CACHE_BYTES }
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
            if self.console.watch(&what, images.len(), |decoded| images.decode_all(self.views, decoded)).is_ok() {
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
        Cached::new(self.reduced(images), self.memory).with_views(self.memory)
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

/// Images that are kept together.
pub(crate) struct Together<'a> {
    pub(crate) images: Vec<&'a dyn DataSource>,
    /// Transforms that they are asked for through.
    pub(crate) through: Vec<Pipeline>,
}

/// Warns where images that are asked for again and again do not all fit in memory. Transforms resize to `needed` at most, so
/// that no smaller bound is proposed.
pub(crate) fn mind_memory(kept: &[Together<'_>], needed: u32) -> Result<(), DataError> {
    let mut parts = Vec::new();
    for Together { images: together, through } in kept {
        let Some(first) = together.first() else { continue };
        let mut sizes = Vec::new();
        for images in together {
            let of_part = (0..images.len()).into_par_iter().map(|index| images.size(index));
            sizes.extend(of_part.collect::<Result<Vec<_>, _>>()?);
        }
        parts.push(Sizes { name: first.name(), sizes, view_bytes: view_bytes(through) });
    }
    if let Some(advice) = advice(&parts, CACHE_BYTES as u64, needed) {
        tracing::warn!("{advice}");
    }
    Ok(())
}

/// Bytes of what these transforms make of an image; `None` where a draw changes it, so that it cannot be kept.
fn view_bytes(through: &[Pipeline]) -> Option<u64> {
    let mut bytes = 0;
    for (index, transform) in through.iter().enumerate() {
        if transform.is_random() {
            return None;
        }
        if !through[..index].contains(transform) {
            let (height, width) = transform.size();
            bytes += 12 * u64::from(height) * u64::from(width);
        }
    }
    Some(bytes)
}

/// Of images that are kept together: a name, their `(width, height)`, and the bytes of what is kept of one transformed.
struct Sizes<'a> {
    name: &'a str,
    sizes: Vec<(u32, u32)>,
    view_bytes: Option<u64>,
}

impl Sizes<'_> {
    /// Bytes of the images, decoded, with a shorter side of so many pixels at most.
    fn bytes(&self, side: u32) -> u64 {
        let bytes = |&(width, height): &(u32, u32)| {
            let scale = (f64::from(side) / f64::from(width.min(height))).min(1.0);
            (3.0 * f64::from(width) * f64::from(height) * scale * scale) as u64
        };
        self.sizes.iter().map(bytes).sum()
    }

    /// Whether `room` does for them, with a shorter side of so many pixels at most, or else for what transforms make of them.
    fn fit(&self, side: u32, room: u64) -> bool {
        self.bytes(side) <= room || self.view_bytes.is_some_and(|bytes| bytes * self.sizes.len() as u64 <= room)
    }
}

/// What to say of images of which `room` bytes are kept; nothing where that is all of them.
fn advice(parts: &[Sizes<'_>], room: u64, needed: u32) -> Option<String> {
    let said = |part: &Sizes<'_>| {
        let bytes = gigabytes(part.bytes(u32::MAX));
        format!("the {} images of {} take {bytes} decoded", part.sizes.len(), part.name)
    };
    let too_large: Vec<String> = parts.iter().filter(|part| !part.fit(u32::MAX, room)).map(said).collect();
    if too_large.is_empty() {
        return None;
    }
    let fits = |side: &u32| *side >= needed && parts.iter().all(|part| part.fit(*side, room));
    let remedy = match SHORTER_SIDES.into_iter().find(fits) {
        Some(side) => format!(
            ": `--set shorter_side={side}` reduces each image once, which keeps them all and changes results a little"
        ),
        None => String::new(),
    };
    let (too_large, room) = (too_large.join(" and "), gigabytes(room));
    Some(format!("{too_large}; {room} at most are kept, the others are decoded each time they are asked for{remedy}"))
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use panal_data::AugmentSpec;

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
        let reading = |skip_bad, keep_all| Reading { skip_bad, keep_all, shorter_side: side, ..Reading::new(&console) };
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
    fn what_transforms_make_of_images_that_do_not_fit_is_kept_as_they_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ants/0.png");
        std::fs::create_dir(folder.path().join("ants")).unwrap();
        image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8, y as u8, 9])).save(&file).unwrap();
        let views = [AugmentSpec::plain(10, 8).check().unwrap(), AugmentSpec::plain(12, 8).check().unwrap()];
        let console = Console::hidden();
        // An image takes 4800 bytes, and what a transform makes of it 768.
        let reading = Reading { keep_all: true, views: &views[..1], memory: 3000, ..Reading::new(&console) };
        let (images, _) = reading.open(|| ImageFolder::open(folder.path(), BadFiles::Unchecked)).unwrap();
        let mut expected = [vec![0.0; 3 * 8 * 8], vec![0.0; 3 * 8 * 8]];
        for (view, out) in std::iter::zip(&views, &mut expected) {
            view.apply(&images.image(0).unwrap(), &mut panal_data::keyed_rng(0, &[]), out);
        }
        std::fs::remove_file(file).unwrap();
        let mut out = vec![0.0; 3 * 8 * 8];
        images.view(0, &views[0], &mut out).unwrap();
        assert_eq!(out, expected[0]);
        assert_ne!(out, expected[1]);
        assert!(images.view(0, &views[1], &mut out).is_err() && images.image(0).is_err());
    }

    fn drawn(name: &str, sizes: Vec<(u32, u32)>) -> Sizes<'_> {
        Sizes { name, sizes, view_bytes: None }
    }

    #[test]
    fn views_are_made_at_once_by_transforms_of_both_parts_alone() {
        let [both, other] = [16, 8].map(|crop| AugmentSpec::plain(20, crop).check().unwrap());
        let transforms = Transforms { train: vec![other.clone(), both.clone()], eval: vec![both.clone()] };
        assert_eq!(transforms.of_both(), std::slice::from_ref(&both));
        assert!(Transforms { train: vec![other], eval: vec![both] }.of_both().is_empty());
    }

    #[test]
    fn photographs_that_do_not_fit_in_memory_come_with_a_remedy() {
        let phone = |images| vec![(4000, 3000); images];
        assert_eq!(advice(&[drawn("train", phone(27)), drawn("val", phone(10))], 1 << 30, 224), None);
        let said = advice(&[drawn("train", phone(244)), drawn("val", phone(10))], 1 << 30, 224).unwrap();
        assert_eq!(
            said,
            "the 244 images of train take 8.8 GB decoded; 1.1 GB at most are kept, the others are decoded each time they are asked for: \
             `--set shorter_side=1024` reduces each image once, which keeps them all and changes results a little"
        );
        // What transforms make of them fits, where no draw changes it.
        let through = [AugmentSpec::plain(256, 224).check().unwrap(), AugmentSpec::plain(256, 224).check().unwrap()];
        let plain = |name, images| Sizes { view_bytes: view_bytes(&through), ..drawn(name, phone(images)) };
        assert_eq!(advice(&[plain("train", 1783), plain("val", 1783)], 1 << 30, 224), None);
        let said = advice(&[plain("train", 1784), plain("val", 1783)], 1 << 30, 224).unwrap();
        assert!(said.starts_with("the 1784 images of train take 64.2 GB decoded; "), "{said}");
        let said = advice(&[drawn("train", phone(244)), plain("val", 1000)], 1 << 30, 224).unwrap();
        assert!(said.starts_with("the 244 images of train take 8.8 GB decoded; ") && said.contains("=1024"), "{said}");
        let random = AugmentSpec::simclr(224, 1.0).check().unwrap();
        assert_eq!([view_bytes(&through), view_bytes(&[random])], [Some(12 * 224 * 224), None]);
        // The remedy is for every part.
        let said = advice(&[drawn("train", phone(40)), drawn("val", phone(400))], 1 << 30, 224).unwrap();
        assert!(
            said.starts_with("the 40 images of train take 1.4 GB decoded and the 400 images of val take 14.4 GB"),
            "{said}"
        );
        assert!(said.contains("shorter_side=768"), "{said}");
        // A network that looks at larger images is not shown enlarged ones.
        let said = advice(&[drawn("train", phone(400))], 1 << 30, 800).unwrap();
        assert!(said.ends_with("asked for"), "{said}");
        // Too many even so.
        let said = advice(&[drawn("train", phone(5000))], 1 << 30, 224).unwrap();
        assert!(said.ends_with("asked for"), "{said}");
    }

    #[test]
    fn a_remedy_does_what_it_says() {
        for (images, width, height) in [(100, 3000, 4000), (300, 2048, 1536), (400, 5000, 1000)] {
            let said = advice(&[drawn("train", vec![(width, height); images])], 1 << 30, 224).unwrap();
            let side = said.split("shorter_side=").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
            let reduced = ShorterSide::new(side.parse().unwrap()).unwrap().reduce(image::RgbImage::new(width, height));
            assert_eq!(advice(&[drawn("train", vec![reduced.dimensions(); images])], 1 << 30, 224), None, "{said}");
        }
    }
}
