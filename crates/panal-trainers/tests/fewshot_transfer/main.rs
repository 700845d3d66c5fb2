//! Few-shot methods by transfer: against plain loops in f64 and NumPy, the laws that they keep, episodes, what is refused, support sets that are
//! saved, read and grown, and fine-tuning.

// The lint lets test functions unwrap, not the helpers beside them.
#![allow(clippy::unwrap_used)]

mod episodes;
mod fine_tune;
mod laws;
mod methods;
mod rectify;
mod refusals;
mod support_set;
mod tasks;
