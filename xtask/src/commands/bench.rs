//! `bench`: the lab and the same lab as a PyTorch user writes it, in turn on this machine; a dated record is kept.

mod peer;
mod record;

use super::{run, setup};
use crate::machine::Machine;
use crate::stage::Stages;
use crate::{process, workspace};
use anyhow::{Context, Result};
use record::{Record, Row, Run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The row that starts from no weights.
const RANDOM_INIT: &str = "full fine-tuning, random init";

/// The rows of the lab, named alike and in this order in panal's preset `tutorial` and in the peer's script.
const ROWS: [&str; 5] = [
    "full fine-tuning, transfer",
    RANDOM_INIT,
    "linear probing",
    "linear probing + 3 augmentations",
    "linear probing 5 + fine-tuning 3",
];

/// Measure the lab against the same lab in Python, and keep a record in docs/benchmarks/.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that holds the peer's lab.py (or PANAL_PEERS)
    #[arg(long, value_name = "DIR", env = "PANAL_PEERS")]
    peer: Option<PathBuf>,
    /// A Python that has torch and torchvision already; without it one is set up in the cache (some GB)
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// hymenoptera_data, unpacked, for the peer; without it the hub's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The weights that both start from; without it the hub's
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[arg(long, default_value = "mobilenet_v2", value_name = "NAME")]
    arch: String,
    /// Seeds of each row
    #[arg(long, default_value_t = 1)]
    seeds: u32,
    /// Only these rows
    #[arg(long = "row", value_name = "NAME", value_parser = ROWS)]
    rows: Vec<String>,
    /// Only linear probing, one seed: a few minutes
    #[arg(long, conflicts_with_all = ["rows", "seeds"])]
    quick: bool,
    /// The peer in its default memory format (it is faster in channels-last, which is what we measure against)
    #[arg(long)]
    peer_contiguous: bool,
}

impl Args {
    fn rows(&self) -> Vec<&str> {
        match (self.quick, self.rows.is_empty()) {
            (true, _) => vec!["linear probing"],
            (_, true) => ROWS.to_vec(),
            _ => self.rows.iter().map(String::as_str).collect(),
        }
    }
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let script = peer::script(args.peer.as_deref())?;
    let mut stages = Stages::new(6);
    let libtorch = setup::ready(&mut stages, false)?;
    let binary = workspace::panal_binary()?;
    stages.begin("build", &run::build_detail(binary.exists()));
    process::run(libtorch.set_on(workspace::cargo().args(["build", "--release", "--package", "panal"])))?;
    stages.begin("benches", "cargo bench of the crates that have benches");
    for name in with_benches()? {
        process::run(libtorch.set_on(workspace::cargo().args(["bench", "--benches", "--package", &name])))?;
    }
    stages.begin("peer", "its Python, and the data and weights for both");
    let python = peer::python(args.python.as_deref(), &|text| stages.note(text))?;
    let (data, weights) = (peer::data(args.data.as_deref())?, peer::weights(args.weights.as_deref(), &args.arch)?);

    let names = args.rows();
    stages.begin("measure", &format!("{} rows, {} seeds, ours and the peer's in turn", names.len(), args.seeds));
    let mut rows = Vec::new();
    for name in names {
        let ours = ours(&binary, args, &weights, name)?;
        let mut command = Command::new(&python);
        command.arg(&script).arg("--data").arg(&data).arg("--weights").arg(&weights);
        command.args(["--arch", &args.arch, "--seeds", &args.seeds.to_string(), "--rows", name]);
        command.args((!args.peer_contiguous).then_some("--channels-last"));
        let peer = measured(&mut command, |text| text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect())?;
        let row = Row::new(name, ours, peer)?;
        stages.note(&row.to_string());
        rows.push(row);
    }

    stages.begin("record", "docs/benchmarks");
    let record = Record {
        date: record::today()?,
        command: std::env::args().skip(1).fold("cargo xtask".to_owned(), |line, word| format!("{line} {word}")),
        machine: Machine::here(),
        versions: record::versions(&python, &libtorch.version)?,
        peer_memory_format: if args.peer_contiguous { "contiguous" } else { "channels_last" },
        rows,
    };
    let peers = script.parent().map(|folder| (folder.to_owned(), "$PANAL_PEERS"));
    let named: Vec<_> = peers.into_iter().chain([(python, "python3")]).collect();
    let file = record.write(&workspace::root().join("docs/benchmarks"), &named)?;
    stages.note(&format!("wrote {}", file.display()));
    stages.end();
    Ok(())
}

/// The crates that have benches of their own.
fn with_benches() -> Result<Vec<String>> {
    let mut packages = workspace::metadata()?.packages;
    packages.retain(|package| package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "bench")));
    Ok(packages.into_iter().map(|package| package.name).collect())
}

/// One row by panal, with the settings and the weights of the peer.
fn ours(binary: &Path, args: &Args, weights: &Path, row: &str) -> Result<Run> {
    let results = tempfile::tempdir()?;
    let mut command = Command::new(binary);
    command.args(["lab", "--quiet", "--preset", "tutorial", "--model", &args.arch, "--row", row]);
    command.args(["--seeds", &args.seeds.to_string(), "--seed", "0", "--results"]).arg(results.path());
    if let Some(data) = &args.data {
        command.arg("--data").arg(data);
    }
    for (index, _) in ROWS.iter().enumerate().filter(|(_, name)| **name == row && row != RANDOM_INIT) {
        command.arg("--set").arg(format!("row.{index}.init={}", weights.display()));
    }
    measured(&mut command, |_| table(results.path()))
}

/// Runs a command, and keeps what it was, how long it took, and what it gave.
fn measured(command: &mut Command, read: impl FnOnce(&str) -> Result<Vec<Value>>) -> Result<Run> {
    let start = Instant::now();
    let text = process::stdout(command)?;
    let wall_seconds = start.elapsed().as_secs_f64();
    let results = read(&text).with_context(|| format!("cannot read the results of `{}`", process::words(command)))?;
    Ok(Run { command: process::words(command), wall_seconds, results })
}

/// The `table.json` that a lab left in its results, which it may keep in a folder of the lab's name.
fn table(results: &Path) -> Result<Vec<Value>> {
    let inner = fs::read_dir(results)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = std::iter::once(results.to_owned()).chain(inner).map(|folder| folder.join("table.json"));
    let file = file.into_iter().find(|file| file.exists()).context("the lab left no table.json")?;
    Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
}
