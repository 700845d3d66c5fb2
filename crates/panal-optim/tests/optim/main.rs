//! The tests of panal-optim as one program, for each program that links libtorch takes its time.
#![allow(clippy::unwrap_used)]

mod against_torch;
mod arithmetic;
mod lars;
mod layout;
mod problem;
mod spec;
mod state;
