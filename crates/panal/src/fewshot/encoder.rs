//! A frozen encoder: from images to features, and the digest that says whose features they are. What is done with features, others say.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use panal_data::{DataSource, Pipeline, SharedImage, leaks};
use panal_models::Classifier;
use panal_trainers::{Bank, EncoderCard, Split, Transform};
use serde_json::json;
use sha2::{Digest, Sha256};
use tch::Tensor;

use crate::cli::{FeatureTransform, Global};
use crate::console::{Console, RunLog};
use crate::reading::Reading;
use crate::ssl::init;
use crate::{data, device, run};

/// What is taken where no encoder is named.
pub(crate) const DEFAULT: &str = "imagenet1k:mobilenet_v2";

/// Images at a time.
const BATCH: usize = 32;

/// An encoder ready to be used.
pub(super) struct Encoder<'a> {
    /// What it was called on the command line.
    pub(super) name: String,
    pub(super) card: EncoderCard,
    network: Classifier,
    pipeline: Pipeline,
    threads: Option<usize>,
    console: &'a Console,
}

impl<'a> Encoder<'a> {
    /// The encoder of this name, as `--init` takes it.
    pub(super) fn open(name: &str, global: &Global, console: &'a Console) -> Result<Self> {
        let init = init::resolve(&[name.to_owned()], console)?.remove(0);
        let pipeline = init.transform.check()?;
        let network = init
            .network(2, device::choose(global)?, init.seed.unwrap_or_default())?
            .ok_or_else(|| anyhow!("--init {name}: pixels have no network; name an encoder or WEIGHTS:ARCH"))?;
        let transform = serde_json::to_string(&init.transform)?;
        let backbone = network.backbone_digest()?;
        let digest = run::hex(&Sha256::digest(format!("{backbone}\n{transform}")));
        let card =
            json!({ "init": name, "model": network.arch().name(), "backbone": backbone, "transform": init.transform });
        let (card, threads) = (EncoderCard { digest, card }, device::loader_threads(global));
        Ok(Self { name: name.to_owned(), card, network, pipeline, threads, console })
    }

    /// Architecture, for a reader.
    pub(super) fn arch(&self) -> &'static str {
        self.network.arch().name()
    }

    /// The network, to be copied.
    pub(super) fn network(&self) -> &Classifier {
        &self.network
    }

    /// Threads that load images.
    pub(super) fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Images as the network takes them.
    pub(super) fn split(&self, images: &Arc<dyn DataSource>) -> Split {
        Split { source: images.clone(), pipeline: self.pipeline.clone() }
    }

    /// `[N, d]` f32 on the CPU: the features of every image, in order.
    pub(super) fn features(&self, images: &Arc<dyn DataSource>, what: &str) -> Result<Tensor> {
        let split = self.split(images);
        let mut log = RunLog::new(self.console, what.to_owned(), &[]);
        let features = panal_trainers::features(&self.network, &split, BATCH, self.threads, &mut log)?;
        tracing::debug!("{what}: of {} images", images.len());
        Ok(features)
    }

    /// The features with the images' classes.
    pub(super) fn bank(&self, images: &Arc<dyn DataSource>, what: &str) -> Result<Bank> {
        let labels = (0..images.len()).map(|index| images.label(index)).collect();
        Ok(Bank::new(self.features(images, what)?, labels, images.classes().len())?)
    }

    /// The transforms of features that `--transform` and `--base` name; without either, unit length. With them the digest of the base's images,
    /// of which none may be one of `asked`, those to be classified.
    pub(super) fn transforms(
        &self,
        named: &[FeatureTransform],
        base: Option<&str>,
        asked: &dyn DataSource,
    ) -> Result<(Vec<Transform>, Option<String>)> {
        let named = match (named, base) {
            ([], None) => vec![FeatureTransform::L2],
            ([], Some(_)) => vec![FeatureTransform::CentredL2],
            (named, _) => named.to_vec(),
        };
        let mut digest = None;
        let centred = named.contains(&FeatureTransform::CentredL2);
        let base = match (centred, base) {
            (true, None) => {
                return Err(anyhow!(
                    "--transform centred-l2 takes the mean of other images away: name them by --base, a folder of classes that are not asked for"
                ));
            }
            (false, Some(_)) => {
                return Err(anyhow!("--base is for --transform centred-l2, and that was not asked for"));
            }
            (true, Some(base)) => {
                let views = std::slice::from_ref(&self.pipeline);
                let reading = Reading { keep_all: true, views, ..Reading::new(self.console) };
                let images = data::open_unlabelled(base, reading).with_context(|| format!("--base {base}"))?.images;
                if let Some(SharedImage { train, test }) = leaks(images.as_ref(), asked)?.images.first() {
                    return Err(anyhow!(
                        "--base {base}: its image {train} is the one to be classified {test}, byte for byte: name images of other classes"
                    ));
                }
                digest = Some(images.digest()?);
                Some(Transform::centred_by(&self.bank(&images, "base")?)?)
            }
            (false, None) => None,
        };
        let transform = |named: FeatureTransform| match named {
            FeatureTransform::None => Transform::None,
            FeatureTransform::L2 => Transform::L2,
            FeatureTransform::CentredL2 => base.clone().unwrap_or_default(),
        };
        Ok((named.into_iter().map(transform).collect(), digest))
    }
}
