//! A comparison on the terminal.

use panal_report::Grid;
use serde_json::Value;

use super::settings::Setting;
use super::{Comparison, Metric};

pub(super) fn print(comparison: &Comparison, names: &[String]) {
    if let Some(row) = &comparison.row {
        println!("{row}\n");
    }
    let heads = |first: &str| std::iter::once(first.to_owned()).chain(names.iter().cloned()).collect::<Vec<_>>();
    if comparison.settings.is_empty() {
        println!("no setting differs\n");
    } else {
        let row = |setting: &Setting| {
            let values = setting.values.iter().map(|value| value.as_ref().map_or_else(|| "—".into(), short));
            std::iter::once(setting.setting.clone()).chain(values).collect()
        };
        let grid = Grid { heads: heads("Setting"), rows: comparison.settings.iter().map(row).collect() };
        println!("{}", grid.terminal());
    }
    let row = |metric: &Metric| {
        let cells = metric.values.iter().zip(&metric.standard_deviations).zip(&metric.differences);
        let cells = cells.map(|((value, deviation), difference)| {
            let Some(value) = value else { return "—".into() };
            let mut cell = format!("{value:.3}");
            if let Some(deviation) = deviation {
                cell += &format!(" ± {deviation:.3}");
            }
            if let Some(difference) = difference {
                cell += &format!(", {:+.3}", difference.difference);
                if let Some([lower, upper]) = difference.interval {
                    cell += &format!(" [{lower:+.3}, {upper:+.3}]");
                }
            }
            cell
        });
        std::iter::once(metric.metric.to_owned()).chain(cells).collect()
    };
    let grid = Grid { heads: heads("Metric"), rows: comparison.metrics.iter().map(row).collect() };
    println!("{}", grid.terminal());
    for test in &comparison.tests {
        let mcnemar = test.mcnemar.map(|p| format!("; McNemar's exact test p = {p:.4}")).unwrap_or_default();
        let corrected = if comparison.tests.len() > 1 { format!(" (Holm: {:.4})", test.holm) } else { String::new() };
        println!("{}: {} ({}): p = {:.4}{corrected}{mcnemar}", test.run, test.test, test.samples, test.p);
    }
    for note in &comparison.notes {
        println!("note: {note}");
    }
}

/// A value in a cell: digests by their beginning.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}…", &text[..12])
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
