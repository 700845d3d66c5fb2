//! Few-shot classification over frozen features, one method a file: nothing of the backbone is learnt, and no image is seen here.

mod cosine;
mod evaluate;
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
pub use laplacian::LaplacianShotSpec;
pub use logistic::LogisticSpec;
pub use method::FewShotMethod;
pub use reject::RejectThreshold;
pub use support_set::{EncoderCard, SupportSet};
pub use tim::TimSpec;
pub use transform::Transform;
