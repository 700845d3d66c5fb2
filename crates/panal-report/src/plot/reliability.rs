//! Reliability diagrams: how often a row is right against how sure it is, one panel a row, below it where its images lie.

use panal_metrics::ReliabilityBin;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    BLUE, Canvas, Fault, GREY, LINE, MARGIN, SMALL, TEXT, VERMILION, WIDTH, figure, heading, heading_height, text,
    wrapped,
};
use crate::ReportError;
use crate::reliability::Reliability;
use crate::table::{Row, Table};
use crate::views;

/// Panels beside each other.
const ACROSS: i32 = 3;
/// Width and height of a panel, its title not counted.
const PANEL: (i32, i32) = ((WIDTH as i32 - 2 * MARGIN) / ACROSS, 340);
const TITLE: i32 = 50;
/// Height of the strip that shows where the images lie.
const STRIP: i32 = 70;

/// Draws `reliability.svg`.
pub(crate) fn reliability_svg(table: &Table) -> Result<String, ReportError> {
    let lines = (table.rows.len() as i32 + ACROSS - 1) / ACROSS;
    let top = heading_height(table, WIDTH) + 2 * LINE;
    let height = top + lines * (TITLE + PANEL.1) + MARGIN;
    figure("reliability.svg", (WIDTH, height as u32), |canvas| {
        heading(canvas, table, "reliability")?;
        let legend = "last epoch; images of all seeds; blue: share that is right; red: how far that is from the mean confidence; dashed: where both agree";
        for (i, line) in wrapped(legend, WIDTH as i32 - 2 * MARGIN, SMALL, 2).iter().enumerate() {
            text(canvas, line, (MARGIN, top - 2 * LINE - 6 + LINE * i as i32), SMALL, &GREY, HPos::Left)?;
        }
        for (i, row) in table.rows.iter().enumerate() {
            let (line, column) = (i as i32 / ACROSS, i as i32 % ACROSS);
            let (left, y) = (MARGIN + column * PANEL.0, top + line * (TITLE + PANEL.1));
            for (i, name) in wrapped(&table.label(row), PANEL.0 - MARGIN, TEXT, 2).iter().enumerate() {
                text(canvas, name, (left, y + 8 + LINE * i as i32), TEXT, &BLACK, HPos::Left)?;
            }
            match &row.reliability {
                Some(reliability) => panel(canvas, (left, y + TITLE), reliability)?,
                None => {
                    text(canvas, "no probabilities", (left, y + TITLE + MARGIN), SMALL, &GREY, HPos::Left)?;
                }
            }
        }
        Ok(())
    })
}

/// The panel of one row by itself; `None` where it has no probabilities.
pub(crate) fn reliability_panel_svg(row: &Row) -> Result<Option<String>, ReportError> {
    let draw = |reliability| {
        figure("reliability.svg", (PANEL.0 as u32, PANEL.1 as u32), |canvas| panel(canvas, (0, 0), reliability))
    };
    row.reliability.as_ref().map(draw).transpose()
}

/// Draws the panel of a row with its upper left corner at `at`.
fn panel(canvas: &Canvas<'_>, at: (i32, i32), reliability: &Reliability) -> Result<(), Fault> {
    let (width, height) = canvas.dim_in_pixel();
    let part = |above: i32, tall: i32| {
        let top = at.1 + above;
        canvas.margin(top, height as i32 - top - tall, at.0, width as i32 - at.0 - PANEL.0 + MARGIN)
    };
    let bins: Vec<(&ReliabilityBin, f64, f64)> =
        reliability.pooled.bins.iter().filter_map(|bin| Some((bin, bin.confidence?, bin.accuracy?))).collect();

    let mut chart = ChartBuilder::on(&part(0, PANEL.1 - STRIP))
        .margin_top(8)
        .x_label_area_size(4)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|share| format!("{share:.1}"))
        .y_desc("share that is right")
        .label_style(("sans-serif", SMALL))
        .draw()?;
    for (bin, confidence, accuracy) in &bins {
        chart.draw_series([Rectangle::new([(bin.lower, 0.0), (bin.upper, *accuracy)], BLUE.mix(0.45).filled())])?;
        chart
            .draw_series([PathElement::new([(bin.lower, *accuracy), (bin.upper, *accuracy)], BLUE.stroke_width(2))])?;
        let gap = [(*confidence, *accuracy), (*confidence, *confidence)];
        chart.draw_series([PathElement::new(gap, VERMILION.stroke_width(3))])?;
    }
    let dashes = (0..25).map(|i| {
        let start = f64::from(i) / 25.0;
        PathElement::new([(start, start), (start + 0.02, start + 0.02)], GREY)
    });
    chart.draw_series(dashes)?;
    let corner = chart.backend_coord(&(0.0, 1.0));
    let error = format!("ECE {}", views::spread(&reliability.expected_error));
    text(canvas, &error, (corner.0 + 8, corner.1 + 6), TEXT, &BLACK, HPos::Left)?;

    let fullest = bins.iter().map(|(bin, ..)| bin.samples).max().unwrap_or(0).max(1) as f64;
    let mut strip = ChartBuilder::on(&part(PANEL.1 - STRIP, STRIP))
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    strip
        .configure_mesh()
        .disable_mesh()
        .x_labels(6)
        .y_labels(2)
        .y_label_formatter(&|_| String::new())
        .x_label_formatter(&|confidence| format!("{confidence:.1}"))
        .x_desc("confidence; grey: where the images lie")
        .label_style(("sans-serif", SMALL))
        .draw()?;
    strip.draw_series(bins.iter().map(|(bin, ..)| {
        let height = bin.samples as f64 / fullest;
        Rectangle::new([(bin.lower, 0.0), (bin.upper, height)], GREY.mix(0.6).filled())
    }))?;
    Ok(())
}
