//! McNemar's test: do two classifiers, judged on the same samples, make mistakes equally often?

use crate::MetricsError;
use crate::distribution::{fair_coin_at_most, normal_outside};
use crate::error::{non_empty, same_length};

/// The samples on which exactly one of two classifiers is right; the rest says nothing about their difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McNemar {
    /// Samples that only the first classifier has right.
    pub only_first: u64,
    /// Samples that only the second classifier has right.
    pub only_second: u64,
}

/// A chi-square statistic with one degree of freedom, and its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// The statistic; 0 or more.
    pub statistic: f64,
    /// Probability of so large a statistic where both classifiers are equally good.
    pub p_value: f64,
}

impl McNemar {
    /// Counts the disagreements of two classifiers' predictions.
    ///
    /// # Errors
    /// [`MetricsError::Empty`], [`MetricsError::Lengths`].
    pub fn from_labels(truth: &[usize], first: &[usize], second: &[usize]) -> Result<Self, MetricsError> {
        non_empty("truth", truth)?;
        same_length(("truth", truth.len()), ("first", first.len()))?;
        same_length(("truth", truth.len()), ("second", second.len()))?;
        let mut test = Self { only_first: 0, only_second: 0 };
        for ((label, first), second) in truth.iter().zip(first).zip(second) {
            match (first == label, second == label) {
                (true, false) => test.only_first += 1,
                (false, true) => test.only_second += 1,
                _ => {}
            }
        }
        Ok(test)
    }

    /// Exact two-sided p-value, right also for few disagreements: with `n` of them and `k` on the rarer side,
    /// `min(1, 2 P(at most k heads in n tosses of a fair coin))`; 1 without disagreements.
    pub fn exact(&self) -> f64 {
        let rarer = self.only_first.min(self.only_second);
        (2.0 * fair_coin_at_most(rarer, self.only_first + self.only_second)).min(1.0)
    }

    /// The chi-square approximation with continuity correction, `max(|b - c| - 1, 0)^2 / (b + c)`, meant for 25 disagreements or more.
    ///
    /// Where `b = c` this is 0 with p = 1, as in R's `mcnemar.test`; statsmodels, which does not stop at 0, has `1 / (b + c)` there.
    pub fn chi_square(&self) -> ChiSquare {
        let difference = self.only_first.abs_diff(self.only_second).saturating_sub(1) as f64;
        let disagreements = (self.only_first + self.only_second).max(1) as f64;
        let statistic = difference * difference / disagreements;
        ChiSquare { statistic, p_value: normal_outside(statistic.sqrt()) }
    }
}
