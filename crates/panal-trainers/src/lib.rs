//! Loops and their parts live here; networks, losses, optimizers and data do not.
#![doc = include_str!("../README.md")]

mod again;
mod checkpoint;
mod confidence;
mod error;
mod evaluate;
mod feed;
mod fewshot;
mod fewshot_transfer;
mod frozen;
mod kept;
mod lab;
mod log;
mod passes;
mod record;
mod spec;
mod ssl;
mod transfer;

pub use checkpoint::CheckpointSpec;
pub use error::TrainError;
pub use evaluate::{Predictions, Scores, Split, evaluate, features};
pub use fewshot::{
    Adapt, AffineSpec, BatchNormUse, ClassShare, Episodic, EpisodicEpoch, EpisodicRun, EpisodicSpec, FewShotImages,
    FewShotNet, FewShotSpec, Judged, MethodSpec, Order, Tone, judge,
};
pub use fewshot_transfer::{
    ClassTally, CosineSpec, EncoderCard, EpisodeScores, FewShotMethod, FineTuneNorm, FineTuneSpec, FineTuner,
    LaplacianShotSpec, LogisticSpec, RejectThreshold, SupportSet, TimSpec, Transform, Tuned, evaluate_episodes,
};
pub use frozen::{
    Bank, FitSpec, GridPoint, KnnSpec, Logistic, ProbeOutcome, ProbeSpec, knn, linear_probe, logistic_regression,
    untouched,
};
pub use lab::{Lab, LabImages, LabRow, LabRun, Start};
pub use log::{EpochLog, Log, PassLog, Silent, SslStep, StepLog};
pub use panal_models::Part;
pub use passes::Passes;
pub use record::{model_record, split_record, versions};
pub use spec::PhaseSpec;
pub use ssl::{AugmentOn, ContrastiveLoss, Health, KnnWatch, Pretrained, SimClr, SimClrSpec, SslEpoch, Views, Watch};
pub use transfer::{Outcome, Seconds, Transfer};
