//! The plots of each row with their captions. They are drawn in `plot`; the page's style gives them the colours of light and dark.

use super::html::{details, figure, table as html_table};
use super::number_of;
use crate::escape::html;
use crate::grid::{Column, Grid};
use crate::table::{Row, Table};
use crate::{ReportError, plot, views};

/// From so many classes on, a matrix has no room for figures, and the pairs that are confused most are told below.
const MANY: usize = 11;
/// Pairs told.
const PAIRS: usize = 12;

pub(super) fn confusion(table: &Table) -> Result<String, ReportError> {
    let mut out = "<p>Counts over all seeds at the last epoch; shade and decimals: share of the true class.</p>\n<div class=\"panels\">\n".to_owned();
    for row in &table.rows {
        let name = table.label(row);
        let svg = (plot::confusion_panel_svg(row)?, format!("Confusion matrix of {name}"));
        let caption = format!("{} ({})", html(&name), number_of(row.seeds.len(), "seed"));
        let class = if row.data.classes.len() < MANY { "confusion" } else { "confusion many" };
        out.push_str(&figure(class, &[svg], &caption));
    }
    out.push_str("</div>\n");
    for row in table.rows.iter().filter(|row| row.data.classes.len() >= MANY) {
        let name = table.label(row);
        let caption = format!("{name}: the pairs of classes confused most, counts over all seeds");
        let pairs = html_table(&caption, &confused(row), 2, |_| false);
        out.push_str(&details(&format!("Confused most by {name}"), &pairs));
    }
    Ok(out)
}

/// The pairs of true and predicted class that occur most, equals in label order.
fn confused(row: &Row) -> Grid {
    let classes = &row.data.classes;
    let mut pairs: Vec<(usize, usize, u64, u64)> = Vec::new();
    for (truth, counts) in row.confusion.rows().enumerate() {
        let images = counts.iter().sum();
        let wrong = counts.iter().enumerate().filter(|&(predicted, &count)| predicted != truth && count > 0);
        pairs.extend(wrong.map(|(predicted, &count)| (truth, predicted, count, images)));
    }
    pairs.sort_by_key(|&(.., count, _)| std::cmp::Reverse(count));
    pairs.truncate(PAIRS);
    let columns: &[Column<'_, (usize, usize, u64, u64)>] = &[
        ("True class", &|pair| classes[pair.0].clone()),
        ("Said to be", &|pair| classes[pair.1].clone()),
        ("Times", &|pair| pair.2.to_string()),
        ("Share of the true class", &|pair| format!("{:.3}", pair.2 as f64 / pair.3 as f64)),
    ];
    Grid::of(&pairs, columns)
}

pub(super) fn curves(table: &Table) -> Result<String, ReportError> {
    let mut out = "<p>Thick: mean of seeds; thin: one seed; dashed: where a phase begins.</p>\n".to_owned();
    for row in &table.rows {
        let name = table.label(row);
        if row.epochs.iter().all(Vec::is_empty) {
            out.push_str(&format!("<p>{}: no epochs were kept.</p>\n", html(&name)));
            continue;
        }
        let [losses, scores] = plot::curve_panel_svgs(table, row)?;
        let svgs = [(losses, format!("Losses of {name} by epoch")), (scores, format!("Scores of {name} by epoch"))];
        out.push_str(&figure("curves", &svgs, &html(&name)));
    }
    Ok(out)
}

pub(super) fn reliability(table: &Table) -> Result<String, ReportError> {
    let mut out = "<p>Of the images for which a row is about so sure (its confidence, the highest probability), what share is right? \
                   On the dashed line both agree; the red line is the difference. ECE, the expected calibration error, is its mean over images: \
                   15 bins, each seed by itself, mean ± standard deviation. With few images, chance alone keeps it above 0.</p>\n\
                   <div class=\"panels\">\n"
        .to_owned();
    for row in &table.rows {
        let name = table.label(row);
        let (Some(svg), Some(reliability)) = (plot::reliability_panel_svg(row)?, &row.reliability) else {
            out.push_str(&format!(
                "<p class=\"missing\">{}: no reliability diagram, for its records hold no usable probabilities.</p>\n",
                html(&name)
            ));
            continue;
        };
        let caption = format!("{}: ECE {}", html(&name), views::spread(&reliability.expected_error));
        out.push_str(&figure("reliability", &[(svg, format!("Reliability diagram of {name}"))], &caption));
    }
    Ok(out + "</div>\n")
}
