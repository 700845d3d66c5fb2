//! `index.html`: everything of a results folder as one page that needs no other file, no network and no script to be read.
//! What its parts say is decided below; text from records reaches it through `escape::html` alone.

mod figures;
mod how;
mod html;
mod points;
mod scores;
mod wrong;

pub(crate) use html::table as html_table;
pub(crate) use scores::scores_grid;

use crate::escape::html;
use crate::table::Table;
use crate::{Comparison, Extras, Origin, ReportError, RunRecord, facts, views};

/// Nothing is fetched, whatever the page holds; its own style, script and pictures stand in it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = concat!(include_str!("page/copy.js"), include_str!("page/points.js"));

/// The folder's `index.html`, which is well-formed XML too. `has_runs` says whether the records lie beside it as `runs.jsonl`.
pub(crate) fn page(
    table: &Table,
    records: &[RunRecord],
    extras: &Extras,
    has_runs: bool,
) -> Result<String, ReportError> {
    let mut sections = vec![
        ("scores", "Scores", scores::scores(table)?),
        ("classes", "Each class", scores::classes(table)),
        ("confusion", "Confusion", figures::confusion(table)?),
        ("curves", "Learning curves", figures::curves(table)?),
        ("reliability", "Reliability", figures::reliability(table)?),
        ("wrong", "Most confidently wrong", wrong::wrong(table, extras)),
        ("time", "Time and energy", how::time(table)),
        ("again", "How to repeat it", how::again(table, records)?),
        ("images", "The images", how::images(table)),
        ("files", "Files", how::files(has_runs)),
    ];
    if !extras.embeddings.is_empty() {
        sections.insert(6, ("features", "Features", points::embeddings(&extras.embeddings, &extras.points)?));
    }
    let links: String =
        sections.iter().map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>\n")).collect();
    let body: String = sections
        .iter()
        .map(|(id, title, body)| format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{body}</section>\n"))
        .collect();
    let lab = html(&table.lab);
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"color-scheme\" content=\"light dark\" />\n<title>{lab}: results</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         {}<nav aria-label=\"On this page\">\n<ul>\n{links}</ul>\n</nav>\n<main>\n{body}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        header(table, records)
    ))
}

/// Lab, data and origin of the images, what came out, and what it was run with.
fn header(table: &Table, records: &[RunRecord]) -> String {
    let mut out = format!("<header>\n<h1>{}</h1>\n", html(&table.lab));
    for subject in table.subjects() {
        out.push_str(&format!("<p>{}.</p>\n", html(&subject)));
    }
    for row in table.rows.iter().filter(|row| row.comparison == Comparison::Best) {
        let (name, f1) = (html(&table.label(row)), views::spread(&row.last.f1));
        let (accuracy, seeds) = (views::spread(&row.last.accuracy), number_of(row.seeds.len(), "seed"));
        let others = || table.rows.iter().filter(|other| other.same_data(row) && other.comparison.p().is_some());
        let equal = others().filter(|other| !other.comparison.is_significantly_worse()).count();
        let verb = if equal == 1 { "is" } else { "are" };
        out.push_str(&format!(
            "<p class=\"best\">Best row: <strong>{name}</strong>, macro F1 {f1}, accuracy {accuracy} (last epoch, {seeds}); \
             {equal} of {} other rows {verb} not significantly worse.</p>\n",
            others().count()
        ));
    }
    let mut facts: Vec<(&str, String)> = Vec::new();
    for row in facts::one_of_each_data(&table.rows) {
        let data = &row.data;
        facts.push(("Data", format!("{} ({})", html(&data.title), html(&data.id))));
        facts.push(("Images", format!("<span class=\"origin\">{}</span>", origin(data.origin))));
        facts.push((
            "Evaluated on",
            format!("{} ({})", number_of(row.images, "image"), html(&row.evaluation.to_string())),
        ));
    }
    facts.push(("Seeds", seeds(table)));
    facts.push((
        "Judged at",
        if table.rows.iter().any(|row| row.best.is_some()) {
            "the last epoch, which nothing selects; the best epoch stands apart".to_owned()
        } else {
            "the last epoch, which nothing selects".to_owned()
        },
    ));
    facts.extend(facts::devices(records).iter().map(|line| ("Device", html(line))));
    facts.extend(facts::versions(records).iter().map(|line| ("Versions", html(line))));
    if let Some((first, last)) = facts::starts(records) {
        let span = if first == last { html(first) } else { format!("{} (last run {})", html(first), html(last)) };
        facts.push(("Started", span));
    }
    out.push_str("<dl>\n");
    for (what, value) in facts {
        out.push_str(&format!("<div><dt>{what}</dt><dd>{value}</dd></div>\n"));
    }
    out + "</dl>\n</header>\n"
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::RealPhotographs => "real photographs",
        Origin::SyntheticInsects => "synthetic: insects drawn by panal, no photographs",
        Origin::NotStated => "origin not stated",
    }
}

/// The seeds of all rows, or how they differ.
fn seeds(table: &Table) -> String {
    let list = |seeds: &[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    match table.rows.split_first() {
        Some((first, others)) if others.iter().all(|row| row.seeds == first.seeds) => {
            format!("{} for each row: {}", first.seeds.len(), list(&first.seeds))
        }
        _ => "not the same for all rows: see the table".to_owned(),
    }
}

/// `1 seed`, `3 seeds`.
fn number_of(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
