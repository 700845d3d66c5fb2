//! What can go wrong between a run and TensorBoard's folder, and how to mend it.

use std::io;
use std::path::{Path, PathBuf};

/// Events or a projection that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// A folder or file cannot be written.
    #[error("cannot write TensorBoard's files in {}: {source}; name another folder, or make room", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture cannot be encoded as PNG.
    #[error(
        "the picture `{tag}`, {width} x {height} pixels, cannot be encoded: {message}; it must be 1 to {most} pixels wide and high"
    )]
    Picture {
        /// Its tag, or what it is for.
        tag: String,
        /// Pixels of a row.
        width: u32,
        /// Rows.
        height: u32,
        /// The most that there may be of either.
        most: u32,
        /// What is wrong.
        message: String,
    },
    /// An argument of a projection does not fit the others.
    #[error("projection `{name}`: {message}")]
    Projection {
        /// Name of the projection.
        name: String,
        /// The argument, what it may be and what it was.
        message: String,
    },
}

impl EventError {
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
