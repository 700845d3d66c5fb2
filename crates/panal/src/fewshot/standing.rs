//! What several trainings of one method are worth together: seeds averaged episode by episode, their spread, and the row of the table that comes of it.
//! Nothing is judged here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use panal_data::DataSource;
use panal_metrics::{mean_interval, paired_interval};
use panal_report::{Apart, ClassAccuracy, EpisodeRow, SeedScore};
use panal_trainers::{BatchNormUse, ClassShare, Judged};
use serde_json::{Value, json};

use super::learner::Card;

pub(super) const LEVEL: f64 = 0.95;

/// The trainings of one method, or what has no seed: a floor, or transfer from a frozen encoder.
pub(super) struct Standing {
    name: String,
    /// What trainings must have in common to be those of one method.
    key: Value,
    batch_norm: Option<BatchNormUse>,
    trainings: Vec<Training>,
}

/// One training, judged.
struct Training {
    /// `None` for what has no seed.
    learner: Option<(u64, PathBuf)>,
    judged: Judged,
    /// On episodes that share no image, where there are such.
    apart: Option<Judged>,
}

/// Puts a learner with others of its method, settings and data.
pub(super) fn place(
    standings: &mut Vec<Standing>,
    card: &Card,
    path: PathBuf,
    judged: Judged,
    apart: Option<Judged>,
) -> Result<()> {
    let key = json!([card.spec, card.origin["training"], card.origin["data"]["names"], card.trained_on]);
    let seed = card.seed;
    if let Some(standing) = standings.iter_mut().find(|standing| standing.key == key) {
        let twin = standing.trainings.iter().filter_map(|training| training.learner.as_ref()).find(|(s, _)| *s == seed);
        if let Some((_, twin)) = twin {
            bail!(
                "{} and {} are the same training, {} with seed {seed}: name one of them",
                twin.display(),
                path.display(),
                card.name
            );
        }
        standing.trainings.push(Training { learner: Some((seed, path)), judged, apart });
        standing.trainings.sort_by_key(|training| training.learner.as_ref().map(|(seed, _)| *seed));
        return Ok(());
    }
    let taken = standings.iter().any(|standing| standing.name == card.name);
    let marked = if card.spec.batch_norm == BatchNormUse::Transductive { " (transductive)" } else { "" };
    let apart_by = if taken { format!(" of {}", path.parent().unwrap_or(&path).display()) } else { String::new() };
    standings.push(Standing {
        name: format!("{}{marked}{apart_by}", card.name),
        key,
        batch_norm: Some(card.spec.batch_norm),
        trainings: vec![Training { learner: Some((seed, path)), judged, apart }],
    });
    Ok(())
}

impl Standing {
    /// What has no seed.
    pub(super) fn fixed(name: &str, judged: Judged, apart: Option<Judged>) -> Self {
        let trainings = vec![Training { learner: None, judged, apart }];
        Self { name: name.to_owned(), key: Value::Null, batch_norm: None, trainings }
    }

    /// Accuracy of each episode, the mean over trainings.
    fn per_episode<'a>(&'a self, of: impl Fn(&'a Training) -> Option<&'a Judged>) -> Vec<f64> {
        let all: Vec<&Judged> = self.trainings.iter().filter_map(of).collect();
        let episodes = all.first().map_or(0, |judged| judged.accuracy.len());
        let mean = |episode: usize| all.iter().map(|it| it.accuracy[episode]).sum::<f64>() / all.len() as f64;
        (0..episodes).map(mean).collect()
    }

    /// The row of the table, and all that was found as JSON.
    pub(super) fn row(&self, first: Option<&Self>, source: &dyn DataSource) -> Result<(EpisodeRow, Value)> {
        let drawn = self.per_episode(|training| Some(&training.judged));
        let apart = self.per_episode(|training| training.apart.as_ref());
        let accuracy = mean_interval(&drawn, LEVEL)?;
        let difference = match first {
            Some(first) => Some(paired_interval(&drawn, &first.per_episode(|it| Some(&it.judged)), LEVEL)?),
            None => None,
        };
        let apart_from_first = match first {
            Some(first) if apart.len() > 1 => {
                Some(paired_interval(&apart, &first.per_episode(|it| it.apart.as_ref()), LEVEL)?)
            }
            _ => None,
        };
        let without = if apart.len() > 1 {
            Some(Apart { accuracy: mean_interval(&apart, LEVEL)?, episodes: apart.len() })
        } else {
            None
        };
        let seeds = self.trainings.iter().filter_map(|training| {
            let (seed, _) = training.learner.as_ref()?;
            let calibration_error = training.judged.calibration_error;
            Some(training.judged.interval().map(|accuracy| SeedScore { seed: *seed, accuracy, calibration_error }))
        });
        let seeds = seeds.collect::<Result<Vec<_>, _>>()?;
        let errors: Option<Vec<f64>> =
            self.trainings.iter().map(|training| training.judged.calibration_error).collect();
        let row = EpisodeRow {
            name: self.name.clone(),
            accuracy,
            seeds,
            apart: without,
            difference,
            calibration_error: errors.map(|errors| errors.iter().sum::<f64>() / errors.len() as f64),
            classes: self.classes(source),
        };

        let spread = row.over_seeds()?;
        let trainings = self.trainings.iter().zip(&row.seeds).map(|(training, seed)| {
            json!({
                "seed": seed.seed, "path": training.learner.as_ref().map(|(_, path)| path),
                "accuracy": seed.accuracy.estimate, "lower": seed.accuracy.lower, "upper": seed.accuracy.upper,
                "calibration_error": seed.calibration_error, "per_episode": training.judged.accuracy,
            })
        });
        let classes = row.classes.iter().map(|class| {
            json!({ "class": class.class, "asked": class.asked, "right": class.right, "accuracy": class.accuracy() })
        });
        let bounds = |it: panal_metrics::Interval| [it.estimate, it.lower, it.upper];
        let found = json!({
            "name": row.name, "batch_norm": self.batch_norm,
            "accuracy": accuracy.estimate, "lower": accuracy.lower, "upper": accuracy.upper,
            "difference": difference.map(bounds), "calibration_error": row.calibration_error,
            "trainings": trainings.collect::<Vec<_>>(),
            "over_seeds": spread.map(|it| json!({ "seeds": it.samples, "min": it.min, "median": it.median, "max": it.max })),
            "without_replacement": row.apart.map(|it| json!({
                "episodes": it.episodes, "accuracy": it.accuracy.estimate, "lower": it.accuracy.lower, "upper": it.accuracy.upper,
                "difference": apart_from_first.map(bounds), "per_episode": apart,
            })),
            "per_episode": drawn, "per_class": classes.collect::<Vec<_>>(),
        });
        Ok((row, found))
    }

    /// Every class that was asked for, over all trainings.
    fn classes(&self, source: &dyn DataSource) -> Vec<ClassAccuracy> {
        let mut tallies: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
        for &ClassShare { class, right, asked } in self.trainings.iter().flat_map(|training| &training.judged.classes) {
            let [of_right, of_asked] = tallies.entry(class).or_default();
            *of_right += right;
            *of_asked += asked;
        }
        let class = |(class, [right, asked]): (usize, [usize; 2])| ClassAccuracy {
            class: source.classes()[class].clone(),
            asked,
            right,
        };
        tallies.into_iter().map(class).collect()
    }
}
