//! The two notebooks: their cells run, they are the same program, and their table is the one of docs/lab.md.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use notebook::cells::{Cell, cells, commands_apart};
use proc_macro2::{Literal, TokenStream, TokenTree};

fn docs(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn both() -> [Vec<Cell>; 2] {
    ["lab.ipynb", "lab.es.ipynb"].map(|name| cells(&docs(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// The tokens of Rust code with every string emptied; comments are no tokens.
fn without_strings(code: TokenStream) -> TokenStream {
    let plain = |token| match token {
        TokenTree::Literal(literal) if literal.to_string().starts_with('"') => Literal::string("").into(),
        TokenTree::Group(group) => {
            let within = without_strings(group.stream());
            proc_macro2::Group::new(group.delimiter(), within).into()
        }
        other => other,
    };
    code.into_iter().map(plain).collect()
}

/// The rows of a Markdown table, from the line below its rule on, each as its cells.
fn table(markdown: &str) -> Vec<Vec<String>> {
    let lines = markdown.lines().skip_while(|line| !line.starts_with("| --- |")).skip(1);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// The numbers of a cell, whatever words stand between them.
fn numbers(cell: &str) -> Vec<&str> {
    let parts = cell.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    parts.filter(|part| part.contains(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn every_cell_runs_at_small_scale() {
    // Its own process: this is the one test here that reads the variable.
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new(program)
        .args(["--ignored", "--exact", "the_cells_themselves"])
        .env("PANAL_NOTEBOOK", "small")
        .env("PANAL_OFFLINE", "1")
        // Two threads that wait for each other by spinning lose more than they gain beside other tests.
        .env("OMP_NUM_THREADS", "1")
        .env_remove("PANAL_MIRROR")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && out.contains("1 passed"), "{out}\n{}", String::from_utf8_lossy(&status.stderr));
}

#[test]
#[ignore = "started by every_cell_runs_at_small_scale"]
fn the_cells_themselves() {
    assert_eq!(std::env::var("PANAL_NOTEBOOK").as_deref(), Ok("small"), "the full scale takes minutes");
    notebook::run_english().unwrap();
}

#[test]
fn english_and_spanish_are_the_same_program() {
    let [english, spanish] = both();
    let kinds = |cells: &[Cell]| cells.iter().map(|cell| cell.is_code).collect::<Vec<_>>();
    assert_eq!(kinds(&english), kinds(&spanish));
    for (number, (english, spanish)) in english.iter().zip(&spanish).enumerate().filter(|(_, (cell, _))| cell.is_code) {
        let [(english, its_commands), (spanish, other_commands)] =
            [english, spanish].map(|cell| commands_apart(&cell.source));
        assert_eq!(its_commands, other_commands, "cell {number}");
        let [english, spanish] = [english, spanish].map(|code| without_strings(code.parse().unwrap()).to_string());
        assert_eq!(english, spanish, "cell {number}");
    }
}

#[test]
fn text_is_written_in_both_languages() {
    let [english, spanish] = both();
    for (number, (english, spanish)) in english.iter().zip(&spanish).enumerate().filter(|(_, (cell, _))| !cell.is_code)
    {
        assert!(!spanish.source.trim().is_empty(), "cell {number}");
        assert_ne!(english.source, spanish.source, "cell {number} is not translated");
    }
}

#[test]
fn the_table_is_that_of_the_measured_results() {
    let measured = docs("lab.md");
    let measured = table(measured.split_once("## The table").unwrap().1);
    assert_eq!(measured.len(), 5, "docs/lab.md has lost its table");
    let [english, spanish] = both().map(|cells| {
        let tables: Vec<_> = cells.iter().filter(|cell| !cell.is_code).map(|cell| table(&cell.source)).collect();
        tables.into_iter().find(|table| !table.is_empty()).expect("no cell has a table")
    });
    assert_eq!(english, measured);
    assert_eq!(spanish.len(), measured.len());
    for (row, expected) in spanish.iter().zip(&measured) {
        let of = |row: &[String]| row[1..].iter().map(|cell| numbers(cell).join(" ")).collect::<Vec<_>>();
        assert_eq!(of(row), of(expected), "{}", row[0]);
    }
    // What is said of the table is said of its numbers.
    for cell in both().iter().flatten().filter(|cell| !table(&cell.source).is_empty()) {
        for value in [&measured[2][3], &measured[4][3]] {
            let (mean, _) = value.split_once(' ').unwrap();
            assert!(cell.source.replace(',', ".").matches(mean).count() >= 2, "{mean} is not discussed");
        }
    }
}

#[test]
fn every_point_of_the_lab_has_code_below_it() {
    for cells in both() {
        for point in ["## 1.", "## 2.", "## 3.", "## 4."] {
            let at = cells.iter().position(|cell| !cell.is_code && cell.source.starts_with(point)).expect(point);
            assert!(cells[at + 1].is_code && cells[at + 1].source.contains("lab.run("), "{point}");
        }
    }
}

#[test]
fn outputs_are_there_and_small() {
    for name in ["lab.ipynb", "lab.es.ipynb"] {
        let text = docs(name);
        assert!(text.len() < 1_000_000, "{name} has {} bytes: make its images smaller", text.len());
        let notebook: serde_json::Value = serde_json::from_str(&text).unwrap();
        let code = notebook["cells"].as_array().unwrap().iter().filter(|cell| cell["cell_type"] == "code");
        let failed = |output: &serde_json::Value| output["output_type"] == "error" || output["name"] == "stderr";
        for cell in code {
            assert!(!cell["execution_count"].is_null(), "{name}: {} was never run", cell["id"]);
            assert!(!cell["outputs"].as_array().unwrap().iter().any(failed), "{name}: {} failed", cell["id"]);
        }
    }
}
