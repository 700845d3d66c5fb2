//! The catalogue of data sets and weights, and their download, verification, cache and unpacking. What is in them is others' to read.
#![doc = include_str!("../README.md")]

mod cache;
mod catalogue;
mod download;
mod error;
mod files;
mod hub;
mod manifest;
mod progress;
mod settings;
mod unpack;
mod untar;

pub use catalogue::{Archive, Catalogue, Detail, Entry, Format, Kind, Pretrained};
pub use download::{Downloaded, Expect, Patience, download, download_with};
pub use error::{ArchiveFault, DownloadFault, HubError, Tried};
pub use files::{Lock, sha256_file, write_atomic};
pub use hub::{Fetched, Hub, HubBuilder, Source, Status, Verification};
pub use manifest::Manifest;
pub use progress::{Progress, Quiet};
pub use settings::{Mirror, cache_dir};
pub use unpack::{Limits, Unpacked, UnpackedFile, unpack_zip};
pub use untar::unpack_tar_gz;
