//! A study as lines: columns along the axis, a line for each row, a dot for each seed.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{GREY, LINE, LINES, MARGIN, SMALL, WIDTH, figure, fitted, text, title};
use crate::ReportError;
use crate::study::{Study, known, mean, without_score};

const PLOT: i32 = 380;

/// Draws a line for each row.
pub(crate) fn lines_svg(study: &Study) -> Result<String, ReportError> {
    let legend = if study.row_axis.is_empty() { 0 } else { LINE * study.rows.len() as i32 + LINE };
    let missing = without_score(study);
    let below = 2 * MARGIN + 28 + if missing.is_some() { LINE } else { 0 };
    let top = below + LINE + legend;
    let scores = || study.cells.iter().flatten().flatten().filter_map(|run| run.score);
    let (least, most) = (scores().fold(1.0, f64::min), scores().fold(0.0, f64::max));
    let room = ((most - least) * 0.1).max(0.005);
    let range = (least - room).max(0.0)..(most + room).min(1.0);
    let columns = study.columns.len();

    figure("lines", (WIDTH, (top + PLOT + MARGIN) as u32), |canvas| {
        title(canvas, &study.title, &study.subject)?;
        if let Some(missing) = &missing {
            text(canvas, missing, (MARGIN, MARGIN + 28 + LINE), SMALL, &GREY, HPos::Left)?;
        }
        if legend > 0 {
            let at = (MARGIN, below + LINE / 2);
            text(canvas, &study.row_axis, at, SMALL, &GREY, HPos::Left)?;
        }
        let area = canvas.margin(top, MARGIN, MARGIN, MARGIN);
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(-0.5..columns as f64 - 0.5, range)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc(study.column_axis.as_str())
            .y_desc(study.score.as_str())
            .x_labels(2 * columns + 1)
            .x_label_formatter(&|x| match study.columns.get(x.round() as usize) {
                Some(name) if (x - x.round()).abs() < 1e-9 && *x >= 0.0 => name.clone(),
                _ => String::new(),
            })
            .y_label_formatter(&|score| format!("{:.1} %", 100.0 * score))
            .label_style(("sans-serif", SMALL))
            .draw()?;
        for (row, cells) in study.cells.iter().enumerate() {
            let color = LINES[row % LINES.len()];
            let cells: Vec<Vec<f64>> = cells.iter().map(|runs| known(runs)).collect();
            let points: Vec<(f64, f64)> =
                cells.iter().enumerate().filter_map(|(column, scores)| Some((column as f64, mean(scores)?))).collect();
            chart.draw_series([PathElement::new(points.clone(), color.stroke_width(2))])?;
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, color.filled())))?;
            for (column, scores) in cells.iter().enumerate().filter(|(_, scores)| scores.len() > 1) {
                let x = column as f64;
                chart.draw_series(scores.iter().map(|&score| Circle::new((x, score), 2, color.mix(0.6))))?;
            }
            if legend > 0 {
                let y = below + LINE / 2 + LINE * (row as i32 + 1);
                canvas.draw(&PathElement::new([(MARGIN, y + 7), (MARGIN + 24, y + 7)], color.stroke_width(2)))?;
                let name = fitted(&study.rows[row], WIDTH as i32 / 2, SMALL);
                text(canvas, &name, (MARGIN + 32, y), SMALL, &BLACK, HPos::Left)?;
            }
        }
        Ok(())
    })
}
