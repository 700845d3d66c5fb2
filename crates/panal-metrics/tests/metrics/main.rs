//! The tests of panal-metrics as one program.
#![allow(clippy::unwrap_used)]

mod episodes;
mod golden;
mod laws;
mod refusals;
