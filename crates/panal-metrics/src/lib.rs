//! What a prediction was worth: confusion matrix, precision, recall, F1, intervals and significance tests.
//! Plain slices in, structs out; nothing here knows of tensors, files or networks, and there is no dependency.
#![doc = include_str!("../README.md")]

mod auc;
mod bootstrap;
mod calibration;
mod confusion;
mod distribution;
mod error;
mod holm;
mod interval;
mod mcnemar;
mod metric;
mod permutation;
mod probabilities;
mod rng;
mod summary;

pub use auc::{AucAverage, roc_auc, roc_auc_one_vs_rest};
pub use bootstrap::Bootstrap;
pub use calibration::{Calibration, ReliabilityBin, brier, log_loss};
pub use confusion::{Average, ConfusionMatrix, Prf, ZeroDivision};
pub use error::MetricsError;
pub use holm::holm;
pub use interval::{Interval, mean_interval, paired_interval, wilson};
pub use mcnemar::{ChiSquare, McNemar};
pub use metric::{Measured, Metric};
pub use permutation::{Permutation, paired_permutation};
pub use probabilities::Probabilities;
pub use summary::Summary;
