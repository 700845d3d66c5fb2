//! Event files that TensorBoard reads live here: scalars, images and the projector's embeddings. What is told, and when, is the
//! caller's business; nothing here knows of tensors.
#![doc = include_str!("../README.md")]

mod error;
mod message;
mod projection;
mod record;
mod writer;

pub use error::EventError;
pub use projection::{MOST_POINTS, Projection};
pub use writer::EventWriter;
