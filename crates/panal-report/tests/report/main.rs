//! What the crate promises to those who call it: records survive their file, the table is right, the results folder is whole.

mod common;
mod jsonl;
mod results;
mod table;
