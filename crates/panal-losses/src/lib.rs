//! Losses as pure functions of tensors, one per file. What is done with a loss (backward, step, log) lives in the trainers.
#![doc = include_str!("../README.md")]

mod cross_entropy;
mod error;

pub use cross_entropy::{check_labels, cross_entropy};
pub use error::LossError;
