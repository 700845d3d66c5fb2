//! SGD, AdamW and LARS with learning-rate schedules whose whole state can be saved and restored.
//! Nothing here knows of networks, losses or files: named tensors with gradients in, the same tensors moved.
#![doc = include_str!("../README.md")]

mod adamw;
mod error;
mod lars;
mod operator;
mod optimizer;
mod scaling;
mod schedule;
mod sgd;
mod spec;

pub use adamw::AdamW;
pub use error::OptimError;
pub use lars::Lars;
pub use optimizer::{Optimizer, ParamGroup};
pub use scaling::LrScaling;
pub use schedule::{Progress, ScheduleSpec};
pub use sgd::Sgd;
pub use spec::OptimizerSpec;
