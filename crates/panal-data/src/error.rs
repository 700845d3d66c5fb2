//! What can go wrong with data, each case one sentence that names the file or field. Printing is the caller's business.

use std::path::PathBuf;

/// The most bad files that one message lists.
const LISTED: usize = 20;

/// One image that cannot be read or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFile {
    /// The path (or other name) under which the image was asked for.
    pub name: String,
    /// Why it cannot be used, for example `the JPEG ends after 3,000 bytes`.
    pub reason: String,
}

/// Anything that goes wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A field of a spec, or an argument, lies outside its range.
    #[error("{field} must be {allowed}, got {value}")]
    Field {
        /// The name of the field as the user writes it.
        field: String,
        /// The allowed range in words, for example `> 0`.
        allowed: String,
        /// What was given.
        value: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not the image that its name promises, is damaged, or is too large.
    #[error("cannot decode {name}: {reason}")]
    Decode {
        /// The path, or the name that was handed to [`decode_bytes`](crate::decode_bytes).
        name: String,
        /// Why, with sizes where they are known.
        reason: String,
    },
    /// Several files of one folder are unusable; all of them are listed.
    #[error("{} files cannot be decoded:{}", files.len(), list(files))]
    BadFiles {
        /// Every unusable file, in the folder's order.
        files: Vec<BadFile>,
    },
    /// A folder is not laid out as one folder per class.
    #[error("{} {problem}", root.display())]
    Folder {
        /// The folder that was to be opened.
        root: PathBuf,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file that was to come to be.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line of a text file is not what it should be.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// An episode contradicts itself or the data set that it is of.
    #[error("episode {number} {problem}")]
    Episode {
        /// The number of the episode.
        number: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Part of the machinery failed: a thread could not be started or has panicked.
    #[error("loading images failed: {0}")]
    Internal(String),
}

impl DataError {
    /// The error for a field outside its range: `{field} must be {allowed}, got {value}`.
    #[expect(clippy::needless_pass_by_value, reason = "a number is what is mostly handed in")]
    pub fn field(field: impl Into<String>, allowed: impl Into<String>, value: impl ToString) -> Self {
        Self::Field { field: field.into(), allowed: allowed.into(), value: value.to_string() }
    }

    /// What the user of the `panal` command can do about it, where that is not already in the message.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Decode { .. } => {
                Some("replace the file, or run again with --skip-bad to leave out and list what can't be read")
            }
            Self::BadFiles { .. } => {
                Some("replace the files, or run again with --skip-bad to leave out and list what can't be read")
            }
            _ => None,
        }
    }
}

fn list(files: &[BadFile]) -> String {
    let mut text: String =
        files.iter().take(LISTED).map(|file| format!("\n  {}: {}", file.name, file.reason)).collect();
    if files.len() > LISTED {
        text.push_str(&format!("\n  and {} more", files.len() - LISTED));
    }
    text
}

/// `41207` as `41,207`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
