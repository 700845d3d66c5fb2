//! Makes a function of the code cells of each notebook, so that whatever changes in the crates, the notebooks still compile.

#[allow(dead_code, unreachable_pub)]
#[path = "src/cells.rs"]
mod cells;

use std::path::{Path, PathBuf};

fn main() -> Result<(), String> {
    let var = |name: &str| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let docs = Path::new(&var("CARGO_MANIFEST_DIR")?).join("../docs");
    let out = PathBuf::from(var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/cells.rs");
    for (notebook, target) in [("lab.ipynb", "lab.rs"), ("lab.es.ipynb", "lab_es.rs")] {
        let path = docs.join(notebook);
        println!("cargo:rerun-if-changed={}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let rust = function(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        std::fs::write(out.join(target), rust).map_err(|error| format!("{target}: {error}"))?;
    }
    // torch-sys has `links = "tch"`, and says where it found libtorch.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
    Ok(())
}

/// What the kernel does with the cells, as one function: variables live on from cell to cell, and `?` ends the run.
fn function(notebook: &str) -> Result<String, String> {
    let mut rust = "pub(crate) fn run() -> Result<(), Box<dyn std::error::Error>> {\n".to_owned();
    for (number, cell) in cells::cells(notebook)?.iter().enumerate().filter(|(_, cell)| cell.is_code) {
        let (code, _) = cells::commands_apart(&cell.source);
        rust.push_str(&format!("// Cell {number}.\n{code}\n"));
    }
    rust.push_str("Ok(())\n}\n");
    Ok(rust)
}
