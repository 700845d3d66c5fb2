//! Tests of files and folders in, batches and episodes out. The transforms are tested in `transforms*.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cached;
mod decode;
mod episode_file;
mod episodes;
mod folder;
mod grouped;
mod hymenoptera;
mod ink;
mod leaks;
mod loader;
mod omniglot;
mod reduced;
mod shared;
