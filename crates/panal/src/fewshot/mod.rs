//! `panal fewshot`: learning to tell new classes apart from few images of each.

mod config;
mod data;
mod eval;
mod learner;
mod train;

use anyhow::Result;

use crate::cli::{Fewshot, Global};
use crate::console::Console;

pub(crate) fn run(command: &Fewshot, global: &Global, console: &Console) -> Result<()> {
    match command {
        Fewshot::Train(args) => train::run(args, global, console),
        Fewshot::Eval(args) => eval::run(args, global, console),
    }
}
