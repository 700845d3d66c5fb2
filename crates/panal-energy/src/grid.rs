//! What a kilowatt-hour costs in CO2. Where the machine stands is the user's to say.

use crate::EnergyError;
use crate::error::within;

/// Joules of a kilowatt-hour.
const KWH: f64 = 3.6e6;

/// The greenhouse gases of making electricity.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Grams of CO2 equivalents for each kilowatt-hour.
    pub grams_per_kwh: f64,
    /// Where the number is from.
    pub source: String,
}

impl Grid {
    /// A grid that the user knows: `grams_per_kwh` from 0 to 2000, and where that number is from.
    ///
    /// # Errors
    /// [`EnergyError::Field`] for a number outside that range.
    pub fn new(grams_per_kwh: f64, source: impl Into<String>) -> Result<Self, EnergyError> {
        let allowed = "0 to 2000 g of CO2 for each kWh";
        let grams_per_kwh = within("the grid's intensity", allowed, grams_per_kwh, (0.0, 2000.0))?;
        Ok(Self { grams_per_kwh, source: source.into() })
    }

    /// Grams of CO2 equivalents for so many joules.
    pub fn grams(&self, joules: f64) -> f64 {
        joules / KWH * self.grams_per_kwh
    }
}

impl Default for Grid {
    /// The world's average in 2023: 481 g (480.85), life cycle, Ember's Yearly Electricity Data with the Energy Institute's Statistical Review,
    /// as Our World in Data publishes them (`ourworldindata.org/grapher/carbon-intensity-electricity`).
    fn default() -> Self {
        let source = "world average of 2023, Ember and Energy Institute by Our World in Data";
        Self { grams_per_kwh: 481.0, source: source.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kilowatt_hour_costs_the_intensity() {
        assert!((Grid::default().grams(3.6e6) - 481.0).abs() < 1e-9);
        assert_eq!(Grid::new(0.0, "own panels").unwrap().grams(1e9), 0.0);
    }

    #[test]
    fn what_no_grid_has_is_refused() {
        for got in [-1.0, 2001.0, f64::NAN, f64::INFINITY] {
            let said = Grid::new(got, "x").unwrap_err().to_string();
            assert!(said.starts_with("the grid's intensity must be 0 to 2000 g of CO2 for each kWh, got "), "{said}");
        }
    }
}
