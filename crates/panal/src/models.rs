//! Pretrained weights for the rows of a lab; and `panal models`, which lists what there is.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use panal_hub::Hub;
use panal_models::Arch;
use panal_tensor::read_weights;
use serde_json::json;

use crate::cli::Global;
use crate::console::Console;
use crate::run::Initial;

/// The name of the weights that come with panal.
const BUILTIN: &str = "insects";

/// The architecture that they are for.
const BUILTIN_ARCH: Arch = Arch::Resnet10W24;

/// The weights that `init` names: `imagenet1k` for the architecture's own, `insects` for those that come with panal, weights of
/// the catalogue, or a file.
pub(crate) fn initial(arch: Arch, init: &str, console: &Console) -> Result<Initial> {
    if init == BUILTIN {
        if arch != BUILTIN_ARCH {
            bail!(
                "the weights `{BUILTIN}` are for {BUILTIN_ARCH}, and the model is {arch}: leave the model out, or begin with \
                 ImageNet weights by `--preset tutorial --data insects`"
            );
        }
        let weights = panal_models::insects_weights()?;
        let digest = weights.digest()?;
        tracing::info!("weights: {} (built in, pretrained on synthetic insects)", weights.source.display());
        return Ok(Initial { id: weights.source.display().to_string(), digest, weights: Rc::new(weights) });
    }
    let (id, path) = if Path::new(init).is_file() {
        (init.to_owned(), Path::new(init).to_owned())
    } else {
        fetch(arch, init, console)?
    };
    let weights = read_weights(&path).with_context(|| format!("cannot use {} as weights", path.display()))?;
    let digest = weights.digest()?;
    tracing::info!("weights: {id} ({})", path.display());
    Ok(Initial { id, digest, weights: Rc::new(weights) })
}

fn fetch(arch: Arch, init: &str, console: &Console) -> Result<(String, std::path::PathBuf)> {
    let hub = Hub::from_env()?;
    let candidates = if init == "imagenet1k" {
        if arch == BUILTIN_ARCH {
            bail!(
                "there are no ImageNet weights for {arch}; its own come with panal: use `--data insects`, or `init = \"{BUILTIN}\"`"
            );
        }
        ids(&hub, arch)?
    } else {
        let (entry, _) =
            hub.catalogue().find_weights(init).map_err(|error| anyhow!("there is no file {init}, and {error}"))?;
        vec![entry.id.clone()]
    };
    let first = candidates.first().ok_or_else(|| anyhow!("the catalogue has no weights for {arch}"))?;
    let fetched = hub.weights(first, &console.hub_progress())?;
    Ok((first.clone(), fetched.path))
}

/// Weights of the catalogue for an architecture, those at hand first.
fn ids(hub: &Hub, arch: Arch) -> Result<Vec<String>> {
    Ok(hub.weights_for(arch.name())?.into_iter().map(|entry| entry.id.clone()).collect())
}

pub(crate) fn run(global: &Global) -> Result<()> {
    let hub = Hub::from_env()?;
    let describe = |arch: Arch| {
        let weights = if arch == BUILTIN_ARCH { vec![BUILTIN.to_owned()] } else { ids(&hub, arch)? };
        Ok(json!({
            "model": arch.name(), "parameters": arch.num_params(), "features": arch.feature_dim(),
            "image_size": arch.preprocessing().crop, "weights": weights,
        }))
    };
    let models = Arch::ALL.into_iter().map(describe).collect::<Result<Vec<_>>>()?;
    if global.json {
        println!("{:#}", json!(models));
        return Ok(());
    }
    println!("{:18} {:>12} {:>9} {:>6}  weights", "model", "parameters", "features", "pixels");
    for model in &models {
        let weights = model["weights"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let name = model["model"].as_str().unwrap_or_default();
        println!(
            "{name:18} {:>12} {:>9} {:>6}  {weights}",
            model["parameters"], model["features"], model["image_size"]
        );
    }
    Ok(())
}
