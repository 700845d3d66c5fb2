//! What is judged: an encoder, other weights, random ones, or pixels as they are. How, the protocols say.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use panal_data::AugmentSpec;
use panal_data::transforms::{CenterCrop, Interpolation, Resize, Size};
use panal_models::{Arch, Classifier, ModelSpec};
use panal_tensor::Weights;
use serde_json::{Value, json};
use tch::Device;

use super::encoder;
use crate::console::Console;
use crate::models;

/// Features to judge.
#[derive(Debug, Clone)]
pub(crate) struct Init {
    /// What the row is called; encoders of one pretraining with several seeds have the same.
    pub(crate) name: String,
    /// Seed of an encoder's pretraining; others have one for each run.
    pub(crate) seed: Option<u64>,
    /// From an image to the input.
    pub(crate) transform: AugmentSpec,
    pub(crate) features: Features,
    /// Of an encoder: how it came about.
    pub(crate) pretraining: Option<Pretraining>,
    /// Where they come from, for the record.
    pub(crate) origin: Value,
}

/// What an encoder is a run of, and which.
#[derive(Debug, Clone)]
pub(crate) struct Pretraining {
    name: String,
    seed: u64,
    config: Value,
    /// Id and digest of the images.
    data: Value,
    path: PathBuf,
}

impl Pretraining {
    /// As the encoder in the file at `path` says, or will say, where it comes from.
    pub(crate) fn of(origin: &Value, path: &Path) -> Self {
        let config = origin["config"].clone();
        let mut name = config["name"].as_str().unwrap_or("encoder").to_owned();
        if config["supervised"] == true {
            name.push_str(", supervised");
        }
        let seed = origin["seed"].as_u64().unwrap_or_default();
        Self { name, seed, config, data: origin["data"].clone(), path: path.to_owned() }
    }

    /// Id of the images that were learnt from.
    pub(crate) fn data(&self) -> &str {
        self.data["id"].as_str().unwrap_or_default()
    }
}

/// Where features come from.
#[derive(Debug, Clone)]
pub(crate) enum Features {
    /// The pixels themselves.
    Pixels,
    /// A network; without weights, a random one.
    Network { spec: ModelSpec, weights: Option<Rc<Weights>> },
}

impl Init {
    /// Whether it is a network of random weights: what trains it then trains it from nothing.
    pub(crate) fn is_random(&self) -> bool {
        matches!(self.features, Features::Network { weights: None, .. })
    }

    /// Whether it is the pixels themselves.
    pub(crate) fn is_pixels(&self) -> bool {
        matches!(self.features, Features::Pixels)
    }

    /// Whether it was pretrained by labels.
    pub(crate) fn is_supervised(&self) -> bool {
        self.pretraining.as_ref().is_some_and(|pretraining| pretraining.config["supervised"] == true)
    }

    /// The network, for so many classes; `None` for pixels.
    pub(crate) fn network(&self, classes: usize, device: Device, seed: u64) -> Result<Option<Classifier>> {
        let Features::Network { spec, weights } = &self.features else { return Ok(None) };
        let spec = ModelSpec { classes, ..spec.clone() };
        let Some(weights) = weights else { return Ok(Some(Classifier::new(&spec, device, seed)?)) };
        let (network, _) =
            Classifier::pretrained(&spec, device, seed, weights).with_context(|| format!("in `{}`", self.name))?;
        Ok(Some(network))
    }
}

/// What the names given mean: `random` and `pixels` are taken in the way of the first encoder among them.
pub(crate) fn resolve(names: &[String], console: &Console) -> Result<Vec<Init>> {
    complete(names, read_all(names, console)?)
}

/// What the names given mean, as far as each says so by itself.
///
/// # Errors
/// For a name that means nothing, and for one that is given twice.
pub(crate) fn read_all(names: &[String], console: &Console) -> Result<Vec<Option<Init>>> {
    if let Some((_, name)) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        bail!("--init {name} is given twice: name it once");
    }
    names.iter().map(|name| named(name, console)).collect()
}

/// The rest of what [`read_all`] left open.
pub(crate) fn complete(names: &[String], mut inits: Vec<Option<Init>>) -> Result<Vec<Init>> {
    check_rows(inits.iter().flatten().filter_map(|init| init.pretraining.as_ref()))?;
    let first = inits.iter().flatten().find(|init| init.seed.is_some()).cloned();
    for (init, name) in inits.iter_mut().zip(names).filter(|(init, _)| init.is_none()) {
        let like = first.clone().ok_or_else(|| {
            anyhow!(
                "--init {name} is made in the way of an encoder, and none is given: say which network by `random:ARCH`"
            )
        })?;
        let features = match (name.as_str(), like.features) {
            ("pixels", _) => Features::Pixels,
            (_, Features::Network { spec, .. }) => Features::Network { spec, weights: None },
            (_, Features::Pixels) => bail!("--init {name}: pixels have no network"),
        };
        *init = Some(Init {
            name: name.clone(),
            seed: None,
            pretraining: None,
            features,
            origin: json!({ "like": like.name }),
            ..like
        });
    }
    Ok(inits.into_iter().flatten().collect())
}

/// Encoders of one name share a row as runs of one pretraining, so that is what they must be.
pub(crate) fn check_rows<'a>(encoders: impl Iterator<Item = &'a Pretraining>) -> Result<()> {
    let mut seen: Vec<&Pretraining> = Vec::new();
    for encoder in encoders {
        for other in seen.iter().filter(|other| other.name == encoder.name) {
            let files = format!("{} and {}", other.path.display(), encoder.path.display());
            if (&other.config, &other.data) != (&encoder.config, &encoder.data) {
                bail!(
                    "{files} would both be called `{}` but differ in settings or images, so they are no runs of one pretraining: judge them apart, or \
                     pretrain with another `name`",
                    encoder.name
                );
            }
            if other.seed == encoder.seed {
                bail!("{files} are the same pretraining with the same seed: name one of them");
            }
        }
        seen.push(encoder);
    }
    Ok(())
}

/// `None` for what needs an encoder to be like.
fn named(name: &str, console: &Console) -> Result<Option<Init>> {
    if name == "random" || name == "pixels" {
        return Ok(None);
    }
    if Path::new(name).is_file() {
        return read(Path::new(name)).map(Some);
    }
    let (weights, arch) = name.split_once(':').ok_or_else(|| {
        anyhow!(
            "--init {name} is no file: name an encoder.safetensors, WEIGHTS:ARCH as in imagenet1k:mobilenet_v2, random:ARCH, random or pixels"
        )
    })?;
    let arch: Arch = arch.parse()?;
    let (weights, origin) = match weights {
        "random" => (None, json!({ "arch": arch })),
        weights => {
            let initial = models::initial(arch, weights, console)?;
            (Some(initial.weights), json!({ "arch": arch, "weights": initial.id, "digest": initial.digest }))
        }
    };
    // Encoders are made for any number of classes; this one is replaced.
    let features = Features::Network { spec: ModelSpec::new(arch, 2), weights };
    Ok(Some(Init { name: name.to_owned(), seed: None, pretraining: None, transform: plain(arch), features, origin }))
}

fn read(path: &Path) -> Result<Init> {
    let (card, weights) = encoder::read(path)?;
    let digest = weights.digest()?;
    let pretraining = Pretraining::of(&card.origin, path);
    Ok(Init {
        name: pretraining.name.clone(),
        seed: Some(pretraining.seed),
        pretraining: Some(pretraining),
        transform: card.transform,
        features: Features::Network { spec: card.model, weights: Some(Rc::new(weights)) },
        origin: json!({ "encoder": path, "digest": digest, "pretraining": card.origin }),
    })
}

/// How an architecture's ImageNet weights want their images.
fn plain(arch: Arch) -> AugmentSpec {
    use panal_data::augment::Op;
    let own = arch.preprocessing();
    let interpolation = match own.interpolation {
        panal_models::Interpolation::Bilinear => Interpolation::Bilinear,
        panal_models::Interpolation::Bicubic => Interpolation::Bicubic,
    };
    AugmentSpec {
        mean: own.mean.map(f64::from),
        std: own.std.map(f64::from),
        ..AugmentSpec::new(vec![
            Op::Resize(Resize { size: Size::Side(own.resize), interpolation }),
            Op::CenterCrop(CenterCrop { size: Size::Side(own.crop) }),
        ])
    }
}
