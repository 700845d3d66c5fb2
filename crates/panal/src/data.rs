//! Images for every command: a drawn data set, one of the catalogue or a folder, opened, checked and told of; and `panal data`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use panal_data::{
    BadFiles, CifarBinary, DataError, DataSource, ImageFolder, Insects, Subset, contact_sheet, stratified_split,
};
use panal_hub::{Catalogue, Hub};
use panal_report::{ExcludedFile, Origin, SplitRecord};
use serde_json::json;

use crate::cli::{DataArgs, Global};
use crate::console::Console;
use crate::reading::{Reading, Together, Transforms, mind_memory};
use crate::unfinished;

/// A data set that panal draws: its id, what it is, and the images to train and to evaluate on.
type Drawn = (&'static str, &'static str, fn(u64) -> Result<[Insects; 2], DataError>);

/// The data sets that are always there, for they are drawn.
const DRAWN: [Drawn; 2] = [
    ("insects", "ants and bees", Insects::lab),
    ("insects-others", "every other species, to pretrain on", Insects::pretraining),
];

/// The pictures and the weights made from them are panal's own.
pub(crate) const OWN_LICENCE: &str = "MIT OR Apache-2.0";

/// Drawn data sets are named by what they show alone; this seed is theirs.
const DRAWN_SEED: u64 = 0;

/// Training and evaluation images, and what a record says of them.
pub(crate) struct Data {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) origin: Origin,
    pub(crate) train: Arc<dyn DataSource>,
    pub(crate) eval: Arc<dyn DataSource>,
    pub(crate) train_record: SplitRecord,
    pub(crate) eval_record: SplitRecord,
    pub(crate) excluded: Vec<ExcludedFile>,
    /// Whether the evaluated images were held out here, of data that come in one part.
    pub(crate) held_out: bool,
    /// Wall seconds that opening and checking took.
    pub(crate) seconds: f64,
}

impl Data {
    /// Warns where the images, asked for through these transforms, do not all fit in memory; none resizes to more than `needed`.
    pub(crate) fn mind_memory(&self, needed: u32, transforms: &Transforms) -> Result<(), DataError> {
        let (train, eval) = (self.train.as_ref(), self.eval.as_ref());
        // What was held out is kept with the rest.
        let kept = if self.held_out {
            let through = [&transforms.train[..], &transforms.eval].concat();
            vec![Together { images: vec![train, eval], through }]
        } else {
            let part = |images, through: &[_]| Together { images: vec![images], through: through.to_vec() };
            vec![part(train, &transforms.train), part(eval, &transforms.eval)]
        };
        mind_memory(&kept, needed)
    }
}

/// A drawn data set, or one with a `train` and a `val` folder.
pub(crate) fn open_lab(what: &str, reading: Reading<'_>) -> Result<Data> {
    if let Some(data) = draw(what, reading)? {
        return Ok(data);
    }
    let place = Place::find(what, reading.console)?;
    if !place.has_splits() {
        bail!(
            "{} must hold the folders `train` and `val` (or `test`), each with one folder a class",
            place.folder.display()
        );
    }
    place.open_splits(reading)
}

/// The same, or one folder of classes of which a share is held out.
pub(crate) fn open_any(what: &str, share: f64, seed: u64, reading: Reading<'_>) -> Result<Data> {
    if let Some(data) = draw(what, reading)? {
        return Ok(data);
    }
    let place = Place::find(what, reading.console)?;
    if place.has_splits() { place.open_splits(reading) } else { place.open_and_split(share, seed, reading) }
}

/// Images to pretrain on, and labelled ones to watch where there are some.
pub(crate) struct Unlabelled {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) origin: Origin,
    pub(crate) images: Arc<dyn DataSource>,
    /// Training images with labels, and others to ask of: where the data come in two parts.
    pub(crate) watch: Option<[Arc<dyn DataSource>; 2]>,
    pub(crate) excluded: Vec<ExcludedFile>,
}

/// A drawn data set, one with a `train` and a `val` or `test` folder, of which the first is learnt from, or any folder
/// with images, at any depth.
pub(crate) fn open_unlabelled(what: &str, reading: Reading<'_>) -> Result<Unlabelled> {
    let with_labels = |data: Data| Unlabelled {
        id: data.id,
        title: data.title,
        origin: data.origin,
        images: data.train.clone(),
        watch: Some([data.train, data.eval]),
        excluded: data.excluded,
    };
    if let Some(data) = draw(what, reading)? {
        return Ok(with_labels(data));
    }
    let place = Place::find(what, reading.console)?;
    if place.has_splits() {
        return place.open_splits(reading).map(with_labels);
    }
    let (images, excluded) = reading.open(|| ImageFolder::open_unlabelled(&place.folder, BadFiles::Unchecked))?;
    report_excluded(&excluded);
    tracing::info!("{} ({}): {} images", place.about.title, place.about.origin, images.len());
    let About { id, title, origin } = place.about;
    Ok(Unlabelled { id, title, origin, images, watch: None, excluded })
}

/// A folder as it is, or that of a data set of the catalogue, which is fetched.
pub(crate) fn find_folder(what: &str, console: &Console) -> Result<std::path::PathBuf> {
    Place::find(what, console).map(|place| place.folder)
}

/// Labelled images to judge by, in one part.
pub(crate) struct Evaluated {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) origin: Origin,
    pub(crate) images: Arc<dyn DataSource>,
    pub(crate) excluded: Vec<ExcludedFile>,
}

/// The evaluation images of a drawn data set or of one that comes in two parts, or all images of a folder of classes.
pub(crate) fn open_evaluated(what: &str, reading: Reading<'_>) -> Result<Evaluated> {
    if let Some(Data { id, title, origin, eval, excluded, .. }) = draw(what, reading)? {
        return Ok(Evaluated { id, title, origin, images: eval, excluded });
    }
    let place = Place::find(what, reading.console)?;
    let Part { images, excluded, .. } = match place.parts(reading)? {
        Some([_, evaluation]) => evaluation,
        None => place.whole(reading)?,
    };
    report_excluded(&excluded);
    let About { id, title, origin } = place.about;
    tracing::info!("{title} ({origin}): {} images of {} classes", images.len(), images.classes().len());
    Ok(Evaluated { id, title, origin, images, excluded })
}

/// The drawn data set of this name, if there is one; a folder called so is meant by `./NAME`.
fn draw(what: &str, reading: Reading<'_>) -> Result<Option<Data>> {
    let Some((id, title, open)) = DRAWN.into_iter().find(|(id, ..)| *id == what) else { return Ok(None) };
    let clock = Instant::now();
    let [train, eval] = open(DRAWN_SEED)?.map(|images| -> Arc<dyn DataSource> { reading.kept(Arc::new(images)) });
    let about = About { id: id.into(), title: format!("{id}: {title}"), origin: Origin::SyntheticInsects };
    about.with(train, eval, Vec::new(), clock).map(Some)
}

/// One folder of classes, with the files that are not used.
pub(crate) fn open_folder(folder: &Path, reading: Reading<'_>) -> Result<(Arc<dyn DataSource>, Vec<ExcludedFile>)> {
    Ok(reading.open(|| {
        let images = ImageFolder::open(folder, BadFiles::Unchecked)?;
        images.require_classes(2)?;
        Ok(images)
    })?)
}

/// Warns of every file that is not used.
pub(crate) fn report_excluded(excluded: &[ExcludedFile]) {
    for file in excluded {
        tracing::warn!("left out: {}: {}", file.path, file.reason);
    }
}

/// What a data set is called, and what its images are.
struct About {
    id: String,
    title: String,
    origin: Origin,
}

/// One part of a data set.
struct Part {
    name: &'static str,
    images: Arc<dyn DataSource>,
    excluded: Vec<ExcludedFile>,
}

/// A folder with images.
struct Place {
    about: About,
    folder: std::path::PathBuf,
}

impl Place {
    /// `what` is a folder, or else a data set of the catalogue, which is fetched.
    fn find(what: &str, console: &Console) -> Result<Self> {
        let path = Path::new(what);
        if path.is_dir() {
            let id = path
                .canonicalize()?
                .file_name()
                .map_or_else(|| what.to_owned(), |name| name.to_string_lossy().into_owned());
            let about = About { title: id.clone(), id, origin: Origin::NotStated };
            return Ok(Self { about, folder: path.to_owned() });
        }
        let hub = Hub::from_env()?;
        let (entry, _) =
            hub.catalogue().find_dataset(what).map_err(|error| anyhow!("there is no folder {what}, and {error}"))?;
        let fetched = hub.dataset(&entry.id, &console.hub_progress())?;
        // Another edition may have taken its place.
        let title = hub.catalogue().find(&fetched.id)?.title.clone();
        tracing::info!("{title}: {}", fetched.path.display());
        Ok(Self { about: About { id: fetched.id, title, origin: Origin::RealPhotographs }, folder: fetched.path })
    }

    /// Whether it comes in two parts, to learn from and to evaluate on.
    fn has_splits(&self) -> bool {
        CifarBinary::is_at(&self.folder) || self.evaluation().is_some_and(|_| self.folder.join("train").is_dir())
    }

    /// The name of the folder of images to evaluate on: `val`, or else `test`.
    fn evaluation(&self) -> Option<&'static str> {
        ["val", "test"].into_iter().find(|name| self.folder.join(name).is_dir())
    }

    /// The two parts, where there are two: folders of classes, or CIFAR-10's own files.
    fn parts(&self, reading: Reading<'_>) -> Result<Option<[Part; 2]>> {
        if !self.has_splits() {
            return Ok(None);
        }
        if CifarBinary::is_at(&self.folder) {
            // In memory as it is, so that there is nothing to keep.
            let [train, test] = CifarBinary::open(&self.folder)?;
            let part = |name, images| Part { name, images: reading.reduced(Arc::new(images)), excluded: Vec::new() };
            return Ok(Some([part("train", train), part("test", test)]));
        }
        let open = |name: &'static str| -> Result<Part> {
            let folder = self.folder.join(name);
            let (images, excluded) = open_folder(&folder, reading)?;
            Ok(Part { name, images, excluded })
        };
        Ok(Some([open("train")?, open(self.evaluation().unwrap_or("val"))?]))
    }

    /// All images of a folder of classes.
    fn whole(&self, reading: Reading<'_>) -> Result<Part> {
        let (images, excluded) = open_folder(&self.folder, reading)?;
        Ok(Part { name: "all", images, excluded })
    }

    fn open_splits(self, reading: Reading<'_>) -> Result<Data> {
        let clock = Instant::now();
        let Some([train, eval]) = self.parts(reading)? else {
            bail!("{} does not come in two parts", self.folder.display());
        };
        let within = |part: &Part| -> Vec<ExcludedFile> {
            let within =
                |file: &ExcludedFile| ExcludedFile { path: format!("{}/{}", part.name, file.path), ..file.clone() };
            part.excluded.iter().map(within).collect()
        };
        let excluded = [within(&train), within(&eval)].concat();
        let (train, eval) = (train.images, eval.images);
        self.about.with(train, eval, excluded, clock)
    }

    fn open_and_split(self, share: f64, seed: u64, reading: Reading<'_>) -> Result<Data> {
        let clock = Instant::now();
        let (whole, excluded) = open_folder(&self.folder, reading)?;
        let labels: Vec<usize> = (0..whole.len()).map(|index| whole.label(index)).collect();
        let fold = stratified_split(&labels, share, seed)?;
        let train = Arc::new(Subset::new(whole.clone(), fold.train)?);
        let eval = Arc::new(Subset::new(whole, fold.held_out)?);
        Ok(Data { held_out: true, ..self.about.with(train, eval, excluded, clock)? })
    }
}

impl About {
    fn with(
        self,
        train: Arc<dyn DataSource>,
        eval: Arc<dyn DataSource>,
        excluded: Vec<ExcludedFile>,
        clock: Instant,
    ) -> Result<Data> {
        report_excluded(&excluded);
        if train.classes() != eval.classes() {
            let (train, eval) = (train.classes().join(", "), eval.classes().join(", "));
            bail!("{}: the training images have the classes [{train}], the evaluation images [{eval}]", self.title);
        }
        let (train_record, eval_record) =
            (panal_trainers::split_record(train.as_ref())?, panal_trainers::split_record(eval.as_ref())?);
        tracing::info!(
            "{} ({}): {} training and {} evaluation images of {}",
            self.title,
            self.origin,
            train.len(),
            eval.len(),
            counts(train.as_ref(), eval.as_ref()),
        );
        let (id, title, origin) = (self.id, self.title, self.origin);
        Ok(Data {
            id,
            title,
            origin,
            train,
            eval,
            train_record,
            eval_record,
            excluded,
            held_out: false,
            seconds: clock.elapsed().as_secs_f64(),
        })
    }
}

/// `ants (123 + 70), bees (121 + 83)`.
fn counts(train: &dyn DataSource, eval: &dyn DataSource) -> String {
    let both = train.class_counts().into_iter().zip(eval.class_counts());
    let of_class = |(name, (train, eval)): (&String, (usize, usize))| format!("{name} ({train} + {eval})");
    train.classes().iter().zip(both).map(of_class).collect::<Vec<_>>().join(", ")
}

pub(crate) fn run(args: &DataArgs, global: &Global, console: &Console) -> Result<()> {
    match (&args.what, &args.sheet) {
        (None, None) => list(global),
        (None, Some(file)) => write_sheet(file, global),
        (Some(what), _) => describe(what, Reading { skip_bad: args.skip_bad, ..Reading::new(console) }, global),
    }
}

/// Draws the contact sheet; the file appears whole or not at all.
fn write_sheet(file: &Path, global: &Global) -> Result<()> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !["jpg", "jpeg", "png"].contains(&ending.as_str()) {
        bail!("--sheet must end in .jpg or .png, got {}", file.display());
    }
    let sheet = contact_sheet(DRAWN_SEED, 3, 4)?;
    let place = unfinished::beside(file)?.into_temp_path();
    sheet.save(&place).with_context(|| format!("cannot write {}", file.display()))?;
    place.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
    if global.json {
        println!("{:#}", json!({ "sheet": file }));
    } else {
        println!("{}", file.display());
    }
    Ok(())
}

fn list(global: &Global) -> Result<()> {
    let catalogue = Catalogue::builtin()?;
    if global.json {
        let entries = catalogue.datasets().map(|entry| {
            json!({ "id": entry.id, "title": entry.title, "licence": entry.licence, "citation": entry.citation,
                    "homepage": entry.homepage, "url": entry.url, "bytes": entry.bytes })
        });
        let drawn = DRAWN.map(|(id, title, _)| json!({ "id": id, "title": title, "licence": OWN_LICENCE }));
        println!("{:#}", json!(drawn.into_iter().chain(entries).collect::<Vec<_>>()));
        return Ok(());
    }
    for (id, title, _) in DRAWN {
        println!("{id}  {title}\n  {}, drawn by panal\n  licence: {OWN_LICENCE}", Origin::SyntheticInsects);
    }
    for entry in catalogue.datasets() {
        println!(
            "{}  {}\n  licence: {}\n  cite: {}\n  {}",
            entry.id, entry.title, entry.licence, entry.citation, entry.homepage
        );
    }
    Ok(())
}

fn describe(what: &str, reading: Reading<'_>, global: &Global) -> Result<()> {
    let (title, folder, parts) = match draw(what, reading)? {
        Some(data) => {
            let part = |name, images| Part { name, images, excluded: Vec::new() };
            (data.title, None, vec![part("train", data.train), part("val", data.eval)])
        }
        None => {
            let place = Place::find(what, reading.console)?;
            let parts = match place.parts(reading).transpose() {
                Some(parts) => parts.map(Vec::from),
                None => place.whole(reading).map(|whole| vec![whole]),
            };
            let parts = parts.with_context(|| format!("in {}", place.folder.display()))?;
            (place.about.title, Some(place.folder), parts)
        }
    };
    let mut described = Vec::new();
    for Part { name: split, images, excluded } in parts {
        let split_record = panal_trainers::split_record(images.as_ref())?;
        if !global.json {
            println!("{split}: {} images, digest {}", images.len(), split_record.digest);
            for (class, count) in images.classes().iter().zip(&split_record.per_class) {
                println!("  {class:24} {count:>7}");
            }
            for file in &excluded {
                println!("  left out: {}: {}", file.path, file.reason);
            }
        }
        described
            .push(json!({ "split": split, "classes": images.classes(), "images": split_record, "excluded": excluded }));
    }
    if global.json {
        println!("{:#}", json!({ "data": title, "folder": folder, "splits": described }));
    }
    Ok(())
}
