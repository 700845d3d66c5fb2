//! Pretrained weights for the rows of a lab; and `panal models`, which lists what there is.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use panal_hub::Hub;
use panal_models::Arch;
use panal_tensor::read_weights;
use serde_json::json;

use crate::cli::Global;
use crate::console::Console;
use crate::data::OWN_LICENCE;
use crate::interrupt;
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
        licensed(&hub, arch)?.into_iter().map(|(id, _)| id).collect()
    } else {
        let (entry, _) =
            hub.catalogue().find_weights(init).map_err(|error| anyhow!("there is no file {init}, and {error}"))?;
        vec![entry.id.clone()]
    };
    let first = candidates.first().ok_or_else(|| anyhow!("the catalogue has no weights for {arch}"))?;
    let fetched = hub.weights(first, &console.hub_progress())?;
    interrupt::heed();
    Ok((first.clone(), fetched.path))
}

/// Weights for an architecture, those at hand first, each with its licence.
fn licensed(hub: &Hub, arch: Arch) -> Result<Vec<(String, String)>> {
    if arch == BUILTIN_ARCH {
        return Ok(vec![(BUILTIN.to_owned(), OWN_LICENCE.to_owned())]);
    }
    let entries = hub.weights_for(arch.name())?.into_iter();
    Ok(entries.map(|entry| (entry.id.clone(), entry.licence.clone())).collect())
}

pub(crate) fn run(global: &Global) -> Result<()> {
    let hub = Hub::from_env()?;
    let of_arch = |arch| Ok((arch, licensed(&hub, arch)?));
    let models = Arch::ALL.into_iter().map(of_arch).collect::<Result<Vec<_>>>()?;
    if global.json {
        let described = models.iter().map(|(arch, weights)| {
            json!({
                "model": arch.name(), "parameters": arch.num_params(), "features": arch.feature_dim(),
                "image_size": arch.preprocessing().crop, "weights": weights.iter().map(|(id, _)| id).collect::<Vec<_>>(),
                "licences": weights.iter().cloned().collect::<BTreeMap<_, _>>(),
            })
        });
        println!("{:#}", json!(described.collect::<Vec<_>>()));
        return Ok(());
    }
    println!("{:18} {:>12} {:>9} {:>6}  weights", "model", "parameters", "features", "pixels");
    let mut licences: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (arch, weights) in &models {
        let ids: Vec<&str> = weights.iter().map(|(id, _)| id.as_str()).collect();
        println!(
            "{:18} {:>12} {:>9} {:>6}  {}",
            arch.name(),
            arch.num_params(),
            arch.feature_dim(),
            arch.preprocessing().crop,
            ids.join(", ")
        );
        weights.iter().for_each(|(id, licence)| licences.entry(licence).or_default().push(id));
    }
    let mut licences: Vec<_> = licences.into_iter().collect();
    licences.sort_by_key(|(_, ids)| ids.len());
    println!("\nlicences");
    let last = licences.pop();
    for (licence, ids) in licences {
        println!("  {}: {licence}", ids.join(", "));
    }
    if let Some((licence, _)) = last {
        println!("  all others: {licence}");
    }
    Ok(())
}
