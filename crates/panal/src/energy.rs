//! The energy of a run: which device is metered, and how its record is written. Measuring is `panal-energy`'s.

use anyhow::Result;
use panal_energy::{Energy, Gpu, Grid, MeterSpec, Method};
use panal_report::{EnergyMethod, EnergyPart, EnergyRecord};
use tch::Device;

use crate::cli::EnergyArgs;

/// What a run is metered by.
pub(crate) struct Metering {
    pub(crate) spec: MeterSpec,
    grid: Grid,
}

impl Metering {
    pub(crate) fn new(args: &EnergyArgs, device: Device) -> Result<Self> {
        let gpu = match device {
            Device::Cpu => Gpu::None,
            Device::Cuda(index) => Gpu::Cuda(index),
            _ => Gpu::Other,
        };
        Ok(Self { spec: MeterSpec { core_watts: args.core_watts, gpu, ..MeterSpec::default() }, grid: args.grid()? })
    }

    pub(crate) fn record(&self, energy: &Energy) -> EnergyRecord {
        let parts = energy.parts.iter().map(|part| EnergyPart {
            what: part.what.clone(),
            joules: part.joules,
            measured: part.measured,
            how: part.how.clone(),
        });
        EnergyRecord {
            joules: energy.joules(),
            method: match energy.method() {
                Method::Measured => EnergyMethod::Measured,
                Method::Estimated => EnergyMethod::Estimated,
                Method::Partly => EnergyMethod::Partly,
            },
            parts: parts.collect(),
            grams_co2: self.grid.grams(energy.joules()),
            grid_grams_per_kwh: self.grid.grams_per_kwh,
            grid_source: self.grid.source.clone(),
        }
    }
}
