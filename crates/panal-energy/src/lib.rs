//! The energy of a stretch of work: measured by RAPL and NVML where they can be read, else estimated. Who uses it decides what a stretch is.
#![doc = include_str!("../README.md")]

mod error;
mod estimate;
mod grid;
mod meter;
mod nvml;
mod rapl;

pub use error::EnergyError;
pub use grid::Grid;
pub use meter::{Energy, Gpu, Meter, MeterSpec, Method, Part};
