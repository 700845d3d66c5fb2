//! `panal fewshot predict`: which class of a support set is nearest to an image, or that none is near enough.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use panal_data::{BadFiles, DataSource, ImageFolder};
use panal_trainers::{RejectThreshold, SupportSet};
use serde::Serialize;
use serde_json::json;
use tch::{Kind, Tensor};

use super::encoder::{DEFAULT, Encoder};
use super::files::Files;
use super::picture;
use crate::cli::{FewshotPredictArgs, Global};
use crate::console::Console;
use crate::reading::Reading;
use crate::run::hex;
use crate::unfinished;

/// What is said of one image.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) image: String,
    /// The class of highest similarity; none where that is below the threshold.
    pub(super) class: Option<String>,
    /// The highest similarity.
    pub(super) similarity: f64,
    /// Every class, in the order of the support set.
    pub(super) similarities: Vec<Similarity>,
}

#[derive(Debug, Serialize)]
pub(super) struct Similarity {
    pub(super) class: String,
    /// Cosine of the image's features with the mean of the class's, in [-1, 1].
    pub(super) similarity: f64,
}

/// Images of known classes that are at hand, with their features.
pub(super) struct Known {
    pub(super) images: Arc<ImageFolder>,
    features: Tensor,
}

pub(crate) fn run(args: &FewshotPredictArgs, global: &Global, console: &Console) -> Result<()> {
    args.picture.as_deref().map(picture::check).transpose()?;
    let queries = Arc::new(Files::open(&args.query)?);
    for file in [&args.save, &args.picture].into_iter().flatten() {
        unfinished::check(file)?;
    }
    let saved = args.support.is_file().then(|| SupportSet::read(&args.support)).transpose()?;
    let open = |folder: &Path| open_classes(folder, console);
    let support = if saved.is_none() { Some(open(&args.support)?) } else { None };
    let grown = args.grow.as_deref().map(open).transpose()?;
    if let Some(file) = &args.picture {
        let new = support.iter().chain(&grown).flat_map(|images| images.classes()).map(String::as_str);
        let classes: BTreeSet<&str> = saved.iter().flat_map(SupportSet::classes).chain(new).collect();
        picture::check_height(file, classes.len(), queries.len())?;
    }
    let named = saved.as_ref().and_then(|set| set.encoder().card["init"].as_str());
    let name = args.init.as_deref().or(named).unwrap_or(DEFAULT);
    let encoder = Encoder::open(name, global, console)?;

    let mut known = Vec::new();
    let mut set = match saved {
        Some(set) => {
            set.check_encoder(&encoder.card).with_context(|| format!("in {}", args.support.display()))?;
            ensure!(
                args.transform.is_none() && args.base.is_none(),
                "--transform and --base are for a new support set, and {} has its own",
                args.support.display()
            );
            set
        }
        None => {
            let named: Vec<_> = args.transform.into_iter().collect();
            let (mut transforms, _) = encoder.transforms(&named, args.base.as_deref(), queries.as_ref())?;
            SupportSet::new(encoder.card.clone(), transforms.remove(0))
        }
    };
    for images in support.into_iter().chain(grown) {
        known.push(learn(&mut set, images, &encoder)?);
    }
    refuse_known_queries(&set, &queries)?;
    let calibrated =
        args.calibrate.as_deref().map(|folder| calibrate(&set, &known, folder, &encoder, console)).transpose()?;
    if let Some(found) = calibrated {
        set.reject = Some(found.threshold);
    }
    if args.reject.is_some() {
        set.reject = args.reject;
    }
    if let Some(file) = &args.save {
        set.write(file)?;
        tracing::info!("support set: {}", file.display());
    }
    let answers = answer(&set, &queries, &encoder)?;
    // Shown first: what can't be written is then not lost.
    show(&set, &answers, calibrated, global)?;
    args.picture.as_deref().map_or(Ok(()), |file| picture::write(file, &set, &known, &queries, &answers))
}

/// Adds the images of a folder of classes to the set.
fn learn(set: &mut SupportSet, images: Arc<ImageFolder>, encoder: &Encoder<'_>) -> Result<Known> {
    let digests = (0..images.len()).map(|index| Ok(hex(&images.content_digest(index)?))).collect::<Result<Vec<_>>>()?;
    for (index, digest) in digests.iter().enumerate() {
        let (path, class) = (images.path(index).display(), &images.classes()[images.label(index)]);
        if let Some(there) = set.class_of(digest) {
            bail!("{path} ({class}) is in the support set already, of class {there}: leave it out");
        }
        if let Some(first) = digests[..index].iter().position(|before| before == digest) {
            bail!("{path} and {} are the same image: leave one out", images.path(first).display());
        }
    }
    let source: Arc<dyn DataSource> = images.clone();
    let features = encoder.features(&source, "support")?;
    for (class, name) in images.classes().iter().enumerate() {
        let of_class = of_class(&images, class);
        let names: Vec<String> = of_class.iter().map(|&index| digests[index].clone()).collect();
        set.grow(name, &rows(&features, &of_class)?, &names)?;
    }
    Ok(Known { images, features })
}

pub(super) fn of_class(images: &ImageFolder, class: usize) -> Vec<usize> {
    (0..images.len()).filter(|&index| images.label(index) == class).collect()
}

fn rows(features: &Tensor, indices: &[usize]) -> Result<Tensor> {
    let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    Ok(features.f_index_select(0, &Tensor::f_from_slice(&indices)?)?)
}

/// A query that the set was made of would find itself.
fn refuse_known_queries(set: &SupportSet, queries: &Files) -> Result<()> {
    for index in 0..queries.len() {
        if let Some(class) = set.class_of(&hex(&queries.content_digest(index)?)) {
            bail!(
                "the query {} is in the support set, of class {class}: it would find itself, so ask for another image",
                queries.path(index).display()
            );
        }
    }
    Ok(())
}

/// A folder of classes of which every image can be decoded.
fn open_classes(folder: &Path, console: &Console) -> Result<Arc<ImageFolder>> {
    let images = ImageFolder::open(folder, BadFiles::Unchecked)?;
    Ok(Arc::new(Reading::new(console).check(images)?))
}

/// The threshold of best balanced accuracy between the support images, each against the set without itself, and the images of
/// `folder`, which are of other classes.
fn calibrate(
    set: &SupportSet,
    known: &[Known],
    folder: &Path,
    encoder: &Encoder<'_>,
    console: &Console,
) -> Result<RejectThreshold> {
    let others = open_classes(folder, console)?;
    let classes = set.classes();
    if let Some(class) = others.classes().iter().find(|class| classes.contains(&class.as_str())) {
        bail!(
            "--calibrate {} has the class {class}, which the support set knows: it must hold others",
            folder.display()
        );
    }
    for index in 0..others.len() {
        if let Some(class) = set.class_of(&hex(&others.content_digest(index)?)) {
            bail!(
                "{} is in the support set, of class {class}: leave it out of --calibrate",
                others.path(index).display()
            );
        }
    }
    let mut kept = Vec::new();
    for Known { images, features } in known {
        for (class, name) in images.classes().iter().enumerate() {
            let of_class = of_class(images, class);
            let whole = set.classes().iter().position(|known| known == name).map_or(0, |place| set.counts()[place]);
            if whole > 1 {
                kept.extend(highest(&set.similarities_left_out(name, &rows(features, &of_class)?)?)?);
            }
        }
    }
    ensure!(
        !kept.is_empty(),
        "--calibrate needs support images at hand, of a class with at least two: name the folder by --support, not a saved set"
    );
    let source: Arc<dyn DataSource> = others;
    let away = highest(&set.similarities(&encoder.features(&source, "calibration")?)?)?;
    let found = RejectThreshold::choose(&kept, &away)?;
    tracing::info!(
        "threshold {:.4}: balanced accuracy {:.3} between {} support images, each left out, and {} of other classes",
        found.threshold,
        found.balanced_accuracy,
        kept.len(),
        away.len()
    );
    Ok(found)
}

/// The highest of each row.
fn highest(similarities: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::<f64>::try_from(similarities.f_amax([1i64], false)?)?)
}

fn answer(set: &SupportSet, queries: &Arc<Files>, encoder: &Encoder<'_>) -> Result<Vec<Answer>> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let classes = set.classes();
    ensure!(
        classes.len() > 1 || set.reject.is_some(),
        "the support set has one class ({}): add others by --grow, or say by --reject from which similarity on an image is of it",
        classes.join(", ")
    );
    let source: Arc<dyn DataSource> = queries.clone();
    let similarities = set.similarities(&encoder.features(&source, "queries")?)?.f_to_kind(Kind::Double)?;
    let of_query = |(index, row): (usize, Vec<f64>)| {
        let first = (0, row[0]);
        let (best, similarity) =
            row.iter().copied().enumerate().fold(first, |best, next| if next.1 > best.1 { next } else { best });
        let near = set.reject.is_none_or(|threshold| similarity >= threshold);
        let similarities = classes.iter().zip(&row);
        Answer {
            image: queries.id(index),
            class: near.then(|| classes[best].to_owned()),
            similarity,
            similarities: similarities
                .map(|(class, &similarity)| Similarity { class: (*class).to_owned(), similarity })
                .collect(),
        }
    };
    Ok(Vec::<Vec<f64>>::try_from(similarities)?.into_iter().enumerate().map(of_query).collect())
}

fn show(set: &SupportSet, answers: &[Answer], calibrated: Option<RejectThreshold>, global: &Global) -> Result<()> {
    let support: Vec<_> = set.classes().into_iter().zip(set.counts()).collect();
    if global.json {
        let support: Vec<_> =
            support.iter().map(|(class, images)| json!({ "class": class, "images": images })).collect();
        let encoder = json!({ "init": set.encoder().card["init"], "digest": set.encoder().digest });
        println!(
            "{:#}",
            json!({ "support": support, "encoder": encoder, "transform": set.transform().name(), "reject": set.reject,
                    "calibration": calibrated, "answers": answers })
        );
        return Ok(());
    }
    if let Some(found) = calibrated {
        println!("threshold {:.4} (balanced accuracy {:.3})", found.threshold, found.balanced_accuracy);
    }
    for answer in answers {
        let class = answer.class.as_deref().unwrap_or("none");
        println!("{}  {class}", answer.image);
        for Similarity { class, similarity } in &answer.similarities {
            let images = support.iter().find(|(known, _)| known == class).map_or(0, |(_, images)| *images);
            println!("  {class:24} {similarity:7.4}  ({images} {})", if images == 1 { "image" } else { "images" });
        }
    }
    Ok(())
}
