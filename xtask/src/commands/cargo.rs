//! `cargo`: cargo with libtorch in its environment, for work on one crate.

use super::setup;
use crate::stage::Stages;
use crate::{process, workspace};
use anyhow::Result;
use std::ffi::OsString;

/// Run cargo with libtorch in its environment, e.g. `cargo xtask cargo test --release -p panal-models`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What cargo is given; `--release` shares torch-sys's build with every other command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    args: Vec<OsString>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let libtorch = setup::ready(&mut Stages::new(1), false)?;
    Err(process::become_it(libtorch.set_on(workspace::cargo().args(&args.args))))
}
