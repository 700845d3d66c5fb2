//! The energy of a run as its record keeps it, and that of a row over its seeds. Nothing here measures.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::table::{Spread, distinct};
use crate::{ReportError, RunRecord};

/// What a run took, and the CO2 of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyRecord {
    /// Joules of all devices.
    pub joules: f64,
    /// How they came about.
    pub method: EnergyMethod,
    /// Each device once.
    pub parts: Vec<EnergyPart>,
    /// Grams of CO2 equivalents.
    pub grams_co2: f64,
    /// Grams of CO2 equivalents for each kilowatt-hour.
    pub grid_grams_per_kwh: f64,
    /// Where that number is from.
    pub grid_source: String,
}

/// How a number of joules came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EnergyMethod {
    /// Counted by the machine.
    #[serde(rename = "measured")]
    Measured,
    /// Rated power times time.
    #[serde(rename = "estimated")]
    Estimated,
    /// Some devices the one way, some the other.
    #[serde(rename = "partly estimated")]
    Partly,
}

impl fmt::Display for EnergyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
            Self::Partly => "partly estimated",
        })
    }
}

/// The energy of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyPart {
    /// The device.
    pub what: String,
    /// Joules.
    pub joules: f64,
    /// Whether they were counted; else they are estimated.
    pub measured: bool,
    /// How, in words.
    pub how: String,
}

/// The energy of one run of a row, over its seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct RowEnergy {
    /// Watt-hours.
    pub watt_hours: Spread,
    /// Grams of CO2 equivalents.
    pub grams_co2: Spread,
    /// How they came about; of seeds that differ, `Partly`.
    pub method: EnergyMethod,
    /// Grids, as in `481 g/kWh (source)`.
    pub grids: Vec<String>,
    /// How it was counted or estimated, device by device, of the first seed.
    pub how: Vec<String>,
}

const JOULES_PER_WATT_HOUR: f64 = 3600.0;

/// The energy of one row; `None` unless all of its runs have it.
pub(crate) fn energy(runs: &[&RunRecord]) -> Result<Option<RowEnergy>, ReportError> {
    let Some(records) = runs.iter().map(|run| run.energy.as_ref()).collect::<Option<Vec<&EnergyRecord>>>() else {
        return Ok(None);
    };
    let methods = distinct(records.iter().map(|record| record.method));
    let grids = records.iter().map(|record| format!("{:.0} g/kWh ({})", record.grid_grams_per_kwh, record.grid_source));
    Ok(Some(RowEnergy {
        watt_hours: Spread::of(records.iter().map(|record| record.joules / JOULES_PER_WATT_HOUR))?,
        grams_co2: Spread::of(records.iter().map(|record| record.grams_co2))?,
        method: if let [method] = methods[..] { method } else { EnergyMethod::Partly },
        grids: distinct(grids),
        how: records.first().into_iter().flat_map(|record| &record.parts).map(part).collect(),
    }))
}

fn part(part: &EnergyPart) -> String {
    format!("{}, {}: {}", part.what, if part.measured { "measured" } else { "estimated" }, part.how)
}

/// A number with three figures, since a row may take a thousandth of a watt-hour or a thousand.
pub(crate) fn figures(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 || !size.is_finite() => 0,
        size => (2 - size.log10().floor() as i64).clamp(0, 6) as usize,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_are_shown() {
        let said = [0.0, 0.001234, 0.5, 1.2345, 12.345, 99.96, 123.4].map(figures);
        assert_eq!(said, ["0", "0.00123", "0.500", "1.23", "12.3", "100.0", "123"]);
    }
}
