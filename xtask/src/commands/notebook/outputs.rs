//! What cells put out: taken from an executed notebook into the one that is kept, and searched for failures. The kernel reports a
//! cell that does not compile, but not one that panics or ends early by `?`; these only write to standard error.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

/// The cells of code, in order.
pub(super) fn code(notebook: &Value) -> impl Iterator<Item = &Value> {
    notebook["cells"].as_array().into_iter().flatten().filter(|cell| cell["cell_type"] == "code")
}

/// `before` with the outputs of `executed` and nothing else of it: what a run adds to metadata differs from machine to machine.
///
/// # Errors
/// A cell that `executed` lacks, has anew or has changed.
pub(super) fn taken(before: &Value, executed: &Value) -> Result<Value> {
    let mut done = before.clone();
    let (wanted, found) = (code(before).count(), code(executed).count());
    if wanted != found {
        bail!("the notebook has {wanted} cells of code, and after its run {found}");
    }
    let cells = done["cells"].as_array_mut().context("the notebook has no list `cells`")?;
    let cells = cells.iter_mut().filter(|cell| cell["cell_type"] == "code");
    for (number, (cell, ran)) in (1..).zip(cells.zip(code(executed))) {
        let name = name(number, cell);
        if joined(&cell["source"]) != joined(&ran["source"]) {
            bail!("{name} has another source after the run");
        }
        if ran["execution_count"].is_null() {
            bail!("{name} was not run");
        }
        let outputs = ran["outputs"].as_array().with_context(|| format!("{name} has no list `outputs`"))?;
        cell["execution_count"] = json!(number);
        cell["outputs"] = Value::Array(tidy(outputs, number));
    }
    Ok(done)
}

/// Outputs whose form does not depend on timing: neighbouring parts of one stream are one, counts are the cell's number.
fn tidy(outputs: &[Value], number: usize) -> Vec<Value> {
    let mut tidied: Vec<Value> = Vec::new();
    for output in outputs {
        let mut output = output.clone();
        if output["output_type"] == "stream" {
            let mut text = joined(&output["text"]);
            if let Some(last) = tidied.pop_if(|last| last["output_type"] == "stream" && last["name"] == output["name"])
            {
                text.insert_str(0, &joined(&last["text"]));
            }
            output["text"] = lines(&text);
        }
        if output.get("execution_count").is_some() {
            output["execution_count"] = json!(number);
        }
        tidied.push(output);
    }
    tidied
}

/// Whether every cell ran to its end.
///
/// # Errors
/// Each cell that did not, with what it said.
pub(super) fn check(notebook: &Value) -> Result<()> {
    let failed: Vec<String> = (1..)
        .zip(code(notebook))
        .filter_map(|(number, cell)| Some(format!("{}: {}", name(number, cell), failure(cell)?)))
        .collect();
    // Of the cells after it, most fail for want of its variables.
    match failed.len() {
        0 => Ok(()),
        1 => bail!("{}", failed[0]),
        more => bail!("{}\n(and {} cells after it)", failed[0], more - 1),
    }
}

/// What a cell failed with, if it did.
fn failure(cell: &Value) -> Option<String> {
    cell["outputs"].as_array()?.iter().find_map(|output| match output["output_type"].as_str()? {
        "error" => {
            let trace: Vec<&str> = output["traceback"].as_array()?.iter().filter_map(Value::as_str).collect();
            let said = if trace.is_empty() { output["evalue"].as_str()?.to_owned() } else { trace.join("\n") };
            Some(format!("an error\n{}", without_colour(&said)))
        }
        // No library of panal's writes there; libtorch's own warnings begin like this.
        "stream" if output["name"] == "stderr" => {
            let text = joined(&output["text"]);
            let said = text.trim();
            if said.contains("panicked at") {
                return Some(format!("a panic\n{said}"));
            }
            let unhappy = said.lines().any(|line| !line.is_empty() && !line.starts_with("[W"));
            unhappy.then(|| format!("said on standard error\n{said}"))
        }
        _ => None,
    })
}

/// How many cells ran and how large the result is, for people.
pub(super) fn told(notebook: &Value) -> String {
    let bytes = text(notebook).map_or(0, |text| text.len());
    format!("{} cells of code, {:.0} kB with outputs", code(notebook).count(), bytes as f64 / 1e3)
}

/// The file's text, as Jupyter writes it.
pub(super) fn text(notebook: &Value) -> Result<String> {
    let mut bytes = Vec::new();
    notebook.serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" ")))?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}

fn name(number: usize, cell: &Value) -> String {
    match cell["id"].as_str() {
        Some(id) => format!("code cell {number} (`{id}`)"),
        None => format!("code cell {number}"),
    }
}

/// A text that may stand as a list of lines.
fn joined(text: &Value) -> String {
    match text {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// A text as the list of lines that a notebook's file holds.
fn lines(text: &str) -> Value {
    text.split_inclusive('\n').map(Value::from).collect::<Vec<_>>().into()
}

/// Text without the terminal's escape sequences.
fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notebook(cells: &[(&str, Value)]) -> Value {
        let cell = |(id, outputs): &(&str, Value)| {
            json!({ "cell_type": "code", "id": id, "source": [format!("{id}();")], "execution_count": 7,
                    "metadata": { "execution": { "started": "today" } }, "outputs": outputs })
        };
        let mut cells: Vec<Value> = cells.iter().map(cell).collect();
        cells.insert(0, json!({ "cell_type": "markdown", "id": "text", "source": "# Text" }));
        json!({ "cells": cells, "metadata": { "language_info": { "version": "9" } }, "nbformat": 4 })
    }

    fn stream(name: &str, text: &str) -> Value {
        json!({ "output_type": "stream", "name": name, "text": text })
    }

    #[test]
    fn a_panic_an_error_and_an_early_end_are_found_and_named() {
        let panic = stream("stderr", "thread 'main' panicked at src/lib.rs:3:5:\nindex out of bounds\n");
        let error = json!({ "output_type": "error", "ename": "Error", "evalue": "no", "traceback": ["\u{1b}[31mcannot find\u{1b}[0m x"] });
        let early = stream("stderr", "there is no folder photographs\n");
        for (output, words) in
            [(panic, "index out of bounds"), (error, "an error\ncannot find x"), (early, "no folder photographs")]
        {
            let cells =
                [("good", json!([stream("stdout", "panicked at is only a word here\n")])), ("bad", json!([output]))];
            let said = check(&notebook(&cells)).unwrap_err().to_string();
            assert!(said.contains("code cell 2 (`bad`)") && said.contains(words), "{said}");
        }
    }

    #[test]
    fn of_several_failures_the_first_is_told() {
        let bad = json!([stream("stderr", "thread 'main' panicked at a\n")]);
        let said =
            check(&notebook(&[("one", bad.clone()), ("two", bad.clone()), ("three", bad)])).unwrap_err().to_string();
        assert!(said.contains("`one`") && !said.contains("`two`") && said.contains("2 cells after it"), "{said}");
    }

    #[test]
    fn output_and_libtorchs_warnings_are_no_failure() {
        let cells = [
            ("told", json!([stream("stdout", "epoch 1\n")])),
            ("warned", json!([stream("stderr", "[W1125 19:00:00 Context.cpp:1] Warning: slow\n")])),
            ("silent", json!([])),
        ];
        check(&notebook(&cells)).unwrap();
    }

    #[test]
    fn only_outputs_are_taken_and_parts_of_a_stream_joined() {
        let before = notebook(&[("one", json!([])), ("two", json!([stream("stdout", "old")]))]);
        let result = json!({ "output_type": "execute_result", "execution_count": 31, "data": {}, "metadata": {} });
        let outputs = json!([stream("stdout", "a\nb"), stream("stdout", "c\n"), stream("stderr", "[W"), result]);
        let mut executed = notebook(&[("one", outputs), ("two", json!([]))]);
        executed["metadata"]["language_info"]["version"] = json!("10");
        executed["cells"][1]["metadata"] = json!({ "execution": { "started": "tomorrow" } });
        let done = taken(&before, &executed).unwrap();
        assert_eq!(done["metadata"], before["metadata"]);
        assert_eq!(done["cells"][1]["metadata"], before["cells"][1]["metadata"]);
        let outputs = &done["cells"][1]["outputs"];
        assert_eq!(outputs[0]["text"], json!(["a\n", "bc\n"]));
        assert_eq!((outputs[1]["name"].as_str(), outputs[2]["execution_count"].as_u64()), (Some("stderr"), Some(1)));
        assert_eq!((&done["cells"][2]["outputs"], &done["cells"][2]["execution_count"]), (&json!([]), &json!(2)));
        // Running it again changes nothing.
        assert_eq!(taken(&done, &done).unwrap(), done);
    }

    #[test]
    fn a_cell_that_is_missing_changed_or_was_not_run_is_refused() {
        let before = notebook(&[("one", json!([])), ("two", json!([]))]);
        let said = |executed: &Value| taken(&before, executed).unwrap_err().to_string();
        assert!(said(&notebook(&[("one", json!([]))])).contains("2 cells of code, and after its run 1"));
        assert!(said(&notebook(&[("one", json!([])), ("other", json!([]))])).contains("`two`) has another source"));
        let mut executed = before.clone();
        executed["cells"][2]["execution_count"] = Value::Null;
        assert!(said(&executed).contains("`two`) was not run"));
    }

    #[test]
    fn the_files_text_is_jupyters() {
        let text = text(&json!({ "cells": [], "nbformat": 4 })).unwrap();
        assert_eq!(text, "{\n \"cells\": [],\n \"nbformat\": 4\n}\n");
    }
}
