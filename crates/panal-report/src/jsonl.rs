//! Run records as JSON Lines: appended as runs end, read back, or rewritten as a whole. What a record holds is in `record`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Deserialize;

use crate::atomic::Staged;
use crate::record::FORMAT;
use crate::{ReportError, RunRecord};

/// What a file of run records held.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    /// The records, in the order of the file.
    pub records: Vec<RunRecord>,
    /// Something to tell the user: that the last line was torn and is left out.
    pub note: Option<String>,
}

/// Reads every record of `path`. A last line without its end, as an interrupted write leaves it, is left out with a note.
///
/// # Errors
/// [`ReportError::Read`]; [`ReportError::Line`] with file, line and field for any other line that is no record;
/// [`ReportError::Format`] for one by a later release.
pub fn read_runs(path: &Path) -> Result<Runs, ReportError> {
    let bytes = fs::read(path).map_err(|source| ReportError::Read { path: path.to_owned(), source })?;
    let mut runs = Runs { records: Vec::new(), note: None };
    for (i, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(path, i + 1, line) {
            Ok(record) => runs.records.push(record),
            Err(_) if !line.ends_with(b"\n") => {
                let (path, line) = (path.display(), i + 1);
                runs.note = Some(format!(
                    "{path}, line {line}: torn by an interrupted write and left out; the next run that is added replaces it"
                ));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(runs)
}

/// Adds one record at the end of `path`, which is made where it does not exist, with its folder.
/// A torn last line is cut off first. Processes that append to the same file wait for each other.
///
/// # Errors
/// [`ReportError::Write`].
pub fn append_run(path: &Path, record: &RunRecord) -> Result<(), ReportError> {
    let line = to_line(record)?;
    let append = |folder: &Path| {
        fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.lock()?;
        mend_end(&mut file)?;
        file.write_all(&line)?;
        file.sync_data()
    };
    let folder = folder_of(path);
    append(folder).map_err(|source| ReportError::write(folder, source))
}

/// Replaces the whole of `path` by `records`, atomically.
///
/// # Errors
/// [`ReportError::Write`]; the old file then still stands.
pub fn rewrite_runs(path: &Path, records: &[RunRecord]) -> Result<(), ReportError> {
    let mut lines = Vec::new();
    for record in records {
        lines.extend(to_line(record)?);
    }
    let folder = folder_of(path);
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        let message = format!("{} names no file", path.display());
        return Err(ReportError::write(folder, io::Error::new(io::ErrorKind::InvalidInput, message)));
    };
    let mut staged = Staged::new(folder)?;
    staged.add(name, lines)?;
    staged.commit()?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn to_line(record: &RunRecord) -> Result<Vec<u8>, ReportError> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

fn read_line(path: &Path, line: usize, bytes: &[u8]) -> Result<RunRecord, ReportError> {
    /// The format is looked at before all else, since a later one may have other fields.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    if let Ok(Head { format: found }) = serde_json::from_slice(bytes)
        && found > FORMAT
    {
        return Err(ReportError::Format { path: path.to_owned(), line, found, known: FORMAT });
    }
    let wrong = |field: String, message: String| ReportError::Line { path: path.to_owned(), line, field, message };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let record = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| wrong(error.path().to_string(), error.inner().to_string()))?;
    reader.end().map_err(|error| wrong(".".to_owned(), error.to_string()))?;
    Ok(record)
}

/// Makes `file` end with a whole line: a last line that only lacks its end gets it, a torn one is cut off.
fn mend_end(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(());
    }
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    match serde_json::from_slice::<serde::de::IgnoredAny>(&bytes[whole..]) {
        Ok(_) => file.write_all(b"\n"),
        Err(_) => file.set_len(whole as u64),
    }
}
