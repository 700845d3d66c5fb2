//! `panal eval`: how good a kept model is on a folder of labelled images.

use anyhow::{Result, bail};
use panal_metrics::{Average, wilson};
use panal_trainers::Split;
use serde_json::json;

use crate::cli::{EvalArgs, Global};
use crate::console::{Console, RunLog};
use crate::reading::Reading;
use crate::{data, device, saved};

pub(crate) fn run(args: &EvalArgs, global: &Global, console: &Console) -> Result<()> {
    let saved = saved::read(&args.model, device::choose(global)?)?;
    let reading = Reading {
        skip_bad: args.skip_bad,
        shorter_side: saved.card.shorter_side,
        keep_all: true,
        views: std::slice::from_ref(&saved.pipeline),
        ..Reading::new(console)
    };
    let (folder, excluded) = data::open_folder(&args.data, reading)?;
    data::report_excluded(&excluded);
    let classes = &saved.card.classes;
    if folder.classes() != classes.as_slice() {
        let found = folder.classes().join(", ");
        bail!("{} has the classes [{found}], the model was trained for [{}]", args.data.display(), classes.join(", "));
    }
    let split = Split { source: folder, pipeline: saved.pipeline };
    let mut log = RunLog::new(console, "evaluation".into(), &[]);
    let predictions =
        panal_trainers::evaluate(&saved.model, &split, args.batch, device::loader_threads(global), &mut log)?;
    let scores = predictions.scores()?;
    let confusion = predictions.confusion()?;
    let interval = wilson(confusion.correct(), confusion.samples(), 0.95)?;
    let per_class = confusion.per_class();
    let average = confusion.average(Average::Macro);
    if global.json {
        let classes = classes.iter().zip(&per_class).map(|(name, class)| {
            json!({ "class": name, "precision": class.precision, "recall": class.recall, "f1": class.f1, "images": class.support })
        });
        let matrix: Vec<&[u64]> = confusion.rows().collect();
        let result = json!({
            "images": scores.images, "accuracy": scores.accuracy, "accuracy_low": interval.lower, "accuracy_high": interval.upper,
            "precision": average.precision, "recall": average.recall, "f1": average.f1, "loss": scores.loss,
            "classes": classes.collect::<Vec<_>>(), "confusion": matrix,
        });
        println!("{result:#}");
        return Ok(());
    }
    println!(
        "{} images, accuracy {:.3} (95 % interval {:.3} to {:.3})",
        scores.images, scores.accuracy, interval.lower, interval.upper
    );
    println!("{:24} {:>9} {:>9} {:>9} {:>7}", "class", "precision", "recall", "F1", "images");
    for (name, class) in classes.iter().zip(&per_class) {
        println!("{name:24} {:>9.3} {:>9.3} {:>9.3} {:>7}", class.precision, class.recall, class.f1, class.support);
    }
    println!(
        "{:24} {:>9.3} {:>9.3} {:>9.3} {:>7}",
        "macro average", average.precision, average.recall, average.f1, scores.images
    );
    Ok(())
}
