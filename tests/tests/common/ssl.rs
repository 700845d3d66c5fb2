//! A folder of small images and a pretraining that takes a second, for the tests of `panal ssl`.

use serde_json::Value;
use tempfile::TempDir;

use super::{Said, panal, run, stripes};

/// Three epochs of SimCLR on the stripes.
pub const CONFIG: &str = r#"
name = "tiny"
title = "A tiny pretraining"
data = "unused"
model = "resnet10_w24"
stem = "cifar"
eval_batch = 5
[augment.views]
ops = [{ op = "random_resized_crop", size = 16, scale = [0.3, 1.0] }, { op = "horizontal_flip", p = 0.5 }]
[augment.evaluation]
ops = [{ op = "resize", size = [16, 16] }]
[simclr]
epochs = 3
batch = 6
projector = { kind = "mlp", hidden = 16, out = 8 }
optimizer = { kind = "sgd" }
lr = 0.05
lr_scaling = "none"
schedule = { kind = "constant" }
knn = { every = 2, k = 3 }
"#;

pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        stripes(&place.0.path().join("images"));
        std::fs::write(place.0.path().join("tiny.toml"), CONFIG).unwrap();
        place
    }

    pub fn at(&self, below: &str) -> String {
        self.0.path().join(below).display().to_string()
    }

    pub fn pretrain(&self, data: &str, out: &str, more: &[&str]) -> Said {
        let (data, out, config) = (self.at(data), self.at(out), self.at("tiny.toml"));
        run(panal(&["ssl", "pretrain", &data, "--out", &out, "--config", &config]).args(more))
    }
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
