//! Few-shot learners, and floors, side by side on the same episodes: as text for a terminal and as Markdown. Who answered is for others.

use panal_metrics::{Interval, Summary};

use crate::ReportError;
use crate::grid::{Column, Grid};

/// How many of a row's classes are listed as its worst.
const WORST: usize = 3;

/// Rows that were judged by the same episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeTable {
    /// What heads it.
    pub title: String,
    /// Which images and episodes: a line below the table.
    pub subject: String,
    /// The methods; differences are from the first.
    pub rows: Vec<EpisodeRow>,
}

/// One method, with as many trainings as it has seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeRow {
    /// What it is called; a transductive one says so.
    pub name: String,
    /// Mean over the episodes, in `[0, 1]`, a method's seeds averaged in each, with its interval over them.
    pub accuracy: Interval,
    /// One for each training; none for what learns nothing.
    pub seeds: Vec<SeedScore>,
    /// The same on episodes no two of which share an image, where there are enough.
    pub apart: Option<Apart>,
    /// The mean difference from the first row, episode by episode, and its interval; `None` in that row.
    pub difference: Option<Interval>,
    /// Expected calibration error over all queries, in `[0, 1]`, the mean over seeds; `None` where nothing says how sure it is.
    pub calibration_error: Option<f64>,
    /// Every class that was asked for.
    pub classes: Vec<ClassAccuracy>,
}

/// One training of a method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeedScore {
    /// Of the training.
    pub seed: u64,
    /// Over the episodes.
    pub accuracy: Interval,
    /// Over all queries.
    pub calibration_error: Option<f64>,
}

/// Accuracy on episodes drawn without replacement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    /// Mean over those episodes, with Student's interval, for they are few.
    pub accuracy: Interval,
    /// How many there are.
    pub episodes: usize,
}

/// How often the queries of one class were classified rightly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassAccuracy {
    /// The class.
    pub class: String,
    /// Queries of it, of all episodes and seeds.
    pub asked: usize,
    /// Those that were right.
    pub right: usize,
}

impl ClassAccuracy {
    /// In `[0, 1]`; 0 for a class that was not asked for.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.asked.max(1) as f64
    }
}

impl EpisodeRow {
    /// Least, median and greatest accuracy of the trainings.
    ///
    /// # Errors
    /// [`ReportError::Metrics`] for an accuracy that is no number.
    pub fn over_seeds(&self) -> Result<Option<Summary>, ReportError> {
        let seeds: Vec<f64> = self.seeds.iter().map(|seed| seed.accuracy.estimate).collect();
        if seeds.is_empty() { Ok(None) } else { Ok(Some(Summary::of(&seeds)?)) }
    }

    /// The classes of lowest accuracy, the worst first; equals by name.
    pub fn worst(&self) -> Vec<&ClassAccuracy> {
        let mut classes: Vec<&ClassAccuracy> = self.classes.iter().collect();
        classes.sort_by(|a, b| a.accuracy().total_cmp(&b.accuracy()).then_with(|| a.class.cmp(&b.class)));
        classes.truncate(WORST);
        classes
    }
}

impl EpisodeTable {
    /// For a terminal.
    ///
    /// # Errors
    /// As [`EpisodeRow::over_seeds`].
    pub fn terminal(&self) -> Result<String, ReportError> {
        self.text(Grid::terminal, "")
    }

    /// As Markdown, headed by the title.
    ///
    /// # Errors
    /// As [`EpisodeRow::over_seeds`].
    pub fn markdown(&self) -> Result<String, ReportError> {
        self.text(Grid::markdown, "# ")
    }

    fn text(&self, show: fn(&Grid) -> String, heading: &str) -> Result<String, ReportError> {
        let spread = |row: &EpisodeRow| -> Result<String, ReportError> {
            Ok(match row.over_seeds()? {
                Some(Summary { samples, min, median, max, .. }) if samples > 1 => {
                    format!("{:.1} / {:.1} / {:.1} ({samples})", 100.0 * min, 100.0 * median, 100.0 * max)
                }
                _ => String::new(),
            })
        };
        let spreads = self.rows.iter().map(spread).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<(&EpisodeRow, String)> = self.rows.iter().zip(spreads).collect();
        let seeds: Vec<(&str, &SeedScore)> = self
            .rows
            .iter()
            .filter(|row| row.seeds.len() > 1)
            .flat_map(|row| row.seeds.iter().map(move |seed| (row.name.as_str(), seed)))
            .collect();

        let mut columns: Vec<Column<'_, (&EpisodeRow, String)>> =
            vec![("method", &|(row, _)| row.name.clone()), ("accuracy, %", &|(row, _)| percent(&row.accuracy))];
        if self.rows.iter().any(|row| row.seeds.len() > 1) {
            columns.push(("least / median / most (seeds), %", &|(_, spread)| spread.clone()));
        }
        if self.rows.iter().any(|row| row.apart.is_some()) {
            columns
                .push(("without replacement, %", &|(row, _)| or_nothing(row.apart, |apart| percent(&apart.accuracy))));
        }
        if self.rows.iter().any(|row| row.difference.is_some()) {
            columns.push(("against the first, points", &|(row, _)| or_nothing(row.difference, |it| points(&it))));
        }
        if self.rows.iter().any(|row| row.calibration_error.is_some()) {
            columns.push(("calibration error, %", &|(row, _)| error(row.calibration_error)));
        }
        let mut out = format!("{heading}{}\n\n{}\n{}\n", self.title, show(&Grid::of(&rows, &columns)), self.subject);
        if !seeds.is_empty() {
            let columns: [Column<'_, (&str, &SeedScore)>; 3] = [
                ("training", &|(name, seed)| format!("{name}, seed {}", seed.seed)),
                ("accuracy, %", &|(_, seed)| percent(&seed.accuracy)),
                ("calibration error, %", &|(_, seed)| error(seed.calibration_error)),
            ];
            out += &format!("\n{}", show(&Grid::of(&seeds, &columns)));
        }
        let named: Vec<(&str, String)> = self.rows.iter().map(|row| (row.name.as_str(), worst(row))).collect();
        let columns: [Column<'_, (&str, String)>; 2] =
            [("method", &|(name, _)| (*name).to_owned()), ("worst classes, % of their queries", &|(_, it)| it.clone())];
        out += &format!("\n{}", show(&Grid::of(&named, &columns)));
        Ok(out)
    }
}

/// `93.1 [92.7, 93.6]`.
fn percent(interval: &Interval) -> String {
    let Interval { estimate, lower, upper, .. } = interval;
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * estimate, 100.0 * lower, 100.0 * upper)
}

/// `-7.5 [-9.0, -6.0]`.
fn points(interval: &Interval) -> String {
    let Interval { estimate, lower, upper, .. } = interval;
    format!("{:+.1} [{:+.1}, {:+.1}]", 100.0 * estimate, 100.0 * lower, 100.0 * upper)
}

fn error(calibration_error: Option<f64>) -> String {
    or_nothing(calibration_error, |error| format!("{:.1}", 100.0 * error))
}

fn or_nothing<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map(show).unwrap_or_default()
}

fn worst(row: &EpisodeRow) -> String {
    let each = row.worst().into_iter().map(|class| format!("{} {:.0}", class.class, 100.0 * class.accuracy()));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(estimate: f64, half: f64) -> Interval {
        Interval { estimate, lower: estimate - half, upper: estimate + half, level: 0.95 }
    }

    fn table() -> EpisodeTable {
        let class = |name: &str, right| ClassAccuracy { class: name.into(), asked: 50, right };
        let seed =
            |seed, accuracy| SeedScore { seed, accuracy: interval(accuracy, 0.01), calibration_error: Some(0.1) };
        EpisodeTable {
            title: "Five ways".into(),
            subject: "600 episodes".into(),
            rows: vec![
                EpisodeRow {
                    name: "a|b".into(),
                    accuracy: interval(0.91, 0.005),
                    seeds: vec![seed(0, 0.90), seed(2, 0.93), seed(1, 0.905)],
                    apart: Some(Apart { accuracy: interval(0.9, 0.04), episodes: 12 }),
                    difference: None,
                    calibration_error: Some(0.0512),
                    classes: vec![class("d", 10), class("c", 10), class("b", 50), class("a", 20), class("e", 49)],
                },
                EpisodeRow {
                    name: "floor".into(),
                    accuracy: interval(0.4, 0.02),
                    seeds: Vec::new(),
                    apart: None,
                    difference: Some(interval(-0.51, 0.02)),
                    calibration_error: None,
                    classes: vec![class("a", 0)],
                },
            ],
        }
    }

    #[test]
    fn a_row_has_its_interval_its_seeds_and_its_difference() {
        let text = table().markdown().unwrap();
        assert!(
            text.starts_with("# Five ways\n\n| method | accuracy, % | least / median / most (seeds), % |"),
            "{text}"
        );
        let row = "| a\\|b | 91.0 \\[90.5, 91.5\\] | 90.0 / 90.5 / 93.0 (3) | 90.0 \\[86.0, 94.0\\] |  | 5.1 |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| floor | 40.0 \\[38.0, 42.0\\] |  |  | -51.0 \\[-53.0, -49.0\\] |  |\n"), "{text}");
        assert!(
            text.contains("| a\\|b, seed 2 | 93.0 \\[92.0, 94.0\\] | 10.0 |\n") && !text.contains("floor, seed"),
            "{text}"
        );
        assert!(text.contains("| a\\|b | c 20, d 20, a 40 |\n| floor | a 0 |\n"), "{text}");
        let text = table().terminal().unwrap();
        assert!(text.starts_with("Five ways\n\nmethod ") && text.contains("\n600 episodes\n"), "{text}");
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let mut table = table();
        table.rows.remove(0);
        table.rows[0].difference = None;
        let text = table.markdown().unwrap();
        assert!(text.contains("| method | accuracy, % |\n"), "{text}");
    }
}
