//! What was right of episodes, whoever answered: by episode, on average with an interval, and by class. Nothing is learnt here.

use std::collections::BTreeMap;

use panal_data::Episode;
use panal_metrics::{Interval, normal_interval};
use serde::{Deserialize, Serialize};

use super::images::FewShotImages;
use super::net::FewShotNet;
use super::spec::wrong;
use crate::{Log, PassLog, TrainError};

/// Answers to a list of episodes, and what they were worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The label given to each query, by episode.
    pub predicted: Vec<Vec<usize>>,
    /// Share of each episode's queries that is right.
    pub accuracy: Vec<f64>,
    /// The classes that were asked for, by their place in the data.
    pub classes: Vec<ClassShare>,
}

/// What was right of one class over all episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassShare {
    /// The class, an index into the classes of the data.
    pub class: usize,
    /// Queries of it that were right.
    pub right: usize,
    /// Queries of it.
    pub asked: usize,
}

impl Judged {
    /// Holds answers against the episodes' own labels.
    ///
    /// # Errors
    /// [`TrainError::Spec`] where there are not as many answers as queries.
    pub fn of(episodes: &[Episode], predicted: Vec<Vec<usize>>) -> Result<Self, TrainError> {
        if predicted.len() != episodes.len() {
            return Err(wrong("the number of episodes answered", episodes.len().to_string(), predicted.len()));
        }
        let mut classes: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
        let mut accuracy = Vec::with_capacity(episodes.len());
        for (episode, answers) in episodes.iter().zip(&predicted) {
            if answers.len() != episode.query.len() || answers.is_empty() {
                let field = format!("the answers to episode {}", episode.number);
                return Err(wrong(&field, format!("{}, and at least 1", episode.query.len()), answers.len()));
            }
            let mut all_right = 0;
            for (item, answer) in episode.query.iter().zip(answers) {
                let right = usize::from(item.label == *answer);
                let [of_class, asked] = classes.entry(episode.ways[item.label].class).or_default();
                *of_class += right;
                *asked += 1;
                all_right += right;
            }
            accuracy.push(all_right as f64 / answers.len() as f64);
        }
        let share = |(class, [right, asked]): (usize, [usize; 2])| ClassShare { class, right, asked };
        Ok(Self { predicted, accuracy, classes: classes.into_iter().map(share).collect() })
    }

    /// The mean accuracy over the episodes with its normal 95 % interval, as few-shot papers give it.
    ///
    /// # Errors
    /// [`TrainError::Metrics`] for fewer than two episodes.
    pub fn interval(&self) -> Result<Interval, TrainError> {
        Ok(normal_interval(&self.accuracy, 0.95)?)
    }
}

/// What `net` answers to `episodes` of `images`.
///
/// # Errors
/// As [`FewShotNet::logits`].
pub fn judge(
    net: &FewShotNet,
    images: &FewShotImages,
    episodes: &[Episode],
    log: &mut dyn Log,
) -> Result<Judged, TrainError> {
    let mut predicted = Vec::with_capacity(episodes.len());
    for (done, episode) in episodes.iter().enumerate() {
        let best = net.logits(images, episode)?.f_argmax(1, false)?;
        predicted.push(Vec::<i64>::try_from(best)?.into_iter().map(|label| label as usize).collect());
        log.pass(&PassLog { what: "episodes", done: done + 1, of: episodes.len() });
    }
    Judged::of(episodes, predicted)
}
