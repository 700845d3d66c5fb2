//! `panal fewshot`: classes that are known by a few images each, by learning for it or by transfer.

mod config;
mod curve;
mod data;
mod encoder;
mod eval;
mod files;
mod learner;
mod picture;
mod predict;
mod standing;
mod train;
mod transfer;

use anyhow::Result;

use crate::cli::{Fewshot, Global};
use crate::console::Console;

pub(crate) use encoder::DEFAULT as DEFAULT_INIT;

pub(crate) fn run(command: &Fewshot, global: &Global, console: &Console) -> Result<()> {
    match command {
        Fewshot::Train(args) => train::run(args, global, console),
        Fewshot::Eval(args) => eval::run(args, global, console),
        Fewshot::Predict(args) => predict::run(args, global, console),
        Fewshot::Curve(args) => curve::run(args, global, console),
    }
}
