//! CIFAR-10 as its authors pack it: files of records, a byte for the label and 3072 for the pixels. Fetching and unpacking are panal-hub's.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::{DataError, DataSource};

/// The names of the classes, one a line.
const NAMES: &str = "batches.meta.txt";
/// The files to learn from.
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
/// The file to evaluate on.
const TEST: &str = "test_batch.bin";
/// Rows and columns of an image.
const SIDE: u32 = 32;
/// Pixels of one channel of an image.
const PLANE: usize = (SIDE * SIDE) as usize;
/// Bytes of a record: label, red, green, blue.
const RECORD: usize = 1 + 3 * PLANE;
/// Records of a file at most: the original has 10,000. A longer file is no batch of CIFAR-10.
const MOST: u64 = 100_000;

/// Images of CIFAR-10's binary version, kept in memory as the files have them: 3073 bytes each.
///
/// Their ids are the file and the place in it, as in `data_batch_1/00042`.
#[derive(Debug)]
pub struct CifarBinary {
    name: String,
    classes: Vec<String>,
    batches: Vec<Batch>,
}

/// One file of records.
#[derive(Debug)]
struct Batch {
    /// The file's name without its ending.
    stem: &'static str,
    /// Where its first image stands among all of them.
    first: usize,
    records: Vec<u8>,
}

impl CifarBinary {
    /// Whether the folder looks like what `cifar-10-binary.tar.gz` unpacks to.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(NAMES).is_file() && folder.join(TEST).is_file()
    }

    /// The images to learn from, those of `data_batch_1.bin` to `data_batch_5.bin`, and those to evaluate on, of
    /// `test_batch.bin`, in the folder that `cifar-10-binary.tar.gz` unpacks to.
    ///
    /// # Errors
    /// [`DataError::Read`] for a file that is not there; [`DataError::Folder`] for fewer than two classes or two of one name, and
    /// for a file that is no whole number of records, is empty or too long, or has a label without a class.
    pub fn open(folder: &Path) -> Result<[Self; 2], DataError> {
        let path = folder.join(NAMES);
        let text = fs::read_to_string(&path).map_err(|source| DataError::Read { path, source })?;
        let classes: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let twice = classes.iter().enumerate().find(|(index, class)| classes[..*index].contains(class));
        if let Some((_, class)) = twice {
            let problem = format!("has the class `{}` twice in {NAMES}", class.escape_debug());
            return Err(DataError::Folder { root: folder.to_owned(), problem });
        }
        if !(2..=256).contains(&classes.len()) {
            let problem = format!("has {} classes in {NAMES}, and 2 to 256 are expected, one a line", classes.len());
            return Err(DataError::Folder { root: folder.to_owned(), problem });
        }
        let read = |part: &str, files: &[&'static str]| -> Result<Self, DataError> {
            let mut this =
                Self { name: format!("{} ({part})", folder.display()), classes: classes.clone(), batches: Vec::new() };
            for &file in files {
                let (first, path) = (this.len(), folder.join(file));
                let records = read_records(&path, &classes)?;
                let stem = file.trim_end_matches(".bin");
                this.batches.push(Batch { stem, first, records });
            }
            Ok(this)
        };
        Ok([read("train", &TRAIN)?, read("test", &[TEST])?])
    }

    /// The record of image `index`, its batch and its place in that.
    fn record(&self, index: usize) -> (&Batch, usize, &[u8]) {
        let batch = self.batches.partition_point(|batch| batch.first <= index) - 1;
        let batch = &self.batches[batch];
        let place = index - batch.first;
        (batch, place, &batch.records[place * RECORD..][..RECORD])
    }
}

/// The records of a file, all of them whole and with labels that are classes.
fn read_records(path: &PathBuf, classes: &[String]) -> Result<Vec<u8>, DataError> {
    let wrong = |problem: String| DataError::Folder { root: path.clone(), problem };
    let read = |source| DataError::Read { path: path.clone(), source };
    let bytes = fs::metadata(path).map_err(read)?.len();
    let (records, rest) = (bytes / RECORD as u64, bytes % RECORD as u64);
    if rest != 0 || records == 0 || records > MOST {
        return Err(wrong(format!(
            "has {bytes} bytes, and a batch of CIFAR-10's binary version is 1 to {MOST} records of {RECORD} bytes: fetch it anew"
        )));
    }
    let records = fs::read(path).map_err(read)?;
    if records.len() as u64 != bytes {
        return Err(wrong("changed while it was read".into()));
    }
    let bad = records.iter().step_by(RECORD).position(|&label| usize::from(label) >= classes.len());
    if let Some(place) = bad {
        let label = records[place * RECORD];
        return Err(wrong(format!("has the label {label} in record {place}, and there are {} classes", classes.len())));
    }
    Ok(records)
}

impl DataSource for CifarBinary {
    fn name(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.batches.last().map_or(0, |batch| batch.first + batch.records.len() / RECORD)
    }

    fn label(&self, index: usize) -> usize {
        usize::from(self.record(index).2[0])
    }

    fn id(&self, index: usize) -> String {
        let (batch, place, _) = self.record(index);
        format!("{}/{place:05}", batch.stem)
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let planes = &self.record(index).2[1..];
        let (red, rest) = planes.split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        let pixels = red.iter().zip(green).zip(blue).flat_map(|((r, g), b)| [*r, *g, *b]).collect();
        RgbImage::from_raw(SIDE, SIDE, pixels).ok_or_else(|| DataError::Internal("a record of the wrong size".into()))
    }

    /// SHA-256 of the record.
    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        Ok(Sha256::digest(self.record(index).2).into())
    }

    fn size(&self, _: usize) -> Result<(u32, u32), DataError> {
        Ok((SIDE, SIDE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with so many records in each file; pixel `p` of image `i` has red `p + i`, green `p / 32`, blue 255 - label.
    fn small(records: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAMES), "ant\nbee\nfly\n\n").unwrap();
        for (number, file) in TRAIN.iter().chain([&TEST]).enumerate() {
            let mut bytes = Vec::new();
            for record in 0..records {
                let label = (number + record) % 3;
                bytes.push(label as u8);
                bytes.extend((0..PLANE).map(|p| (p + record) as u8));
                bytes.extend((0..PLANE).map(|p| (p / 32) as u8));
                bytes.extend([255 - label as u8; PLANE]);
            }
            fs::write(folder.path().join(file), bytes).unwrap();
        }
        folder
    }

    fn error(folder: &Path) -> String {
        CifarBinary::open(folder).unwrap_err().to_string()
    }

    #[test]
    fn records_become_images_in_the_order_of_their_files() {
        let folder = small(4);
        assert!(CifarBinary::is_at(folder.path()) && !CifarBinary::is_at(folder.path().parent().unwrap()));
        let [train, test] = CifarBinary::open(folder.path()).unwrap();
        assert_eq!((train.len(), test.len(), train.classes().join(" ")), (20, 4, "ant bee fly".into()));
        assert_eq!(
            (train.id(0), train.id(7), test.id(3)),
            ("data_batch_1/00000".into(), "data_batch_2/00003".into(), "test_batch/00003".into())
        );
        assert_eq!((train.label(7), test.label(0)), ((1 + 3) % 3, 5 % 3));
        let image = train.image(7).unwrap();
        assert_eq!((image.dimensions(), train.size(7).unwrap()), ((32, 32), (32, 32)));
        // Column 5 of row 2 is pixel 69 of a plane.
        assert_eq!(image.get_pixel(5, 2).0, [(69 + 3) as u8, 2, 255 - 1]);
        // Batch 4 begins as batch 1 does, and images of one label and place are the same.
        assert_eq!(train.content_digest(0).unwrap(), train.content_digest(12).unwrap());
        assert_ne!(train.digest().unwrap(), test.digest().unwrap());
    }

    #[test]
    fn what_is_no_batch_is_refused_by_name() {
        let folder = small(3);
        let file = folder.path().join("data_batch_4.bin");
        let whole = fs::read(&file).unwrap();
        for (bytes, said) in [(&whole[..whole.len() - 1], "has 9218 bytes"), (&[][..], "has 0 bytes")] {
            fs::write(&file, bytes).unwrap();
            let error = error(folder.path());
            assert!(error.contains("data_batch_4.bin") && error.contains(said), "{error}");
        }
        let mut labelled = whole.clone();
        labelled[2 * RECORD] = 3;
        fs::write(&file, labelled).unwrap();
        assert!(error(folder.path()).contains("has the label 3 in record 2, and there are 3 classes"));
        fs::remove_file(&file).unwrap();
        assert!(error(folder.path()).contains("cannot read") && error(folder.path()).contains("data_batch_4.bin"));
        fs::write(&file, whole).unwrap();
        // A file of more records than any batch has is refused by its size, before it is read.
        let long = fs::File::create(folder.path().join(TEST)).unwrap();
        long.set_len((MOST + 1) * RECORD as u64).unwrap();
        assert!(error(folder.path()).contains("is 1 to 100000 records"));
        for (names, said) in [("ant\n", "has 1 classes"), ("ant\nbee\nant\n", "the class `ant` twice")] {
            fs::write(folder.path().join(NAMES), names).unwrap();
            assert!(error(folder.path()).contains(said), "{}", error(folder.path()));
        }
    }
}
