//! `bench`: panal and a peer in turn on this machine, suite by suite; dated records are kept, and a fall is seen.

mod peer;
mod program;
mod record;
mod suite;
mod summary;

use super::{run, setup};
use crate::machine::{self, Machine};
use crate::progress::Bar;
use crate::stage::Stages;
use crate::{process, workspace};
use anyhow::{Result, bail};
use panal_hub::Lock;
use program::Program;
use record::{Comparison, Record};
use std::path::PathBuf;
use suite::{Name, Place, Suite, Tools};

/// Measure panal beside the same work in Python, and keep a record in docs/benchmarks/.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; everything if not given
    #[arg(value_enum, value_name = "SUITE")]
    suites: Vec<Name>,
    /// A folder of another lab.py and pipeline.py to measure against, with the arguments and the output of those in xtask/peers (or PANAL_PEERS)
    #[arg(long, value_name = "DIR", env = "PANAL_PEERS")]
    peer: Option<PathBuf>,
    /// A Python that has the peers' packages already; without it one is set up in the cache (some GB)
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// hymenoptera_data, unpacked; without it the hub's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// MobileNetV2's weights for both; without it the hub's
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Rounds: each runs every program once, panal and the peers in turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only rows of which the name has this in it, a number as a whole (`batch 1` is not `batch 16`); may be said several times
    #[arg(long = "row", value_name = "TEXT")]
    rows: Vec<String>,
    /// One round of a few rows, held against the last records; says which fell, keeps no record
    #[arg(long, conflicts_with_all = ["suites", "rows", "rounds", "device", "precision", "cuda_graphs"])]
    quick: bool,
    #[command(flatten)]
    place: Place,
    /// Only the benches of single functions (criterion)
    #[arg(long, conflicts_with_all = ["suites", "rows", "quick", "device", "precision", "cuda_graphs"])]
    functions: bool,
}

/// The rows of `--quick`: a few minutes that pass through loading, frozen networks and training.
const QUICK: [(Name, &str); 4] = [
    (Name::Pipeline, "evaluation, from files"),
    (Name::Pipeline, "supervised, from files"),
    (Name::Lab, "linear probing"),
    (Name::Step, "mobilenet_v2, training, batch 16"),
];

pub(crate) fn main(args: &Args) -> Result<()> {
    let suites = args.suites();
    if suites != [Name::Step] && !args.place.is_usual() {
        bail!(
            "--device, --precision and --cuda-graphs are for `cargo xtask bench step` alone: the other suites run on the CPU in f32, as their peers do"
        );
    }
    if args.place.cuda_graphs && args.place.device != "cuda" {
        bail!("--cuda-graphs needs --device cuda: the CPU has none");
    }
    // Two at once would measure one another.
    let _alone = Lock::acquire(&std::path::absolute(panal_hub::cache_dir()?)?.join(".bench.lock"), &Bar::new())?;
    let mut stages = Stages::new(if args.functions { 2 } else { 4 });
    let libtorch = setup::ready(&mut stages, false)?;
    if args.functions {
        stages.begin("benches", "cargo bench of the crates that have benches");
        for name in with_benches()? {
            process::run(libtorch.set_on(workspace::cargo().args(["bench", "--benches", "--package", &name])))?;
        }
        stages.end();
        return Ok(());
    }
    // What a suite does without is not asked for.
    let wanted = |by: &[Name]| suites.iter().any(|suite| by.contains(suite));
    let photographs = wanted(&[Name::Pipeline, Name::Lab, Name::Photos, Name::Predict]);
    let given = args.peer.as_deref().filter(|_| wanted(&[Name::Pipeline, Name::Lab, Name::Photos]));
    let peers = peer::folder(given)?;
    let binary = workspace::panal_binary()?;
    stages.begin("build", &run::build_detail(binary.exists()));
    process::run(libtorch.set_on(workspace::cargo().args(["build", "--release", "--package", "panal"])))?;
    stages.begin("peer", "its Python, and the data and weights for both");
    let python = peer::python(args.python.as_deref(), &|text| stages.note(text))?;
    let scratch = tempfile::tempdir()?;
    let machine = Machine::here();
    let memory_gb = if args.place.device == "cuda" { machine::gpu_memory_gb() } else { Some(machine.memory_gb) };
    if memory_gb.is_none() {
        stages.note("nvidia-smi does not say how much memory the GPU has: rows that need much are left out");
    }
    let tools = Tools {
        panal: binary,
        python: python.clone(),
        peers: peers.clone(),
        ours: peer::ours(),
        data: if photographs { peer::data(args.data.as_deref())? } else { PathBuf::new() },
        weights: if photographs { peer::weights(args.weights.as_deref(), "mobilenet_v2")? } else { PathBuf::new() },
        scratch: scratch.path().to_owned(),
        place: args.place.clone(),
        memory_gb: memory_gb.unwrap_or_default(),
    };

    let folder = workspace::root().join("docs/benchmarks");
    let mut before = record::last(&folder)?;
    // Ratios of another machine tell nothing of this one.
    before.retain(|record| record.machine.is_like(&machine));
    if before.is_empty() {
        stages.note("no record is of a machine like this one: there is nothing to hold its ratios against");
    }
    let rounds = if args.quick { 1 } else { args.rounds };
    stages.begin("measure", &format!("{rounds} rounds, panal and the peers in turn"));
    let versions = record::versions(&python, &libtorch.version)?;
    let mut named = vec![(python, "python3"), (scratch.path().to_owned(), "$TMPDIR/bench")];
    named.extend(given.map(|_| (peers, "$PANAL_PEERS")));
    let mut records = Vec::new();
    let record = |suite: &Suite, rows, programs: &[_]| -> Result<Record> {
        Ok(Record {
            format: record::FORMAT,
            suite: suite.name,
            date: record::today()?,
            command: std::env::args().skip(1).fold("cargo xtask".to_owned(), |line, word| format!("{line} {word}")),
            machine: machine.clone(),
            versions: versions.clone(),
            rows,
            prepared: suite.prepare.iter().map(Program::words).collect(),
            programs: programs.to_vec(),
        })
    };
    let measure = |name, rounds, wants: &dyn Fn(&str) -> bool, stages: &Stages| -> Result<_> {
        let mut suite = suite::suite(name, &tools)?;
        suite.keep(wants);
        let file = record(&suite, Vec::new(), &[])?.place(&folder)?;
        // Each row as soon as it is complete, with the tables: the next program may fail, or be stopped.
        let mut keep = |measured: &[_]| {
            let rows = Comparison::so_far(&suite, measured, rounds);
            if args.quick || rows.is_empty() {
                return Ok(());
            }
            record(&suite, rows, measured)?.write(&file, &named)?;
            summary::write(&folder, &workspace::root().join("README.md"))
        };
        let measured = suite.run(rounds, &|text| stages.note(text), &mut keep)?;
        let comparisons = Comparison::all(&suite, &measured, rounds)?;
        comparisons.iter().for_each(|comparison| stages.note(&comparison.to_string()));
        if !args.quick && !comparisons.is_empty() {
            stages
                .note(&format!("wrote {}, and the tables in docs/benchmarks/README.md and README.md", file.display()));
        }
        record(&suite, comparisons, &measured)
    };
    for name in suites {
        records.push(measure(name, rounds, &|row| args.wants(name, row), &stages)?);
    }
    if records.iter().all(|record| record.rows.is_empty()) {
        bail!("no row has `{}` in its name: docs/benchmarks/README.md has their names", args.rows.join("` or `"));
    }

    if args.quick {
        // One round may be noise: what seems to have fallen has a second chance.
        for record in &mut records {
            let fallen = record.fallen(&before);
            if !fallen.is_empty() {
                stages.note(&format!("{}: once more, what seems to have fallen", record.suite));
                let again = measure(record.suite, 1, &|row| fallen.iter().any(|fall| fall.row == row), &stages)?;
                record.take_better(again.rows);
            }
        }
    }
    let fallen: Vec<String> = records.iter().flat_map(|record| record.fallen(&before)).map(|fall| fall.text).collect();
    stages.end();
    if !fallen.is_empty() {
        bail!("slower than the last record, beside the same peer:\n  {}", fallen.join("\n  "));
    }
    Ok(())
}

impl Args {
    fn suites(&self) -> Vec<Name> {
        match (self.quick, self.suites.is_empty()) {
            (true, _) => vec![Name::Pipeline, Name::Lab, Name::Step],
            (_, true) => Name::ALL.to_vec(),
            _ => Name::ALL.into_iter().filter(|suite| self.suites.contains(suite)).collect(),
        }
    }

    fn wants(&self, suite: Name, row: &str) -> bool {
        if self.quick {
            return QUICK.contains(&(suite, row));
        }
        self.rows.is_empty() || self.rows.iter().any(|text| has(row, text))
    }
}

/// Whether `text` is in the name of a row, and no number goes on where it ends.
fn has(row: &str, text: &str) -> bool {
    let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
    let within = is_digit(text.chars().next_back());
    row.match_indices(text).any(|(at, _)| !(within && is_digit(row[at + text.len()..].chars().next())))
}

/// The crates that have benches of their own.
fn with_benches() -> Result<Vec<String>> {
    let mut packages = workspace::metadata()?.packages;
    packages.retain(|package| package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "bench")));
    Ok(packages.into_iter().map(|package| package.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_a_part_of_its_name_with_whole_numbers() {
        let row = "resnet18, training, batch 16, memory";
        for text in ["resnet18", "training, batch 16", "batch 16, mem", "batch ", "memory", ", "] {
            assert!(has(row, text), "{text}");
        }
        for text in ["batch 1", "resnet1", "batch 16, against", "Training"] {
            assert!(!has(row, text), "{text}");
        }
        assert!(has("resnet18, batch 16 and batch 1", "batch 1"));
    }
}
