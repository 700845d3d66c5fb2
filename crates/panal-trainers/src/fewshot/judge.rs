//! What was right of episodes, whoever answered: by episode, on average with an interval, and by class. Nothing is learnt here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use panal_data::Episode;
use panal_metrics::{Interval, mean_interval};
use serde::{Deserialize, Serialize};
use tch::Kind;

use super::images::FewShotImages;
use super::net::FewShotNet;
use super::spec::wrong;
use crate::confidence::Confidence;
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
    /// Expected calibration error of the softmax of the logits over all queries, in 15 bins; `None` for answers without logits.
    pub calibration_error: Option<f64>,
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
        Ok(Self { predicted, accuracy, classes: classes.into_iter().map(share).collect(), calibration_error: None })
    }

    /// The mean accuracy over the episodes with Student's 95 % interval.
    ///
    /// # Errors
    /// [`TrainError::Metrics`] for fewer than two episodes.
    pub fn interval(&self) -> Result<Interval, TrainError> {
        Ok(mean_interval(&self.accuracy, 0.95)?)
    }
}

/// What `net` answers to `episodes` of `images`.
///
/// # Errors
/// As [`FewShotNet::logits`]; [`TrainError::Stopped`] after `stop` was set.
pub fn judge(
    net: &FewShotNet,
    images: &FewShotImages,
    episodes: &[Episode],
    log: &mut dyn Log,
    stop: &AtomicBool,
) -> Result<Judged, TrainError> {
    let mut confidence = Confidence::default();
    let mut predicted = Vec::with_capacity(episodes.len());
    for (done, episode) in episodes.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Stopped { done, of: episodes.len() });
        }
        let logits = net.logits(images, episode)?;
        let best = logits.f_argmax(1, false)?;
        predicted.push(Vec::<i64>::try_from(best)?.into_iter().map(|label| label as usize).collect());
        let shares = Vec::<f32>::try_from(logits.f_softmax(1, Kind::Float)?.f_reshape([-1])?)?;
        confidence.add(episode.query.iter().map(|item| item.label), &shares, episode.ways.len());
        log.pass(&PassLog { what: "episodes", done: done + 1, of: episodes.len() });
    }
    let judged = Judged::of(episodes, predicted)?;
    let calibration_error = confidence.calibration()?.expected_error();
    Ok(Judged { calibration_error: Some(calibration_error), ..judged })
}
