//! What kind of episodes to draw, as the user writes it. Drawing them lives in `sampler`.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// What kind of episodes to draw. In TOML:
///
/// ```
/// let spec: panal_data::EpisodeSpec = toml::from_str(
///     r#"
///     size = { fixed = { ways = 5, shots = 1, queries = 15 } }
///     within = "group"
///     rotations = true
///     "#,
/// )?;
/// spec.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeSpec {
    /// How many classes and images.
    pub size: EpisodeSize,
    /// Where the classes of one episode come from; anywhere if not given.
    #[serde(default)]
    pub within: Within,
    /// Whether each class stands for four, the others being its images turned by 90, 180 and 270 degrees.
    #[serde(default)]
    pub rotations: bool,
    /// Whether no two episodes share an image, so that they end once the data are used up, and results on them are
    /// independent (Lafargue et al., arXiv 2409.02850). With `rotations` an episode then has a class in one rotation only.
    #[serde(default)]
    pub disjoint: bool,
}

/// Where the classes of one episode come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// All from one group, such as an alphabet, drawn evenly among groups. A set without groups is one group.
    Group,
    /// From the whole set.
    #[default]
    Any,
}

/// How many classes an episode has, and how many images of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeSize {
    /// `fixed`: the same in every episode.
    Fixed(FixedSize),
    /// `variable`: drawn for each episode, and for each class of it.
    Variable(VariableSize),
}

/// The same numbers in every episode: `ways`-way `shots`-shot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedSize {
    /// Classes.
    pub ways: usize,
    /// Support images of each class.
    pub shots: usize,
    /// Query images of each class.
    pub queries: usize,
}

/// The sampling of Meta-Dataset (Triantafillou et al., arXiv 1903.03096, section 3.2, and the code that goes with it),
/// with its numbers where none are given.
///
/// With `C` the classes of the episode and `n_c` the images of class `c`:
///
/// 1. `|C|` is uniform between `min_ways` and `max_ways`, or the number of classes where that is less.
/// 2. Each class has `q = min(max_queries, min over c of floor(n_c / 2))` queries.
/// 3. The support has `S = min(max_support, sum over c of ceil(b min(max_class_support, n_c - q)))` images in the main,
///    `b` uniform in `(0, 1]`.
/// 4. Of them class `c` gets `min(floor(R_c (S - |C|)) + 1, n_c - q)`, where `R_c` is `exp(a_c) n_c` over the sum of all
///    such, and `a_c` is uniform in `[ln 0.5, ln 2)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VariableSize {
    /// The fewest classes; 5.
    pub min_ways: usize,
    /// The most classes; 50.
    pub max_ways: usize,
    /// The most queries of each class; 10.
    pub max_queries: usize,
    /// The most support images of all classes together; 500.
    pub max_support: usize,
    /// What one class counts at most toward the number of support images; 100.
    pub max_class_support: usize,
}

impl Default for VariableSize {
    fn default() -> Self {
        Self { min_ways: 5, max_ways: 50, max_queries: 10, max_support: 500, max_class_support: 100 }
    }
}

impl EpisodeSpec {
    /// `ways` classes of the whole set with `shots` support and `queries` query images each.
    pub fn fixed(ways: usize, shots: usize, queries: usize) -> Self {
        let size = EpisodeSize::Fixed(FixedSize { ways, shots, queries });
        Self { size, within: Within::Any, rotations: false, disjoint: false }
    }

    /// Checks what can be checked without the data.
    ///
    /// # Errors
    /// [`DataError::Field`] names the field, the range and the value.
    pub fn check(&self) -> Result<(), DataError> {
        let at_least = |name: &str, least: usize, value: usize| {
            let kind = if matches!(self.size, EpisodeSize::Fixed(_)) { "fixed" } else { "variable" };
            let refusal = || DataError::field(format!("size.{kind}.{name}"), format!(">= {least}"), value);
            if value >= least { Ok(()) } else { Err(refusal()) }
        };
        match &self.size {
            EpisodeSize::Fixed(size) => {
                at_least("ways", 2, size.ways)?;
                at_least("shots", 1, size.shots)?;
                at_least("queries", 1, size.queries)
            }
            EpisodeSize::Variable(size) => {
                at_least("min_ways", 2, size.min_ways)?;
                at_least("max_ways", size.min_ways, size.max_ways)?;
                at_least("max_queries", 1, size.max_queries)?;
                at_least("max_support", size.max_ways, size.max_support)?;
                at_least("max_class_support", 1, size.max_class_support)
            }
        }
    }

    /// The fewest classes that an episode can have.
    pub(super) fn least_ways(&self) -> usize {
        match &self.size {
            EpisodeSize::Fixed(size) => size.ways,
            EpisodeSize::Variable(size) => size.min_ways,
        }
    }

    /// The fewest images that a class of an episode can have.
    pub(super) fn least_images(&self) -> usize {
        match &self.size {
            EpisodeSize::Fixed(size) => size.shots.saturating_add(size.queries),
            EpisodeSize::Variable(_) => 2,
        }
    }
}
