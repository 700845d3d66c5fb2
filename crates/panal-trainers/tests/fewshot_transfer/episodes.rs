//! Many episodes at once are what they are one by one.

use panal_data::{Episode, EpisodeClass, EpisodeItem, Rotation, keyed_rng};
use panal_trainers::{Bank, FewShotMethod, Transform, evaluate_episodes};
use rand::RngExt;
use tch::Tensor;

use crate::tasks::*;

/// An episode of these images, labels in the order of `ways`.
fn episode(number: u64, bank: &Bank, ways: &[usize], support: &[usize], query: &[usize]) -> Episode {
    let item = |&image: &usize| {
        let label = ways.iter().position(|&way| way == bank.labels()[image]).unwrap();
        EpisodeItem { image, rotation: Rotation::None, label }
    };
    Episode {
        number,
        ways: ways.iter().map(|&class| EpisodeClass { class, rotation: Rotation::None }).collect(),
        support: support.iter().map(item).collect(),
        query: query.iter().map(item).collect(),
    }
}

fn bank() -> Bank {
    let Task { support, labels, .. } = task(12, 1, 13);
    Bank::new(tensor(&support), labels, 3).unwrap()
}

/// Three shapes, the second one twice in a row.
fn episodes(bank: &Bank) -> Vec<Episode> {
    vec![
        episode(0, bank, &[2, 0, 1], &[0, 1, 2, 3, 5, 4], &[6, 7, 8, 9]),
        episode(1, bank, &[1, 2], &[1, 2], &[4, 5, 7, 8, 10]),
        episode(2, bank, &[0, 2], &[0, 2], &[3, 5, 6, 8, 12]),
        episode(3, bank, &[0, 1, 2], &[0, 1, 2, 4], &[3, 5, 7]),
    ]
}

#[test]
fn episodes_are_scored_as_one_by_one() {
    let bank = bank();
    let episodes = episodes(&bank);
    for transform in [Transform::None, Transform::L2, Transform::centred_by(&bank).unwrap()] {
        for method in all_methods() {
            let scores = evaluate_episodes(&bank, &episodes, &method, &transform, &GO).unwrap();
            assert_eq!(scores.is_transductive, method.is_transductive());
            let features = transform.apply(bank.features()).unwrap();
            let of = |items: &[EpisodeItem]| {
                let images: Vec<i64> = items.iter().map(|item| item.image as i64).collect();
                features.index_select(0, &Tensor::from_slice(&images))
            };
            let (mut asked, mut right_of, mut confidences) = ([0; 3], [0; 3], Vec::new());
            for (episode, accuracy) in episodes.iter().zip(&scores.accuracies) {
                let labels: Vec<usize> = episode.support.iter().map(|item| item.label).collect();
                let logits =
                    method.predict(&of(&episode.support), &labels, &of(&episode.query), episode.ways.len()).unwrap();
                let mut right = 0;
                for (row, item) in shares(&rows(&logits)).iter().zip(&episode.query) {
                    let (said, share) = row.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
                    right += usize::from(said == item.label);
                    let class = episode.ways[item.label].class;
                    asked[class] += 1;
                    right_of[class] += u64::from(said == item.label);
                    confidences.push(share);
                }
                assert_eq!(*accuracy, right as f64 / episode.query.len() as f64, "{method}");
            }
            assert_eq!(scores.classes.iter().map(|class| class.queries).collect::<Vec<_>>(), asked);
            assert_eq!(scores.classes.iter().map(|class| class.right).collect::<Vec<_>>(), right_of);
            assert_eq!(scores.calibration.samples, 17);
            // Of all bins together: the confidence and the accuracy that the bins were made of.
            let sum = |of: fn(&panal_metrics::ReliabilityBin) -> Option<f64>| -> f64 {
                scores.calibration.bins.iter().map(|bin| of(bin).unwrap_or(0.0) * bin.samples as f64).sum()
            };
            assert!((sum(|bin| bin.confidence) - confidences.iter().sum::<f64>()).abs() < 1e-2, "{method}");
            assert!((sum(|bin| bin.accuracy) - right_of.iter().sum::<u64>() as f64).abs() < 1e-9);
            let interval = scores.interval(0.95).unwrap();
            assert!((interval.estimate - scores.accuracies.iter().sum::<f64>() / 4.0).abs() < 1e-12);
        }
    }
}

#[test]
fn many_episodes_in_blocks_are_the_same() {
    // So wide that a block holds few of them.
    let mut rng = keyed_rng(5, &[]);
    let values: Vec<f32> = (0..36 * 40_000).map(|_| rng.random()).collect();
    let bank = Bank::new(Tensor::from_slice(&values).view([36, -1]), bank().labels().to_vec(), 3).unwrap();
    let four: Vec<Episode> = episodes(&bank)[..1].iter().cycle().take(25).cloned().collect();
    let scores = evaluate_episodes(&bank, &four, &FewShotMethod::NearestMean, &Transform::None, &GO).unwrap();
    assert_eq!(scores.accuracies, vec![scores.accuracies[0]; 25]);
}

#[test]
fn episodes_that_are_not_of_the_bank_are_refused() {
    let bank = bank();
    let good = episodes(&bank).remove(1);
    let said = |change: fn(&mut Episode)| {
        let mut episode = good.clone();
        change(&mut episode);
        message(evaluate_episodes(&bank, &[episode], &FewShotMethod::NearestMean, &Transform::None, &GO))
    };
    assert_eq!(said(|e| e.query[0].image = 36), "episode 1: image must be < 36, the images there are, got 36");
    assert_eq!(
        said(|e| e.query[0].rotation = Rotation::Half),
        "episode 1: rotation of image 4 must be 0, for images are taken as they are, got 180 degrees"
    );
    assert_eq!(said(|e| e.ways[0].class = 0), "episode 1: class of image 1 must be 1, as in the data, got 0");
    assert_eq!(said(|e| e.query.clear()), "episode 1: classes and queries must be at least 2 and 1, got 2 and 0");
    assert_eq!(
        said(|e| {
            e.support.remove(0);
        }),
        "episode 1: support images of label 0 must be at least 1, got 0"
    );
    let none = evaluate_episodes(&bank, &[], &FewShotMethod::NearestMean, &Transform::None, &GO);
    assert_eq!(message(none), "few_shot.episodes must be at least 1, got 0");
    let one = evaluate_episodes(&bank, std::slice::from_ref(&good), &FewShotMethod::NearestMean, &Transform::None, &GO)
        .unwrap();
    assert!(message(one.interval(0.95)).contains("at least 2"));
}

#[test]
fn a_wish_to_stop_is_heard_between_episodes() {
    let bank = bank();
    let stop = std::sync::atomic::AtomicBool::new(true);
    let said = evaluate_episodes(&bank, &episodes(&bank), &FewShotMethod::NearestMean, &Transform::None, &stop);
    assert_eq!(message(said), "interrupted after 0 of 4 episodes; nothing was written");
}
