//! A method over many episodes of frozen features, tasks of one shape at a time. Drawing episodes lives in panal-data.

use panal_data::{Episode, Rotation};
use panal_metrics::{Calibration, Interval, Probabilities, normal_interval};
use tch::{Kind, Tensor};

use super::tasks::{Tasks, wrong};
use super::{FewShotMethod, Transform};
use crate::{Bank, TrainError};

/// f32 values of features gathered at a time: 2 MiB, which stays in the cache until the block is done.
const BLOCK: usize = 1 << 19;
/// Bins of the calibration error.
const BINS: usize = 15;

/// How often one class of the data set was asked for, and how often rightly answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassTally {
    /// Queries of the class, in all episodes.
    pub queries: u64,
    /// Those that were classified rightly.
    pub right: u64,
}

impl ClassTally {
    /// Share of the queries that are right; `None` for a class that was never asked for.
    pub fn accuracy(&self) -> Option<f64> {
        (self.queries > 0).then(|| self.right as f64 / self.queries as f64)
    }
}

/// What a method was worth over episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeScores {
    /// Share of the queries that are right, episode by episode.
    pub accuracies: Vec<f64>,
    /// One for each class of the bank.
    pub classes: Vec<ClassTally>,
    /// Softmax of the logits against the truth, over all queries of all episodes, in 15 bins.
    pub calibration: Calibration,
    /// Whether the method saw all queries of an episode at once.
    pub is_transductive: bool,
}

impl EpisodeScores {
    /// The mean accuracy with its normal interval over episodes, which covers the draw of episodes and nothing else.
    ///
    /// # Errors
    /// As [`normal_interval`]: for one episode, and for a level outside (0, 1).
    pub fn interval(&self, level: f64) -> Result<Interval, TrainError> {
        Ok(normal_interval(&self.accuracies, level)?)
    }
}

/// The accuracy of `method` on every episode, over the features of `bank`, each of which `transform` changes first.
///
/// Row `i` of the bank is image `i` of the data set that the episodes were drawn from. Episodes of one shape that follow each
/// other are computed together.
///
/// # Errors
/// [`TrainError::Spec`] for no episodes, a setting outside its range, an image or class that the bank does not have, an image
/// that is turned (a bank has no features of those), and an image whose class is another in the bank.
pub fn evaluate_episodes(
    bank: &Bank,
    episodes: &[Episode],
    method: &FewShotMethod,
    transform: &Transform,
) -> Result<EpisodeScores, TrainError> {
    method.check()?;
    if episodes.is_empty() {
        return Err(wrong("episodes", "at least 1", &0));
    }
    episodes.iter().try_for_each(|episode| check(episode, bank))?;
    let mut features = transform.apply(bank.features())?;
    if !method.knows_the_origin() {
        let mean = features.f_mean_dim(0i64, true, Kind::Double)?.f_to_kind(Kind::Float)?;
        features = features.f_sub(&mean)?;
    }

    let most_ways = episodes.iter().map(|episode| episode.ways.len()).max().unwrap_or_default();
    let mut accuracies = Vec::with_capacity(episodes.len());
    let mut classes = vec![ClassTally::default(); bank.classes()];
    let (mut truth, mut probabilities): (Vec<usize>, Vec<f32>) = (Vec::new(), Vec::new());
    for alike in episodes.chunk_by(|a, b| shape(a) == shape(b)) {
        let (support, queries, ways) = shape(&alike[0]);
        for block in alike.chunks((BLOCK / ((support + queries) * bank.dim())).max(1)) {
            let logits = method.logits(&tasks(&features, block)?)?;
            let predicted = Vec::<i64>::try_from(logits.f_argmax(2, false)?.f_reshape([-1])?)?;
            let shares = Vec::<f32>::try_from(logits.f_softmax(2, Kind::Float)?.f_reshape([-1])?)?;
            for (episode, predicted) in block.iter().zip(predicted.chunks(queries)) {
                let mut right = 0;
                for (item, &predicted) in episode.query.iter().zip(predicted) {
                    let correct = item.label as i64 == predicted;
                    right += usize::from(correct);
                    let tally = &mut classes[episode.ways[item.label].class];
                    tally.queries += 1;
                    tally.right += u64::from(correct);
                    truth.push(item.label);
                }
                accuracies.push(right as f64 / queries as f64);
            }
            for row in shares.chunks(ways) {
                probabilities.extend_from_slice(row);
                probabilities.resize(probabilities.len() + most_ways - ways, 0.0);
            }
        }
    }
    let rows: Vec<&[f32]> = probabilities.chunks(most_ways).collect();
    let calibration = Calibration::new(&truth, &Probabilities::from_rows(&rows)?, BINS)?;
    Ok(EpisodeScores { accuracies, classes, calibration, is_transductive: method.is_transductive() })
}

/// Support images, queries and classes.
fn shape(episode: &Episode) -> (usize, usize, usize) {
    (episode.support.len(), episode.query.len(), episode.ways.len())
}

/// Episodes of one shape as tasks.
fn tasks(features: &Tensor, episodes: &[Episode]) -> Result<Tasks, TrainError> {
    let gather = |of: fn(&Episode) -> &[panal_data::EpisodeItem]| -> Result<Tensor, TrainError> {
        let rows: Vec<i64> = episodes.iter().flat_map(of).map(|item| item.image as i64).collect();
        let gathered = features.f_index_select(0, &Tensor::f_from_slice(&rows)?)?;
        Ok(gathered.f_view([episodes.len() as i64, -1, features.size()[1]])?)
    };
    Ok(Tasks {
        support: gather(|episode| &episode.support)?,
        labels: episodes.iter().map(|episode| episode.support.iter().map(|item| item.label).collect()).collect(),
        query: gather(|episode| &episode.query)?,
        ways: episodes[0].ways.len(),
    })
}

/// Refuses an episode that is not one of the bank's images.
fn check(episode: &Episode, bank: &Bank) -> Result<(), TrainError> {
    let refuse = |what: String, allowed: &str, got: String| {
        Err(TrainError::Spec { field: format!("episode {}: {what}", episode.number), allowed: allowed.into(), got })
    };
    let ways = episode.ways.len();
    if ways < 2 || episode.query.is_empty() {
        let got = format!("{ways} and {}", episode.query.len());
        return refuse("classes and queries".into(), "at least 2 and 1", got);
    }
    if let Some(bare) = episode.shots().iter().position(|&shots| shots == 0) {
        return refuse(format!("support images of label {bare}"), "at least 1", "0".into());
    }
    for item in episode.items() {
        let Some(&class) = bank.labels().get(item.image) else {
            return refuse(
                "image".into(),
                &format!("< {}, the images of the bank", bank.images()),
                item.image.to_string(),
            );
        };
        if item.rotation != Rotation::None {
            let got = format!("{} degrees", item.rotation.degrees());
            return refuse(format!("rotation of image {}", item.image), "0, for the bank has no others", got);
        }
        if episode.ways[item.label].class != class {
            let allowed = format!("{class}, as in the bank");
            return refuse(
                format!("class of image {}", item.image),
                &allowed,
                episode.ways[item.label].class.to_string(),
            );
        }
    }
    Ok(())
}
