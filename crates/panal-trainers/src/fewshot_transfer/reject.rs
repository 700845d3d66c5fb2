//! When a query is of no known class: a threshold of similarity, chosen on images of other classes. Similarities come from `support_set`.

use serde::{Deserialize, Serialize};

use super::tasks::wrong;
use crate::TrainError;

/// A threshold and what it was worth where it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RejectThreshold {
    /// A query whose highest similarity is less is of no known class.
    pub threshold: f64,
    /// Mean of the share of known images that are kept and the share of unknown ones that are turned away.
    pub balanced_accuracy: f64,
}

impl RejectThreshold {
    /// The threshold of best balanced accuracy between `known` and `unknown`: the highest similarity to any class of images of
    /// the known classes, and of images of others.
    ///
    /// Tried are the points half-way between neighbouring values, and one beyond each end; of equals the one with the widest
    /// gap around it counts, and then the lowest.
    ///
    /// # Errors
    /// [`TrainError::Spec`] where there are none of either, or one is not finite.
    pub fn choose(known: &[f64], unknown: &[f64]) -> Result<Self, TrainError> {
        for (field, values) in [("known", known), ("unknown", unknown)] {
            if values.is_empty() {
                return Err(wrong(&format!("{field} similarities"), "at least one", &0));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(wrong(&format!("{field} similarities"), "finite numbers", value));
            }
        }
        let mut all: Vec<(f64, bool)> = known.iter().map(|&value| (value, true)).collect();
        all.extend(unknown.iter().map(|&value| (value, false)));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (kept, away) = (known.len() as f64, unknown.len() as f64);
        let first = Self { threshold: all[0].0, balanced_accuracy: 0.5 };
        let (mut best, mut widest) = (first, 0.0);
        let (mut known_below, mut unknown_below) = (0.0, 0.0);
        for (index, &(value, is_known)) in all.iter().enumerate() {
            if is_known {
                known_below += 1.0;
            } else {
                unknown_below += 1.0;
            }
            let next = all.get(index + 1).map_or(value + 1e-6, |next| next.0);
            let gap = if index + 1 == all.len() { 0.0 } else { next - value };
            if next <= value {
                continue;
            }
            let accuracy = 0.5 * ((kept - known_below) / kept + unknown_below / away);
            if accuracy > best.balanced_accuracy || (accuracy == best.balanced_accuracy && gap > widest) {
                best = Self { threshold: value + 0.5 * (next - value), balanced_accuracy: accuracy };
                widest = gap;
            }
        }
        Ok(best)
    }
}
