//! Tables of precision, recall and F1: of each row, of each class, and folded up apart from them those of the best epoch.

use super::html::{details, figure, list, table as html_table};
use crate::grid::{Column, Grid};
use crate::table::{ClassScores, Row, Table};
use crate::views::{self, BEST_EPOCH, comparison, spread};
use crate::{Comparison, ReportError, plot};

/// Lines of classes that are shown in one table; more are folded up, a table for each row.
const LINES: usize = 24;

/// Scores of the last epoch, a line for each row.
pub(crate) fn scores_grid(table: &Table) -> Grid {
    let columns: &[Column<'_, Row>] = &[
        ("Row", &|row| table.label(row)),
        ("Precision", &|row| spread(&row.last.precision)),
        ("Recall", &|row| spread(&row.last.recall)),
        ("F1", &|row| spread(&row.last.f1)),
        ("Accuracy", &|row| spread(&row.last.accuracy)),
        ("95 % interval of the accuracy", &|row| {
            format!("{:.3} to {:.3}", row.accuracy_interval.lower, row.accuracy_interval.upper)
        }),
        ("Against the best: p", &comparison),
        ("Seeds", &|row| row.seeds.len().to_string()),
    ];
    Grid::of(&table.rows, columns)
}

pub(super) fn scores(table: &Table) -> Result<String, ReportError> {
    let is_best = |line: usize| table.rows[line].comparison == Comparison::Best;
    let caption = "Macro averages at the last epoch; mean ± sample standard deviation over seeds. \
                   * significantly worse than the best row (p < 0.05)";
    let mut out = html_table(caption, &scores_grid(table), 1, is_best);
    if !table.warnings.is_empty() {
        out.push_str(&format!("<aside aria-label=\"Beware\">\n{}</aside>\n", list(&table.warnings)));
    }
    out.push_str(&figure(
        "f1",
        &[(plot::spread_panel_svg(table)?, "Macro F1 of each row".to_owned())],
        &format!(
            "Macro F1 of each row at the last epoch: large dot mean, line ± standard deviation, small dots seeds{}.",
            if table.rows.iter().any(|row| row.best.is_some()) {
                format!("; triangle: mean at the {BEST_EPOCH}")
            } else {
                String::new()
            }
        ),
    ));
    let notes: Vec<String> = views::notes(table).into_iter().filter(|note| !table.warnings.contains(note)).collect();
    out.push_str(&details("How these numbers were made", &list(&notes)));
    if let Some(grid) = views::best_grid(table) {
        let caption = "Macro averages; optimistic, for the epoch was chosen on the images that it is scored on";
        out.push_str(&details(&format!("Scores at the {BEST_EPOCH}"), &html_table(caption, &grid, 1, |_| false)));
    }
    Ok(out)
}

pub(super) fn classes(table: &Table) -> String {
    let caption = "Each class at the last epoch; mean ± sample standard deviation over seeds";
    let lines: usize = table.rows.iter().map(|row| row.classes.len()).sum();
    if lines <= LINES {
        return html_table(caption, &views::per_class_grid(table), 2, |_| false);
    }
    let columns: &[Column<'_, ClassScores>] = &[
        ("Class", &|class| class.class.clone()),
        ("Precision", &|class| spread(&class.precision)),
        ("Recall", &|class| spread(&class.recall)),
        ("F1", &|class| spread(&class.f1)),
        ("Images", &|class| class.support.to_string()),
    ];
    let of_row = |row: &Row| {
        let name = table.label(row);
        let title = format!("{name}: {} classes", row.classes.len());
        details(&title, &html_table(&format!("{name}. {caption}"), &Grid::of(&row.classes, columns), 1, |_| false))
    };
    table.rows.iter().map(of_row).collect()
}
