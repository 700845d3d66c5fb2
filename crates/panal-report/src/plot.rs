//! What all plots share: the canvas, the heading that says lab, data and origin, colours, and text that fits. One plot a file below.

mod confusion;
mod curves;
mod embedding;
mod heat;
mod lines;
mod reliability;
mod shots;
mod spread;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(crate) use confusion::{confusion_panel_svg, confusion_svg};
pub(crate) use curves::{curve_panel_svgs, curves_svg};
pub(crate) use embedding::{DISTINCT, embedding_svg};
pub(crate) use heat::heat_svg;
pub(crate) use lines::lines_svg;
pub(crate) use reliability::{reliability_panel_svg, reliability_svg};
pub(crate) use shots::shots_svg;
pub(crate) use spread::{spread_panel_svg, spread_svg};

use crate::ReportError;
use crate::escape::plain;
use crate::table::Table;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What the drawing library says went wrong.
type Fault = DrawingAreaErrorKind<std::io::Error>;

/// Width of a figure in pixels.
const WIDTH: u32 = 960;
/// Free space at its edges.
const MARGIN: i32 = 16;
const TEXT: f64 = 15.0;
pub(crate) const SMALL: f64 = 13.0;
/// Height of a line of small text.
const LINE: i32 = 18;

/// Colours that people with any kind of colour vision tell apart (Okabe and Ito).
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const SKY: RGBColor = RGBColor(86, 180, 233);
const GREY: RGBColor = RGBColor(90, 90, 90);

/// What lines are drawn in, the first one first. Their yellow is left out: on white it is not seen.
const LINES: [RGBColor; 7] = [BLUE, ORANGE, GREEN, VERMILION, GREY, PURPLE, SKY];

/// Draws a figure on white and returns it as SVG.
fn figure(
    plot: &'static str,
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), Fault>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        canvas
            .fill(&WHITE)
            .and_then(|()| draw(&canvas))
            .and_then(|()| canvas.present())
            .map_err(|fault| ReportError::Plot { plot, message: fault.to_string() })?;
    }
    Ok(svg)
}

/// Height of the heading of a figure that is `width` pixels wide.
fn heading_height(table: &Table, width: u32) -> i32 {
    2 * MARGIN + 18 + LINE * subject_lines(table, width).len() as i32
}

/// Title, then what the table is about, with the origin of the images.
fn heading(canvas: &Canvas<'_>, table: &Table, title: &str) -> Result<(), Fault> {
    let width = canvas.dim_in_pixel().0;
    let title = fitted(&format!("{}: {title}", table.lab), width as i32 - 2 * MARGIN, 22.0);
    text(canvas, &title, (MARGIN, MARGIN), 22.0, &BLACK, HPos::Left)?;
    for (i, line) in subject_lines(table, width).iter().enumerate() {
        text(canvas, line, (MARGIN, MARGIN + 28 + LINE * i as i32), SMALL, &GREY, HPos::Left)?;
    }
    Ok(())
}

/// A title, and a line below it.
fn title(canvas: &Canvas<'_>, title: &str, subject: &str) -> Result<(), Fault> {
    let room = canvas.dim_in_pixel().0 as i32 - 2 * MARGIN;
    text(canvas, &fitted(title, room, 22.0), (MARGIN, MARGIN), 22.0, &BLACK, HPos::Left)?;
    text(canvas, &fitted(subject, room, SMALL), (MARGIN, MARGIN + 28), SMALL, &GREY, HPos::Left)
}

fn subject_lines(table: &Table, width: u32) -> Vec<String> {
    table.subjects().iter().flat_map(|subject| wrapped(subject, width as i32 - 2 * MARGIN, SMALL, 3)).collect()
}

/// Text whose top is at `at`.
fn text(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    size: f64,
    color: &RGBColor,
    anchor: HPos,
) -> Result<(), Fault> {
    let style = ("sans-serif", size).into_font().color(color).pos(Pos::new(anchor, VPos::Top));
    canvas.draw(&Text::new(plain(text), at, style))
}

/// Pixels that `text` takes at `size`, about: there is no font to ask, and the viewer's may differ.
fn width_of(text: &str, size: f64) -> i32 {
    (text.chars().count() as f64 * size * 0.48).ceil() as i32
}

/// `text`, cut to fit into `width` pixels.
pub(crate) fn fitted(text: &str, width: i32, size: f64) -> String {
    if width_of(text, size) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while !kept.is_empty() && width_of(&kept.iter().collect::<String>(), size) + size as i32 > width {
        kept.pop();
    }
    kept.into_iter().collect::<String>().trim_end().to_owned() + "…"
}

/// `text` in lines of at most `width` pixels, broken between words; the last of at most `most` lines is cut to fit.
fn wrapped(text: &str, width: i32, size: f64, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in plain(text).split_whitespace() {
        let full = lines.len() == most;
        if let Some(line) = lines.last_mut() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if full || line.is_empty() || width_of(&longer, size) <= width {
                *line = longer;
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines.iter().map(|line| fitted(line, width, size)).collect()
}

/// The lower end of an axis of scores: a twentieth below the least of them, at least 0.
fn score_floor(scores: impl Iterator<Item = f64>) -> f64 {
    let least = scores.filter(|score| score.is_finite()).fold(0.95, f64::min);
    ((least * 20.0).floor() / 20.0 - 0.05).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_fits_and_says_so() {
        let cut = fitted("a rather long name of a row", 80, TEXT);
        assert!(cut.ends_with('…') && width_of(&cut, TEXT) <= 80, "{cut}");
        assert_eq!(fitted("short", 80, TEXT), "short");
    }

    #[test]
    fn long_text_is_broken_between_words_and_cut_at_its_last_line() {
        assert_eq!(wrapped("one two three four", 60, TEXT, 3), ["one two", "three", "four"]);
        let lines = wrapped("one two three four five six", 60, TEXT, 2);
        assert_eq!((lines.len(), lines[0].as_str()), (2, "one two"));
        assert!(lines[1].starts_with("three") && lines[1].ends_with('…'), "{lines:?}");
    }

    #[test]
    fn the_axis_of_scores_holds_all_of_them() {
        assert!((score_floor([0.93, f64::NAN, 0.66].into_iter()) - 0.6).abs() < 1e-12);
        assert_eq!(score_floor([0.01].into_iter()), 0.0);
        assert!((score_floor(std::iter::empty()) - 0.9).abs() < 1e-12);
    }
}
