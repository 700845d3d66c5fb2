//! The results folder of a lab: every table and plot, made from its records and put in place together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::atomic::Staged;
use crate::{Embedding, ReportError, RunRecord, Table, Thumbnails, flat, page, plot, story, views};

/// What [`write_results`] wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The table that everything shows.
    pub table: Table,
    /// Paths of the files.
    pub files: Vec<PathBuf>,
}

/// The names of all files that [`write_results`] writes.
pub const RESULT_FILES: [&str; 15] = [
    "table.md",
    "table.csv",
    "table.tex",
    "table.json",
    "per_class.md",
    "per_class.csv",
    "per_class.json",
    "confusion.md",
    "confusion.json",
    "confusion.svg",
    "curves.svg",
    "f1.svg",
    "reliability.svg",
    "README.md",
    "index.html",
];

/// What a page shows beside that which records hold; nothing by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// Small pictures of the images in [`Row::mistakes`](crate::Row). Those that are missing are left out, those without a place too.
    pub thumbnails: Thumbnails,
    /// Where in these images the evidence lay, by the name of the row.
    pub evidence: BTreeMap<String, Evidence>,
    /// Features as points of a plane, in a section of their own.
    pub embeddings: Vec<Embedding>,
    /// Small pictures of the images that these points stand for; 72 pixels are enough.
    pub points: Thumbnails,
}

/// Pictures of the evidence for a class, laid over each image, by the image's id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// For the class that the surest seed predicted.
    pub predicted: Thumbnails,
    /// For the true class.
    pub truth: Thumbnails,
}

/// Checks, before hours of training, that results can be written into `folder`, which is made where it does not exist.
///
/// # Errors
/// [`ReportError::Write`] naming the folder.
pub fn check_folder(folder: &Path) -> Result<(), ReportError> {
    Staged::new(folder)?.add("probe", "")
}

/// Writes every table and plot of `records` into `folder`, which is made where it does not exist. Fixed names, so that a later call
/// replaces all of them: `index.html`, `README.md`, `table.{md,csv,tex,json}`, `per_class.{md,csv,json}`, `confusion.{md,json,svg}`,
/// `curves.svg`, `f1.svg`, `reliability.svg`. Other files there, such as `runs.jsonl`, are left alone.
///
/// All is written beside its target first and then moved into place, so that no file is ever half-written.
///
/// # Errors
/// [`ReportError::NoRecords`], [`ReportError::Record`] for a record that contradicts itself, [`ReportError::Write`] naming the folder.
pub fn write_results(folder: &Path, records: &[RunRecord]) -> Result<Written, ReportError> {
    write_results_with(folder, Table::new(records)?, records, &Extras::default())
}

/// The same for a table of `records` that was made already, with more for the page to show.
///
/// # Errors
/// As [`write_results`].
pub fn write_results_with(
    folder: &Path,
    table: Table,
    records: &[RunRecord],
    extras: &Extras,
) -> Result<Written, ReportError> {
    let (rows, per_class) = (flat::rows(&table), flat::per_class(&table));
    let mut staged = Staged::new(folder)?;
    staged.add("table.md", views::table_markdown(&table))?;
    staged.add("table.csv", flat::to_csv(&rows))?;
    staged.add("table.tex", views::table_latex(&table))?;
    staged.add("table.json", flat::to_json(&rows)?)?;
    staged.add("per_class.md", views::per_class_markdown(&table))?;
    staged.add("per_class.csv", flat::to_csv(&per_class))?;
    staged.add("per_class.json", flat::to_json(&per_class)?)?;
    staged.add("confusion.md", views::confusion_markdown(&table))?;
    staged.add("confusion.json", flat::to_json(&flat::confusion(&table))?)?;
    staged.add("confusion.svg", plot::confusion_svg(&table)?)?;
    staged.add("curves.svg", plot::curves_svg(&table)?)?;
    staged.add("f1.svg", plot::spread_svg(&table)?)?;
    staged.add("reliability.svg", plot::reliability_svg(&table)?)?;
    let has_runs = folder.join("runs.jsonl").exists();
    staged.add("README.md", story::story(&table, records, has_runs)?)?;
    staged.add("index.html", page::page(&table, records, extras, has_runs)?)?;
    Ok(Written { files: staged.commit()?, table })
}
