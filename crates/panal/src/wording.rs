//! What serde says of a wrong value, in the words of those who write configurations.

/// `message` of serde, of a value that has another type or lies out of the type's range, with that said plainly; another one as it
/// is. Where the value stands is for the caller to say, so a last line in which `toml` says it is left out.
pub(crate) fn plainly(message: &str) -> String {
    let message = message.trim_end();
    let message = match message.rsplit_once('\n') {
        Some((said, place)) if place.starts_with("in `") => said,
        _ => message,
    };
    // Of a table in place of a name; where it has one key, that is held against the names.
    match message {
        "wanted exactly 1 element, found 0 elements" => return "must be one name, got an empty table".to_owned(),
        "wanted exactly 1 element, more than 1 element" => {
            return "must be one name, got a table of several".to_owned();
        }
        _ => {}
    }
    let wrong = ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start));
    match wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        // Of an enum's value that is no name, toml does not tell which it is.
        Some(("unit variant", expected)) => format!("must be {}", type_name(expected)),
        Some((found, expected)) => format!("must be {}, got {}", type_name(expected), value(found)),
        None => message.to_owned(),
    }
}

fn type_name(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number in [0, 255]",
        "u32" => "a whole number in [0, 4294967295]",
        "u64" | "usize" => "a whole number that is not negative",
        "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "string only" | "string or map" | "variant identifier" => "a string",
        "newtype variant" | "struct variant" => "a table, as in `{ NAME = { ... } }`",
        _ if ["struct ", "internally tagged enum ", "a map"].iter().any(|kind| expected.starts_with(kind)) => "a table",
        other => other,
    }
}

/// The value itself where serde names its type too.
fn value(found: &str) -> &str {
    for kind in ["integer ", "floating point ", "boolean "] {
        if let Some(value) = found.strip_prefix(kind) {
            return value.trim_matches('`');
        }
    }
    match found {
        "map" => "a table",
        "sequence" => "a list",
        other => other.strip_prefix("string ").unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read for its errors alone")]
    struct Spec {
        epochs: usize,
        batch: u32,
        lr: f64,
        name: String,
        graphs: bool,
        shift: i64,
        phases: Vec<u8>,
        inner: Option<Inner>,
        word: Option<Word>,
        size: Option<Size>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "read for its errors alone")]
    enum Size {
        Fixed(Vec<u8>),
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Head,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    #[expect(dead_code, reason = "read for its errors alone")]
    enum Inner {
        Sgd { lr: f64, word: Word },
    }

    fn said(change: (&str, &str)) -> String {
        let whole = [
            ("epochs", "1"),
            ("batch", "1"),
            ("lr", "1.0"),
            ("name", "'a'"),
            ("graphs", "true"),
            ("shift", "1"),
            ("phases", "[1]"),
            ("inner", "{ kind = 'sgd', lr = 1.0, word = 'head' }"),
            ("word", "'head'"),
            ("size", "{ fixed = [1] }"),
        ];
        let lines = whole.map(|(key, value)| format!("{key} = {}\n", if key == change.0 { change.1 } else { value }));
        let table: toml::Table = lines.concat().parse().unwrap();
        plainly(&table.try_into::<Spec>().unwrap_err().to_string())
    }

    #[test]
    fn a_wrong_value_is_named_with_what_it_must_be() {
        for (key, value, expected) in [
            ("epochs", "'many'", "must be a whole number that is not negative, got \"many\""),
            ("epochs", "-3", "must be a whole number that is not negative, got -3"),
            ("epochs", "1.5", "must be a whole number that is not negative, got 1.5"),
            ("batch", "5000000000", "must be a whole number in [0, 4294967295], got 5000000000"),
            ("phases", "[256]", "must be a whole number in [0, 255], got 256"),
            ("phases", "3", "must be a list, got 3"),
            ("shift", "'a, expected b'", "must be a whole number, got \"a, expected b\""),
            ("lr", "'fast'", "must be a number, got \"fast\""),
            ("name", "true", "must be a string, got true"),
            ("graphs", "7", "must be a boolean, got 7"),
            ("name", "[]", "must be a string, got a list"),
            ("name", "{}", "must be a string, got a table"),
            ("inner", "'sgd'", "must be a table, got \"sgd\""),
            ("inner", "{ kind = 3 }", "must be a string, got 3"),
            ("inner", "{ kind = 'sgd', lr = 1.0, word = 3 }", "must be a string, got 3"),
            ("word", "1", "must be a string"),
            ("word", "{}", "must be one name, got an empty table"),
            ("word", "{ head = 1, tail = 2 }", "must be one name, got a table of several"),
            ("size", "'fixed'", "must be a table, as in `{ NAME = { ... } }`"),
        ] {
            assert_eq!(said((key, value)), expected, "{key} = {value}");
        }
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        assert_eq!(said(("inner", "{ kind = 'adam' }")), "unknown variant `adam`, expected `sgd`");
        assert_eq!(said(("word", "'tail'")), "unknown variant `tail`, expected `head`");
        assert_eq!(plainly("missing field `epochs`\nin `row.phases`\n"), "missing field `epochs`");
        assert_eq!(plainly("must be in [1, 16384], got -5\n"), "must be in [1, 16384], got -5");
    }
}
