//! `panal train`: one row on a folder of images, and the model kept.

use anyhow::{Context, Result};
use serde_json::json;
use toml::Value;

use crate::cli::{Global, TrainArgs};
use crate::console::Console;
use crate::energy::Metering;
use crate::reading::Reading;
use crate::run::Runner;
use crate::running::{self, Work};
use crate::saved::{self, Card};
use crate::{config, data, device, record};

pub(crate) fn run(args: &TrainArgs, global: &Global, console: &Console) -> Result<()> {
    let lab = config::load(&args.config, &[("data", Value::String(args.data.clone()))])?;
    let (index, row) = lab.find(&args.row)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let (skip_bad, shorter_side, transforms) = (args.config.skip_bad, lab.shorter_side, lab.transforms([row])?);
    let reading =
        Reading { skip_bad, shorter_side, keep_all: true, views: &transforms.of_both(), ..Reading::new(console) };
    let data = data::open_any(&args.data, args.val_fraction, args.seed, reading)?;
    data.mind_memory(config::largest_side(&lab.augment)?, &transforms)?;
    let device = device::choose(global)?;
    device::mind(device, row.phases.iter().map(|phase| phase.precision));
    let mut runner = Runner::new(&lab, &data, &args.config, device, Metering::new(&args.energy, device)?, console);
    runner.threads = device::loader_threads(global);
    runner.tensorboard = args.tensorboard.as_deref();

    let work = Work {
        kind: panal_report::RunKind::Train,
        title: row.name.clone(),
        data: data.id.clone(),
        model: lab.model.to_string(),
        seeds: vec![args.seed],
        device: runner.device,
    };
    let running = running::begin(&args.out, work)?;
    let place = args.out.join("running");
    std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let trained = runner.run(index, row, args.seed, &place, record::command())?;
    let path = args.out.join("model.safetensors");
    saved::write(&path, &trained.model, &Card::new(&lab, &trained.record))?;
    panal_report::rewrite_runs(&args.out.join("record.jsonl"), std::slice::from_ref(&trained.record))?;
    std::fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;

    running.finish();
    let last = trained.record.epochs.last().context("a run has at least one epoch")?;
    let images = trained.record.predictions.len();
    if global.json {
        let result = json!({
            "model": path, "row": row.name, "accuracy": last.eval_accuracy, "f1": last.eval_macro_f1, "images": images,
            "seconds": trained.record.seconds.total,
        });
        println!("{result:#}");
    } else {
        println!(
            "accuracy {:.3}, macro F1 {:.3} on {images} held-out images (last epoch)",
            last.eval_accuracy, last.eval_macro_f1
        );
        println!("model: {}", path.display());
    }
    Ok(())
}
