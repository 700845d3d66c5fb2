//! A table of finished text, and how it looks in Markdown, in LaTeX and on a terminal. What its cells say is decided in `views`.

use crate::escape::{latex, markdown, plain};

/// Headed columns of text; the first is aligned to the left, the others to the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// What stands above each column.
    pub heads: Vec<String>,
    /// As many cells as heads.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// A grid from columns: a head, and how to make the cell of each item.
    pub(crate) fn of<T>(items: &[T], columns: &[Column<'_, T>]) -> Self {
        let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        let rows = items.iter().map(|item| columns.iter().map(|(_, cell)| cell(item)).collect()).collect();
        Self { heads, rows }
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| markdown(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<&str> = (0..self.heads.len()).map(|i| if i == 0 { "---" } else { "---:" }).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}| {} |\n{rows}", line(&self.heads), rule.join(" | "))
    }

    /// A `tabular` with the rules of the package booktabs.
    pub(crate) fn latex(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| latex(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let columns = "r".repeat(self.heads.len().saturating_sub(1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!(
            "\\begin{{tabular}}{{l{columns}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n",
            line(&self.heads)
        )
    }

    /// As lines of text, with a rule below the heads.
    pub fn terminal(&self) -> String {
        let lines: Vec<Vec<String>> = std::iter::once(&self.heads)
            .chain(&self.rows)
            .map(|row| row.iter().map(|cell| plain(cell)).collect())
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut out = String::new();
        for (i, line) in lines.iter().enumerate() {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(
                    |(column, (cell, &width))| {
                        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                    },
                )
                .collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
            if i == 0 {
                out.push_str(&"─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)));
                out.push('\n');
            }
        }
        out
    }
}

/// The head of a column, and its cell for an item.
pub(crate) type Column<'a, T> = (&'a str, &'a dyn Fn(&T) -> String);

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let columns: &[Column<'_, (&str, f64)>] =
            &[("Row", &|row| row.0.to_owned()), ("F1", &|row| format!("{:.2}", row.1))];
        Grid::of(&[("a|b", 0.5), ("longer", 10.25)], columns)
    }

    #[test]
    fn in_markdown() {
        assert_eq!(grid().markdown(), "| Row | F1 |\n| --- | ---: |\n| a\\|b | 0.50 |\n| longer | 10.25 |\n");
    }

    #[test]
    fn in_latex() {
        let expected = "\\begin{tabular}{lr}\n\\toprule\nRow & F1 \\\\\n\\midrule\na\\textbar{}b & 0.50 \\\\\n\
                        longer & 10.25 \\\\\n\\bottomrule\n\\end{tabular}\n";
        assert_eq!(grid().latex(), expected);
    }

    #[test]
    fn on_a_terminal() {
        assert_eq!(grid().terminal(), "Row        F1\n─────────────\na|b      0.50\nlonger  10.25\n");
    }
}
