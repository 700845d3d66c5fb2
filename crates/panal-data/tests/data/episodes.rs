//! The laws of episodes, and which specs the data cannot meet.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use image::RgbImage;
use panal_data::{
    DataError, DataSource, Episode, EpisodeSize, EpisodeSpec, Episodes, Rotation, Subset, VariableSize, Within,
};
use proptest::prelude::*;

use crate::shared::{Painted, picture};

/// A set with these numbers of images in each class of each group.
#[derive(Debug)]
pub(crate) struct Alphabets {
    classes: Vec<String>,
    groups: Vec<String>,
    group_of: Vec<usize>,
    labels: Vec<usize>,
}

impl Alphabets {
    pub(crate) fn new(counts: &[&[usize]]) -> Self {
        let mut this = Self { classes: vec![], groups: vec![], group_of: vec![], labels: vec![] };
        for (group, counts) in counts.iter().enumerate() {
            this.groups.push(format!("alphabet{group}"));
            for (character, &count) in counts.iter().enumerate() {
                this.labels.extend(std::iter::repeat_n(this.classes.len(), count));
                this.classes.push(format!("alphabet{group}/{character}"));
                this.group_of.push(group);
            }
        }
        this
    }
}

impl DataSource for Alphabets {
    fn name(&self) -> &str {
        "alphabets"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn groups(&self) -> &[String] {
        &self.groups
    }

    fn group(&self, class: usize) -> Option<usize> {
        self.group_of.get(class).copied()
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    fn id(&self, index: usize) -> String {
        format!("{}/{index}.png", self.classes[self.labels[index]])
    }

    fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        Ok(picture(6, 4, index))
    }

    fn content_digest(&self, index: usize) -> Result<[u8; 32], DataError> {
        Ok([index as u8; 32])
    }
}

fn queries(episode: &Episode) -> Vec<usize> {
    let mut queries = vec![0; episode.ways.len()];
    episode.query.iter().for_each(|item| queries[item.label] += 1);
    queries
}

fn said(source: &dyn DataSource, spec: EpisodeSpec) -> String {
    Episodes::new(source, spec, 0).map(drop).unwrap_err().to_string()
}

fn spec() -> impl Strategy<Value = EpisodeSpec> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (2..5_usize, 1..4_usize, 1..4_usize, flags).prop_map(|(ways, shots, queries, (group, rotations, disjoint))| {
        let within = if group { Within::Group } else { Within::Any };
        EpisodeSpec { within, rotations, disjoint, ..EpisodeSpec::fixed(ways, shots, queries) }
    })
}

/// Two or three groups of 4 to 7 classes of 6 to 30 images.
fn alphabets() -> impl Strategy<Value = Alphabets> {
    prop::collection::vec(prop::collection::vec(6..30_usize, 4..8), 2..4)
        .prop_map(|counts| Alphabets::new(&counts.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

proptest! {
    #[test]
    fn every_episode_is_what_the_spec_says(source in alphabets(), spec in spec(), seed: u64, first in 0_u64..1000) {
        let EpisodeSize::Fixed(size) = spec.size.clone() else { unreachable!() };
        let episodes = Episodes::new(&source, spec.clone(), seed).unwrap();
        let numbers = episodes.available().map_or(first..first + 5, |all| 0..all as u64);
        for number in numbers {
            let episode = episodes.episode(number).unwrap();
            prop_assert_eq!(episode.number, number);
            prop_assert!(episode.check(&source).is_ok());
            prop_assert_eq!(episode.shots(), vec![size.shots; size.ways]);
            prop_assert_eq!(queries(&episode), vec![size.queries; size.ways]);
            let classes: HashSet<_> = episode.ways.iter().collect();
            prop_assert_eq!(classes.len(), size.ways);
            prop_assert!(spec.rotations || episode.ways.iter().all(|way| way.rotation == Rotation::None));
            let groups: HashSet<_> = episode.ways.iter().map(|way| source.group(way.class)).collect();
            prop_assert!(spec.within == Within::Any || groups.len() == 1);
            // Said once more than `check` does: no image is shown and asked for.
            let support: HashSet<_> = episode.support.iter().map(|item| (item.image, item.rotation)).collect();
            prop_assert!(episode.query.iter().all(|item| !support.contains(&(item.image, item.rotation))));
        }
    }

    #[test]
    fn an_episode_is_the_same_whatever_was_drawn_before(source in alphabets(), spec in spec(), seed: u64) {
        let (there, back) =
            (Episodes::new(&source, spec.clone(), seed).unwrap(), Episodes::new(&source, spec.clone(), seed).unwrap());
        let count = there.available().unwrap_or(8).min(8);
        let forward: Vec<Episode> = (0..count).map(|number| there.episode(number as u64).unwrap()).collect();
        let mut backward: Vec<Episode> = (0..count).rev().map(|number| back.episode(number as u64).unwrap()).collect();
        backward.reverse();
        prop_assert_eq!(&forward, &backward);
        prop_assert_eq!(forward, there.list(count).unwrap().episodes);
    }

    #[test]
    fn disjoint_episodes_share_no_image_and_leave_too_few(source in alphabets(), spec in spec(), seed: u64) {
        let spec = EpisodeSpec { disjoint: true, ..spec };
        let EpisodeSize::Fixed(size) = spec.size.clone() else { unreachable!() };
        let episodes = Episodes::new(&source, spec.clone(), seed).unwrap();
        let count = episodes.available().unwrap();
        prop_assert!(count > 0);
        let mut left: BTreeMap<usize, usize> = source.class_counts().into_iter().enumerate().collect();
        let mut used = HashSet::new();
        for episode in episodes.list(count).unwrap().episodes {
            for item in episode.items() {
                prop_assert!(used.insert(item.image));
                *left.get_mut(&source.label(item.image)).unwrap() -= 1;
            }
        }
        let usable: Vec<usize> =
            left.into_iter().filter(|(_, left)| *left >= size.shots + size.queries).map(|(class, _)| class).collect();
        let pools: Vec<usize> = match spec.within {
            Within::Any => vec![usable.len()],
            Within::Group => (0..source.groups().len())
                .map(|group| usable.iter().filter(|&&class| source.group(class) == Some(group)).count())
                .collect(),
        };
        prop_assert!(pools.iter().all(|&classes| classes < size.ways));
        prop_assert!(episodes.episode(count as u64).is_err() && episodes.list(count + 1).is_err());
    }

    /// Each rule of `VariableSize` by itself.
    #[test]
    fn variable_episodes_keep_the_rules(
        source in alphabets(), seed: u64, group: bool, disjoint: bool, max_ways in 2..9_usize, max_queries in 1..6_usize,
        extra in 0..20_usize, max_class_support in 1..12_usize,
    ) {
        let size = VariableSize { min_ways: 2, max_ways, max_queries, max_support: max_ways + extra, max_class_support };
        let within = if group { Within::Group } else { Within::Any };
        let spec = EpisodeSpec { size: EpisodeSize::Variable(size), within, rotations: false, disjoint };
        let episodes = Episodes::new(&source, spec, seed).unwrap();
        for number in 0..episodes.available().unwrap_or(6).min(6) {
            let episode = episodes.episode(number as u64).unwrap();
            prop_assert!(episode.check(&source).is_ok());
            prop_assert!((2..=max_ways).contains(&episode.ways.len()));
            let shots = episode.shots();
            prop_assert!(shots.iter().all(|&shots| shots >= 1) && shots.iter().sum::<usize>() <= max_ways + extra);
            let each = queries(&episode);
            prop_assert!(each.iter().all(|&queries| queries == each[0] && queries >= 1 && queries <= max_queries));
            if !disjoint {
                let counts: Vec<usize> = episode.ways.iter().map(|way| source.class_counts()[way.class]).collect();
                prop_assert_eq!(each[0], max_queries.min(counts.iter().min().unwrap() / 2));
            }
        }
    }
}

/// Published numbers can be repeated only while these stand.
#[test]
fn the_draws_never_change() {
    let source = Alphabets::new(&[&[8, 8, 8, 8], &[9, 9, 9]]);
    let spec = EpisodeSpec { within: Within::Group, rotations: true, ..EpisodeSpec::fixed(3, 1, 2) };
    let episode = Episodes::new(&source, spec, 42).unwrap().episode(11).unwrap();
    let ways: Vec<_> = episode.ways.iter().map(|way| (way.class, way.rotation.degrees())).collect();
    let images: Vec<usize> = episode.items().map(|item| item.image).collect();
    let spec = EpisodeSpec { size: EpisodeSize::Variable(VariableSize::default()), ..EpisodeSpec::fixed(2, 1, 1) };
    let unbalanced = Alphabets::new(&[&[60, 40, 30, 25, 20, 80]]);
    let variable = Episodes::new(&unbalanced, spec, 42).unwrap().episode(11).unwrap();
    let sizes = (variable.shots(), queries(&variable));
    assert_eq!(ways, [(5, 270), (6, 90), (4, 90)]);
    assert_eq!(images, [45, 52, 35, 44, 42, 51, 50, 38, 32]);
    assert_eq!(sizes, (vec![5, 8, 10, 45, 8, 24], vec![10; 6]));
}

#[test]
fn seeds_and_numbers_differ() {
    let source = Alphabets::new(&[&[20; 12]]);
    let of = |seed, number| {
        let episode = Episodes::new(&source, EpisodeSpec::fixed(5, 1, 5), seed).unwrap().episode(number).unwrap();
        (episode.ways, episode.support, episode.query)
    };
    assert_ne!(of(1, 0), of(2, 0));
    assert_ne!(of(1, 0), of(1, 1));
}

/// Every group as often as another, every class, every image, every rotation.
#[test]
fn draws_are_even() {
    let source = Alphabets::new(&[&[5; 4], &[5; 4], &[5; 4]]);
    let spec = EpisodeSpec { within: Within::Group, rotations: true, ..EpisodeSpec::fixed(4, 1, 2) };
    let episodes = Episodes::new(&source, spec, 3).unwrap();
    let (mut groups, mut classes, mut rotations, mut images) = ([0; 3], [0; 12], [0; 4], [0; 60]);
    for number in 0..3000 {
        let episode = episodes.episode(number).unwrap();
        groups[source.group(episode.ways[0].class).unwrap()] += 1;
        for way in &episode.ways {
            classes[way.class] += 1;
            rotations[usize::from(way.rotation.degrees() / 90)] += 1;
        }
        episode.items().for_each(|item| images[item.image] += 1);
    }
    // The means are 1000, 1000, 3000 and 600; five standard deviations of a binomial are at most 130, 155, 235 and 120.
    assert!(groups.iter().all(|&n: &i32| (n - 1000).abs() < 130), "{groups:?}");
    assert!(classes.iter().all(|&n: &i32| (n - 1000).abs() < 165), "{classes:?}");
    assert!(rotations.iter().all(|&n: &i32| (n - 3000).abs() < 235), "{rotations:?}");
    assert!(images.iter().all(|&n: &i32| (n - 600).abs() < 130), "{images:?}");
}

#[test]
fn a_set_without_groups_is_one_group() {
    let within = |within| {
        let spec = EpisodeSpec { within, ..EpisodeSpec::fixed(3, 1, 2) };
        Episodes::new(&Painted::new(12), spec, 5).unwrap().episode(4).unwrap()
    };
    assert_eq!(within(Within::Group), within(Within::Any));
}

#[test]
fn classes_without_images_are_passed_over() {
    let whole: Arc<dyn DataSource> = Arc::new(Alphabets::new(&[&[4, 4, 4], &[4, 4]]));
    let part = Subset::new(whole, (0..8).collect()).unwrap();
    let spec = EpisodeSpec { within: Within::Group, ..EpisodeSpec::fixed(2, 1, 3) };
    let episode = Episodes::new(&part, spec, 0).unwrap().episode(0).unwrap();
    assert!(episode.ways.iter().all(|way| way.class < 2));
    assert_eq!(
        said(&part, EpisodeSpec::fixed(3, 1, 1)),
        "size.fixed.ways must be <= 2, the classes of alphabets, got 3"
    );
}

#[test]
fn impossible_specs_are_refused() {
    let source = Alphabets::new(&[&[20, 20, 20], &[20, 20, 12, 20]]);
    let fixed = EpisodeSpec::fixed;
    assert_eq!(said(&source, fixed(1, 1, 1)), "size.fixed.ways must be >= 2, got 1");
    assert_eq!(said(&source, fixed(2, 0, 1)), "size.fixed.shots must be >= 1, got 0");
    assert_eq!(said(&source, fixed(2, 1, 0)), "size.fixed.queries must be >= 1, got 0");
    assert_eq!(
        said(&source, fixed(2, 5, 15)),
        "the number of images of alphabet1/2 must be >= 20 (for 5 to support and 15 to query), got 12"
    );
    assert_eq!(
        said(&source, fixed(2, usize::MAX, 15)).split(" must").next(),
        Some("the number of images of alphabet0/0")
    );
    assert_eq!(said(&source, fixed(8, 1, 1)), "size.fixed.ways must be <= 7, the classes of alphabets, got 8");
    let grouped =
        |ways, rotations, disjoint| EpisodeSpec { within: Within::Group, rotations, disjoint, ..fixed(ways, 1, 1) };
    assert_eq!(
        said(&source, grouped(4, false, false)),
        "size.fixed.ways must be <= 3, the classes of alphabet0, got 4"
    );
    assert_eq!(
        said(&source, grouped(13, true, false)),
        "size.fixed.ways must be <= 12, the classes of alphabet0, rotations included, got 13"
    );
    assert!(Episodes::new(&source, grouped(12, true, false), 0).is_ok());
    assert_eq!(said(&source, grouped(4, true, true)), "size.fixed.ways must be <= 3, the classes of alphabet0, got 4");

    let variable = |change: fn(&mut VariableSize)| {
        let mut size = VariableSize { min_ways: 3, ..VariableSize::default() };
        change(&mut size);
        EpisodeSpec { size: EpisodeSize::Variable(size), ..fixed(2, 1, 1) }
    };
    assert!(Episodes::new(&source, variable(|_| ()), 0).is_ok());
    assert_eq!(said(&source, variable(|size| size.min_ways = 1)), "size.variable.min_ways must be >= 2, got 1");
    assert_eq!(said(&source, variable(|size| size.max_ways = 2)), "size.variable.max_ways must be >= 3, got 2");
    assert_eq!(said(&source, variable(|size| size.max_queries = 0)), "size.variable.max_queries must be >= 1, got 0");
    assert_eq!(
        said(&source, variable(|size| size.max_support = 49)),
        "size.variable.max_support must be >= 50, got 49"
    );
    let none = variable(|size| size.max_class_support = 0);
    assert_eq!(said(&source, none), "size.variable.max_class_support must be >= 1, got 0");
    let many = variable(|size| size.min_ways = 8);
    assert_eq!(said(&source, many), "size.variable.min_ways must be <= 7, the classes of alphabets, got 8");
    assert_eq!(
        said(&Alphabets::new(&[&[9, 1, 9]]), variable(|_| ())),
        "the number of images of alphabet0/1 must be >= 2 (for one to support and one to query), got 1"
    );

    let disjoint = EpisodeSpec { disjoint: true, ..fixed(3, 1, 5) };
    let episodes = Episodes::new(&Painted::new(18), disjoint, 0).unwrap();
    assert_eq!(episodes.available(), Some(1));
    assert_eq!(
        episodes.episode(1).unwrap_err().to_string(),
        "the number of an episode must be < 1, as many as share no image, got 1"
    );
    assert_eq!(
        episodes.list(2).unwrap_err().to_string(),
        "the number of episodes must be <= 1, as many as share no image, got 2"
    );
    let empty = Painted::new(0);
    assert_eq!(said(&empty, fixed(2, 1, 1)), "size.fixed.ways must be <= 0, the classes of painted, got 2");
    let empty: Arc<dyn DataSource> = Arc::new(Alphabets::new(&[&[0, 0], &[0]]));
    let grouped = EpisodeSpec { within: Within::Group, ..fixed(2, 1, 1) };
    assert_eq!(said(empty.as_ref(), grouped), "the number of images to draw episodes from must be > 0, got 0");
}

#[test]
fn a_spec_is_written_as_it_is_read() {
    let text =
        "within = \"group\"\nrotations = true\ndisjoint = false\n\n[size.fixed]\nways = 20\nshots = 1\nqueries = 5\n";
    let spec: EpisodeSpec = toml::from_str(text).unwrap();
    assert_eq!(spec, EpisodeSpec { within: Within::Group, rotations: true, ..EpisodeSpec::fixed(20, 1, 5) });
    assert_eq!(toml::from_str::<EpisodeSpec>(&toml::to_string(&spec).unwrap()).unwrap(), spec);
    let variable: EpisodeSpec = toml::from_str("size = { variable = { max_ways = 20 } }").unwrap();
    let size = VariableSize { max_ways: 20, ..VariableSize::default() };
    assert_eq!(variable, EpisodeSpec { size: EpisodeSize::Variable(size), ..EpisodeSpec::fixed(2, 1, 1) });
    for (text, told) in [
        ("size = { fixed = { ways = 5, shots = 1 } }", "missing field `queries`"),
        ("size = { fixed = { ways = 5, shots = 1, queries = 1, query = 2 } }", "unknown field `query`"),
        ("size = { variable = { ways = 5 } }", "unknown field `ways`"),
        ("size = { other = {} }", "unknown variant `other`"),
        ("size = { variable = {} }\nwithin = \"alphabet\"", "unknown variant `alphabet`"),
        ("size = { variable = {} }\nrotation = true", "unknown field `rotation`"),
        ("within = \"any\"", "missing field `size`"),
    ] {
        let error = toml::from_str::<EpisodeSpec>(text).unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn rotations_turn_clockwise() {
    let source = Alphabets::new(&[&[3, 3]]);
    let image = source.image(0).unwrap();
    let corner = |rotation: Rotation| {
        let turned = rotation.apply(image.clone());
        (turned.dimensions(), *turned.get_pixel(0, 0))
    };
    let (right, bottom) = (image.width() - 1, image.height() - 1);
    assert_eq!(corner(Rotation::None), ((6, 4), *image.get_pixel(0, 0)));
    assert_eq!(corner(Rotation::Quarter), ((4, 6), *image.get_pixel(0, bottom)));
    assert_eq!(corner(Rotation::Half), ((6, 4), *image.get_pixel(right, bottom)));
    assert_eq!(corner(Rotation::ThreeQuarters), ((4, 6), *image.get_pixel(right, 0)));
    assert_eq!(Rotation::try_from(45).unwrap_err().to_string(), "rotation must be 0, 90, 180 or 270, got 45");
    let item = panal_data::EpisodeItem { image: 0, rotation: Rotation::Half, label: 0 };
    assert_eq!(item.pixels(&source).unwrap(), Rotation::Half.apply(image));
}

#[test]
fn an_episode_that_contradicts_itself_is_told() {
    let source = Alphabets::new(&[&[8, 8, 8]]);
    let good = Episodes::new(&source, EpisodeSpec::fixed(2, 1, 2), 0).unwrap().episode(3).unwrap();
    let told = |change: &dyn Fn(&mut Episode)| {
        let mut episode = good.clone();
        change(&mut episode);
        episode.check(&source).unwrap_err().to_string()
    };
    let (image, other) = (good.support[0].image, good.support[1].image);
    let (id, name) = (source.id(image), |way: usize| source.classes()[good.ways[way].class].clone());
    assert_eq!(told(&|episode| episode.ways[0].class = 3), "episode 3 has class 3, but the data have 3 classes");
    assert_eq!(told(&|episode| episode.query[0].image = 24), "episode 3 has image 24, but the data have 24 images");
    assert_eq!(
        told(&|episode| episode.support[0].label = 2),
        format!("episode 3 gives {id} the label 2, but has 2 classes")
    );
    assert_eq!(
        told(&|episode| episode.support[0].image = other),
        format!("episode 3 takes {} for {}, but it is {}", source.id(other), name(0), name(1))
    );
    assert_eq!(told(&|episode| episode.query[0].image = image), format!("episode 3 has {id} twice"));
    assert_eq!(
        told(&|episode| episode.support[0].rotation = Rotation::Half),
        format!("episode 3 turns {id} otherwise than its class")
    );
    assert_eq!(told(&|episode| episode.support.truncate(1)), format!("episode 3 has no support image of {}", name(1)));
    assert_eq!(told(&|episode| episode.query.clear()), "episode 3 has no query");
}
