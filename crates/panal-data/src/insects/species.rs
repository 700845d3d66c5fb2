//! What tells one species from another: its anatomy, read from `species.toml` and checked once. Nothing is drawn here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::DataError;

/// The text of the species table, which every digest of a synthetic image covers.
pub(super) const TEXT: &str = include_str!("../../insects/species.toml");

/// The built-in table; a test of this crate reads it, so that it cannot be wrong at run time.
static TABLE: LazyLock<Result<Table, DataError>> = LazyLock::new(|| Table::parse(TEXT));

/// Every species, with the colours and wing shapes that they name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    colours: BTreeMap<String, Surface>,
    wings: BTreeMap<String, WingShape>,
    pub(super) species: Vec<Species>,
}

/// A colour and how it shines.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Surface {
    /// Red, green and blue in `[0, 1]`.
    pub(super) rgb: [f32; 3],
    /// Share of the light that is mirrored, in `[0, 1]`.
    pub(super) gloss: f32,
}

/// A wing's outline and veins in its own plane: along it from hinge 0 to tip 1, across it from -0.5 to 0.5 at the leading edge.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WingShape {
    pub(super) outline: Vec<[f32; 2]>,
    pub(super) veins: Vec<Vec<[f32; 2]>>,
}

/// One species. Lengths are in body lengths, angles in degrees.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Species {
    pub(super) name: String,
    pub(super) order: String,
    pub(super) head: Segment,
    pub(super) thorax: Segment,
    /// What joins thorax and abdomen, where they don't touch.
    pub(super) waist: Option<Waist>,
    pub(super) abdomen: Abdomen,
    pub(super) legs: Legs,
    pub(super) antennae: Option<Antennae>,
    /// Length of each mandible.
    #[serde(default)]
    pub(super) mandibles: f32,
    /// A beak, or a weevil's snout.
    pub(super) proboscis: Option<Rod>,
    /// The pair of appendages at the end of the abdomen.
    pub(super) cerci: Option<Cerci>,
    /// Length of a stinger or ovipositor.
    #[serde(default)]
    pub(super) stinger: f32,
    /// Radius of an eye, in widths of the head.
    pub(super) eyes: f32,
    pub(super) hair: Hair,
    pub(super) patterns: Vec<Pattern>,
    /// Colours of the body, by name.
    pub(super) colours: Vec<String>,
    /// Colours of patterns, by name.
    pub(super) marks: Vec<String>,
    /// Pairs of wings, the front one first.
    #[serde(default)]
    pub(super) wings: Vec<Wing>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Segment {
    pub(super) length: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waist {
    pub(super) length: f32,
    pub(super) width: f32,
    /// Humps on it.
    pub(super) nodes: u8,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Abdomen {
    pub(super) length: f32,
    pub(super) width: f32,
    pub(super) height: f32,
    /// Visible rings.
    pub(super) rings: u8,
    /// Below 1 the widest place moves towards the thorax, above 1 towards the end.
    pub(super) taper: f32,
    /// How far the end hangs down.
    pub(super) droop: f32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Legs {
    pub(super) pairs: u8,
    pub(super) femur: f32,
    pub(super) tibia: f32,
    pub(super) tarsus: f32,
    pub(super) thickness: f32,
    /// Height of the thorax above the ground.
    pub(super) stance: f32,
    /// How many times longer the hind pair is.
    #[serde(default = "one")]
    pub(super) hind: f32,
    /// How many times thicker the hind femora are.
    #[serde(default = "one")]
    pub(super) hind_thickness: f32,
    /// The front pair is folded to catch prey.
    #[serde(default)]
    pub(super) raptorial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AntennaKind {
    /// A long first joint, then a bend.
    Elbowed,
    Straight,
    /// With side branches.
    Feathered,
    /// With a knob at the end.
    Clubbed,
    /// A short bristle.
    Bristle,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Antennae {
    pub(super) kind: AntennaKind,
    pub(super) length: f32,
    pub(super) thickness: f32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rod {
    pub(super) length: f32,
    pub(super) thickness: f32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cerci {
    pub(super) length: f32,
    pub(super) thickness: f32,
    /// How much each bends outwards; below 0, inwards as pincers.
    pub(super) curve: f32,
}

/// Density of hair, from bare 0 to a dense coat 1, and its length.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hair {
    pub(super) head: f32,
    pub(super) thorax: f32,
    pub(super) abdomen: f32,
    pub(super) length: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    Thorax,
    Abdomen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PatternKind {
    /// Across the body.
    Bands,
    /// Along the body.
    Stripes,
    Spots,
    /// The line where two wing cases meet.
    Midline,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    pub(super) on: Place,
    pub(super) kind: PatternKind,
    pub(super) count: u8,
    /// Share of the animals that have it.
    pub(super) chance: f32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wing {
    /// Name of its outline.
    pub(super) shape: String,
    pub(super) length: f32,
    pub(super) width: f32,
    /// Where it is hinged, in lengths of the thorax before its middle.
    pub(super) at: f32,
    /// How far it points backwards at rest: 0 across the body, 90 along it.
    pub(super) sweep: f32,
    /// Share of the animals that hold their wings spread.
    pub(super) spread: f32,
    /// Opacity between the veins.
    pub(super) opacity: f32,
    /// It has the colours of the body, in place of a clear membrane's.
    #[serde(default)]
    pub(super) tint: bool,
}

fn one() -> f32 {
    1.0
}

impl Table {
    /// The built-in species.
    pub(super) fn builtin() -> Result<&'static Self, DataError> {
        TABLE.as_ref().map_err(|error| DataError::Internal(error.to_string()))
    }

    /// Reads and checks a table.
    fn parse(text: &str) -> Result<Self, DataError> {
        let table: Self =
            toml::from_str(text).map_err(|error| DataError::Internal(format!("the species table: {error}")))?;
        for (index, species) in table.species.iter().enumerate() {
            if table.species[..index].iter().any(|other| other.name == species.name) {
                return Err(DataError::field("species.name", "unique", &species.name));
            }
            table.check(species)?;
        }
        Ok(table)
    }

    /// The species of this name.
    pub(super) fn find(&self, name: &str) -> Result<&Species, DataError> {
        self.species.iter().find(|species| species.name == name).ok_or_else(|| {
            let names: Vec<_> = self.species.iter().map(|species| species.name.as_str()).collect();
            DataError::field("species", format!("one of {}", names.join(", ")), name)
        })
    }

    /// A colour that a species names; [`check`](Self::check) has seen that there is one.
    pub(super) fn colour(&self, name: &str) -> Surface {
        self.colours.get(name).copied().unwrap_or(Surface { rgb: [0.5; 3], gloss: 0.0 })
    }

    /// The outline and veins of a species' wing, likewise.
    pub(super) fn wing(&self, wing: &Wing) -> Option<&WingShape> {
        self.wings.get(&wing.shape)
    }

    fn check(&self, species: &Species) -> Result<(), DataError> {
        let at = |field: &str| format!("{}.{field}", species.name);
        let positive = |field: &str, value: f32| {
            if value > 0.0 && value <= 4.0 {
                Ok(())
            } else {
                Err(DataError::field(at(field), "above 0 and at most 4", value))
            }
        };
        let share = |field: &str, value: f32| {
            if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(DataError::field(at(field), "in 0 to 1", value)) }
        };
        for (field, segment) in [("head", species.head), ("thorax", species.thorax)] {
            for side in [segment.length, segment.width, segment.height] {
                positive(field, side)?;
            }
        }
        let abdomen = species.abdomen;
        for side in [abdomen.length, abdomen.width, abdomen.height, abdomen.taper, f32::from(abdomen.rings)] {
            if !(side > 0.0 && side <= 12.0) {
                return Err(DataError::field(at("abdomen"), "above 0 and at most 12", side));
            }
        }
        let legs = species.legs;
        if !(3..=4).contains(&legs.pairs) {
            return Err(DataError::field(at("legs.pairs"), "3 or 4", legs.pairs));
        }
        for value in [legs.femur, legs.tibia, legs.tarsus, legs.thickness, legs.stance, legs.hind] {
            positive("legs", value)?;
        }
        for value in [species.hair.head, species.hair.thorax, species.hair.abdomen] {
            share("hair", value)?;
        }
        for wing in &species.wings {
            share("wings.opacity", wing.opacity)?;
            share("wings.spread", wing.spread)?;
            if self.wing(wing).is_none_or(|shape| shape.outline.len() < 3) {
                return Err(DataError::field(at("wings.shape"), "a shape of [wings] with an outline", &wing.shape));
            }
        }
        if species.colours.is_empty() || species.marks.is_empty() {
            return Err(DataError::field(at("colours"), "at least one, and one of marks", 0));
        }
        match species.colours.iter().chain(&species.marks).find(|name| !self.colours.contains_key(*name)) {
            Some(name) => Err(DataError::field(at("colours"), "names of [colours]", name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_whole() {
        let table = Table::builtin().unwrap();
        assert!(table.species.len() >= 24, "{}", table.species.len());
        for name in ["ants", "bees", "wasps", "flies", "spiders"] {
            assert_eq!(table.find(name).unwrap().name, name);
        }
    }

    #[test]
    fn the_two_of_the_lab_share_their_colours() {
        let table = Table::builtin().unwrap();
        let (ants, bees) = (table.find("ants").unwrap(), table.find("bees").unwrap());
        assert_eq!((&ants.colours, &ants.marks), (&bees.colours, &bees.marks));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |from: &str, to: &str| Table::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(said("pairs = 3", "pairs = 5").contains("ants.legs.pairs"));
        assert!(said("colours = [\"black\"", "colours = [\"pink\"").contains("pink"));
        assert!(said("name = \"bees\"", "name = \"ants\"").contains("unique"));
        assert!(said("eyes", "ears").contains("ears"));
        assert!(Table::builtin().unwrap().find("unicorns").unwrap_err().to_string().contains("unicorns"));
    }
}
