//! Few-shot classification by transfer, one method a file: over frozen features, of which nothing more is learnt, and in `fine_tune` alone by
//! moving a copy of the backbone.

mod cosine;
mod evaluate;
mod fine_tune;
mod laplacian;
mod logistic;
mod method;
mod nearest_mean;
mod reject;
mod support_set;
mod tasks;
mod tim;
mod transform;

pub use cosine::CosineSpec;
pub use evaluate::{ClassTally, EpisodeScores, evaluate_episodes};
pub use fine_tune::{FineTuneNorm, FineTuneSpec, FineTuner, Tuned};
pub use laplacian::LaplacianShotSpec;
pub use logistic::LogisticSpec;
pub use method::FewShotMethod;
pub use reject::RejectThreshold;
pub use support_set::{EncoderCard, SupportSet};
pub use tim::TimSpec;
pub use transform::Transform;
