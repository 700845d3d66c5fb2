//! `test`: every test of the workspace, the quick ones that need no libtorch first.

use super::{run, setup};
use crate::process;
use crate::stage::Stages;
use crate::venv;
use crate::workspace::{self, WITHOUT_TCH};
use anyhow::Result;
use std::path::PathBuf;

/// Run the tests: first those that need no libtorch, then, with libtorch, the rest.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only these crates
    #[arg(short, long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Only what needs no libtorch: the crates without tch, and the workspace's shape
    #[arg(long, conflicts_with = "packages")]
    fast: bool,
    /// What the test programs are given, such as a part of a test's name
    #[arg(last = true)]
    filter: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let (quick, rest) = selections(args);
    let mut stages = Stages::new(usize::from(!quick.is_empty()) + if rest.is_empty() { 0 } else { 3 });
    if !quick.is_empty() {
        stages.begin("quick tests", "the crates that need no libtorch");
        test(&mut workspace::cargo(), &quick, &args.filter)?;
        if args.fast {
            let structure = ["--package", "panal-tests", "--test", "structure"].map(str::to_owned);
            test(&mut workspace::cargo(), &structure, &args.filter)?;
        }
    }
    if !rest.is_empty() {
        let libtorch = setup::ready(&mut stages, false)?;
        stages.begin("build", &run::build_detail(workspace::panal_binary()?.exists()));
        // The end-to-end tests start the binary, which `cargo test` alone would not build for them.
        let mut build = workspace::cargo();
        process::run(libtorch.set_on(build.args(["build", "--release", "--package", "panal"])))?;
        stages.begin("tests", "everything else, documentation's examples included");
        let mut cargo = workspace::cargo();
        if let Some(python) = tensorboard(&stages) {
            cargo.env("PANAL_TENSORBOARD_PYTHON", python);
        }
        test(libtorch.set_on(&mut cargo), &rest, &args.filter)?;
    }
    stages.end();
    Ok(())
}

/// A Python with TensorBoard, whose own reader the tests hold event files against; without one they say that they are skipped.
fn tensorboard(stages: &Stages) -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("PANAL_TENSORBOARD_PYTHON") {
        return Some(given.into());
    }
    let note = || stages.note("installing TensorBoard into the cache, to read event files with: about a minute");
    venv::python("tensorboard-2.21.0", &["tensorboard==2.21.0", "setuptools<81"], note)
        .inspect_err(|error| stages.note(&format!("no TensorBoard, so what reads its files is skipped: {error:#}")))
        .ok()
}

fn test(cargo: &mut std::process::Command, selection: &[String], filter: &[String]) -> Result<()> {
    cargo.args(["test", "--release"]).args(selection);
    if !filter.is_empty() {
        cargo.arg("--").args(filter);
    }
    process::run(cargo)
}

/// What to select of the crates without tch, and of the others; empty for nothing.
fn selections(args: &Args) -> (Vec<String>, Vec<String>) {
    let each =
        |flag: &str, names: &[&str]| names.iter().flat_map(|name| [flag.to_owned(), (*name).to_owned()]).collect();
    if args.packages.is_empty() {
        let mut rest: Vec<String> = each("--exclude", &WITHOUT_TCH);
        rest.insert(0, "--workspace".to_owned());
        return (each("--package", &WITHOUT_TCH), if args.fast { Vec::new() } else { rest });
    }
    let (quick, rest): (Vec<&str>, Vec<&str>) =
        args.packages.iter().map(String::as_str).partition(|name| WITHOUT_TCH.contains(name));
    (each("--package", &quick), each("--package", &rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_crates_are_parted_by_their_need_of_libtorch() {
        let args = Args { packages: vec!["panal-models".into(), "panal-hub".into()], ..Args::default() };
        let (quick, rest) = selections(&args);
        assert_eq!((quick.join(" "), rest.join(" ")), ("--package panal-hub".into(), "--package panal-models".into()));
    }

    #[test]
    fn without_names_every_crate_is_tested_once() {
        let (quick, rest) = selections(&Args::default());
        assert_eq!(quick.len(), 2 * WITHOUT_TCH.len());
        assert_eq!(rest[0], "--workspace");
        assert!(WITHOUT_TCH.iter().all(|name| rest.contains(&(*name).to_owned())));
        assert!(selections(&Args { fast: true, ..Args::default() }).1.is_empty());
    }
}
