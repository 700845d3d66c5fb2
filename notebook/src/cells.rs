//! From the text of a notebook to its cells: used by the build script, which makes Rust of them, and by the tests.

use serde_json::Value;

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Whether it is code; Markdown otherwise.
    pub is_code: bool,
    /// What was written.
    pub source: String,
}

/// The cells of a notebook of format 4, in order.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn cells(text: &str) -> Result<Vec<Cell>, String> {
    let notebook: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let cells = notebook["cells"].as_array().ok_or("there is no list `cells`")?;
    let cell = |(number, cell): (usize, &Value)| {
        let source = match &cell["source"] {
            Value::String(text) => text.clone(),
            Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
            _ => return Err(format!("cell {number} has no `source`")),
        };
        match cell["cell_type"].as_str() {
            Some(kind @ ("code" | "markdown")) => Ok(Cell { is_code: kind == "code", source }),
            kind => Err(format!("cell {number} is {kind:?}, neither code nor markdown")),
        }
    };
    cells.iter().enumerate().map(cell).collect()
}

/// The code of a cell without the lines that are commands to the kernel, such as `:dep`, and these lines.
pub fn commands_apart(source: &str) -> (String, Vec<&str>) {
    let (commands, code): (Vec<&str>, Vec<&str>) = source.lines().partition(|line| line.starts_with(':'));
    (code.join("\n"), commands)
}
