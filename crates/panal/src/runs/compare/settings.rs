//! What was asked of a run, value by value, and where runs differ in it.

use std::collections::BTreeMap;

use panal_report::Versions;
use serde::Serialize;
use serde_json::{Value, json};

/// Values by their path, as in `row.phases[0].epochs`.
pub(super) type Settings = BTreeMap<String, Value>;

/// A setting that is not the same for all.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    pub(super) setting: String,
    pub(super) values: Vec<Option<Value>>,
}

/// Takes in what a record says beside its configuration.
pub(super) fn add(settings: &mut Settings, about: Value, device: &str, versions: &Versions) {
    if let Value::Object(about) = about {
        settings.extend(about);
    }
    settings.insert("device".into(), json!(device));
    settings.insert("version.panal".into(), json!(versions.panal));
    settings.insert("version.libtorch".into(), json!(versions.libtorch));
}

/// Every value of `value` by its path, as in `row.phases[0].epochs`.
pub(super) fn flatten(path: &str, value: &Value, into: &mut Settings) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), value, into);
            }
        }
        value => {
            into.insert(path.to_owned(), value.clone());
        }
    }
}

/// The settings that are not the same for all.
pub(super) fn differing(settings: &[Settings]) -> Vec<Setting> {
    let mut names: Vec<&String> = settings.iter().flat_map(Settings::keys).collect();
    names.sort();
    names.dedup();
    let of = |name: &String| -> Vec<Option<Value>> { settings.iter().map(|run| run.get(name).cloned()).collect() };
    let differ = |values: &[Option<Value>]| values.iter().any(|value| *value != values[0]);
    let all = names.into_iter().map(|name| Setting { setting: name.clone(), values: of(name) });
    all.filter(|setting| differ(&setting.values)).collect()
}
