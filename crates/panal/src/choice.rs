//! Which lab `panal lab` runs: the one that is asked for, else the photographs where they can be had, else the built-in insects.

use std::time::Duration;

use anyhow::Result;
use panal_hub::{Hub, HubError};

use crate::cli::{ConfigArgs, LabArgs};
use crate::config;

/// What the photographs are called on the command line, and in the catalogue.
const PHOTOGRAPHS: [&str; 2] = ["hymenoptera", "hymenoptera_data"];

/// The built-in data set, and the preset that runs on it.
const INSECTS: &str = "insects";

/// What a server is given to say whether it has what is wanted.
const PATIENCE: Duration = Duration::from_secs(5);

/// The configuration to run, and the data to run it on where that is not its own.
pub(crate) fn choose(args: &LabArgs) -> Result<(ConfigArgs, Option<String>)> {
    let own = args.config.clone();
    let insects = || (ConfigArgs { preset: Some(INSECTS.into()), ..args.config.clone() }, None);
    let named = own.preset.is_some() || own.config.is_some();
    Ok(match args.data.as_deref() {
        _ if args.quick => insects(),
        Some(INSECTS) if !named => insects(),
        Some(data) if PHOTOGRAPHS.contains(&data) => (own, named.then(|| PHOTOGRAPHS[1].into())),
        Some(data) => (own, Some(data.into())),
        None if named || own.model.is_some() => (own, None),
        None => match photographs(&own)? {
            Ok(()) => (own, None),
            Err(why) => {
                tracing::warn!(
                    "{why}: running the built-in lab on synthetic insects, under 2 minutes on 2 cores \
                     (`--data hymenoptera` insists on the photographs)"
                );
                insects()
            }
        },
    })
}

/// Whether everything that the default lab needs can be had; if not, the first thing that can't and why, in one line.
fn photographs(args: &ConfigArgs) -> Result<Result<(), String>> {
    let lab = config::load(args, &[])?;
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
