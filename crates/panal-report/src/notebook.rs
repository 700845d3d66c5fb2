//! The table and its plots one by one, for a notebook or a page of one's own. The whole folder of results is `results`'s.

use crate::page::{html_table, scores_grid};
use crate::{Comparison, ReportError, Table, plot};

impl Table {
    /// The scores of the last epoch as an HTML table with a caption: what the first table of `index.html` shows.
    pub fn html(&self) -> String {
        let is_best = |line: usize| self.rows[line].comparison == Comparison::Best;
        html_table(&self.caption(), &scores_grid(self), 1, is_best)
    }

    /// The same as a table of Markdown, without the caption.
    pub fn markdown(&self) -> String {
        scores_grid(self).markdown()
    }

    /// The learning curves of every row, as SVG: what `curves.svg` shows.
    ///
    /// # Errors
    /// [`ReportError::Plot`] where the drawing library fails.
    pub fn curves_svg(&self) -> Result<String, ReportError> {
        plot::curves_svg(self)
    }

    /// The confusion matrix of every row, as SVG: what `confusion.svg` shows.
    ///
    /// # Errors
    /// [`ReportError::Plot`] where the drawing library fails.
    pub fn confusion_svg(&self) -> Result<String, ReportError> {
        plot::confusion_svg(self)
    }

    /// What is seen, and of which images.
    fn caption(&self) -> String {
        let subjects = self.subjects().join(". ");
        format!(
            "{}. {subjects}. Macro averages at the last epoch; mean ± sample standard deviation over seeds",
            self.lab
        )
    }
}
