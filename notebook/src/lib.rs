//! The code cells of `docs/lab.ipynb` and `docs/lab.es.ipynb` as functions, which the build script makes of them.
//! What the notebooks look like, and whether they agree, is for the tests.

pub mod cells;

/// The English notebook's cells.
#[allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, missing_docs)]
mod english {
    include!(concat!(env!("OUT_DIR"), "/lab.rs"));
}

/// The Spanish notebook's cells.
#[allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, missing_docs)]
mod spanish {
    include!(concat!(env!("OUT_DIR"), "/lab_es.rs"));
}

/// Runs every cell of the English notebook, one after the other; `PANAL_NOTEBOOK=small` makes that seconds.
///
/// # Errors
/// That of the first cell that fails.
pub fn run_english() -> Result<(), Box<dyn std::error::Error>> {
    english::run()
}

/// The same of the Spanish one.
///
/// # Errors
/// As [`run_english`].
pub fn run_spanish() -> Result<(), Box<dyn std::error::Error>> {
    spanish::run()
}
