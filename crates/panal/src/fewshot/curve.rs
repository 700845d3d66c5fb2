//! `panal fewshot curve`: how accuracy grows with the number of labelled images, by transfer from frozen features.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use panal_data::{DataSource, Episode, EpisodeSpec, Episodes};
use panal_report::{ShotCurve, ShotLine, ShotPoint};
use panal_trainers::{Bank, EpisodeScores, FewShotMethod, Transform, evaluate_episodes};
use serde_json::{Value, json};

use super::encoder::Encoder;
use crate::cli::{FewshotCurveArgs, Global, TransferMethod};
use crate::console::Console;
use crate::{data, record, unfinished};

const LEVEL: f64 = 0.95;

pub(crate) fn run(args: &FewshotCurveArgs, global: &Global, console: &Console) -> Result<()> {
    let clock = Instant::now();
    let data = data::open_evaluated(&args.data, args.skip_bad, console)?;
    let classes = data.images.classes().len();
    let ways = args.ways.unwrap_or(classes.min(5));
    let mut shots = args.shots.clone();
    shots.sort_unstable();
    shots.dedup();
    // All draws before anything is computed, so that what can't be had is said at once.
    let drawn = shots.iter().map(|&shots| draw(args, data.images.as_ref(), ways, shots)).collect::<Result<Vec<_>>>()?;
    let encoder = Encoder::open(&args.init, global, console)?;
    let transforms = encoder.transforms(&args.transforms, args.base.as_deref())?;
    let bank = encoder.bank(&data.images, "features")?;

    let mut lines = Vec::new();
    let mut details = Vec::new();
    for method in args.methods.iter().map(|&method| FewShotMethod::from(method)) {
        for transform in &transforms {
            let name = format!("{method}, {}", transform.name());
            let mut points = Vec::new();
            for (shots, episodes) in shots.iter().zip(&drawn) {
                let (point, detail) = point(&bank, episodes, &method, transform, data.images.classes())?;
                let accuracy = point.accuracy;
                tracing::info!(
                    "{name}, {shots} shots: {:.4} [{:.4}, {:.4}]",
                    accuracy.estimate,
                    accuracy.lower,
                    accuracy.upper
                );
                details.push(
                    json!({ "method": method, "transform": transform.name(), "transductive": method.is_transductive(),
                                     "shots": shots, "scores": detail }),
                );
                points.push(point);
            }
            lines.push(ShotLine { name, points });
        }
    }
    let curve = ShotCurve {
        title: format!("{}: {ways}-way accuracy by number of shots", data.title),
        subject: format!(
            "{} images of {classes} classes ({}), frozen {}, {} queries a class, {} episodes, seed {}, {:.0} % interval over episodes",
            data.images.len(),
            data.origin,
            encoder.arch(),
            args.queries,
            args.episodes,
            args.seed,
            100.0 * LEVEL
        ),
        shots,
        lines,
    };
    let record = json!({
        "format": 1, "kind": "few-shot curve", "title": curve.title, "subject": curve.subject,
        "data": { "id": data.id, "origin": data.origin, "images": panal_trainers::split_record(data.images.as_ref())?, "excluded": data.excluded },
        "encoder": { "init": encoder.name, "digest": encoder.card.digest, "card": encoder.card.card }, "base": args.base,
        "ways": ways, "queries": args.queries, "episodes": args.episodes, "seed": args.seed, "points": details,
        "versions": record::versions(), "command": record::command(), "seconds": clock.elapsed().as_secs_f64(),
    });
    if let Some(out) = &args.out {
        write(out, &curve, &record)?;
    }
    if global.json {
        println!("{record:#}");
    } else {
        println!("{}\n{}\n\n{}", curve.title, curve.subject, curve.markdown()?);
    }
    Ok(())
}

fn draw(args: &FewshotCurveArgs, images: &dyn DataSource, ways: usize, shots: usize) -> Result<Vec<Episode>> {
    let asked = || format!("{ways}-way {shots}-shot episodes with {} queries a class", args.queries);
    ensure!(args.episodes > 1, "--episodes must be at least 2, for an interval, got {}", args.episodes);
    let episodes =
        Episodes::new(images, EpisodeSpec::fixed(ways, shots, args.queries), args.seed).with_context(asked)?;
    Ok(episodes.list(args.episodes)?.episodes)
}

fn point(
    bank: &Bank,
    episodes: &[Episode],
    method: &FewShotMethod,
    transform: &Transform,
    classes: &[String],
) -> Result<(ShotPoint, Value)> {
    let scores: EpisodeScores = evaluate_episodes(bank, episodes, method, transform)?;
    let accuracy = scores.interval(LEVEL)?;
    let calibration_error = scores.calibration.expected_error();
    let of_class = classes.iter().zip(&scores.classes).map(|(class, tally)| {
        json!({ "class": class, "queries": tally.queries, "right": tally.right, "accuracy": tally.accuracy() })
    });
    let detail = json!({
        "accuracy": accuracy.estimate, "lower": accuracy.lower, "upper": accuracy.upper, "level": LEVEL,
        "calibration_error": calibration_error, "classes": of_class.collect::<Vec<_>>(), "episodes": scores.accuracies,
    });
    Ok((ShotPoint { accuracy, calibration_error, episodes: episodes.len() }, detail))
}

fn write(out: &Path, curve: &ShotCurve, record: &Value) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let markdown = format!("# {}\n\n{}\n\n{}", curve.title, curve.subject, curve.markdown()?);
    unfinished::write(&out.join("curve.md"), markdown.as_bytes())?;
    unfinished::write(&out.join("curve.csv"), curve.csv()?.as_bytes())?;
    unfinished::write(&out.join("curve.svg"), curve.svg()?.as_bytes())?;
    unfinished::write(&out.join("curve.json"), format!("{record}\n").as_bytes())
}

impl From<TransferMethod> for FewShotMethod {
    fn from(method: TransferMethod) -> Self {
        match method {
            TransferMethod::NearestMean => Self::NearestMean,
            TransferMethod::Cosine => Self::Cosine(Default::default()),
            TransferMethod::Logistic => Self::Logistic(Default::default()),
            TransferMethod::LaplacianShot => Self::LaplacianShot(Default::default()),
            TransferMethod::Tim => Self::Tim(Default::default()),
        }
    }
}
