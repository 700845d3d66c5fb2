//! The table of the newest figures of every row: in docs/benchmarks/README.md, and the rows that were asked for in the README.

use super::record::{self, Comparison, Record};
use super::suite::Name;
use crate::files;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Between these two lines of the README stands the table.
const BEGIN: &str = "<!-- benchmarks: written by cargo xtask bench -->\n";
const END: &str = "<!-- end of benchmarks -->\n";

/// Writes both from the records in `folder`.
pub(super) fn write(folder: &Path, readme: &Path) -> Result<()> {
    let records = record::last(folder)?;
    let rows = newest(&records);
    let uncounted = rows.iter().any(|(record, _)| record.suite == Name::Lab && *record.date < *"2026-11-27");
    let opening = if uncounted {
        "Rows of `lab` from before 2026-11-27 do not count the opening of the images, in which panal decodes them.\n"
    } else {
        ""
    };
    let text = format!(
        "# Benchmarks\n\n\
         Panal beside the same work in Python (`cargo xtask bench`): the newest figures of every row. A row was measured on one machine, in turn with \
         its peers; rows are of different days and machines, which the records beside this file name with versions, commands and raw figures, so \
         ratios can be compared and other figures cannot. A ratio is to the best peer of the same round: the median over the rounds, and the \
         extremes, which are the same where there was one round. More than 1 is better than the peer, in memory too; `asked` is the ratio that \
         panal set itself. In a record, `busy` is the share of the processors' time that other work took just before a program. `photos` are rows of the lab \
         on photographs of 12 megapixels; where they are reduced, panal does so once, and the peer reads them whole.\n\n{}\n{opening}",
        table(&rows, true)
    );
    files::write(&folder.join("README.md"), &text)?;
    let front = format!("{}\n{opening}", table(&rows, false));
    let whole = fs::read_to_string(readme).with_context(|| format!("cannot read {}", readme.display()))?;
    files::write(readme, &between(&whole, &front).context("the README has no place for the benchmarks")?)
}

/// The newest comparison of every row, in the order of the suites and in that in which their rows were first measured; steps by their size.
fn newest(records: &[Record]) -> Vec<(&Record, &Comparison)> {
    let mut rows = Vec::new();
    for suite in Name::ALL {
        let mut of_suite: Vec<(&Record, &Comparison)> = Vec::new();
        let measured = records.iter().filter(|record| record.suite == suite);
        for newer in measured.flat_map(|record| record.rows.iter().map(move |row| (record, row))) {
            match of_suite.iter_mut().find(|(_, row)| row.row == newer.1.row) {
                Some(older) => *older = newer,
                None => of_suite.push(newer),
            }
        }
        if suite == Name::Step {
            of_suite.sort_by_key(|(_, row)| by_size(&row.row));
        }
        rows.extend(of_suite);
    }
    rows
}

/// The parts of a row's name before and after its batch, with the batch as a number.
fn by_size(row: &str) -> (&str, u32, &str) {
    let parts = row.split_once(", batch ").unwrap_or((row, ""));
    let (digits, rest) = parts.1.split_at(parts.1.find(|c: char| !c.is_ascii_digit()).unwrap_or(parts.1.len()));
    (parts.0, digits.parse().unwrap_or_default(), rest)
}

/// A Markdown table: every row, or only the pipeline's and the lab's.
fn table(rows: &[(&Record, &Comparison)], every: bool) -> String {
    let mut text =
        "| | Row | panal | best peer | ratio | asked |\n| --- | --- | ---: | ---: | ---: | ---: |\n".to_owned();
    for (record, row) in rows.iter().filter(|(record, _)| every || matches!(record.suite, Name::Pipeline | Name::Lab)) {
        let Comparison { unit, ours, peer, best_peer, ratio, ratio_low, ratio_high, asked, .. } = row;
        let asked = asked.map_or_else(String::new, |asked| asked.to_string());
        let peer = format!("{peer:.1} ({})", who(best_peer));
        let ratio = format!("{ratio:.2} ({ratio_low:.2} to {ratio_high:.2})");
        let _ = writeln!(text, "| {} | {} | {ours:.1} {unit} | {peer} | {ratio} | {asked} |", record.suite, row.row);
    }
    text
}

/// Whose a peer's figure is.
fn who(figure: &str) -> &'static str {
    let known = [
        ("compile", "torch.compile"),
        ("reduce-overhead", "torch.compile"),
        ("dali", "NVIDIA DALI"),
        ("v2 tensor", "torchvision v2"),
        ("pil", "torchvision, PIL"),
    ];
    known.iter().find(|(part, _)| figure.contains(part)).map_or("PyTorch", |(_, name)| name)
}

/// `text` with `table` between its two marks.
fn between(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_the_one_before() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        let new = between(&text, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}new\n{END}b\n"));
        assert_eq!(between(&new, "new\n").unwrap(), new);
        assert_eq!(between("no place", "new\n"), None);
    }

    #[test]
    fn rows_are_in_the_order_of_their_size() {
        let ordered = [
            "resnet18, evaluation, batch 2",
            "resnet18, evaluation, batch 16",
            "resnet18, evaluation, batch 16, memory",
            "resnet18, evaluation, batch 256",
            "resnet18, training, batch 1",
            "resnet50",
            "resnet50, training, batch 1",
        ];
        assert!(ordered.is_sorted_by_key(|row| by_size(row)));
    }

    #[test]
    fn the_tables_are_those_of_the_records() {
        let (root, place) = (crate::workspace::root(), tempfile::tempdir().unwrap());
        let records = root.join("docs/benchmarks");
        for record in fs::read_dir(&records).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&record, place.path().join(record.file_name().unwrap())).unwrap();
        }
        let tables = place.path().join("README.md");
        let front = place.path().join("front.md");
        fs::copy(root.join("README.md"), &front).unwrap();
        write(place.path(), &front).unwrap();
        let same = |made: &Path, kept: &Path| {
            let (made, kept) = (fs::read_to_string(made).unwrap(), fs::read_to_string(kept).unwrap());
            assert_eq!(made, kept, "the tables are not what the records say");
        };
        same(&tables, &records.join("README.md"));
        same(&front, &root.join("README.md"));
    }
}
