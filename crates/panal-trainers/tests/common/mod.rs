//! Small images that two classes can be told apart by, and a run over them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use image::{Rgb, RgbImage};
use panal_data::{AugmentSpec, DataError, DataSource, keyed_rng};
use panal_models::{Classifier, ModelSpec};
use panal_trainers::{CheckpointSpec, Outcome, PhaseSpec, Silent, Split, TrainError, Transfer};
use rand::RngExt;
use tch::Device;

/// Stripes: across in class 0, along in class 1, with noise.
pub struct Stripes {
    classes: Vec<String>,
    len: usize,
    key: u64,
}

impl Stripes {
    pub fn new(len: usize, key: u64) -> Arc<Self> {
        Arc::new(Self { classes: vec!["across".into(), "along".into()], len, key })
    }
}

impl DataSource for Stripes {
    fn name(&self) -> &str {
        "stripes"
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn len(&self) -> usize {
        self.len
    }
    fn label(&self, index: usize) -> usize {
        index % 2
    }
    fn id(&self, index: usize) -> String {
        format!("{index}.png")
    }
    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let mut rng = keyed_rng(self.key, &[index as u64]);
        let phase = rng.random_range(0..8u32);
        let along = self.label(index) == 1;
        Ok(RgbImage::from_fn(40, 36, |x, y| {
            let lit = ((if along { y } else { x }) + phase) % 8 < 4;
            Rgb([(); 3].map(|()| if lit { 170 } else { 60 } + rng.random_range(0..40u8)))
        }))
    }
    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        let mut digest = [0; 32];
        digest[0] = index as u8;
        digest[1] = self.key as u8;
        Ok(digest)
    }
}

pub fn split(len: usize, key: u64, ops: &str) -> Split {
    let spec: AugmentSpec = toml::from_str(&format!("ops = [{ops}]")).unwrap();
    Split { source: Stripes::new(len, key), pipeline: spec.check().unwrap() }
}

pub const PLAIN: &str = r#"{ op = "resize", size = 36 }, { op = "center_crop", size = 32 }"#;
pub const RANDOM: &str =
    r#"{ op = "random_resized_crop", size = 32, scale = [0.5, 1.0] }, { op = "horizontal_flip", p = 0.5 }"#;

pub fn phases(text: &str) -> Vec<PhaseSpec> {
    #[derive(serde::Deserialize)]
    struct Phases {
        phases: Vec<PhaseSpec>,
    }
    toml::from_str::<Phases>(&format!("phases = [{text}]")).unwrap().phases
}

/// A network with dropout, so that its random draws count too.
pub fn model(seed: u64) -> Classifier {
    network("mobilenet_v2", seed)
}

pub fn network(arch: &str, seed: u64) -> Classifier {
    Classifier::new(&ModelSpec::new(arch.parse().unwrap(), 2), Device::Cpu, seed).unwrap()
}

pub fn run(
    model: &mut Classifier,
    ops: &str,
    phases: &[PhaseSpec],
    checkpoint: Option<&CheckpointSpec>,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    let transfer = Transfer {
        train: split(20, 1, ops),
        eval: split(12, 2, PLAIN),
        phases,
        batch: 8,
        eval_batch: 5,
        seed: 3,
        threads: Some(1),
        checkpoint,
        stop,
    };
    transfer.run(model, &mut Silent)
}
