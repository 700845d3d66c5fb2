//! Dividing labelled images into parts that each hold every class in its proportion. The images stay where they are.

use rand::seq::SliceRandom;

use crate::{DataError, keyed_rng};

/// What the draws of this file are keyed by, so that the same seed elsewhere draws something else.
const STREAM: u64 = 0x5350_4c49_5400_0000;
/// The same for a share of the labels, so that it is no part of what the same seed holds out.
const SHARE_STREAM: u64 = 0x5348_4152_4500_0000;

/// One division of the images in two: every index stands in exactly one part, and both parts are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The images to learn from.
    pub train: Vec<usize>,
    /// The images to judge by.
    pub held_out: Vec<usize>,
}

/// Divides the images with these labels into `k` parts, each held out once. No two parts differ by more than one image
/// in any class, nor in all. Like scikit-learn's `StratifiedKFold` with `shuffle`, with other draws.
///
/// # Errors
/// [`DataError::Field`] unless `k` is at least 2 and at most the number of images of the smallest class.
pub fn stratified_folds(labels: &[usize], k: usize, seed: u64) -> Result<Vec<Fold>, DataError> {
    let classes = shuffled_classes(labels, STREAM, seed);
    let smallest = classes.iter().map(Vec::len).min().unwrap_or(0);
    if k < 2 || k > smallest {
        let allowed = format!("between 2 and {smallest}, the images of the smallest class");
        return Err(DataError::field("folds", allowed, k));
    }
    // Dealt out one by one, and on from class to class, so that no fold gets the odd image of every class.
    let mut fold_of = vec![0; labels.len()];
    for (turn, &index) in classes.iter().flatten().enumerate() {
        fold_of[index] = turn % k;
    }
    Ok((0..k).map(|fold| divide(labels.len(), |index| fold_of[index] == fold)).collect())
}

/// Holds out a share of the images of every class, rounded, but at least one and never all.
///
/// # Errors
/// [`DataError::Field`] unless `share` is between 0 and 1 and every class has two images.
pub fn stratified_split(labels: &[usize], share: f64, seed: u64) -> Result<Fold, DataError> {
    if !(share > 0.0 && share < 1.0) {
        return Err(DataError::field("the held-out share", "> 0 and < 1", share));
    }
    let classes = shuffled_classes(labels, STREAM, seed);
    let smallest = classes.iter().map(Vec::len).min().unwrap_or(0);
    if smallest < 2 {
        return Err(DataError::field("the smallest class to be split", "of at least 2 images", smallest));
    }
    let mut out = vec![false; labels.len()];
    for class in &classes {
        let held_out = ((class.len() as f64 * share).round() as usize).clamp(1, class.len() - 1);
        for &index in &class[..held_out] {
            out[index] = true;
        }
    }
    Ok(divide(labels.len(), |index| out[index]))
}

/// A share of the images of every class, rounded, but at least one, sorted: the images whose labels may be used where few
/// are to be, as in learning from 1 % or 10 % of the labels (SimCLR, arXiv 2002.05709, section 6, which samples them in a
/// class-balanced way; the draws are not its own).
///
/// With one seed, a smaller share is a part of a larger one. Hand the result to [`Subset`](crate::Subset).
///
/// # Errors
/// [`DataError::Field`] unless `share` is above 0 and at most 1, for a label that `classes` doesn't have, and for a class
/// without any image, named.
pub fn stratified_share(labels: &[usize], classes: &[String], share: f64, seed: u64) -> Result<Vec<usize>, DataError> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(DataError::field("the share of the labels", "> 0 and <= 1", share));
    }
    let mut images = vec![0_usize; classes.len()];
    for &label in labels {
        match images.get_mut(label) {
            Some(count) => *count += 1,
            None => return Err(DataError::field("a label", format!("< {}, the classes", classes.len()), label)),
        }
    }
    if let Some(empty) = images.iter().position(|&count| count == 0) {
        let field = format!("the images of class `{}`, of which a share is to be taken,", classes[empty]);
        return Err(DataError::field(field, "at least 1", 0));
    }
    let mut taken: Vec<usize> = Vec::new();
    for class in shuffled_classes(labels, SHARE_STREAM, seed) {
        let count = ((class.len() as f64 * share).round() as usize).max(1);
        taken.extend(&class[..count]);
    }
    taken.sort_unstable();
    Ok(taken)
}

/// The images of each class that has any, each class shuffled by itself.
fn shuffled_classes(labels: &[usize], stream: u64, seed: u64) -> Vec<Vec<usize>> {
    let mut present = labels.to_vec();
    present.sort_unstable();
    present.dedup();
    let of_class = |label: usize| -> Vec<usize> {
        let mut class: Vec<usize> = (0..labels.len()).filter(|&index| labels[index] == label).collect();
        class.shuffle(&mut keyed_rng(seed, &[stream, label as u64]));
        class
    };
    present.into_iter().map(of_class).collect()
}

fn divide(images: usize, is_out: impl Fn(usize) -> bool) -> Fold {
    let (held_out, train) = (0..images).partition(|&index| is_out(index));
    Fold { train, held_out }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn counts(labels: &[usize], part: &[usize]) -> BTreeMap<usize, usize> {
        let mut counts: BTreeMap<usize, usize> = labels.iter().map(|&label| (label, 0)).collect();
        for &index in part {
            *counts.entry(labels[index]).or_default() += 1;
        }
        counts
    }

    fn is_division(labels: &[usize], fold: &Fold) -> bool {
        let mut all = [fold.train.as_slice(), &fold.held_out].concat();
        all.sort_unstable();
        all == (0..labels.len()).collect::<Vec<_>>() && fold.train.is_sorted() && fold.held_out.is_sorted()
    }

    proptest! {
        #[test]
        fn folds_cover_all_images_evenly(
            mut labels in proptest::collection::vec(0_usize..4, 1..60), k in 2_usize..6, seed: u64,
        ) {
            // Class 1 may be absent; each other class has enough.
            for class in [0, 2, 3] {
                labels.extend(std::iter::repeat_n(class, k));
            }
            labels.retain(|&label| label != 1);
            let folds = stratified_folds(&labels, k, seed).unwrap();
            prop_assert_eq!(folds.len(), k);
            let mut times = vec![0; labels.len()];
            for fold in &folds {
                prop_assert!(is_division(&labels, fold));
                fold.held_out.iter().for_each(|&index| times[index] += 1);
            }
            prop_assert!(times.iter().all(|&n| n == 1));
            let sizes: Vec<usize> = folds.iter().map(|fold| fold.held_out.len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            for class in [0, 2, 3] {
                let of_class: Vec<usize> = folds.iter().map(|fold| counts(&labels, &fold.held_out)[&class]).collect();
                prop_assert!(of_class.iter().max().unwrap() - of_class.iter().min().unwrap() <= 1);
            }
            prop_assert_eq!(&folds, &stratified_folds(&labels, k, seed).unwrap());
        }

        #[test]
        fn a_share_is_taken_of_every_class_and_grows_with_its_size(
            mut labels in proptest::collection::vec(0_usize..3, 0..200),
            share in 0.001_f64..=1.0, larger in 0.001_f64..=1.0, seed: u64,
        ) {
            labels.extend([0, 1, 2]);
            let classes = ["a", "b", "c"].map(String::from);
            let take = |share| stratified_share(&labels, &classes, share, seed).unwrap();
            let (small, large) = (take(share.min(larger)), take(share.max(larger)));
            prop_assert!(small.is_sorted() && small.windows(2).all(|pair| pair[0] != pair[1]));
            prop_assert!(small.iter().all(|index| large.contains(index)));
            for (class, all) in counts(&labels, &(0..labels.len()).collect::<Vec<_>>()) {
                let exact = all as f64 * share.min(larger);
                let got = counts(&labels, &small)[&class];
                let room = if exact < 1.0 { 1.0 } else { 0.5 };
                prop_assert!(got >= 1 && (got as f64 - exact).abs() <= room);
            }
            prop_assert_eq!(take(1.0).len(), labels.len());
        }

        #[test]
        fn a_split_takes_its_share_of_every_class(
            mut labels in proptest::collection::vec(0_usize..3, 0..60), share in 0.01_f64..0.99, seed: u64,
        ) {
            labels.extend([0, 1, 2, 0, 1, 2]);
            let fold = stratified_split(&labels, share, seed).unwrap();
            prop_assert!(is_division(&labels, &fold));
            for (class, all) in counts(&labels, &(0..labels.len()).collect::<Vec<_>>()) {
                let out = counts(&labels, &fold.held_out)[&class];
                prop_assert!(out >= 1 && out < all);
                prop_assert!((out as f64 - all as f64 * share).abs() <= 1.0);
            }
        }
    }

    #[test]
    fn the_seed_counts() {
        let labels: Vec<usize> = (0..90).map(|i| i % 2).collect();
        assert_ne!(stratified_folds(&labels, 5, 1).unwrap(), stratified_folds(&labels, 5, 2).unwrap());
        assert_ne!(stratified_split(&labels, 0.2, 1).unwrap(), stratified_split(&labels, 0.2, 2).unwrap());
        let classes = ["a", "b"].map(String::from);
        let share = |seed| stratified_share(&labels, &classes, 0.2, seed).unwrap();
        assert_ne!(share(1), share(2));
        assert_ne!(share(1), stratified_split(&labels, 0.2, 1).unwrap().held_out);
    }

    #[test]
    fn one_percent_and_ten_percent_of_cifar10() {
        let labels: Vec<usize> = (0..50_000).map(|i| i % 10).collect();
        let classes: Vec<String> = (0..10).map(|class| format!("class {class}")).collect();
        let [one, ten] = [0.01, 0.1].map(|share| stratified_share(&labels, &classes, share, 0).unwrap());
        assert!(counts(&labels, &one).values().all(|&n| n == 50));
        assert!(counts(&labels, &ten).values().all(|&n| n == 500));
    }

    #[test]
    fn impossible_divisions_are_refused() {
        let said = |result: Result<_, DataError>| result.map(|_: ()| ()).unwrap_err().to_string();
        let labels = [0, 0, 0, 1, 1];
        let folds = |k| stratified_folds(&labels, k, 0).map(drop);
        assert_eq!(said(folds(3)), "folds must be between 2 and 2, the images of the smallest class, got 3");
        assert_eq!(said(folds(1)), "folds must be between 2 and 2, the images of the smallest class, got 1");
        assert!(stratified_folds(&[], 2, 0).is_err());
        let split = |share, labels: &[usize]| stratified_split(labels, share, 0).map(drop);
        assert_eq!(said(split(1.0, &labels)), "the held-out share must be > 0 and < 1, got 1");
        assert_eq!(said(split(f64::NAN, &labels)), "the held-out share must be > 0 and < 1, got NaN");
        assert_eq!(said(split(0.5, &[0, 0, 1])), "the smallest class to be split must be of at least 2 images, got 1");
        let classes = ["ants", "wasps", "bees"].map(String::from);
        let share = |share, labels: &[usize]| stratified_share(labels, &classes, share, 0).map(drop);
        assert_eq!(said(share(0.0, &labels)), "the share of the labels must be > 0 and <= 1, got 0");
        assert_eq!(said(share(1.5, &labels)), "the share of the labels must be > 0 and <= 1, got 1.5");
        assert_eq!(said(share(0.1, &[0, 3])), "a label must be < 3, the classes, got 3");
        assert_eq!(
            said(share(0.1, &[0, 0, 2])),
            "the images of class `wasps`, of which a share is to be taken, must be at least 1, got 0"
        );
    }
}
