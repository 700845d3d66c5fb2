//! Which lab `panal lab` runs: the one that is asked for, else the photographs where they can be had, else the built-in insects.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use panal_hub::{Hub, HubError};
use toml::Value;

use crate::cli::{ConfigArgs, LabArgs};
use crate::config::{self, Lab};

/// What the photographs are called on the command line, and in the catalogue.
const PHOTOGRAPHS: [&str; 2] = ["hymenoptera", "hymenoptera_data"];

/// The built-in data set, and the preset that runs on it.
const INSECTS: &str = "insects";

/// What a server is given to say whether it has what is wanted.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lab to run, and whether its data are another than those of its preset or file.
pub(crate) fn choose(args: &LabArgs) -> Result<(Lab, bool)> {
    let named = args.config.preset.is_some() || args.config.config.is_some();
    let insects = || ConfigArgs { preset: Some(INSECTS.into()), ..args.config.clone() };
    let (config, data) = match args.data.as_deref() {
        _ if args.quick => (insects(), None),
        Some(INSECTS) if !named => (insects(), None),
        Some(data) if PHOTOGRAPHS.contains(&data) => (args.config.clone(), Some(PHOTOGRAPHS[1])),
        None if !named => match photographs(args)? {
            Ok(()) => (args.config.clone(), None),
            Err(why) => {
                tracing::warn!(
                    "{why}: running the built-in lab on synthetic insects, under 2 minutes on 2 cores \
                     (`--data hymenoptera` insists on the photographs)"
                );
                (insects(), None)
            }
        },
        data => (args.config.clone(), data),
    };
    let lab = config::load(&config, &flags(args, data))?;
    let own = unchanged(&config)?;
    let other_data = lab.data != own.data;
    Ok((lab, other_data))
}

/// What the options of `panal lab` change in a configuration.
fn flags(args: &LabArgs, data: Option<&str>) -> Vec<(&'static str, Value)> {
    let number = |key, value: Option<i64>| value.map(|value| (key, Value::Integer(value)));
    let data = data.map(|data| ("data", Value::String(data.to_owned())));
    let seeds = if args.quick { Some(1) } else { args.seeds };
    [number("seeds", seeds), number("seed", args.seed), data].into_iter().flatten().collect()
}

/// A preset or file as it is, nothing of the command line applied.
fn unchanged(config: &ConfigArgs) -> Result<Lab> {
    let plain = ConfigArgs { model: None, batch: None, lr: None, precision: None, sets: Vec::new(), ..config.clone() };
    config::load(&plain, &[])
}

/// Whether everything that the default lab needs can be had; if not, the first thing that can't and why, in one line.
/// A lab whose data, model or weights were changed is meant as it is, and nothing is asked for it.
fn photographs(args: &LabArgs) -> Result<Result<(), String>> {
    let (lab, own) = (config::load(&args.config, &[])?, unchanged(&args.config)?);
    let same_weights = lab.row.iter().map(|row| &row.init).eq(own.row.iter().map(|row| &row.init));
    if lab.data != own.data || lab.model != own.model || !same_weights || Path::new(&lab.data).is_dir() {
        return Ok(Ok(()));
    }
    let hub = Hub::from_env()?;
    let weights = hub.weights_for(lab.model.name())?.first().map(|entry| entry.id.clone());
    for id in [lab.data].into_iter().chain(weights) {
        match hub.reach(&id, PATIENCE) {
            Ok(()) => {}
            Err(HubError::Unobtainable { tried, .. }) => {
                let reasons: Vec<_> = tried.iter().map(|tried| format!("{}: {}", tried.source, tried.reason)).collect();
                return Ok(Err(format!("{id} can't be reached ({})", reasons.join("; "))));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Ok(()))
}
