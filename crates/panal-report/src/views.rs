//! What the tables for people show: which columns, how numbers are rounded, which notes stand below.
//! The same for Markdown, LaTeX and the terminal; the files for programs are made in `flat`.

use crate::Comparison;
use crate::energy::{RowEnergy, figures};
use crate::escape::{latex, markdown, plain};
use crate::grid::{Column, Grid};
use crate::table::{ClassScores, Row, Scores, Spread, Table};

/// What stands for a value that is not there.
const MISSING: &str = "—";
/// How scores of the best epoch are headed, wherever they stand.
pub(crate) const BEST_EPOCH: &str = "best epoch, selected on the evaluation split";

/// The main table as text for a terminal, with title, caption and notes.
pub fn render_terminal(table: &Table) -> String {
    let columns: &[Column<'_, Row>] = &[
        ("Row", &|row| table.label(row)),
        ("Precision", &|row| spread(&row.last.precision)),
        ("Recall", &|row| spread(&row.last.recall)),
        ("F1", &|row| spread(&row.last.f1)),
        ("Accuracy", &|row| spread(&row.last.accuracy)),
        ("Against best", &comparison),
        ("Seeds", &|row| row.seeds.len().to_string()),
        ("Seconds", &|row| format!("{:.1}", row.seconds.mean)),
        ("Images/s", &images_per_second),
    ];
    let mut out = format!("{}\n", plain(&table.lab));
    for subject in table.subjects() {
        out.push_str(&format!("{}\n", plain(&subject)));
    }
    out.push_str(&format!("\n{}\n", Grid::of(&table.rows, columns).terminal()));
    out.push_str("Last epoch; macro averages; mean ± sample standard deviation over seeds.\n");
    if table.rows.iter().any(|row| row.comparison.p().is_some()) {
        out.push_str(
            "Against best: p of the accuracy's difference from the best row, corrected (Holm); * below 0.05.\n",
        );
    }
    for warning in &table.warnings {
        out.push_str(&format!("note: {}\n", plain(warning)));
    }
    out
}

/// Last epoch and, labelled, F1 of the best epoch.
pub(crate) fn main_grid(table: &Table) -> Grid {
    let best_f1 = format!("F1 at the {BEST_EPOCH}");
    let columns: &[Column<'_, Row>] = &[
        ("Row", &|row| table.label(row)),
        ("Precision", &|row| spread(&row.last.precision)),
        ("Recall", &|row| spread(&row.last.recall)),
        ("F1", &|row| spread(&row.last.f1)),
        ("Accuracy", &|row| spread(&row.last.accuracy)),
        ("95 % interval of the accuracy", &|row| {
            format!("{:.3} to {:.3}", row.accuracy_interval.lower, row.accuracy_interval.upper)
        }),
        ("Against the best: p", &comparison),
        (&best_f1, &|row| row.best.as_ref().map_or_else(missing, |best| spread(&best.f1))),
        ("Seeds", &|row| row.seeds.len().to_string()),
        ("Images", &|row| row.images.to_string()),
        ("Seconds", &|row| format!("{:.1}", row.seconds.mean)),
        ("Images/s", &images_per_second),
    ];
    Grid::of(&table.rows, columns)
}

/// All scores of the best epoch, or `None` where no row has them.
pub(crate) fn best_grid(table: &Table) -> Option<Grid> {
    let score = |row: &Row, score: fn(&Scores) -> &Spread| row.best.as_ref().map_or_else(missing, |s| spread(score(s)));
    let columns: &[Column<'_, Row>] = &[
        ("Row", &|row| table.label(row)),
        ("Precision", &|row| score(row, |s| &s.precision)),
        ("Recall", &|row| score(row, |s| &s.recall)),
        ("F1", &|row| score(row, |s| &s.f1)),
        ("Accuracy", &|row| score(row, |s| &s.accuracy)),
        ("Seeds", &|row| row.seeds.len().to_string()),
    ];
    table.rows.iter().any(|row| row.best.is_some()).then(|| Grid::of(&table.rows, columns))
}

/// Scores of every class of every row.
pub(crate) fn per_class_grid(table: &Table) -> Grid {
    let items: Vec<(&Row, &ClassScores)> =
        table.rows.iter().flat_map(|row| row.classes.iter().map(move |class| (row, class))).collect();
    let columns: &[Column<'_, (&Row, &ClassScores)>] = &[
        ("Row", &|(row, _)| table.label(row)),
        ("Class", &|(_, class)| class.class.clone()),
        ("Precision", &|(_, class)| spread(&class.precision)),
        ("Recall", &|(_, class)| spread(&class.recall)),
        ("F1", &|(_, class)| spread(&class.f1)),
        ("Images", &|(_, class)| class.support.to_string()),
        ("Seeds", &|(row, _)| row.seeds.len().to_string()),
    ];
    Grid::of(&items, columns)
}

/// Counts over all seeds, with their share of the true class.
pub(crate) fn confusion_grid(row: &Row) -> Grid {
    let classes = &row.data.classes;
    let heads =
        std::iter::once("True class".to_owned()).chain(classes.iter().map(|class| format!("said to be {class}")));
    let line = |(class, counts): (&String, &[u64])| {
        let images: u64 = counts.iter().sum();
        let cell = |&count: &u64| match images {
            0 => count.to_string(),
            _ => format!("{count} ({:.3})", count as f64 / images as f64),
        };
        std::iter::once(class.clone()).chain(counts.iter().map(cell)).collect()
    };
    Grid { heads: heads.collect(), rows: classes.iter().zip(row.confusion.rows()).map(line).collect() }
}

/// How the numbers of the tables were made, then what to beware of.
pub(crate) fn notes(table: &Table) -> Vec<String> {
    let mut notes = vec![
        "Precision, recall and F1 are macro averages: the mean over classes, each counting the same. \
         They are of the last epoch, which nothing selects."
            .to_owned(),
        "Values are mean ± sample standard deviation over seeds; one seed has no spread (—).".to_owned(),
        "The interval is Wilson's at 95 % for the images of one run: the number of right images, averaged over seeds and rounded, \
         out of that run's images. More seeds don't narrow it, for they are judged on the same images."
            .to_owned(),
    ];
    if table.rows.iter().any(|row| row.comparison != Comparison::Alone) {
        notes.push(
            "The best row has the highest mean accuracy. p is of a paired permutation test over images (in how many seeds each image \
             was right; two-sided), Holm-corrected over all pairs of rows, since the best was chosen on the same images. \
             * marks rows that are significantly worse (p < 0.05). It speaks of other images, not of other seeds."
                .to_owned(),
        );
    }
    if table.rows.iter().any(|row| row.best.is_some()) {
        notes.push(
            "The best epoch is selected on the evaluation split itself. Its scores are optimistic; compare rows by the last epoch."
                .to_owned(),
        );
    }
    notes.push(
        "Seconds are wall time of a whole run, mean over seeds; images/s are training images a second.".to_owned(),
    );
    notes.extend(table.warnings.iter().cloned());
    notes
}

/// The table as a file of Markdown.
pub(crate) fn table_markdown(table: &Table) -> String {
    let mut out = format!("# {}\n\n{}\n{}", markdown(&table.lab), caption_markdown(table), main_grid(table).markdown());
    if let Some(grid) = best_grid(table) {
        out.push_str(&format!("\n## Scores at the {BEST_EPOCH}\n\n{}", grid.markdown()));
    }
    out.push_str(&format!("\n## Notes\n\n{}", notes_markdown(table)));
    out
}

/// The table as a float of LaTeX, to be taken in with `\input`.
pub(crate) fn table_latex(table: &Table) -> String {
    let caption: Vec<String> = table.subjects().iter().map(|subject| latex(subject)).collect();
    let mut notes: String = notes(table).iter().map(|note| format!("% {}\n", plain(note))).collect();
    notes.insert_str(0, "% Needs \\usepackage{booktabs} and, for its width, \\usepackage{graphicx}.\n");
    let grid = main_grid(table).latex();
    format!(
        "{notes}\\begin{{table}}\n\\centering\n\\caption{{{}. {}. Mean $\\pm$ standard deviation over seeds.}}\n\
         \\resizebox{{\\linewidth}}{{!}}{{%\n{grid}}}\n\\end{{table}}\n",
        latex(&table.lab),
        caption.join(". ")
    )
}

/// Per-class scores as a file of Markdown.
pub(crate) fn per_class_markdown(table: &Table) -> String {
    let (lab, caption, grid) = (markdown(&table.lab), caption_markdown(table), per_class_grid(table).markdown());
    format!("# {lab}: per class\n\n{caption}\nLast epoch; mean ± sample standard deviation over seeds.\n\n{grid}")
}

/// Confusion matrices as a file of Markdown.
pub(crate) fn confusion_markdown(table: &Table) -> String {
    let mut out = format!(
        "# {}: confusion\n\n{}\nLast epoch; counts summed over seeds, in brackets their share of the true class.\n",
        markdown(&table.lab),
        caption_markdown(table)
    );
    for row in &table.rows {
        let seeds = row.seeds.len();
        let noun = if seeds == 1 { "seed" } else { "seeds" };
        out.push_str(&format!("\n## {} ({seeds} {noun})\n\n", markdown(&table.label(row))));
        out.push_str(&confusion_grid(row).markdown());
    }
    out
}

/// One line for each data set: what the table is about.
pub(crate) fn caption_markdown(table: &Table) -> String {
    table.subjects().iter().map(|subject| format!("{}.\n", markdown(subject))).collect()
}

/// The notes as a list.
pub(crate) fn notes_markdown(table: &Table) -> String {
    notes(table).iter().map(|note| format!("- {}\n", markdown(note))).collect()
}

pub(crate) fn missing() -> String {
    MISSING.to_owned()
}

/// Mean and spread, with three decimals.
pub(crate) fn spread(spread: &Spread) -> String {
    match spread.std {
        Some(std) => format!("{:.3} ± {std:.3}", spread.mean),
        None => format!("{:.3} ± {MISSING}", spread.mean),
    }
}

/// A number of a row's energy: mean and spread, with three figures.
pub(crate) fn energy(row: &Row, number: fn(&RowEnergy) -> &Spread) -> String {
    let Some(spread) = row.energy.as_ref().map(number) else { return missing() };
    match spread.std {
        Some(std) => format!("{} ± {}", figures(spread.mean), figures(std)),
        None => format!("{} ± {MISSING}", figures(spread.mean)),
    }
}

pub(crate) fn comparison(row: &Row) -> String {
    match row.comparison {
        Comparison::Alone => missing(),
        Comparison::Best => "best".to_owned(),
        Comparison::Against { p } => {
            let figure = if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") };
            figure + if row.comparison.is_significantly_worse() { " *" } else { "" }
        }
    }
}

pub(crate) fn images_per_second(row: &Row) -> String {
    row.images_per_second.map_or_else(missing, |speed| format!("{speed:.1}"))
}
