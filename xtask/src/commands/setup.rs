//! `setup`: a libtorch of the right version, found or installed. The other commands call it.

use crate::libtorch::{self, Flavour, Libtorch, TORCH_VERSION};
use crate::machine::{Driver, OLDEST_DRIVER};
use crate::stage::Stages;
use anyhow::{Result, ensure};

/// Find libtorch, or install it in the cache.
#[derive(Debug, Default, clap::Args)]
#[group(multiple = true)]
pub(crate) struct Args {
    /// The CUDA libraries too, whether or not an NVIDIA driver is seen; later commands keep to it
    #[arg(long, conflicts_with_all = ["cpu", "auto"])]
    cuda: bool,
    /// The small CPU set, also beside an NVIDIA driver; later commands keep to it
    #[arg(long, conflicts_with = "auto")]
    cpu: bool,
    /// Forget an earlier --cuda or --cpu: the NVIDIA driver decides again
    #[arg(long)]
    auto: bool,
    /// Install again, in place of what is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    if args.auto {
        libtorch::remember(None)?;
    }
    let wanted = match (args.cuda, args.cpu) {
        (true, _) => Some(Flavour::Cuda),
        (_, true) => Some(Flavour::Cpu),
        _ => None,
    };
    if wanted.is_some() || args.force {
        let name = ["LIBTORCH_USE_PYTORCH", "LIBTORCH"].into_iter().find(|name| std::env::var_os(name).is_some());
        ensure!(name.is_none(), "{} is set and would come first: unset it to install", name.unwrap_or_default());
    }
    let mut stages = Stages::new(1);
    if let Some(flavour) = wanted {
        libtorch::remember(Some(flavour))?;
    }
    ready(&mut stages, args.force)?;
    stages.end();
    Ok(())
}

/// The stage that every command with libtorch begins with: found, or installed now.
pub(crate) fn ready(stages: &mut Stages, force: bool) -> Result<Libtorch> {
    if let Some(found) = libtorch::given(|name| std::env::var_os(name))? {
        stages.begin("libtorch", &format!("found {found}"));
        return Ok(found);
    }
    let (flavour, why) = flavour()?;
    if let Some(found) = libtorch::cached(flavour)?.filter(|_| !force) {
        stages.begin("libtorch", &format!("found {found}"));
        return Ok(found);
    }
    let size = match flavour {
        Flavour::Cpu => "0.5 GB to download, 0.5 GB on disk, about 1 min at 100 Mbit/s",
        Flavour::Cuda => "2.4 GB to download, 4 GB on disk, about 5 min at 100 Mbit/s",
    };
    stages.begin("libtorch", &format!("installing {TORCH_VERSION} ({flavour}: {why}; {size})"));
    let installed = libtorch::install(flavour, force, &|text| stages.note(text))?;
    stages.note(&format!("{installed}"));
    Ok(installed)
}

/// A libtorch that is there already, without installing one.
pub(crate) fn found() -> Result<Option<Libtorch>> {
    match libtorch::given(|name| std::env::var_os(name))? {
        Some(found) => Ok(Some(found)),
        None => libtorch::cached(flavour()?.0),
    }
}

/// Which libraries this machine should have, and why.
fn flavour() -> Result<(Flavour, String)> {
    if let Some(chosen) = libtorch::chosen()? {
        return Ok((chosen, format!("chosen by `setup --{chosen}`")));
    }
    Ok(match Driver::here() {
        None => (Flavour::Cpu, "no NVIDIA driver".to_owned()),
        Some(driver) if driver.is_too_old() => {
            (Flavour::Cpu, format!("the NVIDIA driver {} is older than CUDA 13.0's {OLDEST_DRIVER}", driver.version))
        }
        Some(driver) => (Flavour::Cuda, format!("NVIDIA driver {}", driver.version)),
    })
}
