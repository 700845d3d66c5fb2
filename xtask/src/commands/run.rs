//! `lab` and `run`: builds the `panal` binary and becomes it, so that signals and the exit code are its own.

use super::setup;
use crate::stage::Stages;
use crate::{process, workspace};
use anyhow::Result;
use clap::CommandFactory;
use std::ffi::{OsStr, OsString};
use std::process::Command;

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What panal is given, such as `--model mobilenet_v2`; `--help` shows what it takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn lab(args: &Args) -> Result<()> {
    panal(&["lab".into()], &args.args)
}

pub(crate) fn main(args: &Args) -> Result<()> {
    panal(&[], &args.args)
}

fn panal(command: &[OsString], args: &[OsString]) -> Result<()> {
    let binary = workspace::panal_binary()?;
    if args.first().is_some_and(|first| first == "--help" || first == "-h") && !binary.exists() {
        // Not worth a build of minutes.
        let name = command.first().map_or(OsStr::new("run"), OsString::as_os_str).to_string_lossy();
        if let Some(known) = super::super::Cli::command().find_subcommand_mut(name.as_ref()) {
            known.print_long_help()?;
            println!("\npanal is not built yet; once it is, this shows its own help.");
        }
        return Ok(());
    }
    let mut stages = Stages::new(3);
    let libtorch = setup::ready(&mut stages, false)?;
    stages.begin("build", &build_detail(binary.exists()));
    process::run(libtorch.set_on(workspace::cargo().args(["build", "--release", "--package", "panal"])))?;
    let words: Vec<_> = command.iter().chain(args).map(|word| word.to_string_lossy()).collect();
    stages.hand_over("run", &format!("panal {}", words.join(" ")));
    Err(process::become_it(libtorch.set_on(Command::new(binary).args(command).args(args))))
}

/// What to say of a build, since the first is long.
pub(crate) fn build_detail(built_before: bool) -> String {
    match built_before {
        true => "cargo build --release, what changed since the last".to_owned(),
        false => "cargo build --release; the first takes 4 to 7 min on 2 cores, most of it torch-sys's C++".to_owned(),
    }
}
