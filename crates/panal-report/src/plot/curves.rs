//! Learning curves: for every row its losses on the left, accuracy and macro F1 on the evaluated images on the right.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    BLUE, Canvas, Fault, GREEN, GREY, MARGIN, ORANGE, SMALL, TEXT, VERMILION, WIDTH, figure, fitted, heading,
    heading_height, score_floor, text,
};
use crate::ReportError;
use crate::record::EpochRecord;
use crate::table::{Row, Table};

const LEGEND: i32 = 24;
/// Height of a row's strip, its title included.
const STRIP: i32 = 284;
const TITLE: i32 = 56;
/// Room for the numbers and the name of the axis of epochs.
const X_AXIS: i32 = 42;

/// A quantity over epochs.
struct Curve {
    name: &'static str,
    value: fn(&EpochRecord) -> f64,
    color: RGBColor,
    /// Whether triangles mark its mean, for eyes and printers without colour; circles otherwise.
    triangles: bool,
}

const LOSSES: [Curve; 2] = [
    Curve { name: "training loss", value: |epoch| epoch.train_loss, color: BLUE, triangles: false },
    Curve { name: "evaluation loss", value: |epoch| epoch.eval_loss, color: ORANGE, triangles: true },
];
const SCORES: [Curve; 2] = [
    Curve { name: "accuracy", value: |epoch| epoch.eval_accuracy, color: GREEN, triangles: false },
    Curve { name: "macro F1", value: |epoch| epoch.eval_macro_f1, color: VERMILION, triangles: true },
];

/// Draws `curves.svg`.
pub(crate) fn curves_svg(table: &Table) -> Result<String, ReportError> {
    let top = heading_height(table, WIDTH) + LEGEND;
    let floor = floor(table);
    let height = top + STRIP * table.rows.len() as i32 + MARGIN;
    figure("curves.svg", (WIDTH, height as u32), |canvas| {
        heading(canvas, table, "learning curves")?;
        legend(canvas, top - LEGEND)?;
        for (i, row) in table.rows.iter().enumerate() {
            let y = top + STRIP * i as i32;
            text(
                canvas,
                &fitted(&table.label(row), WIDTH as i32 - 2 * MARGIN, TEXT),
                (MARGIN, y + 16),
                TEXT,
                &BLACK,
                HPos::Left,
            )?;
            let half = WIDTH as i32 / 2;
            panel(canvas, (0, y), row, &LOSSES, "loss in nats", 0.0..ceiling(row))?;
            panel(canvas, (half, y), row, &SCORES, "score on evaluated images", floor..1.0)?;
        }
        Ok(())
    })
}

/// The two halves of a row's strip, each by itself: losses and scores.
pub(crate) fn curve_panel_svgs(table: &Table, row: &Row) -> Result<[String; 2], ReportError> {
    let half = |curves: &[Curve], what: &str, range: Range<f64>| {
        figure("curves.svg", (WIDTH / 2, STRIP as u32), |canvas| {
            keys(canvas, curves, (MARGIN, 6))?;
            panel(canvas, (0, 0), row, curves, what, range)
        })
    };
    Ok([
        half(&LOSSES, "loss in nats", 0.0..ceiling(row))?,
        half(&SCORES, "score on evaluated images", floor(table)..1.0)?,
    ])
}

/// The lower end of the axis of scores, the same for all rows.
fn floor(table: &Table) -> f64 {
    let all = || table.rows.iter().flat_map(|row| row.epochs.iter().flatten());
    score_floor(SCORES.iter().flat_map(|curve| all().map(curve.value)))
}

/// The upper end of the axis of losses.
fn ceiling(row: &Row) -> f64 {
    let losses = LOSSES.iter().flat_map(|curve| row.epochs.iter().flatten().map(curve.value));
    let highest = losses.filter(|loss| loss.is_finite()).fold(0.0, f64::max);
    if highest > 0.0 { highest * 1.05 } else { 1.0 }
}

/// Draws one half of a strip whose upper left corner is `at`.
fn panel(
    canvas: &Canvas<'_>,
    at: (i32, i32),
    row: &Row,
    curves: &[Curve],
    what: &str,
    range: Range<f64>,
) -> Result<(), Fault> {
    let (width, height) = canvas.dim_in_pixel();
    let half = WIDTH as i32 / 2;
    let area = canvas.margin(
        at.1 + TITLE,
        height as i32 - at.1 - STRIP,
        at.0 + MARGIN / 2,
        width as i32 - at.0 - half + MARGIN,
    );
    let epochs = row.epochs.iter().map(Vec::len).max().unwrap_or(0);
    let top = range.end;
    let mut chart = ChartBuilder::on(&area)
        .x_label_area_size(X_AXIS)
        .y_label_area_size(58)
        .build_cartesian_2d(0.5..epochs.max(1) as f64 + 0.5, range)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("epoch")
        .y_desc(what)
        .x_labels(epochs.clamp(2, 12))
        .y_labels(6)
        .x_label_formatter(&|epoch| if epoch.fract() == 0.0 { format!("{epoch:.0}") } else { String::new() })
        .y_label_formatter(&|value| format!("{value:.2}"))
        .label_style(("sans-serif", SMALL))
        .draw()?;

    let phases = phases(row);
    let pixel = |epochs_done: usize| chart.backend_coord(&(epochs_done as f64 + 0.5, top)).0;
    for (i, (start, name)) in phases.iter().enumerate() {
        let left = pixel(*start);
        let right = pixel(phases.get(i + 1).map_or(epochs, |next| next.0));
        let (above, below) = (at.1 + TITLE, area.get_pixel_range().1.end - X_AXIS);
        if *start > 0 {
            for y in (above..below).step_by(8) {
                canvas.draw(&PathElement::new([(left, y), (left, (y + 4).min(below))], GREY))?;
            }
        }
        text(canvas, &fitted(name, right - left - 4, SMALL), (left + 3, above - 15), SMALL, &GREY, HPos::Left)?;
    }
    for Curve { value, color, triangles, .. } in curves {
        let points = |epochs: &[EpochRecord]| -> Vec<(f64, f64)> {
            let points = epochs.iter().enumerate().map(|(i, epoch)| (i as f64 + 1.0, value(epoch)));
            points.filter(|point| point.1.is_finite()).collect()
        };
        let seeds: Vec<Vec<(f64, f64)>> = row.epochs.iter().map(|epochs| points(epochs)).collect();
        if seeds.len() > 1 {
            chart.draw_series(seeds.iter().map(|points| PathElement::new(points.clone(), color.mix(0.45))))?;
        }
        let mean = mean_points(&seeds, epochs);
        chart.draw_series([PathElement::new(mean.clone(), color.stroke_width(2))])?;
        if *triangles {
            chart.draw_series(mean.iter().map(|&point| TriangleMarker::new(point, 5, color.filled())))?;
        } else {
            chart.draw_series(mean.iter().map(|&point| Circle::new(point, 3, color.filled())))?;
        }
    }
    Ok(())
}

/// The mean at each epoch over the seeds that have a value there.
fn mean_points(seeds: &[Vec<(f64, f64)>], epochs: usize) -> Vec<(f64, f64)> {
    let mean = |epoch: usize| {
        let x = epoch as f64;
        let values: Vec<f64> = seeds.iter().flatten().filter(|point| point.0 == x).map(|point| point.1).collect();
        (!values.is_empty()).then(|| (x, values.iter().sum::<f64>() / values.len() as f64))
    };
    (1..=epochs).filter_map(mean).collect()
}

/// The first epoch, from 0, and the name of each phase; none where there is only one.
fn phases(row: &Row) -> Vec<(usize, String)> {
    let Some(epochs) = row.epochs.iter().max_by_key(|epochs| epochs.len()) else { return Vec::new() };
    let mut phases: Vec<(usize, String)> = Vec::new();
    let mut last = None;
    for (i, epoch) in epochs.iter().enumerate() {
        if last != Some(epoch.phase) {
            let name = row.phases.get(epoch.phase).cloned().unwrap_or_else(|| format!("phase {}", epoch.phase + 1));
            phases.push((i, name));
            last = Some(epoch.phase);
        }
    }
    if phases.len() > 1 { phases } else { Vec::new() }
}

fn legend(canvas: &Canvas<'_>, y: i32) -> Result<(), Fault> {
    keys(canvas, &LOSSES, (MARGIN, y))?;
    keys(canvas, &SCORES, (WIDTH as i32 / 2, y))?;
    text(canvas, "thick: mean of seeds; thin: one seed", (WIDTH as i32 - MARGIN, y), SMALL, &GREY, HPos::Right)
}

/// What line and mark stand for each curve, beside each other from `left` on.
fn keys(canvas: &Canvas<'_>, curves: &[Curve], (left, y): (i32, i32)) -> Result<(), Fault> {
    for (i, Curve { name, color, triangles, .. }) in curves.iter().enumerate() {
        let (x, mark) = (left + 140 * i as i32, y + 7);
        canvas.draw(&PathElement::new([(x, mark), (x + 24, mark)], color.stroke_width(2)))?;
        if *triangles {
            canvas.draw(&TriangleMarker::new((x + 12, mark), 5, color.filled()))?;
        } else {
            canvas.draw(&Circle::new((x + 12, mark), 3, color.filled()))?;
        }
        text(canvas, name, (x + 30, y), SMALL, &GREY, HPos::Left)?;
    }
    Ok(())
}
