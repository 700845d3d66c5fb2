//! The page that a results folder opens with: what was run on what, what came out, and how to run it again.

use crate::escape::{markdown, markdown_code, plain};
use crate::table::{Row, Table, distinct};
use crate::views::{best_grid, caption_markdown, main_grid, notes_markdown, per_class_grid};
use crate::{ReportError, RunRecord};

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
    out.push_str("![Confusion matrices](confusion.svg)\n\n## Learning curves\n\n![Learning curves](curves.svg)\n");
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
            let counts: Vec<String> = split
                .per_class
                .iter()
                .zip(&data.classes)
                .map(|(count, class)| format!("{count} {}", markdown(class)))
                .collect();
            format!("- {name}: {} images ({}), digest `{}`\n", split.images(), counts.join(", "), plain(&split.digest))
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
    let mut seen: Vec<&Row> = Vec::new();
    for row in &table.rows {
        if !seen.iter().any(|other| other.data == row.data && other.evaluation == row.evaluation) {
            seen.push(row);
        }
    }
    seen.iter().map(describe).collect::<Vec<_>>().join("\n")
}

/// Commands, versions, devices and the configuration of each row.
fn how(table: &Table, records: &[RunRecord]) -> Result<String, ReportError> {
    let commands = distinct(records.iter().map(|record| plain(&record.command)));
    let mut out = markdown_code("sh", &commands.join("\n"));
    out.push('\n');
    for versions in distinct(records.iter().map(|record| &record.versions)) {
        let rustc = versions.rustc.as_ref().map(|rustc| format!(", rustc {rustc}")).unwrap_or_default();
        let line = format!("panal {}, tch {}, libtorch {}{rustc}", versions.panal, versions.tch, versions.libtorch);
        out.push_str(&format!("- {}\n", markdown(&line)));
    }
    for (device, threads) in distinct(records.iter().map(|record| (&record.device, record.threads))) {
        let noun = if threads == 1 { "thread" } else { "threads" };
        out.push_str(&format!("- {}, {threads} {noun}\n", markdown(device)));
    }
    let mut starts: Vec<&str> = records.iter().map(|record| record.started_at.as_str()).collect();
    starts.sort_unstable();
    if let (Some(first), Some(last)) = (starts.first(), starts.last()) {
        out.push_str(&format!("- first run started {}, last {}\n", markdown(first), markdown(last)));
    }
    for row in &table.rows {
        let seeds: Vec<String> = row.seeds.iter().map(u64::to_string).collect();
        let weights = row.model.weights.as_ref().map(|weights| format!(" from {} ({})", weights.id, weights.digest));
        let line = format!(
            "{}, init {}{}; {} parameters, {} of them trained; seeds {}",
            row.model.arch,
            row.model.init,
            weights.unwrap_or_default(),
            row.model.parameters_total,
            row.model.parameters_trained,
            seeds.join(", ")
        );
        out.push_str(&format!("\n### Settings of: {}\n\n{}\n\n", markdown(&table.label(row)), markdown(&line)));
        let of_row = |record: &&RunRecord| {
            record.row == row.name
                && record.row_index == row.index
                && record.model.arch == row.model.arch
                && record.data.same_evaluation(&row.data)
                && record.evaluation == row.evaluation
        };
        for config in distinct(records.iter().filter(of_row).map(|record| &record.config)) {
            out.push_str(&markdown_code("json", &serde_json::to_string_pretty(config)?));
        }
    }
    Ok(out)
}

fn files(has_runs: bool) -> String {
    let mut out = String::new();
    for (stem, what, endings) in [
        ("table", "the table above", ["md", "csv", "tex", "json"].as_slice()),
        ("per_class", "precision, recall and F1 of each class", &["md", "csv", "json"]),
        ("confusion", "confusion matrices, counts and shares", &["md", "json", "svg"]),
        ("curves", "learning curves", &["svg"]),
        ("f1", "macro F1 of each row", &["svg"]),
    ] {
        let links: Vec<String> = endings.iter().map(|ending| format!("[{stem}.{ending}]({stem}.{ending})")).collect();
        out.push_str(&format!("- {}: {what}\n", links.join(", ")));
    }
    if has_runs {
        out.push_str(
            "- [runs.jsonl](runs.jsonl): every run with its epochs and predictions; all else is made from it\n",
        );
    }
    out
}
