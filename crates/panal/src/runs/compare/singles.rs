//! Pretrainings beside each other, and learners from few images: one record each.

use std::fs;

use anyhow::{Context, Result, bail};
use panal_metrics::{paired_interval, paired_permutation};
use panal_report::{FewShotRecord, PretrainingRecord, Records, SingleRecord};
use serde_json::json;

use super::settings::{Settings, add, differing, flatten};
use super::{Comparison, Side, Test, corrected, distinct, plain};

/// Sign patterns tried at most in a test over episodes.
const RESAMPLES: usize = 10_000;

pub(super) fn of_singles(sides: &[Side]) -> Result<Comparison> {
    let paths = sides.iter().map(|side| {
        if let Some(row) = &side.row {
            bail!("{}: `#{row}` names a row of a lab, and this has none", side.name);
        }
        Ok((fs::canonicalize(&side.run.path).with_context(|| format!("cannot find {}", side.name))?, None))
    });
    distinct(&paths.collect::<Result<Vec<_>>>()?, sides)?;
    let singles: Option<Vec<&SingleRecord>> = sides
        .iter()
        .map(|side| if let Records::Single(single) = &side.run.records { Some(single.as_ref()) } else { None })
        .collect();
    let pretrainings: Option<Vec<&PretrainingRecord>> = singles.as_ref().and_then(|singles| {
        singles.iter().map(|one| if let SingleRecord::Pretraining(one) = one { Some(one) } else { None }).collect()
    });
    let learners: Option<Vec<&FewShotRecord>> = singles.as_ref().and_then(|singles| {
        singles.iter().map(|one| if let SingleRecord::FewShot(one) = one { Some(one) } else { None }).collect()
    });
    if let Some(records) = pretrainings {
        return Ok(of_pretrainings(&records));
    }
    if let Some(records) = learners {
        return of_learners(&records, sides);
    }
    let kinds: String = sides.iter().map(|side| format!("\n  {}: {}", side.name, side.run.kind)).collect();
    bail!("runs of different kinds can't be compared; they are:{kinds}")
}

fn of_pretrainings(records: &[&PretrainingRecord]) -> Comparison {
    let settings = records.iter().map(|record| {
        let mut settings = Settings::new();
        flatten("", &record.config, &mut settings);
        let about = json!({
            "data": record.data.id, "data.digest": record.data.digest, "data.images": record.data.images, "seed": record.seed,
        });
        add(&mut settings, about, &record.device, &record.versions);
        settings
    });
    let settings = differing(&settings.collect::<Vec<_>>());
    let last = |of: fn(&panal_report::PretrainingEpoch) -> Option<f64>| -> Vec<Option<f64>> {
        records.iter().map(|record| record.epochs.last().and_then(of)).collect()
    };
    let metrics = vec![
        plain("loss, last epoch", last(|epoch| epoch.loss)),
        plain("top-1, last epoch", last(|epoch| epoch.top1)),
        plain("nearest neighbours, last epoch", last(|epoch| epoch.knn)),
        plain("seconds", records.iter().map(|record| Some(record.seconds.total)).collect()),
    ];
    let notes = vec!["one seed each, so no interval; `panal ssl eval` judges the encoders themselves".into()];
    Comparison { row: None, settings, metrics, tests: Vec::new(), notes }
}

fn of_learners(records: &[&FewShotRecord], sides: &[Side]) -> Result<Comparison> {
    let settings = records.iter().map(|record| {
        let mut settings = Settings::new();
        flatten("", &record.config, &mut settings);
        let about =
            json!({ "data.digest": record.data.digest, "test.digest": record.test.digest, "seed": record.seed });
        add(&mut settings, about, &record.device, &record.versions);
        settings
    });
    let settings = differing(&settings.collect::<Vec<_>>());
    let mut accuracy = plain("accuracy", records.iter().map(|record| Some(record.test.accuracy)).collect());
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for (i, record) in records.iter().enumerate().skip(1) {
        let (episodes, first) = (&record.test.per_episode, &records[0].test.per_episode);
        if !record.same_episodes(records[0]) {
            notes.push(format!(
                "{} was not judged on the episodes of {}: nothing is paired",
                sides[i].name, sides[0].name
            ));
            continue;
        }
        if let (Some(difference), true) = (&mut accuracy.differences[i], episodes.len() > 1) {
            let interval = paired_interval(episodes, first, 0.95)?;
            difference.interval = Some([interval.lower, interval.upper]);
            difference.pairs = episodes.len();
        }
        found.push((i, episodes.len(), paired_permutation(episodes, first, RESAMPLES, 0)?.p_value));
    }
    let holm = corrected(&found.iter().map(|(.., p)| *p).collect::<Vec<_>>())?;
    let tests = found.iter().zip(holm).map(|(&(i, samples, p), holm)| Test {
        run: sides[i].name.clone(),
        test: "accuracy, paired permutation over episodes",
        samples,
        p,
        holm,
        mcnemar: None,
    });
    let tests: Vec<Test> = tests.collect();
    if !tests.is_empty() {
        notes.push("in brackets Student's 95 % intervals of the differences, episode by episode".into());
    }
    let metrics =
        vec![accuracy, plain("seconds of training", records.iter().map(|record| Some(record.seconds)).collect())];
    Ok(Comparison { row: None, settings, metrics, tests, notes })
}
