//! ResNet, MobileNetV2 and EfficientNet in torchvision's parameter names, with backbone and head apart. How they are
//! trained lives in the trainers, where their weights come from in the hub.
#![doc = include_str!("../README.md")]

mod arch;
mod builtin;
mod classifier;
mod conv4;
mod efficientnet;
mod error;
mod folded;
mod grad_cam;
mod layers;
mod load;
mod masks;
mod mobilenet_v2;
mod mode;
mod projector;
mod relation_head;
mod resnet;
mod spec;

pub use arch::{Arch, Interpolation, Preprocessing};
pub use builtin::insects_weights;
pub use classifier::{Classifier, Part};
pub use conv4::{Conv4, Conv4Spec, Norms, Statistics};
pub use error::ModelError;
pub use folded::Folded;
pub use grad_cam::GradCam;
pub use masks::Masks;
pub use projector::{Projector, ProjectorSpec};
pub use relation_head::RelationHead;
pub use spec::{ModelSpec, Stem};
