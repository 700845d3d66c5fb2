//! What can go wrong between records and files, and how to mend it.

use std::io;
use std::path::{Path, PathBuf};

/// A record that cannot be used, or a file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file of run records cannot be opened or read.
    #[error("cannot read run records from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of a file of run records is not a record.
    #[error("{}, line {line}, field `{field}`: {message}; mend or delete that line", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Path of the field inside the record, such as `data.classes[1]`; `.` for the whole record.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// A line was written by a later release that changed the format.
    #[error(
        "{}, line {line}, field `format`: {found}, but this release reads up to {known}; update panal, or start a new file",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The format of the line.
        found: u32,
        /// The latest format that this release knows.
        known: u32,
    },
    /// A record of a single network, or of one that is being trained, is none.
    #[error("{}, field `{field}`: {message}; delete that file, or run it again", path.display())]
    Single {
        /// The file.
        path: PathBuf,
        /// Path of the field inside the record; `.` for the whole record.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// A record contradicts itself, so no score can be computed from it.
    #[error("row `{row}`, seed {seed}, field `{field}`: {message}; run this row again")]
    Record {
        /// Name of the row.
        row: String,
        /// Seed of the run.
        seed: u64,
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// There is nothing to report.
    #[error("there are no run records to report; run at least one row first")]
    NoRecords,
    /// There is nothing to put into a table of transfer.
    #[error("there are no transfer results to report; evaluate at least one network first")]
    NoTransfer,
    /// A result of a table of transfer that does not go with the others.
    #[error("{row} on {data}: {message}; hand in every test image once, in one order for all rows")]
    Transfer {
        /// Protocol and initialisation.
        row: String,
        /// The data set.
        data: String,
        /// What is wrong with it.
        message: String,
    },
    /// A curve over numbers of shots that lacks something.
    #[error("cannot report `{title}`: {message}")]
    Curve {
        /// Its title.
        title: String,
        /// What is missing.
        message: String,
    },
    /// Results cannot be written.
    #[error(
        "cannot write results into {}: {source}; make that folder writable (and see that the disk is not full), or choose another",
        folder.display()
    )]
    Write {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A plot cannot be drawn.
    #[error("cannot draw {plot}: {message}")]
    Plot {
        /// The plot's file name.
        plot: &'static str,
        /// What the drawing library said.
        message: String,
    },
    /// A small picture that the page can't show.
    #[error("thumbnail of `{id}`: {message}; hand in a JPEG or PNG file of 1 to {most} bytes")]
    Thumbnail {
        /// The image.
        id: String,
        /// What is wrong with it.
        message: String,
        /// The most bytes that one may have.
        most: usize,
    },
    /// Features that make no points of a plane.
    #[error("embedding `{title}`: {message}")]
    Embedding {
        /// What the features are of.
        title: String,
        /// The argument, what it may be and what it was.
        message: String,
    },
    /// A score cannot be computed.
    #[error(transparent)]
    Metrics(#[from] panal_metrics::MetricsError),
    /// Values cannot be written as JSON.
    #[error("cannot write as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl ReportError {
    /// A failure to write somewhere in `folder`.
    pub(crate) fn write(folder: &Path, source: io::Error) -> Self {
        Self::Write { folder: folder.to_owned(), source }
    }
}
