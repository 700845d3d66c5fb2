//! A study as a heat map: a square for each combination of two settings, its score written in it.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{GREY, LINE, MARGIN, SMALL, TEXT, WIDTH, figure, fitted, text, title, width_of};
use crate::ReportError;
use crate::study::{Study, known, mean, without_score};

const CELL: i32 = 44;
/// Pale and deep end of the scale; ink changes at the middle.
const PALE: RGBColor = RGBColor(240, 246, 250);
const DEEP: RGBColor = RGBColor(0, 80, 130);

/// Draws a heat map.
pub(crate) fn heat_svg(study: &Study) -> Result<String, ReportError> {
    let left = study.rows.iter().map(|row| width_of(row, TEXT)).max().unwrap_or(0).min(260) + 2 * MARGIN;
    let columns = study.columns.len().max(1) as i32;
    let cell_width = ((WIDTH as i32 - left - MARGIN) / columns).min(2 * CELL);
    let missing = without_score(study);
    let top = 2 * MARGIN + 28 + if missing.is_some() { 4 * LINE } else { 3 * LINE };
    let height = top + CELL * study.rows.len() as i32 + MARGIN;
    let means: Vec<Vec<Option<f64>>> =
        study.cells.iter().map(|cells| cells.iter().map(|runs| mean(&known(runs))).collect()).collect();
    let all = || means.iter().flatten().flatten().copied();
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let share = |score: f64| if most > least { (score - least) / (most - least) } else { 0.5 };

    figure("heat map", (WIDTH, height as u32), |canvas| {
        title(canvas, &study.title, &study.subject)?;
        let axes = format!("{} (per cent): rows {}, columns {}", study.score, study.row_axis, study.column_axis);
        text(canvas, &axes, (MARGIN, MARGIN + 28 + LINE), SMALL, &GREY, HPos::Left)?;
        if let Some(missing) = &missing {
            text(canvas, missing, (MARGIN, MARGIN + 28 + 2 * LINE), SMALL, &GREY, HPos::Left)?;
        }
        for (column, name) in study.columns.iter().enumerate() {
            let x = left + cell_width * column as i32 + cell_width / 2;
            text(canvas, &fitted(name, cell_width - 2, SMALL), (x, top - LINE), SMALL, &BLACK, HPos::Center)?;
        }
        for (row, name) in study.rows.iter().enumerate() {
            let y = top + CELL * row as i32;
            let label = fitted(name, left - MARGIN, TEXT);
            text(canvas, &label, (left - MARGIN / 2, y + CELL / 2 - 8), TEXT, &BLACK, HPos::Right)?;
            for (column, score) in means[row].iter().enumerate() {
                let x = left + cell_width * column as i32;
                let corners = [(x + 1, y + 1), (x + cell_width - 1, y + CELL - 1)];
                let Some(score) = *score else {
                    canvas.draw(&Rectangle::new(corners, GREY.mix(0.15).filled()))?;
                    continue;
                };
                let depth = share(score);
                canvas.draw(&Rectangle::new(corners, between(depth).filled()))?;
                let ink = if depth > 0.5 { WHITE } else { BLACK };
                let at = (x + cell_width / 2, y + CELL / 2 - 8);
                text(canvas, &format!("{:.1}", 100.0 * score), at, TEXT, &ink, HPos::Center)?;
            }
        }
        Ok(())
    })
}

fn between(share: f64) -> RGBColor {
    let mix = |pale: u8, deep: u8| (f64::from(pale) + share * (f64::from(deep) - f64::from(pale))).round() as u8;
    RGBColor(mix(PALE.0, DEEP.0), mix(PALE.1, DEEP.1), mix(PALE.2, DEEP.2))
}
