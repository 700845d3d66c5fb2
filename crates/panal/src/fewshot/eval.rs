//! `panal fewshot eval`: several learners, and floors that learn nothing, on the very same episodes.

use std::time::SystemTime;

use anyhow::{Context, Result};
use panal_data::{Episode, ink};
use panal_metrics::{Interval, Summary, paired_interval};
use panal_trainers::{ClassShare, FewShotImages, Judged, judge};
use serde::Serialize;
use serde_json::{Value, json};

use super::train::EpisodeLog;
use super::{config, data, learner};
use crate::cli::{FewshotEvalArgs, Global};
use crate::console::Console;
use crate::{device, record, unfinished};

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    /// What answered.
    name: String,
    /// Its seed, where it learnt.
    seed: Option<u64>,
    /// Transductive results are not comparable with the others.
    batch_norm: Option<panal_trainers::BatchNormUse>,
    /// Mean accuracy over the episodes, and its 95 % interval.
    accuracy: f64,
    lower: f64,
    upper: f64,
    /// The mean difference from the first row on the same episodes, and its 95 % interval.
    difference: Option<[f64; 3]>,
    /// Accuracy of each episode.
    per_episode: Vec<f64>,
    /// Queries of each class, and how many of them were right.
    per_class: Vec<Class>,
}

#[derive(Debug, Serialize)]
struct Class {
    class: String,
    right: usize,
    asked: usize,
}

pub(crate) fn run(args: &FewshotEvalArgs, global: &Global, console: &Console) -> Result<()> {
    let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let study = config::load(&args.config, None)?;
    let device = device::choose(global)?;
    let train = data::open_training(&study.data, args.config.skip_bad, console)?;
    let test = data::open_test(&study.test, train.as_ref(), args.replay.as_deref(), args.config.skip_bad, console)?;
    let (source, episodes) = (test.images.as_ref(), &test.list.episodes);
    if let Some(path) = &args.write_episodes {
        test.list.write(path, source)?;
    }
    let trained_on = train.digest()?;

    let mut rows: Vec<Row> = Vec::new();
    let mut add = |name: String, learnt: Option<(u64, panal_trainers::BatchNormUse)>, judged: Judged| -> Result<()> {
        let Interval { estimate, lower, upper, .. } = judged.interval()?;
        let difference = match rows.first() {
            None => None,
            Some(first) => {
                let paired = paired_interval(&judged.accuracy, &first.per_episode, 0.95)?;
                Some([paired.estimate, paired.lower, paired.upper])
            }
        };
        let class = |&ClassShare { class, right, asked }: &ClassShare| Class {
            class: source.classes()[class].clone(),
            right,
            asked,
        };
        rows.push(Row {
            name,
            seed: learnt.map(|(seed, _)| seed),
            batch_norm: learnt.map(|(_, batch_norm)| batch_norm),
            accuracy: estimate,
            lower,
            upper,
            difference,
            per_class: judged.classes.iter().map(class).collect(),
            per_episode: judged.accuracy,
        });
        Ok(())
    };
    for path in &args.learners {
        let (card, net) = learner::read(path, device)?;
        if card.trained_on != trained_on {
            tracing::warn!(
                "{}: it learnt from other images than those of this configuration; whether it saw the test's can't be told",
                path.display()
            );
        }
        let images = FewShotImages::load(source, card.spec.network.side, card.spec.tone, device)?;
        let mut log = EpisodeLog::new(console, format!("{} of seed {}", card.name, card.seed), 1);
        let judged = judge(&net, &images, episodes, &mut log).with_context(|| format!("in {}", path.display()))?;
        add(card.name, Some((card.seed, card.spec.batch_norm)), judged)?;
    }
    if args.learners.is_empty() || !args.no_floors {
        type Floor<'a> = &'a dyn Fn(&Episode) -> Result<Vec<usize>, panal_data::DataError>;
        let floors: [(&str, Floor<'_>); 2] = [
            ("modified Hausdorff", &|episode| ink::nearest_by_hausdorff(episode, source)),
            ("nearest pixels", &|episode| ink::nearest_by_pixels(episode, source)),
        ];
        for (name, answer) in floors {
            let answers = episodes.iter().map(answer).collect::<Result<Vec<_>, _>>()?;
            add(name.to_owned(), None, Judged::of(episodes, answers)?)?;
        }
    }
    let seeds = over_seeds(&rows)?;
    let found = json!({
        "format": 1, "kind": "few-shot evaluation", "title": study.title, "test": study.test,
        "data": { "digest": source.digest()? }, "episodes": episodes.len(), "level": 0.95, "rows": rows, "seeds": seeds,
        "device": panal_tensor::device_name(device), "versions": record::versions(),
        "command": record::command(), "started_at": started_at,
    });
    if let Some(path) = &args.out {
        unfinished::write(path, format!("{found:#}\n").as_bytes())?;
    }
    if global.json {
        println!("{found:#}");
        return Ok(());
    }
    print_table(&study.title, &rows, &seeds, episodes.len());
    Ok(())
}

/// Minimum, median and maximum of the mean accuracies of learners of one name, where there are several.
fn over_seeds(rows: &[Row]) -> Result<Vec<Value>> {
    let mut names: Vec<&str> = rows.iter().filter(|row| row.seed.is_some()).map(|row| row.name.as_str()).collect();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        let of_name: Vec<f64> = rows.iter().filter(|row| row.name == name).map(|row| row.accuracy).collect();
        if of_name.len() > 1 {
            let Summary { samples, min, median, max, .. } = Summary::of(&of_name)?;
            found.push(json!({ "name": name, "seeds": samples, "min": min, "median": median, "max": max }));
        }
    }
    Ok(found)
}

fn print_table(title: &str, rows: &[Row], seeds: &[Value], episodes: usize) {
    println!("{title}\n");
    println!("| method | accuracy, % | against the first, points |");
    println!("| --- | ---: | ---: |");
    for row in rows {
        let percent = |value: f64| 100.0 * value;
        let seed = row.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
        let marked = match row.batch_norm {
            Some(panal_trainers::BatchNormUse::Transductive) => " (transductive)",
            _ => "",
        };
        let difference = row.difference.map(|[mean, lower, upper]| {
            format!("{:+.1} [{:+.1}, {:+.1}]", percent(mean), percent(lower), percent(upper))
        });
        println!(
            "| {}{seed}{marked} | {:.1} [{:.1}, {:.1}] | {} |",
            row.name,
            percent(row.accuracy),
            percent(row.lower),
            percent(row.upper),
            difference.unwrap_or_default()
        );
    }
    println!(
        "\n{episodes} episodes; in brackets normal 95 % intervals over them, of the differences episode by episode."
    );
    for seed in seeds {
        let percent = |key: &str| 100.0 * seed[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{} over {} seeds: {:.1} (least), {:.1} (median), {:.1} (most)",
            seed["name"].as_str().unwrap_or_default(),
            seed["seeds"],
            percent("min"),
            percent("median"),
            percent("max")
        );
    }
}
