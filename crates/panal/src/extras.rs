//! What a lab's page shows beside that which the records hold: small pictures, where the evidence lay, features as points. Finding out is in
//! `looks`, the page itself in `panal-report`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use panal_data::transforms::{self, Interpolation, Resize};
use panal_data::{AugmentSpec, DataSource, Pipeline};
use panal_report::{Embedding, Evidence, Extras, PointImage, RunRecord, Table, Thumbnails};
use rayon::prelude::*;

use crate::looks::{Look, Seen};
use crate::overlay;

/// The longer side of a picture, in pixels, and its quality.
type Size = (u32, u8);

/// Of an image that was wrong, of the evidence in it, of a point.
const WRONG: Size = (192, 80);
const EVIDENCE: Size = (160, 72);
const POINT: Size = (72, 62);

/// Where the look of a run is kept.
pub(crate) fn look_path(folder: &Path, row_index: usize, seed: u64) -> std::path::PathBuf {
    folder.join("looks").join(format!("row{}-seed{seed}.safetensors", row_index + 1))
}

/// All that can be shown of these runs. What can't is left out with a warning: the results don't depend on it.
pub(crate) fn of(
    folder: &Path,
    table: &Table,
    records: &[RunRecord],
    source: &dyn DataSource,
    transform: &AugmentSpec,
) -> Result<Extras> {
    let mut looks = Vec::new();
    for record in records {
        let path = look_path(folder, record.row_index, record.seed);
        match Look::read(&path, record) {
            Ok(Some(look)) => looks.push((record, look)),
            Ok(None) => tracing::debug!("nothing is kept of what {}, seed {}, looked at", record.row, record.seed),
            Err(error) => tracing::warn!("left out of the page: {error:#}"),
        }
    }
    let index: HashMap<String, usize> = (0..source.len()).map(|index| (source.id(index), index)).collect();
    let pictures = Pictures { source, index, pipeline: transform.check()?, transform };
    let embeddings = embeddings(&looks);
    let wrong: HashSet<&str> =
        table.rows.iter().flat_map(|row| &row.mistakes).map(|mistake| mistake.id.as_str()).collect();
    let points: HashSet<&str> =
        embeddings.iter().flat_map(|embedding| &embedding.images).map(|image| image.id.as_str()).collect();
    let [thumbnails, points] = pictures.of(&[(wrong, WRONG), (points, POINT)]);
    Ok(Extras { thumbnails, evidence: pictures.evidence(table, &looks), points, embeddings })
}

/// Principal components and t-SNE of the features of each row's first seed; rows whose features are the same share one.
fn embeddings(looks: &[(&RunRecord, Look)]) -> Vec<Embedding> {
    let mut shown: Vec<(&Look, &RunRecord, Vec<String>)> = Vec::new();
    let mut rows = HashSet::new();
    for (record, look) in looks.iter().filter(|(_, look)| !look.features.is_empty()) {
        // Records are sorted by row, then by seed.
        if !rows.insert(record.row_index) {
            continue;
        }
        let named = |images: &[Seen]| images.iter().map(|image| image.id.clone()).collect::<Vec<_>>();
        let same = shown.iter_mut().find(|(other, ..)| {
            other.features == look.features && named(&other.card.images) == named(&look.card.images)
        });
        match same {
            Some((.., titles)) => titles.push(record.row.clone()),
            None => shown.push((look, record, vec![record.row.clone()])),
        }
    }
    let mut embeddings = Vec::new();
    for (look, record, titles) in shown {
        let title = format!("{} (seed {})", titles.join("; "), record.seed);
        let classes = &record.data.classes;
        let labels: Vec<usize> = look.card.images.iter().map(|image| image.truth).collect();
        // What was said is a row's own, though rows may share the features.
        let own = titles.len() == 1;
        let images: Vec<PointImage> = look
            .card
            .images
            .iter()
            .map(|image| PointImage { id: image.id.clone(), predicted: own.then_some(image.predicted) })
            .collect();
        let found = [Embedding::pca, Embedding::tsne].map(|find| find(title.clone(), classes, &labels, &look.features));
        for embedding in found {
            match embedding.and_then(|embedding| embedding.with_images(images.clone())) {
                Ok(embedding) => embeddings.push(embedding),
                Err(error) => tracing::warn!("left out of the page: {error}"),
            }
        }
    }
    embeddings
}

/// The evaluated images, by name.
struct Pictures<'a> {
    source: &'a dyn DataSource,
    index: HashMap<String, usize>,
    pipeline: Pipeline,
    transform: &'a AugmentSpec,
}

impl Pictures<'_> {
    /// Small pictures of these images, each image looked at once.
    fn of<const N: usize>(&self, wanted: &[(HashSet<&str>, Size); N]) -> [Thumbnails; N] {
        let all: HashSet<&str> = wanted.iter().flat_map(|(ids, _)| ids).copied().collect();
        let of_image = |id: &str| -> Option<[Option<Result<Vec<u8>>>; N]> {
            let index = *self.index.get(id)?;
            let sizes = wanted.each_ref().map(|(ids, size)| ids.contains(id).then_some(*size));
            let mut made = sizes.map(|_| None);
            let looked = self.source.look_at(index, &mut |image| {
                made = sizes.map(|size| size.map(|size| jpeg(image, size)));
            });
            match looked {
                Ok(()) => Some(made),
                Err(error) => {
                    tracing::warn!("no small picture of {id} on the page: {error}");
                    None
                }
            }
        };
        let made: Vec<_> = all.into_par_iter().filter_map(|id| Some((id, of_image(id)?))).collect();
        let mut thumbnails = [(); N].map(|()| Thumbnails::new());
        for (id, pictures) in made {
            for (thumbnails, picture) in thumbnails.iter_mut().zip(pictures) {
                if let Some(picture) = picture {
                    put(thumbnails, id, picture);
                }
            }
        }
        thumbnails
    }

    /// For each row, its mistakes with what the surest seed's network found in them.
    fn evidence(&self, table: &Table, looks: &[(&RunRecord, Look)]) -> BTreeMap<String, Evidence> {
        let mut all = BTreeMap::new();
        for row in &table.rows {
            let mut of_row = Evidence::default();
            for mistake in &row.mistakes {
                let of_seed = |(record, _): &&(&RunRecord, Look)| {
                    (record.row_index, &record.row, record.seed) == (row.index, &row.name, mistake.seed)
                };
                let Some((_, look)) = looks.iter().find(of_seed) else { continue };
                let place = look.card.mistakes.iter().position(|seen| seen.id == mistake.id);
                let Some([predicted, truth]) = place.and_then(|place| look.evidence.get(place)) else { continue };
                let Some(view) = self.view(&mistake.id) else { continue };
                put(&mut of_row.predicted, &mistake.id, jpeg(&overlay::over(&view, predicted), EVIDENCE));
                put(&mut of_row.truth, &mistake.id, jpeg(&overlay::over(&view, truth), EVIDENCE));
            }
            if of_row != Evidence::default() {
                all.insert(row.name.clone(), of_row);
            }
        }
        all
    }

    /// What a network is given of an image.
    fn view(&self, id: &str) -> Option<RgbImage> {
        let (height, width) = self.pipeline.size();
        let mut pixels = vec![0.0; 3 * (height * width) as usize];
        self.source.view(*self.index.get(id)?, &self.pipeline, &mut pixels).ok()?;
        Some(overlay::picture(&pixels, (height, width), self.transform))
    }
}

fn put(thumbnails: &mut Thumbnails, id: &str, made: Result<Vec<u8>>) {
    if let Err(error) = made.and_then(|bytes| Ok(thumbnails.insert(id, bytes)?)) {
        tracing::warn!("no small picture of {id} on the page: {error:#}");
    }
}

/// A JPEG file with the longer side of so many pixels at most.
fn jpeg(image: &RgbImage, (side, quality): Size) -> Result<Vec<u8>> {
    let (width, height) = image.dimensions();
    let scale = (f64::from(side) / f64::from(width.max(height))).min(1.0);
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let size = transforms::Size::Both([scaled(height), scaled(width)]);
    let small = Resize { size, interpolation: Interpolation::Bilinear }.apply(image);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&small)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use panal_data::{BadFiles, ImageFolder};

    use super::*;

    #[test]
    fn an_image_gets_the_pictures_that_are_wanted_and_a_bad_one_none() {
        let folder = tempfile::tempdir().unwrap();
        for (class, red) in [("ants", 90), ("bees", 200)] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            RgbImage::from_pixel(400, 300, image::Rgb([red, 80, 70]))
                .save(folder.path().join(class).join("1.png"))
                .unwrap();
        }
        std::fs::write(folder.path().join("bees/2.png"), "damaged").unwrap();
        let images = ImageFolder::open(folder.path(), BadFiles::Unchecked).unwrap();
        let index = (0..images.len()).map(|index| (images.id(index), index)).collect();
        let transform = AugmentSpec::plain(32, 24);
        let pipeline = transform.check().unwrap();
        let pictures = Pictures { source: &images, index, pipeline, transform: &transform };
        let wrong = HashSet::from(["ants/1.png", "bees/1.png", "bees/2.png", "gone.png"]);
        let made = pictures.of(&[(wrong, WRONG), (HashSet::from(["ants/1.png"]), POINT)]);
        let mut expected = [Thumbnails::new(), Thumbnails::new()];
        let picture = |id: &str, size| jpeg(&images.image(usize::from(id == "bees/1.png")).unwrap(), size).unwrap();
        expected[0].insert("ants/1.png", picture("ants/1.png", WRONG)).unwrap();
        expected[0].insert("bees/1.png", picture("bees/1.png", WRONG)).unwrap();
        expected[1].insert("ants/1.png", picture("ants/1.png", POINT)).unwrap();
        assert_eq!(made, expected);
        let read = image::load_from_memory(&picture("ants/1.png", WRONG)).unwrap();
        assert_eq!((read.width(), read.height()), (192, 144));
    }
}
