//! How it was run: time, command, settings, images and the files beside the page.

use super::html::{code, details, list, table as html_table};
use super::number_of;
use crate::escape::html;
use crate::grid::{Column, Grid};
use crate::table::{Row, Table};
use crate::views::images_per_second;
use crate::{ReportError, RunRecord, facts, story, views};

/// Classes whose images are counted one by one.
const LISTED: usize = 10;

pub(super) fn time(table: &Table) -> String {
    let seconds = |seconds: f64| format!("{seconds:.1}");
    let columns: &[Column<'_, Row>] = &[
        ("Row", &|row| table.label(row)),
        ("Total", &|row| match row.seconds.std {
            Some(std) => format!("{:.1} ± {std:.1}", row.seconds.mean),
            None => format!("{:.1} ± {}", row.seconds.mean, views::missing()),
        }),
        ("Features", &|row| seconds(row.seconds_by_part.features)),
        ("Training", &|row| seconds(row.seconds_by_part.train)),
        ("of it waiting for images", &|row| row.seconds_by_part.waiting.map_or_else(views::missing, seconds)),
        ("Evaluation", &|row| seconds(row.seconds_by_part.evaluate)),
        ("Opening the data", &|row| seconds(row.seconds_by_part.data)),
        ("Images/s", &images_per_second),
        ("Energy, Wh", &|row| views::energy(row, |energy| &energy.watt_hours)),
        ("CO2, g", &|row| views::energy(row, |energy| &energy.grams_co2)),
        ("Energy is", &|row| row.energy.as_ref().map_or_else(views::missing, |energy| energy.method.to_string())),
        ("Device", &|row| row.device.clone()),
    ];
    let caption = "Wall seconds, energy and CO2 of one run, mean over seeds; images/s: training images a second of features and training";
    let mut out = html_table(caption, &Grid::of(&table.rows, columns), 1, |_| false);
    let lines = facts::energy(table);
    if !lines.is_empty() {
        out.push_str(&details("How energy and CO2 were counted", &list(&lines)));
    }
    out
}

pub(super) fn again(table: &Table, records: &[RunRecord]) -> Result<String, ReportError> {
    let mut out = code(&facts::commands(records).join("\n"));
    out.push_str(&list(&[facts::versions(records), facts::devices(records)].concat()));
    for row in &table.rows {
        let mut settings = format!("<p>{}</p>\n", html(&facts::network(row)));
        for config in facts::configs(row, records) {
            settings.push_str(&code(&serde_json::to_string_pretty(config)?));
        }
        out.push_str(&details(&format!("Settings of {}", table.label(row)), &settings));
    }
    Ok(out)
}

pub(super) fn images(table: &Table) -> String {
    let describe = |row: &&Row| {
        let data = &row.data;
        let splits = [("learnt from", &data.train), ("evaluated", &data.evaluation)].map(|(name, split)| {
            let counts = match (split.per_class.iter().min(), split.per_class.iter().max()) {
                (Some(least), Some(most)) if data.classes.len() > LISTED => {
                    let each = if least == most { least.to_string() } else { format!("{least} to {most}") };
                    format!("{} classes of {each}", data.classes.len())
                }
                _ => facts::counts(split, &data.classes),
            };
            format!("{name}: {} ({counts}); digest {}", number_of(split.images(), "image"), split.digest)
        });
        let title = format!("{} ({}), {}", data.title, data.origin, row.evaluation);
        let mut out = format!("<p>{}</p>\n{}", html(&title), list(&splits));
        let excluded: Vec<String> =
            data.excluded.iter().map(|file| format!("{}: {}", file.path, file.reason)).collect();
        if excluded.is_empty() {
            out.push_str("<p>No file was excluded.</p>\n");
        } else {
            out.push_str(&details(&format!("{} excluded", number_of(excluded.len(), "file")), &list(&excluded)));
        }
        out
    };
    facts::one_of_each_data(&table.rows).iter().map(describe).collect()
}

pub(super) fn files(has_runs: bool) -> String {
    let link = |name: &str| format!("<a href=\"{name}\">{name}</a>");
    let mut out = "<p>They lie beside this page, which needs none of them.</p>\n<ul>\n".to_owned();
    for (stem, what, endings) in story::FILES {
        let links: Vec<String> = endings.iter().map(|ending| link(&format!("{stem}.{ending}"))).collect();
        out.push_str(&format!("<li>{}: {what}</li>\n", links.join(", ")));
    }
    if has_runs {
        out.push_str(&format!("<li>{}: {}</li>\n", link("runs.jsonl"), story::RUNS));
    }
    out + "</ul>\n"
}
