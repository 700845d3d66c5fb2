//! `ci`: what must hold before a change is merged: format, tests, lints, documentation, independence.

use super::{setup, test};
use crate::process;
use crate::stage::Stages;
use crate::workspace::{self, WITHOUT_TCH};
use anyhow::Result;

/// Check everything that `.ci/run` checks.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn main() -> Result<()> {
    process::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    test::main(&test::Args::default())?;

    let mut stages = Stages::new(4);
    let libtorch = setup::ready(&mut stages, false)?;
    stages.begin("lints", "clippy, warnings denied");
    // The release profile throughout, so that torch-sys is not compiled a second time.
    let clippy = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
    process::run(libtorch.set_on(workspace::cargo().args(clippy)))?;
    stages.begin("documentation", "rustdoc, warnings denied");
    let doc = ["doc", "--release", "--workspace", "--no-deps"];
    process::run(libtorch.set_on(workspace::cargo().env("RUSTDOCFLAGS", "-D warnings").args(doc)))?;
    stages.begin("independence", "each crate without tch by itself, with no libtorch in sight");
    for name in WITHOUT_TCH {
        let mut check = workspace::cargo();
        check.args(["check", "--release", "--all-targets", "--package", name]);
        process::run(check.env_remove("LIBTORCH").env_remove("LIBTORCH_USE_PYTORCH"))?;
    }
    stages.end();
    Ok(())
}
