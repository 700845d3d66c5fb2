//! Accuracy against the number of shots: a line with its interval for each method, as table and plot. What was measured is for others.

use panal_metrics::Interval;
use serde_json::json;

use crate::episode_table::Apart;
use crate::escape::markdown;
use crate::{ReportError, flat, plot};

/// Accuracies of methods at several numbers of support images a class.
#[derive(Debug, Clone, PartialEq)]
pub struct ShotCurve {
    /// What heads tables and plots.
    pub title: String,
    /// Which images, encoder, ways, queries and episodes: a line below the title.
    pub subject: String,
    /// Support images of each class, in the order of the points.
    pub shots: Vec<usize>,
    /// The methods.
    pub lines: Vec<ShotLine>,
}

/// One method.
#[derive(Debug, Clone, PartialEq)]
pub struct ShotLine {
    /// What it is called; a transductive one says so.
    pub name: String,
    /// One for each number of shots.
    pub points: Vec<ShotPoint>,
}

/// What a method was worth at one number of shots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShotPoint {
    /// Mean accuracy over episodes, in `[0, 1]`, with its interval.
    pub accuracy: Interval,
    /// Expected calibration error over all queries, in `[0, 1]`.
    pub calibration_error: f64,
    /// Episodes.
    pub episodes: usize,
    /// The same on episodes no two of which share an image, where there are enough.
    pub apart: Option<Apart>,
    /// The mean difference from the first method, episode by episode, and its interval; `None` for that method.
    pub difference: Option<Interval>,
}

impl ShotCurve {
    /// Checks that there is something to show, and a point for every number of shots.
    ///
    /// # Errors
    /// [`ReportError::Curve`] says what is missing.
    pub fn check(&self) -> Result<(), ReportError> {
        let wrong = |message: String| Err(ReportError::Curve { title: self.title.clone(), message });
        if self.shots.is_empty() || self.lines.is_empty() {
            return wrong(format!("{} numbers of shots and {} methods", self.shots.len(), self.lines.len()));
        }
        match self.lines.iter().find(|line| line.points.len() != self.shots.len()) {
            Some(line) => wrong(format!(
                "{} has {} points for {} numbers of shots",
                line.name,
                line.points.len(),
                self.shots.len()
            )),
            None => Ok(()),
        }
    }

    /// As tables of Markdown, in per cent: accuracy, mean ± half of the interval; differences from the first method, episode by
    /// episode; accuracy on episodes without replacement; and the expected calibration error.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn markdown(&self) -> Result<String, ReportError> {
        self.check()?;
        let table = |what: &str, cell: fn(&ShotPoint) -> String| {
            let mut out = format!("| {what} \\ shots |");
            self.shots.iter().for_each(|shots| out.push_str(&format!(" {shots} |")));
            out.push_str(&format!("\n| --- |{}\n", " ---: |".repeat(self.shots.len())));
            for line in &self.lines {
                out.push_str(&format!("| {} |", markdown(&line.name)));
                line.points.iter().for_each(|point| out.push_str(&format!(" {} |", cell(point))));
                out.push('\n');
            }
            out
        };
        let accuracy = table("accuracy, %", |point| {
            let Interval { estimate, lower, upper, .. } = point.accuracy;
            format!("{:.1} ± {:.1}", 100.0 * estimate, 50.0 * (upper - lower))
        });
        let difference = table("against the first, points", |point| match point.difference {
            Some(Interval { estimate, lower, upper, .. }) => {
                format!("{:+.1} ± {:.1}", 100.0 * estimate, 50.0 * (upper - lower))
            }
            None => String::new(),
        });
        let apart = table("without replacement, % (episodes)", |point| match point.apart {
            Some(Apart { accuracy: Interval { estimate, lower, upper, .. }, episodes }) => {
                format!("{:.1} ± {:.1} ({episodes})", 100.0 * estimate, 50.0 * (upper - lower))
            }
            None => String::new(),
        });
        let error = table("calibration error, %", |point| format!("{:.1}", 100.0 * point.calibration_error));
        let mut tables = vec![accuracy];
        let points = || self.lines.iter().flat_map(|line| &line.points);
        if points().any(|point| point.difference.is_some()) {
            tables.push(difference);
        }
        if points().any(|point| point.apart.is_some()) {
            tables.push(apart);
        }
        tables.push(error);
        Ok(tables.join("\n"))
    }

    /// As CSV, a line for each method and number of shots.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn csv(&self) -> Result<String, ReportError> {
        self.check()?;
        let points =
            self.lines.iter().flat_map(|line| line.points.iter().zip(&self.shots).map(move |point| (line, point)));
        let lines: Vec<_> = points
            .map(|(line, (point, shots))| {
                flat::flat([
                    ("method", json!(line.name)),
                    ("shots", json!(shots)),
                    ("accuracy", json!(point.accuracy.estimate)),
                    ("lower", json!(point.accuracy.lower)),
                    ("upper", json!(point.accuracy.upper)),
                    ("level", json!(point.accuracy.level)),
                    ("calibration_error", json!(point.calibration_error)),
                    ("episodes", json!(point.episodes)),
                    ("difference", json!(point.difference.map(|it| it.estimate))),
                    ("difference_lower", json!(point.difference.map(|it| it.lower))),
                    ("difference_upper", json!(point.difference.map(|it| it.upper))),
                    ("apart", json!(point.apart.map(|it| it.accuracy.estimate))),
                    ("apart_lower", json!(point.apart.map(|it| it.accuracy.lower))),
                    ("apart_upper", json!(point.apart.map(|it| it.accuracy.upper))),
                    ("apart_episodes", json!(point.apart.map(|it| it.episodes))),
                ])
            })
            .collect();
        Ok(flat::to_csv(&lines))
    }

    /// As a picture, SVG: a line for each method in the band of its intervals.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`ReportError::Plot`] where it cannot be drawn.
    pub fn svg(&self) -> Result<String, ReportError> {
        self.check()?;
        plot::shots_svg(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(estimate: f64, half: f64) -> ShotPoint {
        let accuracy = Interval { estimate, lower: estimate - half, upper: estimate + half, level: 0.95 };
        ShotPoint { accuracy, calibration_error: 0.123, episodes: 600, apart: None, difference: None }
    }

    fn curve() -> ShotCurve {
        ShotCurve {
            title: "Ants & bees".into(),
            subject: "2-way, 600 episodes".into(),
            shots: vec![1, 5],
            lines: vec![
                ShotLine { name: "nearest class mean".into(), points: vec![point(0.81234, 0.0066), point(0.9, 0.002)] },
                ShotLine { name: "TIM (transductive)".into(), points: vec![point(0.999, 0.004), point(0.95, 0.001)] },
            ],
        }
    }

    #[test]
    fn tables_have_every_point() {
        let text = curve().markdown().unwrap();
        assert!(text.contains("| accuracy, % \\ shots | 1 | 5 |\n| --- | ---: | ---: |\n"), "{text}");
        assert!(text.contains("| nearest class mean | 81.2 ± 0.7 | 90.0 ± 0.2 |"), "{text}");
        assert!(text.contains("| TIM (transductive) | 12.3 | 12.3 |"), "{text}");
        assert!(!text.contains("against the first") && !text.contains("without replacement"), "{text}");
        let csv = curve().csv().unwrap();
        assert_eq!(csv.lines().count(), 5);
        assert!(
            csv.starts_with("method,shots,accuracy,lower,upper,level,calibration_error,episodes,difference,"),
            "{csv}"
        );
    }

    #[test]
    fn differences_and_episodes_apart_have_tables_of_their_own() {
        let mut curve = curve();
        let point = &mut curve.lines[1].points[0];
        point.difference = Some(Interval { estimate: -0.02, lower: -0.03, upper: -0.01, level: 0.95 });
        point.apart = Some(Apart { accuracy: point.accuracy, episodes: 4 });
        let text = curve.markdown().unwrap();
        assert!(text.contains("| TIM (transductive) | -2.0 ± 1.0 |  |\n"), "{text}");
        assert!(text.contains("| TIM (transductive) | 99.9 ± 0.4 (4) |  |\n"), "{text}");
        let csv = curve.csv().unwrap();
        assert!(csv.contains(",-0.02,-0.03,-0.01,0.999,"), "{csv}");
    }

    #[test]
    fn the_picture_has_a_band_and_a_name_for_each_line() {
        let svg = curve().svg().unwrap();
        assert_eq!(svg.matches("<polygon").count(), 2);
        for text in ["Ants &amp; bees", "2-way, 600 episodes", "nearest class mean", "TIM (transductive)", "95 %"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        let single = ShotCurve {
            shots: vec![3],
            lines: vec![ShotLine { name: "a".into(), points: vec![point(1.0, 0.0)] }],
            ..curve()
        };
        assert!(single.svg().unwrap().contains("<circle"), "one point without width is drawn too");
    }

    #[test]
    fn gaps_are_refused() {
        let none = ShotCurve { lines: Vec::new(), ..curve() };
        assert_eq!(
            none.svg().unwrap_err().to_string(),
            "cannot report `Ants & bees`: 2 numbers of shots and 0 methods"
        );
        let mut gap = curve();
        gap.lines[1].points.pop();
        let said = "cannot report `Ants & bees`: TIM (transductive) has 1 points for 2 numbers of shots";
        assert_eq!(gap.markdown().unwrap_err().to_string(), said);
        assert_eq!(gap.csv().unwrap_err().to_string(), said);
    }
}
