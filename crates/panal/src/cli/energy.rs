//! What energy and CO2 are reckoned with: the words that `lab` and `train` share.

use clap::Args;
use panal_energy::{Grid, MeterSpec};

#[derive(Debug, Clone, Args)]
pub(crate) struct EnergyArgs {
    /// Grams of CO2 for each kWh of the grid here [default: 481, the world's average of 2023 by Ember]
    #[arg(long, value_name = "GRAMS", env = "PANAL_GRID_INTENSITY", allow_negative_numbers = true, value_parser = grams)]
    pub(crate) grid_intensity: Option<f64>,

    /// Where that number is from, for the report
    #[arg(
        long,
        value_name = "TEXT",
        env = "PANAL_GRID_SOURCE",
        default_value = "set by hand",
        requires = "grid_intensity"
    )]
    pub(crate) grid_source: String,

    /// Watts of a busy core, where the machine does not measure its energy [default: 12, as Green Algorithms has it]
    #[arg(long, value_name = "WATTS", env = "PANAL_CORE_WATTS", allow_negative_numbers = true, value_parser = watts)]
    pub(crate) core_watts: Option<f64>,
}

impl EnergyArgs {
    /// The grid that was named, or the world's.
    pub(crate) fn grid(&self) -> anyhow::Result<Grid> {
        Ok(match self.grid_intensity {
            Some(grams) => Grid::new(grams, self.grid_source.clone())?,
            None => Grid::default(),
        })
    }
}

fn grams(text: &str) -> Result<f64, String> {
    let grams = number(text)?;
    Grid::new(grams, "").map_err(|error| error.to_string())?;
    Ok(grams)
}

fn watts(text: &str) -> Result<f64, String> {
    let watts = number(text)?;
    MeterSpec { core_watts: Some(watts), ..MeterSpec::default() }.check().map_err(|error| error.to_string())?;
    Ok(watts)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}
