//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod cargo;
pub(crate) mod ci;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod notebook;
pub(crate) mod run;
pub(crate) mod screenshots;
pub(crate) mod setup;
pub(crate) mod test;
