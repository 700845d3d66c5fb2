//! The table of transfer: rows of a protocol and an initialisation, a column for each data set, the best in bold.
//! Rows of one lab over its epochs are `table`'s.

use panal_metrics::paired_permutation;
use serde_json::{Value, json};

use crate::compare::SIGNIFICANCE;
use crate::escape::markdown;
use crate::table::distinct;
use crate::{ReportError, flat};

/// Sign patterns tried at most for each pair, as many as the paper draws.
const RESAMPLES: usize = 100_000;
/// What stands where a row has no result for a data set.
const MISSING: &str = "—";

/// Which test images of one data set were right, for one row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferResult {
    /// How the network was put to use, as in `Linear evaluation`.
    pub protocol: String,
    /// What it began with, as in `SimCLR`.
    pub init: String,
    /// The data set.
    pub data: String,
    /// For each run (seed), whether each test image was right: every image once, in an order that all rows share.
    pub correct: Vec<Vec<bool>>,
}

/// Accuracies by protocol, initialisation and data set, as in table 8 of SimCLR (arXiv 2002.05709).
#[derive(Debug, Clone, PartialEq)]
pub struct TransferTable {
    /// Protocol and initialisation of each row: protocols in the order of their first result, so too the rows of each.
    pub rows: Vec<(String, String)>,
    /// The data sets, in the order of their first result.
    pub data: Vec<String>,
    /// `cells[row][column]`; `None` without a result.
    pub cells: Vec<Vec<Option<TransferCell>>>,
}

/// One accuracy of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransferCell {
    /// Share of the test images that are right, the mean over runs.
    pub accuracy: f64,
    /// Test images.
    pub images: usize,
    /// Runs.
    pub runs: usize,
    /// p-value of the difference from the best of the same protocol and data set: 1 for the best, `None` where it stands
    /// alone.
    pub p: Option<f64>,
}

impl TransferCell {
    /// Whether it is the best of its protocol and data set, or not significantly worse (p > 0.05).
    pub fn is_bold(&self) -> bool {
        self.p.is_some_and(|p| p > SIGNIFICANCE)
    }
}

impl TransferTable {
    /// Puts results in their places and compares those of the same protocol and data set.
    ///
    /// The best has the highest mean accuracy, of equals the first row's. Every other is held against it by a paired
    /// permutation test over images of in how many runs each was right: two-sided, over all sign patterns or 100,000 drawn
    /// ones, not corrected for the number of rows, as in SimCLR's appendix B.8. It speaks of other test images, not of other
    /// runs.
    ///
    /// # Errors
    /// [`ReportError::NoTransfer`] without results; [`ReportError::Transfer`] for a result without runs or images, for runs
    /// of different lengths, for another number of images than the first result of its data set, and for one given twice.
    pub fn new(results: &[TransferResult]) -> Result<Self, ReportError> {
        check(results)?;
        let data: Vec<String> = distinct(results.iter().map(|result| result.data.clone()));
        let mut rows = Vec::new();
        for protocol in distinct(results.iter().map(|result| &result.protocol)) {
            let inits = results.iter().filter(|result| result.protocol == *protocol).map(|result| &result.init);
            rows.extend(distinct(inits).into_iter().map(|init| (protocol.clone(), init.clone())));
        }
        let find = |(protocol, init): &(String, String), data: &String| {
            results.iter().find(|r| (&r.protocol, &r.init, &r.data) == (protocol, init, data))
        };
        let mut cells = vec![vec![None; data.len()]; rows.len()];
        for (column, data) in data.iter().enumerate() {
            for protocol in distinct(rows.iter().map(|(protocol, _)| protocol)) {
                let peers: Vec<(usize, &TransferResult)> = rows
                    .iter()
                    .enumerate()
                    .filter(|(_, row)| row.0 == *protocol)
                    .filter_map(|(index, row)| Some((index, find(row, data)?)))
                    .collect();
                let results: Vec<&TransferResult> = peers.iter().map(|(_, result)| *result).collect();
                for ((row, _), cell) in peers.iter().zip(compare(&results)?) {
                    cells[*row][column] = Some(cell);
                }
            }
        }
        Ok(Self { rows, data, cells })
    }

    /// As a table of Markdown: accuracies in per cent, the bold ones in bold.
    pub fn markdown(&self) -> String {
        let mut out = String::from("| |");
        self.data.iter().for_each(|data| out.push_str(&format!(" {} |", markdown(data))));
        out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(self.data.len())));
        for (row, cells) in self.rows.iter().zip(&self.cells) {
            out.push_str(&format!("| {} |", markdown(&label(row))));
            for cell in cells {
                let text = match cell {
                    Some(cell) if cell.is_bold() => format!("**{}**", percent(cell)),
                    Some(cell) => percent(cell),
                    None => MISSING.to_owned(),
                };
                out.push_str(&format!(" {text} |"));
            }
            out.push('\n');
        }
        out
    }

    /// As CSV, a line for each accuracy, with the columns that are the names in [`json`](Self::json).
    pub fn csv(&self) -> String {
        flat::to_csv(&self.flat())
    }

    /// As a JSON array with an object for each accuracy: `protocol`, `init`, `data`, `accuracy` (a share), `images`, `runs`,
    /// `p_vs_best`, `bold`.
    ///
    /// # Errors
    /// [`ReportError::Json`].
    pub fn json(&self) -> Result<String, ReportError> {
        flat::to_json(&self.flat())
    }

    fn flat(&self) -> Vec<serde_json::Map<String, Value>> {
        let mut objects = Vec::new();
        for ((protocol, init), cells) in self.rows.iter().zip(&self.cells) {
            for (data, cell) in self.data.iter().zip(cells) {
                let Some(cell) = cell else { continue };
                objects.push(flat::flat([
                    ("protocol", json!(protocol)),
                    ("init", json!(init)),
                    ("data", json!(data)),
                    ("accuracy", json!(cell.accuracy)),
                    ("images", json!(cell.images)),
                    ("runs", json!(cell.runs)),
                    ("p_vs_best", json!(cell.p)),
                    ("bold", json!(cell.is_bold())),
                ]));
            }
        }
        objects
    }
}

fn label((protocol, init): &(String, String)) -> String {
    format!("{protocol}: {init}")
}

fn percent(cell: &TransferCell) -> String {
    format!("{:.1}", 100.0 * cell.accuracy)
}

fn check(results: &[TransferResult]) -> Result<(), ReportError> {
    if results.is_empty() {
        return Err(ReportError::NoTransfer);
    }
    for (index, result) in results.iter().enumerate() {
        let wrong = |message: String| {
            let TransferResult { protocol, init, data, .. } = result;
            let (row, data) = (label(&(protocol.clone(), init.clone())), data.clone());
            Err(ReportError::Transfer { row, data, message })
        };
        let images = result.correct.first().map_or(0, Vec::len);
        if images == 0 {
            return wrong("there is no run of at least one test image".into());
        }
        if let Some(other) = result.correct.iter().find(|run| run.len() != images) {
            return wrong(format!("one run has {images} test images, another {}", other.len()));
        }
        for earlier in results[..index].iter().filter(|earlier| earlier.data == result.data) {
            if (&earlier.protocol, &earlier.init) == (&result.protocol, &result.init) {
                return wrong("this result is given twice".into());
            }
            if earlier.correct[0].len() != images {
                let other = label(&(earlier.protocol.clone(), earlier.init.clone()));
                return wrong(format!("it has {images} test images, {other} has {}", earlier.correct[0].len()));
            }
        }
    }
    Ok(())
}

/// The cells of results of one protocol and data set.
fn compare(results: &[&TransferResult]) -> Result<Vec<TransferCell>, ReportError> {
    let right: Vec<Vec<f64>> = results
        .iter()
        .map(|result| {
            let of_image = |image: usize| result.correct.iter().map(|run| f64::from(run[image])).sum();
            (0..result.correct[0].len()).map(of_image).collect()
        })
        .collect();
    let mut cells: Vec<TransferCell> = results
        .iter()
        .zip(&right)
        .map(|(result, right)| {
            let (images, runs) = (right.len(), result.correct.len());
            let accuracy = right.iter().sum::<f64>() / (images * runs) as f64;
            TransferCell { accuracy, images, runs, p: None }
        })
        .collect();
    if cells.len() < 2 {
        return Ok(cells);
    }
    let mut best = 0;
    for index in 1..cells.len() {
        if cells[index].accuracy > cells[best].accuracy {
            best = index;
        }
    }
    for index in 0..cells.len() {
        // Brought to a common number of runs instead of divided by it: whole numbers, so that ties are exact.
        let scaled = |row: usize, other: usize| -> Vec<f64> {
            right[row].iter().map(|count| count * cells[other].runs as f64).collect()
        };
        let mut p = 1.0;
        if index != best {
            p = paired_permutation(&scaled(best, index), &scaled(index, best), RESAMPLES, index as u64)?.p_value;
        }
        cells[index].p = Some(p);
    }
    Ok(cells)
}
