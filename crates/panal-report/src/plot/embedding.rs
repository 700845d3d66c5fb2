//! Images as points of a plane, a colour and a mark for each class. A point with a name is an element of its own, which a page may bring to life.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{BLUE, Canvas, Fault, GREEN, GREY, LINE, MARGIN, ORANGE, SMALL, VERMILION, figure, fitted, text};
use crate::ReportError;
use crate::embedding::{Embedding, Plane};
use crate::escape::html;

const COLORS: [RGBColor; 5] = [BLUE, VERMILION, GREEN, ORANGE, GREY];
/// Marks: circle, triangle, cross.
const MARKS: usize = 3;
const SIZE: (i32, i32) = (440, 400);
/// Height below the plot for the card of one image: as high as its picture, and space around it.
const CARD: i32 = 88;
/// Width of a name with its mark.
const NAME: i32 = 136;

/// How many classes look different.
pub(crate) const DISTINCT: usize = COLORS.len() * MARKS;

/// Draws the points of an embedding, with the names of its classes above where all of them look different. Where images are
/// named, each point is a group, ringed where the image was said to be of another class, which ends in what `card` says of it
/// (an element to be shown in the free space below, whose top left corner it is given).
pub(crate) fn embedding_svg(
    embedding: &Embedding,
    card: impl Fn(usize, (i32, i32)) -> String,
) -> Result<String, ReportError> {
    let named = if embedding.classes.len() > DISTINCT { 0 } else { embedding.classes.len() };
    let across = (SIZE.0 - 2 * MARGIN) / NAME;
    let top = MARGIN / 2 + LINE * (named as i32 + across - 1) / across.max(1) + MARGIN / 2;
    let range = |axis: usize| {
        let values = || embedding.points.iter().map(|point| point[axis]);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let room = ((most - least) * 0.05).max(1e-6);
        least - room..most + room
    };
    let axis = |i: usize| match embedding.plane {
        Plane::Components { explained } => {
            format!("component {} ({:.0} % of the variance)", i + 1, 100.0 * explained[i])
        }
        Plane::Neighbours { .. } => format!("t-SNE {}", i + 1),
    };
    let below = if embedding.images.is_empty() { 0 } else { CARD };
    let height = top + SIZE.1;
    let mut places = Vec::new();
    let svg = figure("embedding", (SIZE.0 as u32, (height + below) as u32), |canvas| {
        for (class, name) in embedding.classes.iter().enumerate().take(named) {
            let (line, column) = (class as i32 / across, class as i32 % across);
            let (x, y) = (MARGIN + NAME * column, MARGIN / 2 + LINE * line);
            mark(canvas, (x + 4, y + 7), class)?;
            text(canvas, &fitted(name, NAME - 24, SMALL), (x + 14, y), SMALL, &BLACK, HPos::Left)?;
        }
        let area = canvas.margin(top, MARGIN / 2 + below, MARGIN / 2, MARGIN);
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
            let place = chart.backend_coord(&(point[0], point[1]));
            places.push(place);
            if embedding.images.is_empty() {
                mark(canvas, place, label)?;
            }
        }
        Ok(())
    })?;
    if embedding.images.is_empty() {
        return Ok(svg);
    }
    let corner = (MARGIN, height + (CARD - 72) / 4);
    let groups: String =
        places.iter().enumerate().map(|(i, &place)| group(embedding, i, place, &card(i, corner))).collect();
    let whole = svg.trim_end().strip_suffix("</svg>").unwrap_or_default();
    Ok(format!("{whole}{groups}</svg>\n"))
}

/// The point of one image as a group: a place to point at, the mark of its class, a ring where it was said to be another, its card.
fn group(embedding: &Embedding, index: usize, (x, y): (i32, i32), card: &str) -> String {
    let (image, label) = (&embedding.images[index], embedding.labels[index]);
    let color = COLORS[label % COLORS.len()];
    let color = format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2);
    let mark = match label % MARKS {
        0 => format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" opacity=\"0.8\" fill=\"{color}\" />"),
        1 => {
            let corners = format!("{x},{} {},{} {},{}", y - 5, x - 5, y + 3, x + 5, y + 3);
            format!("<polygon points=\"{corners}\" opacity=\"0.8\" fill=\"{color}\" />")
        }
        _ => {
            let (left, right, top, bottom) = (x - 4, x + 4, y - 4, y + 4);
            let lines = format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}");
            format!("<path d=\"{lines}\" opacity=\"0.8\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" />")
        }
    };
    let classes = &embedding.classes;
    let wrong = image.predicted.filter(|&class| class != label);
    let ring = wrong.map(|_| format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"7\" fill=\"none\" stroke=\"#000000\" />"));
    let said = wrong.map(|class| format!(", said to be {}", classes[class])).unwrap_or_default();
    let name = html(&format!("{}: truly {}{said}", image.id, classes[label]));
    format!(
        "<g class=\"point\" tabindex=\"{}\" role=\"img\" aria-label=\"{name}\">\
         <circle cx=\"{x}\" cy=\"{y}\" r=\"9\" fill=\"none\" pointer-events=\"all\" />{mark}{}{card}</g>\n",
        // One stop of the tab key for each figure; arrow keys go on from there.
        if index == 0 { 0 } else { -1 },
        ring.unwrap_or_default()
    )
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
