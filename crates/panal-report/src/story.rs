//! The page that a results folder opens with: what was run on what, what came out, and how to run it again.

use crate::escape::{markdown, markdown_code, plain};
use crate::table::{Row, Table};
use crate::views::{best_grid, caption_markdown, main_grid, notes_markdown, per_class_grid};
use crate::{ReportError, RunRecord, facts};

/// What lies beside it: stem, meaning and endings of each.
pub(crate) const FILES: [(&str, &str, &[&str]); 6] = [
    ("table", "the table above", &["md", "csv", "tex", "json"]),
    ("per_class", "precision, recall and F1 of each class", &["md", "csv", "json"]),
    ("confusion", "confusion matrices, counts and shares", &["md", "json", "svg"]),
    ("curves", "learning curves", &["svg"]),
    ("f1", "macro F1 of each row", &["svg"]),
    ("reliability", "how often each row is right against how sure it is", &["svg"]),
];
/// What `runs.jsonl` is.
pub(crate) const RUNS: &str = "every run with its epochs and predictions; all else is made from it";

/// The folder's `README.md`. `has_runs` says whether the records lie beside it as `runs.jsonl`.
pub(crate) fn story(table: &Table, records: &[RunRecord], has_runs: bool) -> Result<String, ReportError> {
    let mut out =
        format!("# {}\n\n{}\n{}\n", markdown(&table.lab), caption_markdown(table), main_grid(table).markdown());
    out.push_str(&notes_markdown(table));
    out.push_str("\n![Macro F1 of each row](f1.svg)\n");
    if let Some(grid) = best_grid(table) {
        out.push_str(&format!("\n## Scores at the {}\n\n{}", crate::views::BEST_EPOCH, grid.markdown()));
    }
    out.push_str(&format!("\n## Each class\n\nLast epoch.\n\n{}\n", per_class_grid(table).markdown()));
    out.push_str("![Confusion matrices](confusion.svg)\n\n![Reliability](reliability.svg)\n\n## Learning curves\n\n![Learning curves](curves.svg)\n");
    out.push_str(&format!("\n## The images\n\n{}", images(table)));
    out.push_str(&format!("\n## How it was run\n\n{}", how(table, records)?));
    out.push_str(&format!("\n## Files\n\n{}", files(has_runs)));
    Ok(out)
}

/// Counts, digests and excluded files of each data set.
fn images(table: &Table) -> String {
    let describe = |row: &&Row| {
        let data = &row.data;
        let split = |name: &str, split: &crate::SplitRecord| {
            let counts = markdown(&facts::counts(split, &data.classes));
            format!("- {name}: {} images ({counts}), digest `{}`\n", split.images(), plain(&split.digest))
        };
        let mut out = format!("{} ({}), `{}`:\n\n", markdown(&data.title), data.origin, plain(&data.id));
        out.push_str(&split("learnt from", &data.train));
        out.push_str(&split(&format!("evaluated, {}", row.evaluation), &data.evaluation));
        if data.excluded.is_empty() {
            out.push_str("- no file was excluded\n");
        }
        for file in &data.excluded {
            out.push_str(&format!("- excluded: {}: {}\n", markdown(&file.path), markdown(&file.reason)));
        }
        out
    };
    facts::one_of_each_data(&table.rows).iter().map(describe).collect::<Vec<_>>().join("\n")
}

/// Commands, versions, devices and the configuration of each row.
fn how(table: &Table, records: &[RunRecord]) -> Result<String, ReportError> {
    let mut out = markdown_code("sh", &facts::commands(records).join("\n"));
    out.push('\n');
    for line in [facts::versions(records), facts::devices(records), facts::energy(table)].concat() {
        out.push_str(&format!("- {}\n", markdown(&line)));
    }
    if let Some((first, last)) = facts::starts(records) {
        out.push_str(&format!("- first run started {}, last {}\n", markdown(first), markdown(last)));
    }
    for row in &table.rows {
        let (label, network) = (markdown(&table.label(row)), markdown(&facts::network(row)));
        out.push_str(&format!("\n### Settings of: {label}\n\n{network}\n\n"));
        for config in facts::configs(row, records) {
            out.push_str(&markdown_code("json", &serde_json::to_string_pretty(config)?));
        }
    }
    Ok(out)
}

fn files(has_runs: bool) -> String {
    let link = |name: &str| format!("[{name}]({name})");
    let mut out = format!("- {}: all of this as one page, and the images most confidently wrong\n", link("index.html"));
    for (stem, what, endings) in FILES {
        let links: Vec<String> = endings.iter().map(|ending| link(&format!("{stem}.{ending}"))).collect();
        out.push_str(&format!("- {}: {what}\n", links.join(", ")));
    }
    if has_runs {
        out.push_str(&format!("- {}: {RUNS}\n", link("runs.jsonl")));
    }
    out
}
