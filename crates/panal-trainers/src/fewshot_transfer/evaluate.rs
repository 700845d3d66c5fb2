//! A method over many episodes of frozen features, tasks of one shape at a time. Drawing episodes lives in panal-data.

use std::sync::atomic::{AtomicBool, Ordering};

use panal_data::{Episode, Rotation};
use panal_metrics::{Calibration, Interval, mean_interval};
use tch::{Kind, Tensor};

use super::tasks::{Tasks, wrong};
use super::{FewShotMethod, Transform};
use crate::confidence::Confidence;
use crate::{Bank, TrainError};

/// f32 values of features gathered at a time: 2 MiB, which stays in the cache until the block is done.
const BLOCK: usize = 1 << 19;

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
    /// The label given to each query, by episode.
    pub predicted: Vec<Vec<usize>>,
    /// Share of the queries that are right, episode by episode.
    pub accuracies: Vec<f64>,
    /// One for each class of the bank.
    pub classes: Vec<ClassTally>,
    /// Softmax of the logits against the truth, over all queries of all episodes, in 15 bins.
    pub calibration: Calibration,
    /// Whether the method saw all queries of an episode at once.
    pub is_transductive: bool,
}

/// [`EpisodeScores`] in the making.
pub(super) struct Scoring {
    predicted: Vec<Vec<usize>>,
    accuracies: Vec<f64>,
    classes: Vec<ClassTally>,
    confidence: Confidence,
}

impl Scoring {
    /// Of a data set of so many classes.
    pub(super) fn new(classes: usize) -> Self {
        let classes = vec![ClassTally::default(); classes];
        Self { predicted: Vec::new(), accuracies: Vec::new(), classes, confidence: Confidence::default() }
    }

    /// Counts episodes of one shape. `logits`: `[B, Q, ways]`.
    pub(super) fn add(&mut self, episodes: &[Episode], logits: &Tensor) -> Result<(), TrainError> {
        let [_, queries, ways] = logits.size()[..] else {
            return Err(wrong("logits", "[B, Q, ways]", &format!("{:?}", logits.size())));
        };
        let (queries, ways) = (queries as usize, ways as usize);
        let predicted = Vec::<i64>::try_from(logits.f_argmax(2, false)?.f_reshape([-1])?)?;
        let shares = Vec::<f32>::try_from(logits.f_softmax(2, Kind::Float)?.f_reshape([-1])?)?;
        for (episode, predicted) in episodes.iter().zip(predicted.chunks(queries)) {
            let mut right = 0;
            for (item, &predicted) in episode.query.iter().zip(predicted) {
                let correct = item.label as i64 == predicted;
                right += usize::from(correct);
                let tally = &mut self.classes[episode.ways[item.label].class];
                tally.queries += 1;
                tally.right += u64::from(correct);
            }
            self.accuracies.push(right as f64 / queries as f64);
            self.predicted.push(predicted.iter().map(|&label| label as usize).collect());
        }
        let truth = episodes.iter().flat_map(|episode| episode.query.iter().map(|item| item.label));
        self.confidence.add(truth, &shares, ways);
        Ok(())
    }

    /// How many episodes were counted.
    pub(super) fn done(&self) -> usize {
        self.accuracies.len()
    }

    pub(super) fn finish(self, is_transductive: bool) -> Result<EpisodeScores, TrainError> {
        let calibration = self.confidence.calibration()?;
        let Self { predicted, accuracies, classes, .. } = self;
        Ok(EpisodeScores { predicted, accuracies, classes, calibration, is_transductive })
    }
}

impl EpisodeScores {
    /// The mean accuracy with Student's interval over episodes, which covers the draw of episodes and nothing else.
    ///
    /// # Errors
    /// As [`mean_interval`]: for one episode, and for a level outside (0, 1).
    pub fn interval(&self, level: f64) -> Result<Interval, TrainError> {
        Ok(mean_interval(&self.accuracies, level)?)
    }
}

/// The accuracy of `method` on every episode, over the features of `bank`, each of which `transform` changes first.
///
/// Row `i` of the bank is image `i` of the data set that the episodes were drawn from. Episodes of one shape that follow each
/// other are computed together.
///
/// # Errors
/// [`TrainError::Spec`] for no episodes, a setting outside its range, an image or class that the bank does not have, an image
/// that is turned (a bank has no features of those), and an image whose class is another in the bank;
/// [`TrainError::Stopped`] after `stop` was set.
pub fn evaluate_episodes(
    bank: &Bank,
    episodes: &[Episode],
    method: &FewShotMethod,
    transform: &Transform,
    stop: &AtomicBool,
) -> Result<EpisodeScores, TrainError> {
    method.check()?;
    check_all(episodes, bank.labels())?;
    let mut features = transform.apply(bank.features())?;
    if !method.knows_the_origin() {
        let mean = features.f_mean_dim(0i64, true, Kind::Double)?.f_to_kind(Kind::Float)?;
        features = features.f_sub(&mean)?;
    }

    let mut scoring = Scoring::new(bank.classes());
    for alike in episodes.chunk_by(|a, b| shape(a) == shape(b)) {
        let (support, queries, _) = shape(&alike[0]);
        for block in alike.chunks((BLOCK / ((support + queries) * bank.dim())).max(1)) {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Stopped { done: scoring.done(), of: episodes.len() });
            }
            scoring.add(block, &method.logits(&tasks(&features, block)?)?)?;
        }
    }
    scoring.finish(method.is_transductive())
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

/// Refuses no episodes, and episodes that are not of images with these classes.
pub(super) fn check_all(episodes: &[Episode], labels: &[usize]) -> Result<(), TrainError> {
    if episodes.is_empty() {
        return Err(wrong("episodes", "at least 1", &0));
    }
    episodes.iter().try_for_each(|episode| check(episode, labels))
}

fn check(episode: &Episode, labels: &[usize]) -> Result<(), TrainError> {
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
        let Some(&class) = labels.get(item.image) else {
            let allowed = format!("< {}, the images there are", labels.len());
            return refuse("image".into(), &allowed, item.image.to_string());
        };
        if item.rotation != Rotation::None {
            let got = format!("{} degrees", item.rotation.degrees());
            return refuse(format!("rotation of image {}", item.image), "0, for images are taken as they are", got);
        }
        if episode.ways[item.label].class != class {
            let allowed = format!("{class}, as in the data");
            return refuse(
                format!("class of image {}", item.image),
                &allowed,
                episode.ways[item.label].class.to_string(),
            );
        }
    }
    Ok(())
}
