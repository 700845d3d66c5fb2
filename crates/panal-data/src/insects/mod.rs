//! The built-in data set: pictures of insects drawn from a table of anatomies, each from its species, a seed and a number alone.
//!
//! They are no photographs and stand in for none: they are there so that a whole lab runs where no data set can be reached,
//! and so that tests have images whose every property is known. Species differ in anatomy (segments, waist, legs,
//! antennae, wings, mouth, hair, patterns) and in the colours to choose from, which ants and bees share; ground, light, pose,
//! blur, noise and leaves in front are drawn without knowing the species, and a picture's scale suits the animal's size in it.
//!
//! A picture is the same on every platform and for any number of threads. Nothing here uses the mathematics of the system's
//! own library, whose last digits differ from one to the next: angles go through `glam` on `libm`, the rest is sums, products,
//! quotients and square roots, which IEEE 754 fixes. Clippy refuses the others in this module.
#![deny(clippy::disallowed_methods)]

mod body;
mod draw;
mod ground;
mod paint;
mod scene;
mod sheet;
mod species;

use std::ops::Range;

use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::{DataError, DataSource, keyed_rng};
use draw::Draw;
use species::Table;

pub use sheet::contact_sheet;

/// Counts up whenever the same species, seed and number begin to give other pixels; a test holds some of them.
const RENDERER: u64 = 1;

/// Keeps these draws apart from all others with the same seed.
const STREAM: u64 = 0x0125_3c75;

/// The two species of the lab, in the order of their labels.
const LAB: [&str; 2] = ["ants", "bees"];

/// Pictures of each species of the lab: as many as hymenoptera_data has photographs to train on, then to validate on.
const LAB_IMAGES: [[u64; 2]; 2] = [[123, 70], [121, 83]];

/// Pictures of each other species to pretrain on, then to validate on.
const PRETRAINING_IMAGES: [u64; 2] = [600, 60];

/// Side of every picture, in pixels.
pub const INSECT_SIDE: u32 = scene::SIDE as u32;

/// Labelled pictures of some species, drawn anew each time one is asked for; wrap it in [`Cached`](crate::Cached) to keep them.
///
/// ```
/// use panal_data::{DataSource, Insects};
///
/// let [train, validation] = Insects::lab(0)?;
/// assert_eq!(train.class_counts(), [123, 121]);
/// assert_eq!(validation.class_counts(), [70, 83]);
/// assert_eq!(train.image(7)?, Insects::lab(0)?[0].image(7)?);
/// # Ok::<(), panal_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Insects {
    name: String,
    classes: Vec<String>,
    /// The numbers of each class's pictures.
    numbers: Vec<Range<u64>>,
    seed: u64,
}

impl Insects {
    /// Pictures of these species, by name, each with the numbers given.
    ///
    /// # Errors
    /// [`DataError::Field`] for no species at all, one that is not in the table or is named twice, a range without numbers, and
    /// more than `u32::MAX` pictures in all.
    pub fn new(name: &str, species: &[(&str, Range<u64>)], seed: u64) -> Result<Self, DataError> {
        let table = Table::builtin()?;
        if species.is_empty() {
            return Err(DataError::field("species", "at least one", "none"));
        }
        let mut pictures: u64 = 0;
        for (index, (wanted, numbers)) in species.iter().enumerate() {
            table.find(wanted)?;
            if numbers.is_empty() {
                return Err(DataError::field(
                    format!("the numbers of {wanted}"),
                    "at least one",
                    format!("{numbers:?}"),
                ));
            }
            pictures = pictures.saturating_add(numbers.end - numbers.start);
            if species[..index].iter().any(|(other, _)| other == wanted) {
                return Err(DataError::field("species", "named once", format!("{wanted} twice")));
            }
        }
        if pictures > u64::from(u32::MAX) {
            return Err(DataError::field("pictures in all", format!("at most {}", u32::MAX), pictures));
        }
        let (classes, numbers) = species.iter().map(|(name, numbers)| ((*name).to_owned(), numbers.clone())).unzip();
        Ok(Self { name: name.to_owned(), classes, numbers, seed })
    }

    /// The lab's ants and bees: 123 and 121 to train on, 70 and 83 others to validate on, as in hymenoptera_data.
    ///
    /// # Errors
    /// None but a mistake in this crate.
    pub fn lab(seed: u64) -> Result<[Self; 2], DataError> {
        Self::two("insects", &LAB, |class| LAB_IMAGES[class], seed)
    }

    /// Every species but ants and bees, to pretrain a backbone on: 600 pictures of each, and 60 others to validate on.
    ///
    /// # Errors
    /// None but a mistake in this crate.
    pub fn pretraining(seed: u64) -> Result<[Self; 2], DataError> {
        let others: Vec<_> = Self::species()?.into_iter().filter(|name| !LAB.contains(name)).collect();
        Self::two("insects-others", &others, |_| PRETRAINING_IMAGES, seed)
    }

    /// The name of every species, in the table's order.
    ///
    /// # Errors
    /// None but a mistake in this crate.
    pub fn species() -> Result<Vec<&'static str>, DataError> {
        Ok(Table::builtin()?.species.iter().map(|species| species.name.as_str()).collect())
    }

    /// A set to train on, and one to validate on whose numbers follow.
    fn two(
        name: &str,
        species: &[&str],
        counts: impl Fn(usize) -> [u64; 2],
        seed: u64,
    ) -> Result<[Self; 2], DataError> {
        let part = |of: fn([u64; 2]) -> Range<u64>| {
            let numbered: Vec<_> = species.iter().enumerate().map(|(class, name)| (*name, of(counts(class)))).collect();
            Self::new(name, &numbered, seed)
        };
        Ok([part(|[train, _]| 0..train)?, part(|[train, validation]| train..train + validation)?])
    }

    /// Class and number of picture `index`.
    fn find(&self, mut index: usize) -> (usize, u64) {
        for (class, numbers) in self.numbers.iter().enumerate() {
            let count = (numbers.end - numbers.start) as usize;
            if index < count {
                return (class, numbers.start + index as u64);
            }
            index -= count;
        }
        panic!("picture {index} beyond the last one of {}", self.name);
    }
}

impl DataSource for Insects {
    fn name(&self) -> &str {
        &self.name
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.numbers.iter().map(|numbers| (numbers.end - numbers.start) as usize).sum()
    }

    fn label(&self, index: usize) -> usize {
        self.find(index).0
    }

    fn id(&self, index: usize) -> String {
        let (class, number) = self.find(index);
        format!("{}/{number:05}", self.classes[class])
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let (class, number) = self.find(index);
        draw_insect(&self.classes[class], self.seed, number)
    }

    fn size(&self, _: usize) -> Result<(u32, u32), DataError> {
        Ok((INSECT_SIDE, INSECT_SIDE))
    }

    /// SHA-256 of all that decides the pixels: the renderer's version, the bytes of the whole species table (so that any change to
    /// it shows), species, seed and number.
    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        let (class, number) = self.find(index);
        let mut hash = Sha256::new();
        hash.update(RENDERER.to_le_bytes());
        hash.update(Sha256::digest(species::TEXT));
        hash.update(&self.classes[class]);
        hash.update(self.seed.to_le_bytes());
        hash.update(number.to_le_bytes());
        Ok(hash.finalize().into())
    }
}

/// Picture `number` of a species: [`INSECT_SIDE`] pixels square, the same for the same arguments wherever it is drawn.
///
/// # Errors
/// [`DataError::Field`] for a species that is not in the table; it lists those that are.
pub fn draw_insect(species: &str, seed: u64, number: u64) -> Result<RgbImage, DataError> {
    let table = Table::builtin()?;
    let species = table.find(species)?;
    // By its name, so that a species added to the table changes no other.
    let name: [u8; 32] = Sha256::digest(&species.name).into();
    let name = name.iter().take(8).fold(0, |word: u64, &byte| word << 8 | u64::from(byte));
    let mut draw = Draw(keyed_rng(seed, &[STREAM, name, number]));
    Ok(scene::picture(table, species, &mut draw))
}
