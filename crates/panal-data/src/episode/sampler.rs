//! Drawing episodes from a data set, each from a seed and its number alone. What is drawn is the spec's to say.

use std::collections::HashSet;

use rand::RngExt;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use super::{
    Episode, EpisodeClass, EpisodeItem, EpisodeList, EpisodeSize, EpisodeSpec, Rotation, VariableSize, Within,
};
use crate::{DataError, DataSource, keyed_rng};

/// What the draws of this file are keyed by, together with the episode's number.
const STREAM: u64 = 0x4550_4953_4f44_4500;

/// The episodes that a spec and a seed make of a data set. Episode `i` is the same whichever were asked for before, and on
/// every platform.
///
/// ```
/// use panal_data::{Episodes, EpisodeSpec, Insects};
///
/// let [bees_and_ants, _] = Insects::lab(0)?;
/// let episodes = Episodes::new(&bees_and_ants, EpisodeSpec::fixed(2, 1, 15), 7)?;
/// let episode = episodes.episode(600)?;
/// assert_eq!((episode.ways.len(), episode.support.len(), episode.query.len()), (2, 2, 30));
/// # Ok::<(), panal_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Episodes {
    name: String,
    spec: EpisodeSpec,
    seed: u64,
    pools: Vec<Pool>,
    /// All that there are, where no two share an image.
    disjoint: Option<Vec<Episode>>,
}

/// Classes that can meet in an episode.
type Pool = Vec<Class>;

#[derive(Clone, Debug)]
struct Class {
    class: usize,
    images: Vec<usize>,
}

impl Episodes {
    /// Checks that `spec` can be had of `source`. Classes without any image, which a [`Subset`](crate::Subset) may have, are
    /// passed over.
    ///
    /// # Errors
    /// [`DataError::Field`] where the [spec](EpisodeSpec::check) is wrong, a class has too few images, or the set (or one of
    /// its groups) too few classes; the error names the class or group.
    pub fn new(source: &dyn DataSource, spec: EpisodeSpec, seed: u64) -> Result<Self, DataError> {
        spec.check()?;
        let pools = pools(source, &spec)?;
        let mut episodes = Self { name: source.name().to_owned(), spec, seed, pools, disjoint: None };
        if episodes.spec.disjoint {
            episodes.disjoint = Some(episodes.use_up());
        }
        Ok(episodes)
    }

    /// How many episodes there are; `None` for any number of them.
    pub fn available(&self) -> Option<usize> {
        self.disjoint.as_ref().map(Vec::len)
    }

    /// Episode `number`, from 0.
    ///
    /// # Errors
    /// [`DataError::Field`] for a number beyond those [`available`](Self::available).
    pub fn episode(&self, number: u64) -> Result<Episode, DataError> {
        let Some(all) = &self.disjoint else {
            return Ok(self.draw(&self.pools, number));
        };
        let episode = usize::try_from(number).ok().and_then(|number| all.get(number)).cloned();
        episode.ok_or_else(|| {
            let allowed = format!("< {}, as many as share no image", all.len());
            DataError::field("the number of an episode", allowed, number)
        })
    }

    /// The first `count` episodes, as a list that can be written to a file.
    ///
    /// # Errors
    /// As [`episode`](Self::episode).
    pub fn list(&self, count: usize) -> Result<EpisodeList, DataError> {
        if let Some(available) = self.available()
            && count > available
        {
            let allowed = format!("<= {available}, as many as share no image");
            return Err(DataError::field("the number of episodes", allowed, count));
        }
        Ok(EpisodeList {
            source: self.name.clone(),
            seed: Some(self.seed),
            spec: Some(self.spec.clone()),
            episodes: (0..count as u64).map(|number| self.episode(number)).collect::<Result<_, _>>()?,
        })
    }

    /// Episodes until none is left that would not share an image with one before it.
    fn use_up(&self) -> Vec<Episode> {
        let mut left = self.pools.clone();
        let mut episodes = Vec::new();
        loop {
            for pool in &mut left {
                pool.retain(|class| class.images.len() >= self.spec.least_images());
            }
            left.retain(|pool| pool.len() >= self.spec.least_ways());
            if left.is_empty() {
                return episodes;
            }
            let episode = self.draw(&left, episodes.len() as u64);
            let used: HashSet<usize> = episode.items().map(|item| item.image).collect();
            let classes: HashSet<usize> = episode.ways.iter().map(|way| way.class).collect();
            for class in left.iter_mut().flatten().filter(|class| classes.contains(&class.class)) {
                class.images.retain(|image| !used.contains(image));
            }
            episodes.push(episode);
        }
    }

    /// Episode `number` of what is in `pools`, each of which has enough.
    fn draw(&self, pools: &[Pool], number: u64) -> Episode {
        let rng = &mut keyed_rng(self.seed, &[STREAM, number]);
        let pool = &pools[rng.random_range(0..pools.len() as u64) as usize];
        let turns = turns(&self.spec);
        let choices = pool.len() * turns;
        let ways = match &self.spec.size {
            EpisodeSize::Fixed(size) => size.ways,
            EpisodeSize::Variable(size) => {
                rng.random_range(size.min_ways as u64..=size.max_ways.min(choices) as u64) as usize
            }
        };
        let chosen: Vec<(&Class, Rotation)> = sample(rng, choices, ways)
            .into_iter()
            .map(|choice| (&pool[choice / turns], Rotation::ALL[choice % turns]))
            .map(|(class, rotation)| {
                let drawn = self.spec.rotations && turns == 1;
                (class, if drawn { Rotation::ALL[rng.random_range(0..4_u32) as usize] } else { rotation })
            })
            .collect();
        let (shots, queries) = match &self.spec.size {
            EpisodeSize::Fixed(size) => (vec![size.shots; ways], size.queries),
            EpisodeSize::Variable(size) => {
                let images: Vec<usize> = chosen.iter().map(|(class, _)| class.images.len()).collect();
                unbalanced(size, &images, rng)
            }
        };
        let mut episode = Episode { number, ways: Vec::with_capacity(ways), support: Vec::new(), query: Vec::new() };
        for (label, ((class, rotation), shots)) in chosen.into_iter().zip(shots).enumerate() {
            episode.ways.push(EpisodeClass { class: class.class, rotation });
            for (place, index) in sample(rng, class.images.len(), shots + queries).into_iter().enumerate() {
                let item = EpisodeItem { image: class.images[index], rotation, label };
                if place < shots { &mut episode.support } else { &mut episode.query }.push(item);
            }
        }
        episode
    }
}

/// For how many classes one class can stand in the same episode.
fn turns(spec: &EpisodeSpec) -> usize {
    if spec.rotations && !spec.disjoint { Rotation::ALL.len() } else { 1 }
}

/// The classes that can meet, each pool large enough for an episode.
fn pools(source: &dyn DataSource, spec: &EpisodeSpec) -> Result<Vec<Pool>, DataError> {
    let mut images = vec![Vec::new(); source.classes().len()];
    for index in 0..source.len() {
        images[source.label(index)].push(index);
    }
    let grouped = spec.within == Within::Group && !source.groups().is_empty();
    let mut pools = vec![Pool::new(); if grouped { source.groups().len() } else { 1 }];
    for (class, images) in images.into_iter().enumerate().filter(|(_, images)| !images.is_empty()) {
        if images.len() < spec.least_images() {
            let needed = match &spec.size {
                EpisodeSize::Fixed(size) => format!("for {} to support and {} to query", size.shots, size.queries),
                EpisodeSize::Variable(_) => "for one to support and one to query".to_owned(),
            };
            let field = format!("the number of images of {}", source.classes()[class]);
            return Err(DataError::field(field, format!(">= {} ({needed})", spec.least_images()), images.len()));
        }
        let pool = source.group(class).filter(|_| grouped).unwrap_or(0);
        pools[pool].push(Class { class, images });
    }
    for (pool, classes) in pools.iter().enumerate().filter(|(_, classes)| !grouped || !classes.is_empty()) {
        let choices = classes.len() * turns(spec);
        if choices < spec.least_ways() {
            let name = if grouped { &source.groups()[pool] } else { source.name() };
            let ways = if matches!(spec.size, EpisodeSize::Fixed(_)) { "fixed.ways" } else { "variable.min_ways" };
            let with = if turns(spec) > 1 { ", rotations included" } else { "" };
            let allowed = format!("<= {choices}, the classes of {name}{with}");
            return Err(DataError::field(format!("size.{ways}"), allowed, spec.least_ways()));
        }
    }
    pools.retain(|pool| !pool.is_empty());
    if pools.is_empty() {
        return Err(DataError::field("the number of images to draw episodes from", "> 0", 0));
    }
    Ok(pools)
}

/// The shots of each class and the queries of every class, where class `c` has `images[c]` images, 2 or more.
fn unbalanced(size: &VariableSize, images: &[usize], rng: &mut ChaCha8Rng) -> (Vec<usize>, usize) {
    let queries = images.iter().map(|n| n / 2).min().unwrap_or(1).min(size.max_queries);
    let beta = 1.0 - rng.random::<f64>();
    // exp(a) for a uniform between ln 0.5 and ln 2, by a power of 2 that is the same on every platform.
    let exps: Vec<f64> = images.iter().map(|_| libm::exp2(2.0 * rng.random::<f64>() - 1.0)).collect();
    (shots(size, images, queries, beta, &exps), queries)
}

/// Rules 3 and 4 of [`VariableSize`], with `exps[c] = exp(a_c)`.
fn shots(size: &VariableSize, images: &[usize], queries: usize, beta: f64, exps: &[f64]) -> Vec<usize> {
    let left: Vec<usize> = images.iter().map(|n| n - queries).collect();
    let wanted = left.iter().map(|&left| (beta * left.min(size.max_class_support) as f64).ceil() as usize);
    let support = wanted.sum::<usize>().min(size.max_support);
    let weights: Vec<f64> = exps.iter().zip(images).map(|(exp, &n)| exp * n as f64).collect();
    let (all, beyond_one) = (weights.iter().sum::<f64>(), (support - images.len()) as f64);
    let share = |(weight, &left): (&f64, &usize)| ((weight / all * beyond_one).floor() as usize + 1).min(left);
    weights.iter().zip(&left).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, for classes of 40, 20 and 10 images, of which 5 each are queries.
    #[test]
    fn shots_follow_the_rules() {
        let of = |size: &VariableSize, beta, exps: [f64; 3]| shots(size, &[40, 20, 10], 5, beta, &exps);
        let usual = VariableSize::default();
        // ceil(17.5) + ceil(7.5) + ceil(2.5) = 29, of which 26 are shared out as 40 : 20 : 10.
        assert_eq!(of(&usual, 0.5, [1.0; 3]), [15, 8, 4]);
        // As 80 : 10 : 5.
        assert_eq!(of(&usual, 0.5, [2.0, 0.5, 0.5]), [22, 3, 2]);
        // 52 as 20 : 10 : 20, but the third class has 5 left.
        assert_eq!(of(&usual, 1.0, [0.5, 0.5, 2.0]), [21, 11, 5]);
        assert_eq!(of(&usual, 1e-9, [1.0; 3]), [1, 1, 1]);
        // 13 in all: 10 as 40 : 20 : 10.
        assert_eq!(of(&VariableSize { max_support: 13, ..usual.clone() }, 1.0, [1.0; 3]), [6, 3, 2]);
        // 4 + 4 + 3 in all, as no class counts more than 7: 8 as 40 : 20 : 10.
        assert_eq!(of(&VariableSize { max_class_support: 7, ..usual }, 0.5, [1.0; 3]), [5, 3, 2]);
    }
}
