//! The hub from outside: the catalogue's contents, downloads from a real server on loopback, archives made to do harm, and
//! fetching with caches, mirrors and several processes. One binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests; a skipped one says so")]

mod catalogue;
mod download;
mod fetch;
mod processes;
mod published;
mod real_files;
mod server;
mod unpack;
mod untar;
mod watcher;
mod zip_bytes;
