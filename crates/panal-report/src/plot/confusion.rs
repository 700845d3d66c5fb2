//! Confusion matrices: one panel a row, shaded by the share of the true class.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    BLUE, Canvas, Fault, GREY, LINE, MARGIN, SMALL, TEXT, WIDTH, figure, fitted, heading, heading_height, text,
    width_of, wrapped,
};
use crate::ReportError;
use crate::escape::plain;
use crate::table::{Row, Table};

const GAP: i32 = 24;
/// Room for the title of a panel, two lines.
const TITLE: i32 = 50;
/// Room for the name of an axis.
const AXIS: i32 = 26;
/// The longest class name drawn in full, in pixels.
const LONGEST: i32 = 130;

/// Sizes that all panels share, in pixels.
struct Layout {
    /// Side of a cell.
    cell: i32,
    /// Room for class names beside a matrix.
    names: i32,
    /// Whether class names below a matrix are turned, so as not to run into each other.
    turned: bool,
}

impl Layout {
    fn of(rows: &[Row]) -> Self {
        let most = rows.iter().map(|row| row.data.classes.len()).max().unwrap_or(1) as i32;
        let cell = (300 / most).clamp(if most > 40 { 4 } else { 22 }, 96);
        let classes = rows.iter().flat_map(|row| &row.data.classes);
        let names = classes.map(|class| width_of(&plain(class), SMALL)).max().unwrap_or(0).min(LONGEST);
        Self { cell, names, turned: names > cell - 6 }
    }

    fn left(&self) -> i32 {
        AXIS + self.names
    }

    fn below(&self) -> i32 {
        AXIS + if self.turned { self.names } else { LINE }
    }
}

/// Draws `confusion.svg`.
pub(crate) fn confusion_svg(table: &Table) -> Result<String, ReportError> {
    let layout = Layout::of(&table.rows);
    let most = table.rows.iter().map(|row| row.data.classes.len()).max().unwrap_or(1) as i32;
    let side = (layout.left() + layout.cell * most + GAP, TITLE + layout.cell * most + layout.below() + GAP);
    let width = (2 * MARGIN + side.0).max(WIDTH as i32) as u32;
    let across = (width as i32 - 2 * MARGIN) / side.0;
    let lines = (table.rows.len() as i32 + across - 1) / across;
    let top = heading_height(table, width) + LINE;
    figure("confusion.svg", (width, (top + lines * side.1) as u32), |canvas| {
        heading(canvas, table, "confusion")?;
        let legend = "last epoch; counts over all seeds; shade and decimals: share of the true class";
        text(canvas, legend, (MARGIN, top - LINE - 6), SMALL, &GREY, HPos::Left)?;
        for (i, row) in table.rows.iter().enumerate() {
            let (line, column) = (i as i32 / across, i as i32 % across);
            let at = (MARGIN + column * side.0, top + line * side.1);
            for (i, title) in wrapped(&table.label(row), side.0 - GAP, TEXT, 2).iter().enumerate() {
                text(canvas, title, (at.0, at.1 + 8 + LINE * i as i32), TEXT, &BLACK, HPos::Left)?;
            }
            panel(canvas, (at.0 + layout.left(), at.1 + TITLE), row, &layout)?;
        }
        Ok(())
    })
}

/// The panel of one row by itself.
pub(crate) fn confusion_panel_svg(row: &Row) -> Result<String, ReportError> {
    let layout = Layout::of(std::slice::from_ref(row));
    let matrix = layout.cell * row.data.classes.len() as i32;
    let size = (layout.left() + matrix + MARGIN, MARGIN / 2 + matrix + layout.below() + MARGIN / 2);
    figure("confusion.svg", (size.0 as u32, size.1 as u32), |canvas| {
        panel(canvas, (layout.left(), MARGIN / 2), row, &layout)
    })
}

/// Draws the matrix of one row with its upper left corner at `(left, top)`, and the axes beside it.
fn panel(canvas: &Canvas<'_>, (left, top): (i32, i32), row: &Row, layout: &Layout) -> Result<(), Fault> {
    let cell = layout.cell;
    let end = cell * row.data.classes.len() as i32;
    for (truth, counts) in row.confusion.rows().enumerate() {
        let images: u64 = counts.iter().sum();
        for (predicted, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = count as f64 / images as f64;
            let corner = (left + cell * predicted as i32, top + cell * truth as i32);
            let shade = BLUE.mix(0.06 + 0.94 * share).filled();
            canvas.draw(&Rectangle::new([corner, (corner.0 + cell, corner.1 + cell)], shade))?;
            figures(canvas, corner, cell, count, share)?;
        }
    }
    canvas.draw(&Rectangle::new([(left, top), (left + end, top + end)], GREY))?;
    names(canvas, (left, top), &row.data.classes, layout)?;
    let below = top + end + layout.below() - LINE;
    text(canvas, "said to be", (left + end / 2, below), SMALL, &GREY, HPos::Center)?;
    turned_text(canvas, "true class", (left - layout.left() + 6, top + end / 2), &GREY, HPos::Center)
}

/// Writes count and share into a cell, as far as there is room.
fn figures(canvas: &Canvas<'_>, corner: (i32, i32), cell: i32, count: u64, share: f64) -> Result<(), Fault> {
    let color = if share > 0.7 { WHITE } else { BLACK };
    let (x, y) = (corner.0 + cell / 2, corner.1 + cell / 2);
    if cell >= 48 {
        text(canvas, &count.to_string(), (x, y - 16), TEXT, &color, HPos::Center)?;
        text(canvas, &format!("{share:.2}"), (x, y + 3), SMALL, &color, HPos::Center)
    } else if cell >= 28 {
        text(canvas, &format!("{share:.2}"), (x, y - 4), 11.0, &color, HPos::Center)
    } else {
        Ok(())
    }
}

/// Writes class names at both axes, every so many where they would stand too close.
fn names(canvas: &Canvas<'_>, (left, top): (i32, i32), classes: &[String], layout: &Layout) -> Result<(), Fault> {
    let Layout { cell, turned, .. } = *layout;
    let every = (14 / cell + 1) as usize;
    let end = cell * classes.len() as i32;
    for (i, class) in classes.iter().enumerate().step_by(every) {
        let middle = cell * i as i32 + cell / 2;
        let name = fitted(&plain(class), layout.names, SMALL);
        text(canvas, &name, (left - 6, top + middle - 5), SMALL, &BLACK, HPos::Right)?;
        if turned {
            turned_text(canvas, &name, (left + middle, top + end + 6), &BLACK, HPos::Right)?;
        } else {
            text(canvas, &name, (left + middle, top + end + 8), SMALL, &BLACK, HPos::Center)?;
        }
    }
    Ok(())
}

/// Small text that reads upwards, centred across its direction.
fn turned_text(canvas: &Canvas<'_>, text: &str, at: (i32, i32), color: &RGBColor, anchor: HPos) -> Result<(), Fault> {
    let style = ("sans-serif", SMALL).into_font().transform(FontTransform::Rotate270).color(color);
    canvas.draw(&Text::new(text.to_owned(), at, style.pos(Pos::new(anchor, VPos::Center))))
}
