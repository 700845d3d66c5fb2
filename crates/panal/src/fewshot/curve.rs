//! `panal fewshot curve`: how accuracy grows with the number of labelled images, by transfer from a pretrained encoder.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use panal_data::{DataSource, Episode, EpisodeSpec, Episodes};
use panal_metrics::{mean_interval, paired_interval};
use panal_report::{Apart, ShotCurve, ShotLine, ShotPoint};
use panal_trainers::{EpisodeScores, FewShotMethod, FineTuneSpec, FineTuner, Transform, evaluate_episodes};
use serde_json::{Value, json};

use super::data as episodes_of;
use super::encoder::Encoder;
use super::transfer;
use crate::cli::{FewshotCurveArgs, Global, TransferMethod};
use crate::console::{Console, RunLog};
use crate::reading::Reading;
use crate::{data, interrupt, record, unfinished};

const LEVEL: f64 = 0.95;

/// The episodes of one number of shots.
struct Draw {
    shots: usize,
    episodes: Vec<Episode>,
    /// Those of the same kind, but with fewer queries, no two of which share an image, where there are five or more.
    apart: Option<Vec<Episode>>,
}

/// What answers.
enum Way<'a> {
    /// A method over frozen features, changed like this first.
    Frozen(FewShotMethod, &'a Transform),
    /// A copy of the encoder, fine-tuned for each of so many episodes.
    FineTuned(FineTuneSpec, usize),
}

pub(crate) fn run(args: &FewshotCurveArgs, global: &Global, console: &Console) -> Result<()> {
    let clock = Instant::now();
    let data = data::open_evaluated(&args.data, Reading { skip_bad: args.skip_bad, ..Reading::new(console) })?;
    args.out.as_deref().map(unfinished::check_folder).transpose()?;
    let classes = data.images.classes();
    let ways = args.ways.unwrap_or(classes.len().min(5));
    let mut shots = args.shots.clone();
    shots.sort_unstable();
    shots.dedup();
    // All draws before anything is computed, so that what can't be had is said at once.
    let drawn = shots.iter().map(|&shots| draw(args, data.images.as_ref(), ways, shots)).collect::<Result<Vec<_>>>()?;
    let encoder = Encoder::open(&args.init, global, console)?;
    let (transforms, base) = encoder.transforms(&args.transforms, args.base.as_deref(), data.images.as_ref())?;
    let bank = encoder.bank(&data.images, "features")?;
    let split = encoder.split(&data.images);

    let stop = interrupt::watch();
    let mut lines: Vec<ShotLine> = Vec::new();
    let mut details = Vec::new();
    // Accuracies of the first line, for each number of shots, that the others are held against.
    let mut first: Vec<Vec<f64>> = Vec::new();
    for way in ways_of(args, &transforms) {
        let name = way.name();
        let mut points = Vec::new();
        for (at, draw) in drawn.iter().enumerate() {
            let answer = |episodes: &[Episode]| -> Result<EpisodeScores> {
                match &way {
                    Way::Frozen(method, transform) => Ok(evaluate_episodes(&bank, episodes, method, transform, &stop)?),
                    Way::FineTuned(spec, most) => {
                        let mut tuner = FineTuner::new(encoder.network(), &split, *spec, args.seed, encoder.threads())?;
                        let mut log = RunLog::new(console, format!("fine-tuning, {} shots", draw.shots), &[]);
                        let episodes = &episodes[..episodes.len().min(*most)];
                        Ok(tuner.evaluate(episodes, &mut log, &stop)?)
                    }
                }
            };
            let scores = answer(&draw.episodes)?;
            let apart = draw.apart.as_deref().map(answer).transpose()?;
            let (point, detail) = point(&scores, apart.as_ref(), first.get(at).filter(|_| !lines.is_empty()), classes)?;
            let accuracy = point.accuracy;
            tracing::info!(
                "{name}, {} shots: {:.4} [{:.4}, {:.4}]",
                draw.shots,
                accuracy.estimate,
                accuracy.lower,
                accuracy.upper
            );
            details.push(json!({
                "method": way.method(), "transform": way.transform(), "transductive": scores.is_transductive,
                "shots": draw.shots, "scores": detail,
            }));
            points.push(point);
            if lines.is_empty() {
                first.push(scores.accuracies);
            }
        }
        lines.push(ShotLine { name, points });
    }
    let curve = ShotCurve {
        title: format!("{}: {ways}-way accuracy by number of shots", data.title),
        subject: format!(
            "{} images of {} classes ({}), {}, {} queries a class, {} episodes, seed {}, {:.0} % interval over episodes",
            data.images.len(),
            classes.len(),
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
        "format": 2, "kind": "few-shot curve", "title": curve.title, "subject": curve.subject,
        "data": { "id": data.id, "origin": data.origin, "images": panal_trainers::split_record(data.images.as_ref())?, "excluded": data.excluded },
        "encoder": { "init": encoder.name, "digest": encoder.card.digest, "card": encoder.card.card }, "base": args.base, "base_digest": base,
        "ways": ways, "queries": args.queries, "episodes": args.episodes, "seed": args.seed, "points": details,
        "versions": record::versions(), "command": record::command(), "seconds": clock.elapsed().as_secs_f64(),
    });
    if global.json {
        println!("{record:#}");
    } else {
        println!("{}\n{}\n\n{}", curve.title, curve.subject, curve.markdown()?);
    }
    args.out.as_deref().map_or(Ok(()), |out| write(out, &curve, &record))
}

fn draw(args: &FewshotCurveArgs, images: &dyn DataSource, ways: usize, shots: usize) -> Result<Draw> {
    let asked = || format!("{ways}-way {shots}-shot episodes with {} queries a class", args.queries);
    ensure!(args.episodes > 1, "--episodes must be at least 2, for an interval, got {}", args.episodes);
    ensure!(
        args.fine_tune_episodes > 1,
        "--fine-tune-episodes must be at least 2, for an interval, got {}",
        args.fine_tune_episodes
    );
    let spec = EpisodeSpec::fixed(ways, shots, args.queries);
    let episodes = Episodes::new(images, spec.clone(), args.seed).with_context(asked)?.list(args.episodes)?.episodes;
    Ok(Draw { shots, episodes, apart: episodes_of::apart(images, &spec, args.seed)? })
}

/// Every method that was asked for, over every transform; fine-tuning, which has its own, once.
fn ways_of<'a>(args: &FewshotCurveArgs, transforms: &'a [Transform]) -> Vec<Way<'a>> {
    let of = |&method: &TransferMethod| -> Vec<Way<'a>> {
        match transfer::frozen(method) {
            Some(method) => transforms.iter().map(|transform| Way::Frozen(method, transform)).collect(),
            None => vec![Way::FineTuned(FineTuneSpec::default(), args.fine_tune_episodes.min(args.episodes))],
        }
    };
    args.methods.iter().flat_map(of).collect()
}

impl Way<'_> {
    fn name(&self) -> String {
        match self {
            Self::Frozen(method, transform) => format!("{method}, {}", transform.name()),
            Self::FineTuned(_, episodes) => format!("fine-tuning on the support ({episodes} episodes)"),
        }
    }

    fn method(&self) -> Value {
        match self {
            Self::Frozen(method, _) => json!(method),
            Self::FineTuned(spec, episodes) => json!({ "kind": "fine_tune", "spec": spec, "episodes": episodes }),
        }
    }

    fn transform(&self) -> Option<&'static str> {
        match self {
            Self::Frozen(_, transform) => Some(transform.name()),
            Self::FineTuned(..) => None,
        }
    }
}

/// A point of a line, and all that was found as JSON. `first` are the accuracies of the first line on the same episodes.
fn point(
    scores: &EpisodeScores,
    apart: Option<&EpisodeScores>,
    first: Option<&Vec<f64>>,
    classes: &[String],
) -> Result<(ShotPoint, Value)> {
    let accuracy = scores.interval(LEVEL)?;
    let calibration_error = scores.calibration.expected_error();
    let difference = match first {
        Some(first) => {
            let both = first.len().min(scores.accuracies.len());
            Some(paired_interval(&scores.accuracies[..both], &first[..both], LEVEL)?)
        }
        None => None,
    };
    let without = match apart {
        Some(apart) => {
            Some(Apart { accuracy: mean_interval(&apart.accuracies, LEVEL)?, episodes: apart.accuracies.len() })
        }
        None => None,
    };
    let of_class = classes.iter().zip(&scores.classes).map(|(class, tally)| {
        json!({ "class": class, "queries": tally.queries, "right": tally.right, "accuracy": tally.accuracy() })
    });
    let detail = json!({
        "accuracy": accuracy.estimate, "lower": accuracy.lower, "upper": accuracy.upper, "level": LEVEL,
        "difference": difference.map(|it| [it.estimate, it.lower, it.upper]),
        "without_replacement": without.map(|it| json!({
            "episodes": it.episodes, "accuracy": it.accuracy.estimate, "lower": it.accuracy.lower, "upper": it.accuracy.upper,
        })),
        "calibration_error": calibration_error, "classes": of_class.collect::<Vec<_>>(), "episodes": scores.accuracies,
    });
    let episodes = scores.accuracies.len();
    Ok((ShotPoint { accuracy, calibration_error, episodes, apart: without, difference }, detail))
}

fn write(out: &Path, curve: &ShotCurve, record: &Value) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let markdown = format!("# {}\n\n{}\n\n{}", curve.title, curve.subject, curve.markdown()?);
    unfinished::write(&out.join("curve.md"), markdown.as_bytes())?;
    unfinished::write(&out.join("curve.csv"), curve.csv()?.as_bytes())?;
    unfinished::write(&out.join("curve.svg"), curve.svg()?.as_bytes())?;
    unfinished::write(&out.join("curve.json"), format!("{record}\n").as_bytes())
}
