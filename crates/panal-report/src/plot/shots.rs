//! Accuracy against shots: a line for each method, in the band of its intervals.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{LINE, LINES, MARGIN, SMALL, WIDTH, figure, fitted, text, title};
use crate::ReportError;
use crate::shot_curve::ShotCurve;

const PLOT: i32 = 380;

/// Draws a checked curve; the numbers of shots stand at equal distances.
pub(crate) fn shots_svg(curve: &ShotCurve) -> Result<String, ReportError> {
    let top = 2 * MARGIN + 28 + LINE + LINE * (curve.lines.len() as i32 + 1);
    let intervals = || curve.lines.iter().flat_map(|line| &line.points).map(|point| point.accuracy);
    let least = intervals().map(|interval| interval.lower).fold(1.0, f64::min);
    let most = intervals().map(|interval| interval.upper).fold(0.0, f64::max);
    let room = ((most - least) * 0.1).max(0.005);
    let range = (least - room).max(0.0)..(most + room).min(1.0);
    let level = intervals().next().map_or(0.95, |interval| interval.level);
    let count = curve.shots.len();

    figure("shots", (WIDTH, (top + PLOT + MARGIN) as u32), |canvas| {
        title(canvas, &curve.title, &curve.subject)?;
        let area = canvas.margin(top, MARGIN, MARGIN, MARGIN);
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(-0.5..count as f64 - 0.5, range)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc("support images of each class (shots)")
            .y_desc(format!("accuracy, mean over episodes; band: {:.0} % interval", 100.0 * level))
            .x_labels(2 * count + 1)
            .x_label_formatter(&|x| match curve.shots.get(x.round() as usize) {
                Some(shots) if (x - x.round()).abs() < 1e-9 && *x >= 0.0 => shots.to_string(),
                _ => String::new(),
            })
            .y_label_formatter(&|score| format!("{:.1} %", 100.0 * score))
            .label_style(("sans-serif", SMALL))
            .draw()?;
        for (row, line) in curve.lines.iter().enumerate() {
            let color = LINES[row % LINES.len()];
            let at = |of: fn(&panal_metrics::Interval) -> f64| -> Vec<(f64, f64)> {
                (0..).zip(&line.points).map(|(x, point)| (f64::from(x), of(&point.accuracy))).collect()
            };
            let mut band = at(|interval| interval.lower);
            band.extend(at(|interval| interval.upper).into_iter().rev());
            chart.draw_series([Polygon::new(band, color.mix(0.2))])?;
            let points = at(|interval| interval.estimate);
            chart.draw_series([PathElement::new(points.clone(), color.stroke_width(2))])?;
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, 4, color.filled())))?;
            let y = 2 * MARGIN + 28 + LINE / 2 + LINE * row as i32;
            canvas.draw(&PathElement::new([(MARGIN, y + 7), (MARGIN + 24, y + 7)], color.stroke_width(2)))?;
            let name = fitted(&line.name, WIDTH as i32 / 2, SMALL);
            text(canvas, &name, (MARGIN + 32, y), SMALL, &BLACK, HPos::Left)?;
        }
        Ok(())
    })
}
