//! The files of TensorBoard's projector: points, what is known of each, and a picture of each. Where the points come from is the
//! caller's business.
//!
//! The configuration is a text file of the message `ProjectorConfig` (TensorBoard,
//! `tensorboard/plugins/projector/projector_config.proto`); paths in it are relative to the folder that it lies in.

use std::fs;
use std::io::Write;
use std::path::Path;

use image::imageops::{self, FilterType, resize};
use image::{Rgb, RgbImage};

use crate::EventError;
use crate::writer::png;

/// The most points of a projection: it is read and drawn by a browser.
pub const MOST_POINTS: usize = 10_000;

/// The configuration's name, which the projector looks for in the folder of every run.
const CONFIG: &str = "projector_config.pbtxt";
/// The folder of the other files, beside it.
const FOLDER: &str = "projector";

/// Side of a point's picture: so small that all of them fit into a square of [`SPRITE`] pixels, and at most the first of these.
const THUMBNAIL: u32 = 48;
const SPRITE: u32 = 4096;

/// Points of many dimensions, such as features of images, for TensorBoard's projector.
#[derive(Debug, Clone, Copy)]
pub struct Projection<'a> {
    /// What the points are, for people.
    pub name: &'a str,
    /// Numbers of a point.
    pub dimensions: usize,
    /// `[points * dimensions]`: all numbers of one point and then those of the next.
    pub values: &'a [f32],
    /// What is known of each point: names of the columns. At least 1.
    pub columns: &'a [&'a str],
    /// For each point as many cells as there are columns.
    pub cells: &'a [Vec<String>],
    /// A picture of each point, of any size; none at all leaves them out.
    pub pictures: &'a [RgbImage],
}

impl Projection<'_> {
    /// Writes `projector/tensors.tsv`, `metadata.tsv`, `sprite.png` and, when all of these are there, `projector_config.pbtxt` into
    /// `folder`, the folder of a run's event files, in place of those of an earlier projection. Each file appears whole or not at all.
    ///
    /// # Errors
    /// [`EventError::Projection`] where the arguments do not fit each other or there are no points, or more than [`MOST_POINTS`];
    /// [`EventError::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), EventError> {
        let points = self.check().map_err(|message| EventError::Projection { name: self.name.to_owned(), message })?;
        let inner = folder.join(FOLDER);
        fs::create_dir_all(&inner).map_err(EventError::write(&inner))?;
        replace(&inner.join("tensors.tsv"), self.tensors().as_bytes())?;
        replace(&inner.join("metadata.tsv"), self.metadata().as_bytes())?;
        let mut sprite = String::new();
        if !self.pictures.is_empty() {
            let columns = (points as f64).sqrt().ceil() as u32;
            let side = (SPRITE / columns).clamp(1, THUMBNAIL);
            replace(&inner.join("sprite.png"), &png(self.name, &self.sprite(columns, side), SPRITE)?)?;
            sprite = format!(
                "  sprite {{\n    image_path: \"{FOLDER}/sprite.png\"\n    single_image_dim: {side}\n    single_image_dim: {side}\n  }}\n"
            );
        }
        let name = quoted(self.name);
        let config = format!(
            "embeddings {{\n  tensor_name: {name}\n  tensor_path: \"{FOLDER}/tensors.tsv\"\n  metadata_path: \"{FOLDER}/metadata.tsv\"\n{sprite}}}\n"
        );
        replace(&folder.join(CONFIG), config.as_bytes())
    }

    /// The number of points.
    fn check(&self) -> Result<usize, String> {
        let points = self.cells.len();
        if points == 0 || points > MOST_POINTS {
            return Err(format!("there must be 1 to {MOST_POINTS} points, got {points}; draw a sample"));
        }
        if self.dimensions == 0 || self.values.len() != points * self.dimensions {
            let (values, dimensions) = (self.values.len(), self.dimensions);
            return Err(format!("values must be {points} points times {dimensions} dimensions, got {values}"));
        }
        if let Some(at) = self.values.iter().position(|value| !value.is_finite()) {
            return Err(format!("values[{at}] must be finite, got {}", self.values[at]));
        }
        if self.columns.is_empty() {
            return Err("columns must be at least 1, got none".into());
        }
        if let Some((at, cells)) = self.cells.iter().enumerate().find(|(_, cells)| cells.len() != self.columns.len()) {
            return Err(format!(
                "cells[{at}] must be as many as the {} columns, got {}",
                self.columns.len(),
                cells.len()
            ));
        }
        if !matches!(self.pictures.len(), pictures if pictures == 0 || pictures == points) {
            return Err(format!("pictures must be none or one a point, {points}, got {}", self.pictures.len()));
        }
        if let Some(at) = self.pictures.iter().position(|picture| picture.width().min(picture.height()) == 0) {
            return Err(format!("pictures[{at}] must have pixels, got none"));
        }
        Ok(points)
    }

    fn tensors(&self) -> String {
        let line = |point: &[f32]| point.iter().map(f32::to_string).collect::<Vec<_>>().join("\t") + "\n";
        self.values.chunks_exact(self.dimensions).map(line).collect()
    }

    /// A single column has no heading: the projector would take it for a point.
    fn metadata(&self) -> String {
        let line = |cells: Vec<String>| cells.join("\t") + "\n";
        let heading = (self.columns.len() > 1).then(|| line(self.columns.iter().map(|column| cell(column)).collect()));
        let lines = self.cells.iter().map(|cells| line(cells.iter().map(|text| cell(text)).collect()));
        heading.into_iter().chain(lines).collect()
    }

    /// All pictures in one, row after row, each a square of `side` pixels.
    fn sprite(&self, columns: u32, side: u32) -> RgbImage {
        let rows = (self.pictures.len() as u32).div_ceil(columns);
        // A square, as the projector wants it.
        let mut sprite = RgbImage::from_pixel(columns * side, rows.max(columns) * side, Rgb([255; 3]));
        for (number, picture) in (0..).zip(self.pictures) {
            let (width, height) = picture.dimensions();
            let least = width.min(height);
            let middle = imageops::crop_imm(picture, (width - least) / 2, (height - least) / 2, least, least);
            let small = resize(&middle.to_image(), side, side, FilterType::Triangle);
            let (x, y) = (number % columns * side, number / columns * side);
            imageops::replace(&mut sprite, &small, i64::from(x), i64::from(y));
        }
        sprite
    }
}

/// Text without what would end a cell or a line.
fn cell(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// A string of protobuf's text format.
fn quoted(text: &str) -> String {
    format!("\"{}\"", cell(text).replace('\\', "\\\\").replace('"', "\\\""))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), EventError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
        let mut file = builder.prefix(".unfinished-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(EventError::write(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(points: usize) -> Vec<Vec<String>> {
        (0..points).map(|point| vec![format!("{point}.jpg"), "a\tb".to_owned()]).collect()
    }

    #[test]
    fn files_hold_every_point_its_cells_and_its_picture() {
        let folder = tempfile::tempdir().unwrap();
        let pictures: Vec<RgbImage> = (0..5).map(|i| RgbImage::from_pixel(9 + i, 60, Rgb([50 * i as u8; 3]))).collect();
        let values = [1.5, -2.0, 1e-9, 0.1, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let projection = Projection {
            name: "of \"ants\"\n",
            dimensions: 2,
            values: &values,
            columns: &["image", "class"],
            cells: &cells(5),
            pictures: &pictures,
        };
        projection.write(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("projector/tensors.tsv"), "1.5\t-2\n0.000000001\t0.1\n3\t4\n5\t6\n7\t8\n");
        assert_eq!(
            read("projector/metadata.tsv"),
            "image\tclass\n0.jpg\ta b\n1.jpg\ta b\n2.jpg\ta b\n3.jpg\ta b\n4.jpg\ta b\n"
        );
        assert!(read("projector_config.pbtxt").contains("tensor_name: \"of \\\"ants\\\" \"\n"));
        let sprite = image::open(folder.path().join("projector/sprite.png")).unwrap().to_rgb8();
        // Five squares in rows of three.
        assert_eq!(sprite.dimensions(), (144, 144));
        assert_eq!(sprite[(48 + 24, 48 + 24)], Rgb([200; 3]));
        assert_eq!(sprite[(143, 143)], Rgb([255; 3]));
        let names: Vec<_> =
            fs::read_dir(folder.path().join("projector")).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn a_single_column_has_no_heading_and_no_pictures_no_sprite() {
        let folder = tempfile::tempdir().unwrap();
        let (columns, cells) = (["class"], [vec!["bee".to_owned()]]);
        let projection =
            Projection { name: "n", dimensions: 1, values: &[1.0], columns: &columns, cells: &cells, pictures: &[] };
        projection.write(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("projector/metadata.tsv")).unwrap(), "bee\n");
        assert!(!fs::read_to_string(folder.path().join("projector_config.pbtxt")).unwrap().contains("sprite"));
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (two, columns) = (cells(2), ["image", "class"]);
        let good =
            Projection { name: "n", dimensions: 2, values: &[0.0; 4], columns: &columns, cells: &two, pictures: &[] };
        let wrong = [
            (Projection { cells: &[], ..good }, "there must be 1 to 10000 points, got 0"),
            (Projection { values: &[0.0; 5], ..good }, "values must be 2 points times 2 dimensions, got 5"),
            (Projection { values: &[0.0, 1.0, f32::NAN, 0.0], ..good }, "values[2] must be finite, got NaN"),
            (Projection { columns: &columns[..1], ..good }, "cells[0] must be as many as the 1 columns, got 2"),
            (Projection { columns: &[], ..good }, "columns must be at least 1, got none"),
            (Projection { pictures: &[RgbImage::new(1, 1)], ..good }, "pictures must be none or one a point, 2, got 1"),
            (
                Projection { pictures: &[RgbImage::new(1, 1), RgbImage::new(0, 1)], ..good },
                "pictures[1] must have pixels, got none",
            ),
        ];
        for (projection, expected) in wrong {
            let said = projection.write(folder.path()).unwrap_err().to_string();
            assert!(said.starts_with(&format!("projection `n`: {expected}")), "{said}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
