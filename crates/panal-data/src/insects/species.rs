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
        table.check_shared()?;
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
        let wrong = |field: &str, allowed: &str, value: &dyn ToString| {
            Err(DataError::field(format!("{}.{field}", species.name), allowed, value.to_string()))
        };
        for (field, value, kind) in species.numbers() {
            let (range, allowed) = match kind {
                Kind::Length => (f32::MIN_POSITIVE..=4.0, "above 0 and at most 4"),
                Kind::OptionalLength => (0.0..=4.0, "0 to 4"),
                Kind::Share => (0.0..=1.0, "0 to 1"),
                Kind::Degrees => (-180.0..=180.0, "-180 to 180 degrees"),
                Kind::Place => (-2.0..=2.0, "-2 to 2"),
            };
            // NaN lies in no range.
            if !range.contains(&value) {
                return wrong(field, allowed, &value);
            }
        }
        if !(3..=4).contains(&species.legs.pairs) {
            return wrong("legs.pairs", "3 or 4", &species.legs.pairs);
        }
        if !(1..=12).contains(&species.abdomen.rings) {
            return wrong("abdomen.rings", "1 to 12", &species.abdomen.rings);
        }
        if let Some(pattern) = species.patterns.iter().find(|pattern| pattern.count == 0) {
            return wrong("patterns.count", "at least 1", &pattern.count);
        }
        if let Some(wing) = species.wings.iter().find(|wing| self.wing(wing).is_none()) {
            return wrong("wings.shape", "the name of a shape in [wings]", &wing.shape);
        }
        for (field, names) in [("colours", &species.colours), ("marks", &species.marks)] {
            if names.is_empty() {
                return wrong(field, "at least one name of [colours]", &"none");
            }
            if let Some(name) = names.iter().find(|name| !self.colours.contains_key(*name)) {
                return wrong(field, "names of [colours]", name);
            }
        }
        Ok(())
    }

    /// Checks what species share: colours and wing shapes.
    fn check_shared(&self) -> Result<(), DataError> {
        for (name, surface) in &self.colours {
            if let Some(value) = [surface.gloss].iter().chain(&surface.rgb).find(|value| !(0.0..=1.0).contains(*value))
            {
                return Err(DataError::field(format!("colours.{name}"), "0 to 1", value));
            }
        }
        for (name, shape) in &self.wings {
            if shape.outline.len() < 3 {
                return Err(DataError::field(
                    format!("wings.{name}.outline"),
                    "at least 3 points",
                    shape.outline.len(),
                ));
            }
            let inside = |[along, across]: &[f32; 2]| (0.0..=1.0).contains(along) && (-0.5..=0.5).contains(across);
            if let Some(point) = shape.outline.iter().chain(shape.veins.iter().flatten()).find(|point| !inside(point)) {
                let allowed = "0 to 1 along and -0.5 to 0.5 across";
                return Err(DataError::field(format!("wings.{name}"), allowed, format!("{point:?}")));
            }
        }
        Ok(())
    }
}

/// What a number of the table may be.
#[derive(Clone, Copy)]
enum Kind {
    Length,
    /// A length, or 0 for what is not there.
    OptionalLength,
    Share,
    Degrees,
    /// A place along the thorax.
    Place,
}

impl Species {
    /// Every number with its field and kind.
    fn numbers(&self) -> Vec<(&'static str, f32, Kind)> {
        use Kind::{Degrees, Length, OptionalLength, Place, Share};
        let Self { head, thorax, abdomen, legs, hair, .. } = self;
        let mut all = vec![
            ("head.length", head.length, Length),
            ("head.width", head.width, Length),
            ("head.height", head.height, Length),
            ("thorax.length", thorax.length, Length),
            ("thorax.width", thorax.width, Length),
            ("thorax.height", thorax.height, Length),
            ("abdomen.length", abdomen.length, Length),
            ("abdomen.width", abdomen.width, Length),
            ("abdomen.height", abdomen.height, Length),
            ("abdomen.taper", abdomen.taper, Length),
            ("abdomen.droop", abdomen.droop, Degrees),
            ("legs.femur", legs.femur, Length),
            ("legs.tibia", legs.tibia, Length),
            ("legs.tarsus", legs.tarsus, Length),
            ("legs.thickness", legs.thickness, Length),
            ("legs.stance", legs.stance, Length),
            ("legs.hind", legs.hind, Length),
            ("legs.hind_thickness", legs.hind_thickness, Length),
            ("mandibles", self.mandibles, OptionalLength),
            ("stinger", self.stinger, OptionalLength),
            ("eyes", self.eyes, Length),
            ("hair.head", hair.head, Share),
            ("hair.thorax", hair.thorax, Share),
            ("hair.abdomen", hair.abdomen, Share),
            ("hair.length", hair.length, Length),
        ];
        if let Some(waist) = self.waist {
            all.extend([("waist.length", waist.length, Length), ("waist.width", waist.width, Length)]);
        }
        if let Some(antennae) = self.antennae {
            all.push(("antennae.length", antennae.length, Length));
            all.push(("antennae.thickness", antennae.thickness, Length));
        }
        if let Some(beak) = self.proboscis {
            all.extend([("proboscis.length", beak.length, Length), ("proboscis.thickness", beak.thickness, Length)]);
        }
        if let Some(cerci) = self.cerci {
            all.extend([("cerci.length", cerci.length, Length), ("cerci.thickness", cerci.thickness, Length)]);
            all.push(("cerci.curve", cerci.curve, Degrees));
        }
        all.extend(self.patterns.iter().map(|pattern| ("patterns.chance", pattern.chance, Share)));
        for wing in &self.wings {
            all.extend([("wings.length", wing.length, Length), ("wings.width", wing.width, Length)]);
            all.extend([("wings.opacity", wing.opacity, Share), ("wings.spread", wing.spread, Share)]);
            all.extend([("wings.at", wing.at, Place), ("wings.sweep", wing.sweep, Degrees)]);
        }
        all
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
        assert!(said("femur = 0.30", "femur = nan").contains("ants.legs.femur"));
        assert!(said("thickness = 0.018", "thickness = -0.018").contains("ants.antennae.thickness"));
        assert!(said("gloss = 0.5", "gloss = 1.5").contains("colours.black"));
        assert!(said("[0.3, 0.30]", "[0.3, 0.70]").contains("wings.hymenopteran"));
        assert!(said("colours = [\"black\"", "colours = [\"pink\"").contains("pink"));
        assert!(said("marks = [\"black\"", "marks = [\"pink\"").contains("ants.marks"));
        assert!(said("name = \"bees\"", "name = \"ants\"").contains("unique"));
        assert!(said("eyes", "ears").contains("ears"));
        assert!(Table::builtin().unwrap().find("unicorns").unwrap_err().to_string().contains("unicorns"));
    }
}
