//! The `panal` command: reads the command line, does one thing, and ends with an exit code that says how it went.
//!
//! 0: done. 1: it failed, and one error on standard error says why. 2: the command line was wrong. 130: interrupted.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod board;
mod choice;
mod cli;
mod config;
mod console;
mod data;
mod device;
mod energy;
mod evaluate;
mod explain;
mod extras;
mod fewshot;
mod interrupt;
mod lab;
mod looks;
mod memory;
mod models;
mod overlay;
mod predict;
mod reading;
mod record;
mod run;
mod running;
mod runs;
mod saved;
mod ssl;
mod suggest;
mod train;
mod unfinished;
mod wording;

use std::process::ExitCode;

use clap::Parser;
use panal_hub::HubError;
use panal_trainers::TrainError;

use crate::cli::{Cli, Command};
use crate::console::Console;

fn main() -> ExitCode {
    memory::keep();
    end_where_nobody_reads();
    let cli = Cli::parse();
    let console = Console::new(&cli.global);
    match run(&cli, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            let interrupted =
                matches!(error.downcast_ref(), Some(TrainError::Interrupted { .. } | TrainError::Stopped { .. }))
                    || matches!(error.downcast_ref(), Some(HubError::Cancelled));
            ExitCode::from(if interrupted { 130 } else { 1 })
        }
    }
}

/// Ends quietly where nobody reads on, as behind `| head`; the standard library's printing panics there.
fn end_where_nobody_reads() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        if said.is_some_and(|said| said.starts_with("failed printing to stdout") && said.contains("Broken pipe")) {
            std::process::exit(0);
        }
        others(panic);
    }));
}

fn run(cli: &Cli, console: &Console) -> anyhow::Result<()> {
    interrupt::install()?;
    device::set_threads(cli.global.threads)?;
    let done = match &cli.command {
        Command::Lab(args) => lab::run(args, &cli.global, console),
        Command::Train(args) => train::run(args, &cli.global, console),
        Command::Eval(args) => evaluate::run(args, &cli.global, console),
        Command::Predict(args) => predict::run(args, &cli.global, console),
        Command::Explain(args) => explain::run(args, &cli.global, console),
        Command::Models => models::run(&cli.global),
        Command::Data(args) => data::run(args, &cli.global, console),
        Command::Device => device::run(&cli.global),
        Command::Ssl(command) => ssl::run(command, &cli.global, console),
        Command::Fewshot(command) => fewshot::run(command, &cli.global, console),
        Command::Runs(args) => runs::run(args, &cli.global),
        Command::Bench(bench) => bench::run(bench, &cli.global),
    };
    // `panal device` has told it.
    if !matches!(cli.command, Command::Device) {
        device::tell_trouble();
    }
    done
}
