//! What a frozen backbone's features are worth: nearest neighbours, logistic regression, and the proof that nothing of the
//! backbone moved. Linear probing with augmentation and fine-tuning are phases of `transfer`.

mod bank;
mod knn;
mod lbfgs;
mod logistic;
mod probe;
mod untouched;

pub use bank::Bank;
pub use knn::{KnnSpec, knn};
pub use logistic::{FitSpec, Logistic, logistic_regression};
pub use probe::{GridPoint, ProbeOutcome, ProbeSpec, linear_probe};
pub use untouched::untouched;
