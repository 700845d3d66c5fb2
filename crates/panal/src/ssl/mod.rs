//! `panal ssl`: features learnt without labels, what they are worth, and the studies of SimCLR.

mod compare;
mod config;
pub(crate) mod encoder;
mod eval;
pub(crate) mod init;
mod judge;
mod judgements;
mod pretrain;
mod protocol;
mod study;
mod table;

use std::ops::Range;

use anyhow::{Context, Result};

use crate::cli::{Global, Ssl};
use crate::console::Console;

pub(crate) use protocol::Protocol;

/// So many seeds from the first on.
fn seeds(first: u64, count: u64) -> Result<Range<u64>> {
    let end = first.checked_add(count).with_context(|| format!("--seed {first} leaves no room for {count} seeds"))?;
    Ok(first..end)
}

pub(crate) fn run(command: &Ssl, global: &Global, console: &Console) -> Result<()> {
    match command {
        Ssl::Pretrain(args) => pretrain::run(args, global, console),
        Ssl::Eval(args) => eval::run(args, global, console),
        Ssl::Table(args) => table::run(args, global),
        Ssl::Compare(args) => compare::run(args, global, console),
        Ssl::Study(args) => study::run(args, global, console),
    }
}
