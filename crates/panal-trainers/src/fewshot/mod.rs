//! Few-shot learning by episodes: learned similarity and learned initialisation. What frozen features alone can do lives in
//! `fewshot_transfer`.

mod episodic;
mod images;
mod judge;
mod maml;
mod matching;
mod net;
mod prototypical;
mod relation;
mod siamese;
mod spec;
mod task;

pub use episodic::{Episodic, EpisodicEpoch, EpisodicRun};
pub use images::{FewShotImages, Tone};
pub use judge::{ClassShare, Judged, judge};
pub use net::FewShotNet;
pub use spec::{Adapt, AffineSpec, BatchNormUse, EpisodicSpec, FewShotSpec, MethodSpec, Order};
