//! The tests of panal-metrics as one program.
#![allow(clippy::unwrap_used)]

mod golden;
mod laws;
mod refusals;
