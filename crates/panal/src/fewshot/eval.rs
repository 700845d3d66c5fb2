//! `panal fewshot eval`: several learners, frozen encoders, and floors that learn nothing, on the very same episodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result};
use panal_data::{DataError, DataSource, Episode, ink};
use panal_report::EpisodeTable;
use panal_trainers::{FewShotImages, Judged, Log, PassLog, TrainError, judge};
use serde_json::json;

use super::standing::{self, LEVEL, Standing};
use super::{config, data, learner, transfer};
use crate::cli::{FewshotEvalArgs, Global};
use crate::console::{Console, RunLog};
use crate::reading::Reading;
use crate::{device, interrupt, record, unfinished};

pub(crate) fn run(args: &FewshotEvalArgs, global: &Global, console: &Console) -> Result<()> {
    let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let study = config::load(&args.study, None, None)?;
    for path in [&args.write_episodes, &args.out, &args.markdown].into_iter().flatten() {
        unfinished::check(path)?;
    }
    let methods = transfer::methods(args)?;
    let device = device::choose(global)?;
    let reading = Reading { skip_bad: args.study.skip_bad, ..Reading::new(console) };
    let train = data::open_training(&study.data, reading)?;
    let test = data::open_test(&study.test, train.as_ref(), args.replay.as_deref(), reading)?;
    let (source, episodes) = (test.images.as_ref(), &test.list.episodes);
    if let Some(path) = &args.write_episodes {
        test.list.write(path, source)?;
    }
    let trained_on = train.digest()?;
    let stop = interrupt::watch();

    let mut standings = Vec::new();
    for path in &args.learners {
        let (card, net) = learner::read(path, device)?;
        if card.trained_on != trained_on {
            tracing::warn!(
                "{}: it learnt from other images than those of this configuration; whether it saw the test's can't be told",
                path.display()
            );
        }
        let images = FewShotImages::load(source, card.spec.network.side, card.spec.tone, device)?;
        let mut log = RunLog::episodes(console, format!("{} of seed {}", card.name, card.seed), 1);
        let mut answer = |episodes: &[Episode]| {
            judge(&net, &images, episodes, &mut log, &stop).with_context(|| format!("in {}", path.display()))
        };
        let judged = answer(episodes)?;
        let apart = test.apart.as_deref().map(answer).transpose()?;
        standing::place(&mut standings, &card, path.clone(), judged, apart)?;
    }
    standings.extend(transfer::standings(args, &methods, &test, global, console)?);
    if standings.is_empty() || !args.no_floors {
        let floors: [(&str, Floor); 2] =
            [("modified Hausdorff", ink::nearest_by_hausdorff), ("nearest pixels", ink::nearest_by_pixels)];
        let judged = || episodes.iter().chain(test.apart.iter().flatten());
        let blank = ink::first_without_ink(judged().flat_map(Episode::items), source)?;
        if let Some(image) = blank {
            tracing::warn!(
                "the floor `modified Hausdorff` is left out: it compares black pixels, and {} has none",
                source.id(image)
            );
        }
        for (name, label) in floors.into_iter().skip(usize::from(blank.is_some())) {
            let mut log = RunLog::episodes(console, name.to_owned(), 1);
            let judged = judge_floor(label, episodes, source, &mut log, &stop)?;
            let apart =
                test.apart.as_deref().map(|apart| judge_floor(label, apart, source, &mut log, &stop)).transpose()?;
            standings.push(Standing::fixed(name, judged, apart));
        }
    }

    let first = standings.first();
    let rows = standings.iter().enumerate().map(|(at, it)| it.row(first.filter(|_| at > 0), source));
    let (rows, found): (Vec<_>, Vec<_>) = rows.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let table = EpisodeTable { title: study.title.clone(), subject: test.about(), rows };
    let found = json!({
        "format": 2, "kind": "few-shot evaluation", "title": study.title, "test": study.test,
        "data": { "digest": source.digest()? }, "episodes": episodes.len(), "level": LEVEL, "rows": found,
        "device": panal_tensor::device_name(device), "versions": record::versions(),
        "command": record::command(), "started_at": started_at,
    });
    // Shown first: what can't be written is then not lost.
    if global.json {
        println!("{found:#}");
    } else {
        print!("{}", table.terminal()?);
    }
    if let Some(path) = &args.out {
        unfinished::write(path, format!("{found:#}\n").as_bytes())?;
    }
    if let Some(path) = &args.markdown {
        unfinished::write(path, table.markdown()?.as_bytes())?;
    }
    Ok(())
}

/// The label that something which learns nothing gives each query of an episode.
type Floor = fn(&Episode, &dyn DataSource) -> Result<Vec<usize>, DataError>;

fn judge_floor(
    label: Floor,
    episodes: &[Episode],
    source: &dyn DataSource,
    log: &mut dyn Log,
    stop: &AtomicBool,
) -> Result<Judged> {
    let mut answers = Vec::with_capacity(episodes.len());
    for episode in episodes {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Stopped { done: answers.len(), of: episodes.len() }.into());
        }
        answers.push(label(episode, source)?);
        log.pass(&PassLog { what: "episodes", done: answers.len(), of: episodes.len() });
    }
    Ok(Judged::of(episodes, answers)?)
}
