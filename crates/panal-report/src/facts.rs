//! What the records say of how they came about, as lines of plain text: commands, versions, devices, settings. Who shows them escapes them.

use crate::energy::{RowEnergy, figures};
use crate::escape::plain;
use crate::table::{Row, Spread, Table, distinct};
use crate::{RunRecord, SplitRecord};

/// The commands that ran, each once.
pub(crate) fn commands(records: &[RunRecord]) -> Vec<String> {
    distinct(records.iter().map(|record| plain(&record.command)))
}

/// `panal 0.1.0, tch 0.24.0, ...` for each set of versions.
pub(crate) fn versions(records: &[RunRecord]) -> Vec<String> {
    let line = |versions: &crate::Versions| {
        // What the compiler says of itself begins with its name.
        let rustc = versions.rustc.as_deref().map(|rustc| rustc.strip_prefix("rustc ").unwrap_or(rustc));
        let rustc = rustc.map(|rustc| format!(", rustc {rustc}")).unwrap_or_default();
        format!("panal {}, tch {}, libtorch {}{rustc}", versions.panal, versions.tch, versions.libtorch)
    };
    distinct(records.iter().map(|record| &record.versions)).into_iter().map(line).collect()
}

/// `cpu, 2 threads` for each device.
pub(crate) fn devices(records: &[RunRecord]) -> Vec<String> {
    let line = |(device, threads): (&String, usize)| {
        let noun = if threads == 1 { "thread" } else { "threads" };
        format!("{device}, {threads} {noun}")
    };
    distinct(records.iter().map(|record| (&record.device, record.threads))).into_iter().map(line).collect()
}

/// What all runs of the table took, then by what grid and how it was counted, each once; nothing where no row has it.
pub(crate) fn energy(table: &Table) -> Vec<String> {
    let rows: Vec<&RowEnergy> = table.rows.iter().filter_map(|row| row.energy.as_ref()).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let total = |number: fn(&RowEnergy) -> &Spread| figures(rows.iter().flat_map(|row| &number(row).values).sum());
    let methods: Vec<String> = distinct(rows.iter().map(|row| row.method)).iter().map(ToString::to_string).collect();
    let runs: usize = rows.iter().map(|row| row.watt_hours.values.len()).sum();
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("all {runs} runs") };
    let mut lines = vec![format!(
        "energy of {runs}: {} Wh, {} g of CO2 ({})",
        total(|row| &row.watt_hours),
        total(|row| &row.grams_co2),
        methods.join(", ")
    )];
    let grids = distinct(rows.iter().flat_map(|row| row.grids.iter().map(|grid| plain(grid))));
    lines.push(format!("CO2 by the grid's intensity: {}", grids.join("; ")));
    lines.extend(distinct(rows.iter().flat_map(|row| row.how.iter().map(|how| plain(how)))));
    lines
}

/// When the first and the last run started.
pub(crate) fn starts(records: &[RunRecord]) -> Option<(&str, &str)> {
    let starts = || records.iter().map(|record| record.started_at.as_str());
    starts().min().zip(starts().max())
}

/// Network, weights, parameters and seeds of a row.
pub(crate) fn network(row: &Row) -> String {
    let seeds: Vec<String> = row.seeds.iter().map(u64::to_string).collect();
    let weights = row.model.weights.as_ref().map(|weights| format!(" from {} ({})", weights.id, weights.digest));
    format!(
        "{}, init {}{}; {} parameters, {} of them trained; seeds {}",
        row.model.arch,
        row.model.init,
        weights.unwrap_or_default(),
        row.model.parameters_total,
        row.model.parameters_trained,
        seeds.join(", ")
    )
}

/// The configurations that a row was run with, usually one.
pub(crate) fn configs<'a>(row: &Row, records: &'a [RunRecord]) -> Vec<&'a serde_json::Value> {
    let of_row = |record: &&RunRecord| {
        record.row == row.name
            && record.row_index == row.index
            && record.model.arch == row.model.arch
            && record.data.same_evaluation(&row.data)
            && record.evaluation == row.evaluation
    };
    distinct(records.iter().filter(of_row).map(|record| &record.config))
}

/// `3 ants, 2 bees` for each class of a split.
pub(crate) fn counts(split: &SplitRecord, classes: &[String]) -> String {
    let counts: Vec<String> =
        split.per_class.iter().zip(classes).map(|(count, class)| format!("{count} {class}")).collect();
    counts.join(", ")
}

/// A row for each set of training and evaluated images.
pub(crate) fn one_of_each_data(rows: &[Row]) -> Vec<&Row> {
    let mut seen: Vec<&Row> = Vec::new();
    for row in rows {
        if !seen.iter().any(|other| other.data == row.data && other.evaluation == row.evaluation) {
            seen.push(row);
        }
    }
    seen
}
