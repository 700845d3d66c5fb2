//! What the crate promises to those who call it: records survive their file, the table is right, the results folder is whole.

// The lint lets test functions unwrap, not the helpers beside them.
#![allow(clippy::unwrap_used)]

mod common;
mod embedding;
mod energy;
mod jsonl;
mod notebook;
mod page;
mod results;
mod study;
mod table;
mod transfer;
