//! Run records in; Markdown, CSV, JSON and LaTeX tables and plots out. Nothing here trains, or knows of tensors.
#![doc = include_str!("../README.md")]

mod atomic;
mod compare;
mod error;
mod escape;
mod flat;
mod grid;
mod jsonl;
mod plot;
mod record;
mod results;
mod story;
mod study;
mod table;
mod transfer;
mod views;

pub use compare::Comparison;
pub use error::ReportError;
pub use jsonl::{Runs, append_run, read_runs, rewrite_runs};
pub use record::{
    BestEpoch, DataRecord, EpochRecord, Evaluation, ExcludedFile, FORMAT, MacroScores, ModelRecord, Origin, Prediction,
    RunRecord, Seconds, SplitRecord, Versions, WeightsRecord,
};
pub use results::{Written, check_folder, write_results};
pub use study::{Study, StudyPlot};
pub use table::{ClassScores, Row, Scores, Spread, Table};
pub use transfer::{TransferCell, TransferResult, TransferTable};
pub use views::render_terminal;
