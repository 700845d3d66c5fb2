//! Macro F1 of every row: each seed, their mean and spread, and apart from them the best epoch.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    BLUE, Canvas, Fault, GREY, LINE, MARGIN, SMALL, TEXT, VERMILION, WIDTH, figure, heading, heading_height,
    score_floor, text, width_of, wrapped,
};
use crate::ReportError;
use crate::table::{Row, Table};
use crate::views::{self, BEST_EPOCH};

const ROW: i32 = 46;
const LEGEND: i32 = 26;
const AXIS: i32 = 50;
/// Room for the mean in figures.
const FIGURES: i32 = 130;

/// Width of the figure on a page, which a phone can still show.
const NARROW: u32 = 560;

/// Draws `f1.svg`.
pub(crate) fn spread_svg(table: &Table) -> Result<String, ReportError> {
    let top = heading_height(table, WIDTH) + LEGEND;
    figure("f1.svg", (WIDTH, (top + height(table)) as u32), |canvas| {
        heading(canvas, table, "macro F1 of each row")?;
        legend(canvas, top - LEGEND, table.rows.iter().any(|row| row.best.is_some()))?;
        rows(canvas, table, top, 380)
    })
}

/// The same without heading and legend.
pub(crate) fn spread_panel_svg(table: &Table) -> Result<String, ReportError> {
    let size = (NARROW, (MARGIN + height(table)) as u32);
    figure("f1.svg", size, |canvas| rows(canvas, table, MARGIN, 180))
}

/// Height of rows and axis.
fn height(table: &Table) -> i32 {
    ROW * table.rows.len() as i32 + AXIS + MARGIN
}

/// Draws the rows from `top` on, their names in lines of at most `longest` pixels.
fn rows(canvas: &Canvas<'_>, table: &Table, top: i32, longest: i32) -> Result<(), Fault> {
    let width = canvas.dim_in_pixel().0;
    let names: Vec<Vec<String>> = table.rows.iter().map(|row| wrapped(&table.label(row), longest, TEXT, 2)).collect();
    let left = names.iter().flatten().map(|line| width_of(line, TEXT)).max().unwrap_or(0) + 2 * MARGIN;
    let best = |row: &Row| row.best.clone().map(|best| best.f1.values).unwrap_or_default();
    let floor = score_floor(table.rows.iter().flat_map(|row| [row.last.f1.values.clone(), best(row)].concat()));
    let area = canvas.margin(top, MARGIN, left, FIGURES);
    let mut chart = ChartBuilder::on(&area)
        .x_label_area_size(AXIS)
        .build_cartesian_2d(floor..1.01, table.rows.len() as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(if width < WIDTH { "macro F1" } else { "macro F1 on the evaluated images" })
        .x_labels(if width < WIDTH { 5 } else { 11 })
        .x_label_formatter(&|score| format!("{score:.2}"))
        .label_style(("sans-serif", TEXT))
        .draw()?;
    for (i, row) in table.rows.iter().enumerate() {
        let (y, f1) = (i as f64 + 0.4, &row.last.f1);
        let middle = top + ROW * i as i32 + ROW * 2 / 5 - 6;
        let rise = LINE / 2 * (names[i].len() as i32 - 1);
        for (line, name) in names[i].iter().enumerate() {
            let at = (left - MARGIN / 2, middle - rise + LINE * line as i32);
            text(canvas, name, at, TEXT, &BLACK, HPos::Right)?;
        }
        text(canvas, &views::spread(f1), (width as i32 - MARGIN, middle), TEXT, &BLACK, HPos::Right)?;
        if let Some(std) = f1.std {
            let whisker = [((f1.mean - std).max(floor), y), ((f1.mean + std).min(1.01), y)];
            chart.draw_series([PathElement::new(whisker, BLUE.stroke_width(2))])?;
        }
        chart.draw_series(f1.values.iter().map(|&value| Circle::new((value, y), 4, BLUE.mix(0.6))))?;
        chart.draw_series([Circle::new((f1.mean, y), 6, BLUE.filled())])?;
        if let Some(best) = &row.best {
            chart.draw_series([TriangleMarker::new((best.f1.mean, y + 0.36), 6, VERMILION.filled())])?;
        }
    }
    Ok(())
}

fn legend(canvas: &Canvas<'_>, y: i32, has_best: bool) -> Result<(), Fault> {
    let mark = y + 7;
    canvas.draw(&PathElement::new([(MARGIN, mark), (MARGIN + 28, mark)], BLUE.stroke_width(2)))?;
    canvas.draw(&Circle::new((MARGIN + 14, mark), 6, BLUE.filled()))?;
    text(canvas, "last epoch: mean ± standard deviation", (MARGIN + 36, y), SMALL, &GREY, HPos::Left)?;
    canvas.draw(&Circle::new((MARGIN + 330, mark), 4, BLUE.mix(0.6)))?;
    text(canvas, "one seed", (MARGIN + 342, y), SMALL, &GREY, HPos::Left)?;
    if !has_best {
        return Ok(());
    }
    canvas.draw(&TriangleMarker::new((MARGIN + 430, mark + 1), 6, VERMILION.filled()))?;
    text(canvas, &format!("{BEST_EPOCH}: mean"), (MARGIN + 442, y), SMALL, &GREY, HPos::Left)
}
