//! Images as points of a plane, a colour and a mark for each class.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{BLUE, Canvas, Fault, GREEN, GREY, LINE, MARGIN, ORANGE, SMALL, VERMILION, figure, fitted, text};
use crate::ReportError;
use crate::embedding::Embedding;

const COLORS: [RGBColor; 5] = [BLUE, VERMILION, GREEN, ORANGE, GREY];
/// Marks: circle, triangle, cross.
const MARKS: usize = 3;
const SIZE: (i32, i32) = (440, 400);
/// Width of a name with its mark.
const NAME: i32 = 136;

/// How many classes look different.
pub(crate) const DISTINCT: usize = COLORS.len() * MARKS;

/// Draws the points of an embedding, with the names of its classes above where all of them look different.
pub(crate) fn embedding_svg(embedding: &Embedding) -> Result<String, ReportError> {
    let named = if embedding.classes.len() > DISTINCT { 0 } else { embedding.classes.len() };
    let across = (SIZE.0 - 2 * MARGIN) / NAME;
    let top = MARGIN / 2 + LINE * (named as i32 + across - 1) / across.max(1) + MARGIN / 2;
    let range = |axis: usize| {
        let values = || embedding.points.iter().map(|point| point[axis]);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let room = ((most - least) * 0.05).max(1e-6);
        least - room..most + room
    };
    let axis = |i: usize| format!("component {} ({:.0} % of the variance)", i + 1, 100.0 * embedding.explained[i]);
    figure("embedding", (SIZE.0 as u32, (top + SIZE.1) as u32), |canvas| {
        for (class, name) in embedding.classes.iter().enumerate().take(named) {
            let (line, column) = (class as i32 / across, class as i32 % across);
            let (x, y) = (MARGIN + NAME * column, MARGIN / 2 + LINE * line);
            mark(canvas, (x + 4, y + 7), class)?;
            text(canvas, &fitted(name, NAME - 24, SMALL), (x + 14, y), SMALL, &BLACK, HPos::Left)?;
        }
        let area = canvas.margin(top, MARGIN / 2, MARGIN / 2, MARGIN);
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(range(0), range(1))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(6)
            .y_labels(6)
            .x_desc(axis(0))
            .y_desc(axis(1))
            .label_style(("sans-serif", SMALL))
            .draw()?;
        for (point, &label) in embedding.points.iter().zip(&embedding.labels) {
            mark(canvas, chart.backend_coord(&(point[0], point[1])), label)?;
        }
        Ok(())
    })
}

/// The mark of a class.
fn mark(canvas: &Canvas<'_>, at: (i32, i32), class: usize) -> Result<(), Fault> {
    let style = COLORS[class % COLORS.len()].mix(0.8);
    match class % MARKS {
        0 => canvas.draw(&Circle::new(at, 4, style.filled())),
        1 => canvas.draw(&TriangleMarker::new(at, 5, style.filled())),
        _ => canvas.draw(&Cross::new(at, 4, style.stroke_width(2))),
    }
}
