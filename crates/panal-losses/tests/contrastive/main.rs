//! The losses over embeddings: numbers of an independent implementation (tests/golden/contrastive.py), laws, precision and errors.
#![allow(clippy::unwrap_used)]

mod errors;
mod example;
mod golden;
mod helpers;
mod laws;
mod measured;
mod precision;
mod queue;
mod tiled;
