//! Tests of files and folders in, batches out. The transforms are tested in `transforms*.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cached;
mod decode;
mod folder;
mod hymenoptera;
mod loader;
mod shared;
