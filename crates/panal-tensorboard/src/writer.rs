//! A run's event file, written event by event. What an event looks like is in `message`; the projector's files are in `projection`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use image::{ImageFormat, RgbImage};
use prost::Message;

use crate::EventError;
use crate::message::{
    Content, Event, FILE_VERSION, Image, RGB, SessionLog, SessionStatus, SourceMetadata, Summary, Value, What,
};
use crate::record::framed;

/// The beginning of every file's name; TensorBoard takes files with `tfevents` in their name, in the order of their names.
const BEGINNING: &str = "events.out.tfevents.";
/// Who writes, for the file itself.
const WRITER: &str = "panal-tensorboard";
/// The most pixels that a picture may have in a row or a column.
const MOST_PIXELS: u32 = 16_384;

/// The event file of one session of a run. A run that is interrupted and goes on has several sessions, each with a file of its own.
///
/// Every event is handed to the system whole and at once: TensorBoard shows it while the run goes on, and a kill leaves at most
/// one cut record, which its reader passes over.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// A new file in `folder`, which is made where it does not exist. Its name comes after those of the event files that are there.
    ///
    /// # Errors
    /// [`EventError::Write`] naming the folder.
    pub fn create(folder: &Path) -> Result<Self, EventError> {
        let (file, path) = new_file(folder).map_err(EventError::write(folder))?;
        let mut writer = Self { file, path };
        let source_metadata = Some(SourceMetadata { writer: WRITER.into() });
        writer.write(&Event { source_metadata, ..event(0, What::FileVersion(FILE_VERSION.into())) })?;
        Ok(writer)
    }

    /// Says that the run begins, or goes on, with `step`: whatever earlier files of the folder hold of this step and later ones is out of
    /// date, and TensorBoard no longer shows it.
    ///
    /// # Errors
    /// [`EventError::Write`].
    pub fn start(&mut self, step: u64) -> Result<(), EventError> {
        self.write(&event(step, What::SessionLog(SessionLog { status: SessionStatus::Start.into() })))
    }

    /// Figures by their tags, all of one step. TensorBoard keeps 32 bits of each, and shows NaN and infinities as such.
    ///
    /// # Errors
    /// [`EventError::Write`].
    pub fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<(), EventError> {
        let value = |&(tag, value): &(&str, f64)| Value {
            tag: tag.to_owned(),
            content: Some(Content::SimpleValue(value as f32)),
        };
        self.write(&event(step, What::Summary(Summary { value: scalars.iter().map(value).collect() })))
    }

    /// A picture, kept as PNG.
    ///
    /// # Errors
    /// [`EventError::Picture`] for one without pixels, or with more than 16,384 in a row or column; [`EventError::Write`].
    pub fn picture(&mut self, step: u64, tag: &str, picture: &RgbImage) -> Result<(), EventError> {
        let (width, height) = picture.dimensions();
        let image = Image {
            height: height as i32,
            width: width as i32,
            colorspace: RGB,
            encoded_image_string: png(tag, picture, MOST_PIXELS)?,
        };
        let value = Value { tag: tag.to_owned(), content: Some(Content::Image(image)) };
        self.write(&event(step, What::Summary(Summary { value: vec![value] })))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, event: &Event) -> Result<(), EventError> {
        // One call, with no buffer of our own before it.
        self.file.write_all(&framed(&event.encode_to_vec())).map_err(EventError::write(&self.path))
    }
}

fn event(step: u64, what: What) -> Event {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    Event { wall_time: seconds_since_1970(), step, what: Some(what), source_metadata: None }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A file that is new, named by the second and a number, so that names go up from session to session.
fn new_file(folder: &Path) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(folder)?;
    let (mut second, mut sessions) = (seconds_since_1970() as u64, 0_u64);
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(BEGINNING)) else { continue };
        sessions += 1;
        // A clock that was set back does not put a session before an earlier one.
        second = second.max(rest.split('.').next().and_then(|second| second.parse().ok()).unwrap_or(0));
    }
    loop {
        let path = folder.join(format!("{BEGINNING}{second:010}.panal.{sessions:05}"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sessions += 1,
            Err(error) => return Err(error),
            Ok(file) => return Ok((file, path)),
        }
    }
}

/// `picture` as a PNG file, of at most so many pixels in a row or column.
pub(crate) fn png(tag: &str, picture: &RgbImage, most: u32) -> Result<Vec<u8>, EventError> {
    let (width, height) = picture.dimensions();
    let wrong = |message: String| EventError::Picture { tag: tag.to_owned(), width, height, most, message };
    if width.min(height) == 0 || width.max(height) > most {
        return Err(wrong("too small or too large".into()));
    }
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|error| wrong(error.to_string()))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::record::unframed;

    fn events(path: &Path) -> Vec<Event> {
        let (records, rest) = unframed(&fs::read(path).unwrap());
        assert_eq!(rest, 0);
        records.iter().map(|bytes| Event::decode(bytes.as_slice()).unwrap()).collect()
    }

    #[test]
    fn every_event_is_in_the_file_as_soon_as_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(&folder.path().join("a/b")).unwrap();
        let path = writer.path().to_owned();
        let first = events(&path);
        assert_eq!(first[0].what, Some(What::FileVersion("brain.Event:2".into())));
        assert!(first[0].wall_time > 1.6e9);
        writer.start(3).unwrap();
        assert_eq!(events(&path)[1].what, Some(What::SessionLog(SessionLog { status: 1 })));
        writer.scalars(3, &[("loss", 0.25), ("nan", f64::NAN)]).unwrap();
        let told = events(&path);
        let Some(What::Summary(Summary { value })) = &told[2].what else { panic!("{told:?}") };
        assert_eq!((told[2].step, value[0].tag.as_str()), (3, "loss"));
        assert_eq!(value[0].content, Some(Content::SimpleValue(0.25)));
        assert!(matches!(value[1].content, Some(Content::SimpleValue(nan)) if nan.is_nan()));
    }

    #[test]
    fn a_picture_comes_back_pixel_by_pixel() {
        let folder = tempfile::tempdir().unwrap();
        let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 40, y as u8 * 80, 7]));
        let mut writer = EventWriter::create(folder.path()).unwrap();
        writer.picture(1, "p", &picture).unwrap();
        let told = events(writer.path());
        let Some(What::Summary(Summary { value })) = &told[1].what else { panic!("{told:?}") };
        let Some(Content::Image(image)) = &value[0].content else { panic!("{value:?}") };
        assert_eq!((image.width, image.height, image.colorspace), (5, 3, 3));
        assert_eq!(image::load_from_memory(&image.encoded_image_string).unwrap().to_rgb8(), picture);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path()).unwrap();
        for (width, height) in [(0, 4), (4, 0), (16_385, 1)] {
            let error = writer.picture(1, "p", &RgbImage::new(width, height)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the picture `p`, {width} x {height} pixels, ")), "{error}");
        }
        assert_eq!(events(writer.path()).len(), 1);
    }

    #[test]
    fn later_sessions_have_later_names_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        // As if the clock had been years ahead.
        fs::write(folder.path().join("events.out.tfevents.9000000000.panal.00000"), "").unwrap();
        let paths: Vec<PathBuf> =
            (0..12).map(|_| EventWriter::create(folder.path()).unwrap().path().to_owned()).collect();
        assert!(paths.is_sorted(), "{paths:?}");
        assert!(paths[0].ends_with("events.out.tfevents.9000000000.panal.00001"), "{paths:?}");
    }

    #[test]
    fn a_file_in_the_folders_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = EventWriter::create(&file).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write TensorBoard's files in {}: ", file.display())), "{error}");
    }
}
