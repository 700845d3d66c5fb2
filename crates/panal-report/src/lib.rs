//! Run records in; Markdown, CSV, JSON and LaTeX tables, plots and a page out. Nothing here trains, or knows of tensors.
#![doc = include_str!("../README.md")]

mod atomic;
mod compare;
mod embedding;
mod energy;
mod episode_table;
mod error;
mod escape;
mod facts;
mod flat;
mod folder;
mod grid;
mod jsonl;
mod mistakes;
mod notebook;
mod page;
mod paired;
mod plot;
mod record;
mod reliability;
mod results;
mod shot_curve;
mod single;
mod story;
mod study;
mod table;
mod thumbnails;
mod transfer;
mod views;

pub use compare::Comparison;
pub use embedding::{Embedding, Plane, PointImage};
pub use energy::{EnergyMethod, EnergyPart, EnergyRecord, RowEnergy};
pub use episode_table::{Apart, ClassAccuracy, EpisodeRow, EpisodeTable, SeedScore};
pub use error::ReportError;
pub use folder::{
    Found, RUNNING, Records, RunFolder, RunKind, RunState, RunningRecord, find_runs, has_mark, is_locked, open_run,
};
pub use grid::Grid;
pub use jsonl::{Runs, append_run, read_runs, rewrite_runs};
pub use mistakes::{MOST_MISTAKES, Mistake};
pub use paired::{PairedImages, PairedRows, PairedScore, compare_rows, rows_with_runs};
pub use record::{
    BestEpoch, DataRecord, EpochRecord, Evaluation, ExcludedFile, FORMAT, MacroScores, ModelRecord, Origin, Prediction,
    RunRecord, Seconds, SplitRecord, Versions, WeightsRecord,
};
pub use reliability::Reliability;
pub use results::{Evidence, Extras, RESULT_FILES, Written, check_folder, write_results, write_results_with};
pub use shot_curve::{ShotCurve, ShotLine, ShotPoint};
pub use single::{
    FewShotData, FewShotRecord, FewShotTest, PretrainingData, PretrainingEpoch, PretrainingRecord, PretrainingSeconds,
    SingleRecord, read_single,
};
pub use study::{Study, StudyPlot, StudyScore};
pub use table::{ClassScores, Row, Scores, Spread, Table};
pub use thumbnails::Thumbnails;
pub use transfer::{TransferCell, TransferResult, TransferTable};
pub use views::render_terminal;
