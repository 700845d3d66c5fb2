//! Losses as pure functions of tensors, one per file. What is done with a loss (backward, step, log) lives in the trainers.
#![doc = include_str!("../README.md")]

mod alignment;
mod blocks;
mod checks;
mod contrastive_accuracy;
mod cross_entropy;
mod error;
mod info_nce;
mod margin_triplet;
mod negatives;
mod nt_logistic;
mod nt_xent;
mod nt_xent_tiled;
mod queue;
mod similarity;
mod sup_con;
mod uniformity;

pub use alignment::alignment;
pub use contrastive_accuracy::{contrastive_accuracy, contrastive_accuracy_with, contrastive_hits};
pub use cross_entropy::{check_labels, cross_entropy};
pub use error::LossError;
pub use info_nce::info_nce;
pub use margin_triplet::margin_triplet;
pub use negatives::Negatives;
pub use nt_logistic::nt_logistic;
pub use nt_xent::{nt_xent, nt_xent_with};
pub use nt_xent_tiled::{nt_xent_tiled, nt_xent_tiled_with};
pub use queue::Queue;
pub use similarity::Similarity;
pub use sup_con::{check_positives, sup_con};
pub use uniformity::uniformity;
