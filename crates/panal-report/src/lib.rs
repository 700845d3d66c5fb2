#![doc = include_str!("../README.md")]
//! Run records in; Markdown, CSV, JSON and LaTeX tables and plots out. Nothing here trains, or knows of tensors.

mod atomic;
mod compare;
mod error;
mod jsonl;
mod record;
mod table;

pub use compare::Comparison;
pub use error::ReportError;
pub use jsonl::{Runs, append_run, read_runs, rewrite_runs};
pub use record::{
    BestEpoch, DataRecord, EpochRecord, Evaluation, ExcludedFile, FORMAT, MacroScores, ModelRecord, Origin, Prediction,
    RunRecord, Seconds, SplitRecord, Versions, WeightsRecord,
};
pub use table::{ClassScores, Row, Scores, Spread, Table};
