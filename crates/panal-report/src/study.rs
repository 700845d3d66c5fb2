//! A study: one score over a grid of settings, as tables and plots. Rows of one lab are `table`'s.

use serde_json::json;

use crate::escape::markdown;
use crate::{ReportError, flat, plot};

/// Scores of every combination of the values of two settings. With one setting there is one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// What heads tables and plots.
    pub title: String,
    /// What the score is, on which data, with how many seeds: a line below the title.
    pub subject: String,
    /// Name of the score, as on an axis.
    pub score: String,
    /// The setting that rows differ in; empty where there is one row.
    pub row_axis: String,
    /// The setting that columns differ in.
    pub column_axis: String,
    /// Values of the one.
    pub rows: Vec<String>,
    /// Values of the other.
    pub columns: Vec<String>,
    /// `cells[row][column]`: one for each seed; none where nothing was run.
    pub cells: Vec<Vec<Vec<StudyScore>>>,
}

/// What one seed of one combination came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudyScore {
    /// The seed.
    pub seed: u64,
    /// In `[0, 1]`; `None` where the loss or a weight was no number any more.
    pub score: Option<f64>,
}

/// How a study is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyPlot {
    /// A coloured square for each combination.
    HeatMap,
    /// A line for each row.
    Lines,
}

impl Study {
    /// As a table of Markdown: per cent, mean ± standard deviation over seeds, and how many have a score where not all do.
    pub fn markdown(&self) -> String {
        let corner = match self.row_axis.as_str() {
            "" => markdown(&self.column_axis),
            rows => format!("{} \\ {}", markdown(rows), markdown(&self.column_axis)),
        };
        let mut out = format!("| {corner} |");
        self.columns.iter().for_each(|column| out.push_str(&format!(" {} |", markdown(column))));
        out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(self.columns.len())));
        for (row, cells) in self.rows.iter().zip(&self.cells) {
            out.push_str(&format!("| {} |", markdown(row)));
            cells.iter().for_each(|scores| out.push_str(&format!(" {} |", cell(scores))));
            out.push('\n');
        }
        out
    }

    /// As CSV, a line for each seed of each combination; the score is empty where there is none.
    pub fn csv(&self) -> String {
        let mut lines = Vec::new();
        for (row, cells) in self.rows.iter().zip(&self.cells) {
            for (column, scores) in self.columns.iter().zip(cells) {
                for StudyScore { seed, score } in scores {
                    lines.push(flat::flat([
                        ("row", json!(row)),
                        ("column", json!(column)),
                        ("seed", json!(seed)),
                        ("score", json!(score)),
                    ]));
                }
            }
        }
        flat::to_csv(&lines)
    }

    /// As a picture, SVG.
    ///
    /// # Errors
    /// [`ReportError::Plot`] where it cannot be drawn.
    pub fn svg(&self, plot: StudyPlot) -> Result<String, ReportError> {
        match plot {
            StudyPlot::HeatMap => plot::heat_svg(self),
            StudyPlot::Lines => plot::lines_svg(self),
        }
    }
}

/// The scores that there are.
pub(crate) fn known(scores: &[StudyScore]) -> Vec<f64> {
    scores.iter().filter_map(|one| one.score).collect()
}

/// How many runs have no score, in words; `None` where all have one.
pub(crate) fn without_score(study: &Study) -> Option<String> {
    let runs = || study.cells.iter().flatten().flatten();
    let missing = runs().filter(|run| run.score.is_none()).count();
    let verb = if missing == 1 { "has" } else { "have" };
    (missing > 0).then(|| format!("{missing} of {} runs {verb} no score: the loss was no number", runs().count()))
}

/// Mean of some scores; `None` of none.
pub(crate) fn mean(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

fn cell(runs: &[StudyScore]) -> String {
    let scores = known(runs);
    let percent = percent(&scores);
    if scores.len() == runs.len() {
        return percent;
    }
    let seeds = if runs.len() == 1 { "seed" } else { "seeds" };
    let why = if scores.is_empty() { "the loss is no number" } else { "the loss of the others is no number" };
    format!("{percent} ({} of {} {seeds}; {why})", scores.len(), runs.len())
}

fn percent(scores: &[f64]) -> String {
    let Some(mean) = mean(scores) else { return "—".to_owned() };
    if scores.len() == 1 {
        return format!("{:.1}", 100.0 * mean);
    }
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    format!("{:.1} ± {:.1}", 100.0 * mean, 100.0 * (squares / (scores.len() - 1) as f64).sqrt())
}
