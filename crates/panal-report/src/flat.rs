//! The tables for programs: flat objects with plain numbers, as JSON and as CSV. What people read is made in `views`.

use serde_json::{Map, Value, json};

use crate::ReportError;
use crate::escape::csv;
use crate::table::{Row, Scores, Spread, Table};

/// One line of a table: names and values in the order of the columns.
type Flat = Map<String, Value>;

/// One object for each row. Scores are means over seeds, `*_std` their sample standard deviations (`null` for one seed).
pub(crate) fn rows(table: &Table) -> Vec<Flat> {
    table.rows.iter().map(row).collect()
}

/// One object for each class of each row.
pub(crate) fn per_class(table: &Table) -> Vec<Flat> {
    let class = |row: &Row, i: usize| {
        let class = &row.classes[i];
        let mut object = head(row);
        object.insert("class".to_owned(), json!(class.class));
        object.insert("images".to_owned(), json!(class.support));
        put(&mut object, "precision", Some(&class.precision));
        put(&mut object, "recall", Some(&class.recall));
        put(&mut object, "f1", Some(&class.f1));
        object
    };
    table.rows.iter().flat_map(|row| (0..row.classes.len()).map(move |i| class(row, i))).collect()
}

/// One object for each row: `counts[truth][predicted]` over all seeds, and `normalised` by the true class (`null` without images).
pub(crate) fn confusion(table: &Table) -> Vec<Flat> {
    let confusion = |row: &Row| {
        let share = |counts: &[u64]| {
            let images: u64 = counts.iter().sum();
            let shares = counts.iter().map(|&count| (images > 0).then(|| count as f64 / images as f64));
            shares.collect::<Vec<Option<f64>>>()
        };
        let mut object = head(row);
        object.insert("classes".to_owned(), json!(row.data.classes));
        object.insert("counts".to_owned(), json!(row.confusion.rows().collect::<Vec<_>>()));
        object.insert("normalised".to_owned(), json!(row.confusion.rows().map(share).collect::<Vec<_>>()));
        object
    };
    table.rows.iter().map(confusion).collect()
}

/// Objects as a JSON array.
pub(crate) fn to_json(objects: &[Flat]) -> Result<String, ReportError> {
    Ok(serde_json::to_string_pretty(objects)? + "\n")
}

/// Objects with the same names as CSV: `null` is an empty field, an array its items with spaces between.
pub(crate) fn to_csv(objects: &[Flat]) -> String {
    let field = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => csv(text),
        Value::Array(items) => csv(&items.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")),
        other => csv(&other.to_string()),
    };
    let heads: Vec<String> =
        objects.first().map(|first| first.keys().map(|key| csv(key)).collect()).unwrap_or_default();
    let mut out = heads.join(",") + "\n";
    for object in objects {
        out.push_str(&(object.values().map(field).collect::<Vec<_>>().join(",") + "\n"));
    }
    out
}

/// What says which row an object is about.
fn head(row: &Row) -> Flat {
    flat([
        ("row", json!(row.name)),
        ("row_index", json!(row.index)),
        ("data", json!(row.data.id)),
        ("data_title", json!(row.data.title)),
        ("origin", json!(row.data.origin)),
        ("evaluation", json!(row.evaluation.to_string())),
        ("model", json!(row.model.arch)),
        ("init", json!(row.model.init)),
        ("seeds", json!(row.seeds.len())),
        ("seed_list", json!(row.seeds)),
    ])
}

fn row(row: &Row) -> Flat {
    let mut object = head(row);
    object.insert("images".to_owned(), json!(row.images));
    put_scores(&mut object, "", Some(&row.last));
    object.extend(flat([
        ("accuracy_low", json!(row.accuracy_interval.lower)),
        ("accuracy_high", json!(row.accuracy_interval.upper)),
        ("is_best", json!(row.comparison == crate::Comparison::Best)),
        ("p_vs_best", json!(row.comparison.p())),
        ("significantly_worse", json!(row.comparison.is_significantly_worse())),
        ("best_epoch_selected_on", json!(row.best.as_ref().map(|_| "evaluation split"))),
    ]));
    put_scores(&mut object, "best_epoch_", row.best.as_ref());
    put(&mut object, "seconds", Some(&row.seconds));
    object.extend(flat([
        ("seconds_data", json!(row.seconds_by_part.data)),
        ("seconds_features", json!(row.seconds_by_part.features)),
        ("seconds_train", json!(row.seconds_by_part.train)),
        ("seconds_waiting", json!(row.seconds_by_part.waiting)),
        ("seconds_evaluate", json!(row.seconds_by_part.evaluate)),
        ("images_per_second", json!(row.images_per_second)),
        ("energy_wh", json!(row.energy.as_ref().map(|energy| energy.watt_hours.mean))),
        ("co2_grams", json!(row.energy.as_ref().map(|energy| energy.grams_co2.mean))),
        ("energy_method", json!(row.energy.as_ref().map(|energy| energy.method))),
        ("device", json!(row.device)),
        ("train_images", json!(row.data.train.images())),
        ("parameters_total", json!(row.model.parameters_total)),
        ("parameters_trained", json!(row.model.parameters_trained)),
        ("weights", json!(row.model.weights.as_ref().map(|weights| &weights.id))),
        ("weights_digest", json!(row.model.weights.as_ref().map(|weights| &weights.digest))),
        ("train_digest", json!(row.data.train.digest)),
        ("evaluation_digest", json!(row.data.evaluation.digest)),
    ]));
    object
}

fn put_scores(object: &mut Flat, prefix: &str, scores: Option<&Scores>) {
    put(object, &format!("{prefix}precision"), scores.map(|scores| &scores.precision));
    put(object, &format!("{prefix}recall"), scores.map(|scores| &scores.recall));
    put(object, &format!("{prefix}f1"), scores.map(|scores| &scores.f1));
    put(object, &format!("{prefix}accuracy"), scores.map(|scores| &scores.accuracy));
}

fn put(object: &mut Flat, name: &str, spread: Option<&Spread>) {
    object.insert(name.to_owned(), json!(spread.map(|spread| spread.mean)));
    object.insert(format!("{name}_std"), json!(spread.and_then(|spread| spread.std)));
}

pub(crate) fn flat<const N: usize>(fields: [(&str, Value); N]) -> Flat {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
