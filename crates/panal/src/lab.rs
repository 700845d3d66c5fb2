//! `panal lab`: every row with every seed, then the table. Runs that are done are kept as they end, so that nothing is lost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use panal_report::{
    RunKind, RunRecord, Table, check_folder, read_runs, render_terminal, rewrite_runs, write_results_with,
};

use crate::cli::{Global, LabArgs};
use crate::config::{self, Lab};
use crate::console::Console;
use crate::energy::Metering;
use crate::reading::Reading;
use crate::run::Runner;
use crate::running::{self, Work};
use crate::saved::{self, Card};
use crate::{choice, data, device, extras, record};

pub(crate) fn run(args: &LabArgs, global: &Global, console: &Console) -> Result<()> {
    let (lab, other_data) = choice::choose(args)?;
    let rows = lab.select(&args.rows)?;
    let folder = folder(args, &lab, other_data);
    check_folder(&folder).context("name another folder with --results")?;
    let (skip_bad, shorter_side) = (args.config.skip_bad, lab.shorter_side);
    let transforms = lab.transforms(rows.iter().map(|(_, row)| *row))?;
    let views = &transforms.of_both();
    let reading = Reading { skip_bad, shorter_side, keep_all: args.folds.is_none(), views, ..Reading::new(console) };
    let data = data::open_lab(&lab.data, reading)?;
    data.mind_memory(config::largest_side(&lab.augment)?, &transforms)?;
    let device = device::choose(global)?;
    device::mind(device, rows.iter().flat_map(|(_, row)| &row.phases).map(|phase| phase.precision));
    let mut runner = Runner::new(&lab, &data, &args.config, device, Metering::new(&args.energy, device)?, console);
    runner.features_of = Some(lab.seed);
    runner.folds = args.folds;
    runner.threads = device::loader_threads(global);
    runner.tensorboard = args.tensorboard.as_deref();

    let journal = folder.join("runs.jsonl");
    let mut records = earlier(&journal, &lab, &runner)?;
    let work = Work {
        kind: RunKind::Lab,
        title: lab.title.clone(),
        data: data.id.clone(),
        model: lab.model.to_string(),
        seeds: (lab.seed..lab.seed + lab.seeds).collect(),
        device: runner.device,
    };
    let running = running::begin(&folder, work)?;
    let (runs, mut number) = (rows.len() as u64 * lab.seeds, 0);
    for &(index, row) in &rows {
        for seed in lab.seed..lab.seed + lab.seeds {
            number += 1;
            let same = |record: &RunRecord| record.row == row.name && record.seed == seed;
            if args.config.resume && records.iter().any(same) {
                tracing::info!("{}, seed {seed}: done before", row.name);
                continue;
            }
            tracing::info!("run {number} of {runs}: {}, seed {seed}", row.name);
            let place = folder.join("running").join(format!("{}-{seed}", index + 1));
            std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
            let trained = runner.run(index, row, seed, &place, record::command())?;
            if args.keep_models {
                let path = folder.join("models").join(format!("row{}-seed{seed}.safetensors", index + 1));
                std::fs::create_dir_all(folder.join("models"))?;
                saved::write(&path, &trained.model, &Card::new(&lab, &trained.record))?;
            }
            if let Some(look) = &trained.look {
                let path = extras::look_path(&folder, index, seed);
                std::fs::create_dir_all(folder.join("looks"))?;
                look.write(&path)?;
            }
            // An earlier record of it stands until now.
            records.retain(|record| !same(record));
            records.push(trained.record);
            records.sort_by_key(|record| (record.row_index, record.seed));
            rewrite_runs(&journal, &records)?;
            std::fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
    }
    // Gone where it is empty; the checkpoint of another row's interrupted run stays.
    let _ = std::fs::remove_dir(folder.join("running"));

    // Of the rows that were asked for, the table has the seeds that were.
    let seeds = lab.seed..lab.seed + lab.seeds;
    let asked =
        |record: &RunRecord| seeds.contains(&record.seed) || !rows.iter().any(|(_, row)| row.name == record.row);
    if !records.iter().all(asked) {
        keep_aside(&journal, "other seeds were run earlier")?;
        records.retain(asked);
        rewrite_runs(&journal, &records)?;
    }

    let table = Table::new(&records)?;
    // With folds, the training images are those that were predicted.
    let evaluated = if args.folds.is_some() { &data.train } else { &data.eval };
    let extras = extras::of(&folder, &table, &records, evaluated.as_ref(), lab.eval_augment())?;
    let written = write_results_with(&folder, table, &records, &extras)?;
    running.finish();
    if global.json {
        print!("{}", std::fs::read_to_string(folder.join("table.json"))?);
    } else {
        println!("{}", render_terminal(&written.table));
        println!("Tables, plots and records: {}", folder.display());
        println!("All on one page: {}", folder.join("index.html").display());
    }
    Ok(())
}

/// `results/<lab>-<model>`, apart for a quick run, for cross-validation and for each data set that is not the lab's own.
fn folder(args: &LabArgs, lab: &Lab, other_data: bool) -> PathBuf {
    let mut name = format!("{}-{}", lab.name, lab.model);
    if args.quick {
        name += "-quick";
    }
    if other_data {
        let data = Path::new(&lab.data).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name += &format!("-{data}");
    }
    if let Some(folds) = args.folds {
        name += &format!("-{folds}fold");
    }
    args.results.join(name)
}

/// Records of earlier calls that still stand: with the settings of today. A journal that holds others is kept under another name.
fn earlier(journal: &Path, lab: &Lab, runner: &Runner<'_>) -> Result<Vec<RunRecord>> {
    if !journal.exists() {
        return Ok(Vec::new());
    }
    let mut known = read_runs(journal)?.records;
    // Real photographs and drawn insects never share a folder, whatever a user's own folder is called.
    if let Some(other) = known.iter().find(|record| record.data.origin != runner.data.origin) {
        bail!(
            "{} holds results on {} ({}), and these images are {}: name another folder with --results",
            journal.display(),
            other.data.id,
            other.data.origin,
            runner.data.origin
        );
    }
    let stands =
        |record: &RunRecord| lab.row.iter().any(|row| row.name == record.row && runner.config(row) == record.config);
    if !known.iter().all(stands) {
        keep_aside(journal, "earlier runs had other settings")?;
    }
    known.retain(stands);
    Ok(known)
}

/// Copies a journal that is about to lose records.
fn keep_aside(journal: &Path, why: &str) -> Result<()> {
    let aside = (1..).map(|n| journal.with_file_name(format!("runs-earlier-{n}.jsonl"))).find(|path| !path.exists());
    let aside = aside.context("no free name for earlier runs")?;
    std::fs::copy(journal, &aside).with_context(|| format!("cannot keep {}", journal.display()))?;
    tracing::warn!("{why}: they are kept in {}", aside.display());
    Ok(())
}
