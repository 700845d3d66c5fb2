//! `cargo xtask`: sets the machine up (libtorch first of all), then runs panal, its tests and its benches.
//! It never links libtorch itself, for it runs before there is one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

#[cfg(not(unix))]
compile_error!("panal's xtask knows Linux and macOS; elsewhere set LIBTORCH yourself and use cargo directly");

mod commands;
mod files;
mod libtorch;
mod machine;
mod process;
mod progress;
mod stage;
mod venv;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sets the machine up, then runs panal, its tests and its benches.
///
/// Everything that needs libtorch finds or installs it first: what you set yourself (LIBTORCH or
/// LIBTORCH_USE_PYTORCH), else panal's own cache (PANAL_CACHE), else pip, else the official archive.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(commands::setup::Args),
    /// Run the ants/bees lab, e.g. `cargo xtask lab --model mobilenet_v2`: set up, build, run
    Lab(commands::run::Args),
    /// Run any command of panal, e.g. `cargo xtask run models`: set up, build, run
    #[command(alias = "panal")]
    Run(commands::run::Args),
    Cargo(commands::cargo::Args),
    Env(commands::env::Args),
    Test(commands::test::Args),
    Bench(commands::bench::Args),
    Notebook(commands::notebook::Args),
    Screenshots(commands::screenshots::Args),
    Doctor(commands::doctor::Args),
    Ci(commands::ci::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Setup(args) => commands::setup::main(&args),
        Command::Lab(args) => commands::run::lab(&args),
        Command::Run(args) => commands::run::main(&args),
        Command::Cargo(args) => commands::cargo::main(&args),
        Command::Env(_) => commands::env::main(),
        Command::Test(args) => commands::test::main(&args),
        Command::Bench(args) => commands::bench::main(&args),
        Command::Notebook(args) => commands::notebook::main(&args),
        Command::Screenshots(args) => commands::screenshots::main(&args),
        Command::Doctor(args) => commands::doctor::main(&args),
        Command::Ci(_) => commands::ci::main(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            error.downcast_ref::<process::Failed>().map_or(ExitCode::FAILURE, |failed| ExitCode::from(failed.code))
        }
    }
}
