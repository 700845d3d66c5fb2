//! Softmax of logits over queries of many episodes, and how far it is from how often it is right. Who made the logits is not known here.

use panal_metrics::{Calibration, Probabilities};

use crate::TrainError;

/// Bins of the calibration error.
const BINS: usize = 15;

/// What was said of each query, and what was true; episodes may have different numbers of classes.
#[derive(Debug, Default)]
pub(crate) struct Confidence {
    truth: Vec<usize>,
    /// The shares of all queries, one after the other, and how many each has.
    shares: Vec<f32>,
    ways: Vec<usize>,
}

impl Confidence {
    /// Adds queries: `shares` has `ways` numbers for each, which sum to 1.
    pub(crate) fn add(&mut self, truth: impl IntoIterator<Item = usize>, shares: &[f32], ways: usize) {
        self.truth.extend(truth);
        self.shares.extend_from_slice(shares);
        self.ways.resize(self.truth.len(), ways);
    }

    /// Over all queries that were added, in 15 bins.
    pub(crate) fn calibration(&self) -> Result<Calibration, TrainError> {
        // A class that an episode does not have was said with probability 0.
        let most = self.ways.iter().copied().max().unwrap_or_default();
        let mut padded = Vec::with_capacity(self.ways.len() * most);
        let mut shares = self.shares.iter();
        for &ways in &self.ways {
            padded.extend(shares.by_ref().take(ways));
            padded.resize(padded.len() + most - ways, 0.0);
        }
        let rows: Vec<&[f32]> = padded.chunks(most.max(1)).collect();
        Ok(Calibration::new(&self.truth, &Probabilities::from_rows(&rows)?, BINS)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_different_ways_are_counted_together() {
        let mut confidence = Confidence::default();
        confidence.add([0, 1], &[0.9, 0.1, 0.8, 0.2], 2);
        confidence.add([2], &[0.0, 0.4, 0.6], 3);
        let calibration = confidence.calibration().unwrap();
        assert_eq!(calibration.samples, 3);
        // Said 0.9, 0.8 and 0.6; right, wrong and right, each in a bin of its own.
        let expected = (0.1 + 0.8 + 0.4) / 3.0;
        assert!((calibration.expected_error() - expected).abs() < 1e-6, "{}", calibration.expected_error());
    }
}
