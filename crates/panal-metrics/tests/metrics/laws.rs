//! What must hold for any input: symmetries, bounds, and scores that must agree.

use panal_metrics::{
    AucAverage, Average, Bootstrap, Calibration, ConfusionMatrix, McNemar, Metric, Probabilities, Summary,
    ZeroDivision, brier, holm, log_loss, mean_interval, paired_permutation, roc_auc, roc_auc_one_vs_rest, wilson,
};
use proptest::prelude::*;

/// A number of classes, and pairs of labels below it.
fn labels() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1_usize..6).prop_flat_map(|classes| (Just(classes), prop::collection::vec((0..classes, 0..classes), 1..60)))
}

/// Scores that tie often, positives and negatives among them.
fn scored() -> impl Strategy<Value = Vec<(bool, f64)>> {
    prop::collection::vec((any::<bool>(), (0_u8..12).prop_map(|n| f64::from(n) / 4.0 - 1.0)), 2..60)
        .prop_filter("both kinds", |v| v.iter().any(|s| s.0) && v.iter().any(|s| !s.0))
}

/// Labels with probabilities of as many classes, every class present.
fn predicted() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<f64>>)> {
    let row = |classes| {
        prop::collection::vec(1_u32..20, classes).prop_map(|weights| {
            let sum: u32 = weights.iter().sum();
            weights.iter().map(|&weight| f64::from(weight) / f64::from(sum)).collect::<Vec<f64>>()
        })
    };
    (2_usize..5, 1_usize..12).prop_flat_map(move |(classes, times)| {
        let truth = (0..classes * times).map(|i| i % classes).collect::<Vec<_>>();
        (Just(truth).prop_shuffle(), prop::collection::vec(row(classes), classes * times))
    })
}

fn matrix(classes: usize, pairs: &[(usize, usize)]) -> ConfusionMatrix {
    let (truth, predicted): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
    ConfusionMatrix::from_labels(classes, &truth, &predicted).unwrap()
}

fn area(samples: &[(bool, f64)]) -> f64 {
    let (positive, scores): (Vec<bool>, Vec<f64>) = samples.iter().copied().unzip();
    roc_auc(&positive, &scores).unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

proptest! {
    #[test]
    fn micro_scores_are_the_accuracy_and_the_order_of_samples_is_nothing((classes, pairs) in labels()) {
        let counted = matrix(classes, &pairs);
        let micro = counted.average(Average::Micro);
        prop_assert_eq!([micro.precision, micro.recall, micro.f1], [counted.accuracy(); 3]);
        prop_assert!(near(counted.average(Average::Weighted).recall, counted.accuracy()));
        let reversed: Vec<_> = pairs.into_iter().rev().collect();
        prop_assert_eq!(matrix(classes, &reversed), counted);
    }

    #[test]
    fn swapping_truth_and_prediction_swaps_precision_and_recall((classes, pairs) in labels()) {
        let swapped: Vec<_> = pairs.iter().map(|&(truth, predicted)| (predicted, truth)).collect();
        for (a, b) in matrix(classes, &pairs).per_class().iter().zip(matrix(classes, &swapped).per_class()) {
            prop_assert_eq!((a.precision, a.recall, a.f1), (b.recall, b.precision, b.f1));
        }
    }

    #[test]
    fn scores_lie_between_zero_and_one_and_renaming_classes_changes_no_average((classes, pairs) in labels()) {
        let renamed: Vec<_> = pairs.iter().map(|&(t, p)| (classes - 1 - t, classes - 1 - p)).collect();
        for choice in [ZeroDivision::Zero, ZeroDivision::One] {
            let (a, b) = (matrix(classes, &pairs).zero_division(choice), matrix(classes, &renamed).zero_division(choice));
            for average in [Average::Macro, Average::Micro, Average::Weighted] {
                let (a, b) = (a.average(average), b.average(average));
                for (a, b) in [(a.precision, b.precision), (a.recall, b.recall), (a.f1, b.f1)] {
                    prop_assert!((0.0..=1.0 + 1e-12).contains(&a) && near(a, b));
                }
            }
        }
    }

    #[test]
    fn an_area_knows_only_the_order_of_scores(samples in scored()) {
        let whole = area(&samples);
        prop_assert!((0.0..=1.0).contains(&whole));
        let with = |f: fn((bool, f64)) -> (bool, f64)| area(&samples.iter().copied().map(f).collect::<Vec<_>>());
        prop_assert_eq!(with(|(positive, score)| (positive, score.exp() * 3.0 - 1.0)), whole);
        prop_assert!(near(with(|(positive, score)| (positive, -score)), 1.0 - whole));
        prop_assert!(near(with(|(positive, score)| (!positive, score)), 1.0 - whole));
        // The definition: how often a positive beats a negative, half of each tie counted.
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (_, high) in samples.iter().filter(|s| s.0) {
            for (_, low) in samples.iter().filter(|s| !s.0) {
                pairs += 1.0;
                wins += if high > low { 1.0 } else if high == low { 0.5 } else { 0.0 };
            }
        }
        prop_assert!(near(whole, wins / pairs));
    }

    #[test]
    fn two_classes_one_against_the_rest_are_the_binary_area(samples in scored()) {
        let rows: Vec<[f64; 2]> = samples.iter().map(|(_, score)| [0.5 - score / 8.0, 0.5 + score / 8.0]).collect();
        let truth: Vec<usize> = samples.iter().map(|(positive, _)| usize::from(*positive)).collect();
        let probabilities = Probabilities::from_rows(&rows).unwrap();
        for average in [AucAverage::Macro, AucAverage::Weighted] {
            prop_assert!(near(roc_auc_one_vs_rest(&truth, &probabilities, average).unwrap(), area(&samples)));
        }
    }

    #[test]
    fn every_sample_is_in_the_bin_that_its_confidence_names((truth, rows) in predicted(), bins in 1_usize..20) {
        let probabilities = Probabilities::from_rows(&rows).unwrap();
        let calibration = Calibration::new(&truth, &probabilities, bins).unwrap();
        prop_assert_eq!(calibration.bins.iter().map(|bin| bin.samples).sum::<usize>(), truth.len());
        for bin in &calibration.bins {
            let inside = probabilities.most_probable().filter(|&(_, c)| c <= bin.upper && (c > bin.lower || bin.lower == 0.0)).count();
            prop_assert_eq!(bin.samples, inside);
        }
        let (expected, maximum) = (calibration.expected_error(), calibration.maximum_error());
        prop_assert!(0.0 <= expected && expected <= maximum + 1e-12 && maximum <= 1.0);
        // One bin: the error is the difference of the means.
        let one = Calibration::new(&truth, &probabilities, 1).unwrap();
        let confidence = probabilities.most_probable().map(|(_, c)| c).sum::<f64>() / truth.len() as f64;
        let right = probabilities.most_probable().zip(&truth).filter(|((class, _), label)| class == *label).count();
        prop_assert!(near(one.expected_error(), (confidence - right as f64 / truth.len() as f64).abs()));
    }

    #[test]
    fn losses_of_probabilities_are_bounded_and_least_for_the_truth((truth, rows) in predicted()) {
        let probabilities = Probabilities::from_rows(&rows).unwrap();
        let (b, l) = (brier(&truth, &probabilities).unwrap(), log_loss(&truth, &probabilities).unwrap());
        prop_assert!((0.0..=2.0).contains(&b) && l >= 0.0);
        let certain: Vec<Vec<f64>> = truth.iter()
            .map(|label| (0..probabilities.classes()).map(|class| f64::from(u8::from(class == *label))).collect())
            .collect();
        let certain = Probabilities::from_rows(&certain).unwrap();
        prop_assert_eq!(brier(&truth, &certain).unwrap(), 0.0);
        prop_assert!(log_loss(&truth, &certain).unwrap() < 1e-15);
    }

    #[test]
    fn a_wilson_interval_contains_its_estimate_and_mirrors(trials in 1_u64..2000, share in 0.0..=1.0, level in 0.001..0.9999) {
        let successes = (trials as f64 * share) as u64;
        let interval = wilson(successes, trials, level).unwrap();
        prop_assert!(0.0 <= interval.lower && interval.lower <= interval.estimate);
        prop_assert!(interval.estimate <= interval.upper && interval.upper <= 1.0);
        let mirrored = wilson(trials - successes, trials, level).unwrap();
        prop_assert!(near(mirrored.lower, 1.0 - interval.upper) && near(mirrored.upper, 1.0 - interval.lower));
        let wider = wilson(successes, trials, (1.0 + level) / 2.0).unwrap();
        prop_assert!(wider.lower <= interval.lower && interval.upper <= wider.upper);
    }

    #[test]
    fn a_mean_interval_contains_the_mean_and_moves_with_the_values(
        values in prop::collection::vec(-5.0..5.0_f64, 2..40), shift in -3.0..3.0_f64, level in 0.01..0.999_f64,
    ) {
        let interval = mean_interval(&values, level).unwrap();
        let Summary { mean, min, max, samples, .. } = Summary::of(&values).unwrap();
        prop_assert!(interval.lower <= mean && mean <= interval.upper && interval.estimate == mean);
        prop_assert!(min <= mean && mean <= max && samples == values.len());
        let shifted: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let moved = mean_interval(&shifted, level).unwrap();
        let scale = 1.0 + interval.upper - interval.lower;
        prop_assert!((moved.lower - interval.lower - shift).abs() < 1e-10 * scale);
        prop_assert!((moved.upper - interval.upper - shift).abs() < 1e-10 * scale);
    }

    #[test]
    fn a_bootstrap_of_the_mean_stays_within_the_values_and_is_repeatable(
        values in prop::collection::vec(-5.0..5.0_f64, 1..20), seed in any::<u64>(), level in 0.5..0.99,
    ) {
        let mean = |sample: &[usize]| Ok(sample.iter().map(|&i| values[i]).sum::<f64>() / sample.len() as f64);
        let bootstrap = Bootstrap { resamples: 60, level, seed };
        let interval = bootstrap.interval(values.len(), mean).unwrap();
        let Summary { min, max, .. } = Summary::of(&values).unwrap();
        prop_assert!(min - 1e-12 <= interval.lower && interval.lower <= interval.upper && interval.upper <= max + 1e-12);
        prop_assert_eq!(bootstrap.interval(values.len(), mean).unwrap(), interval);
        let wider = Bootstrap { level: (1.0 + level) / 2.0, ..bootstrap }.interval(values.len(), mean).unwrap();
        prop_assert!(wider.lower <= interval.lower && interval.upper <= wider.upper);
    }

    #[test]
    fn mcnemar_does_not_mind_who_is_first(only_first in 0_u64..3000, only_second in 0_u64..3000) {
        let (a, b) = (McNemar { only_first, only_second }, McNemar { only_first: only_second, only_second: only_first });
        prop_assert_eq!(a.exact(), b.exact());
        prop_assert_eq!(a.chi_square(), b.chi_square());
        prop_assert!((0.0..=1.0).contains(&a.exact()) && (0.0..=1.0).contains(&a.chi_square().p_value));
        // One more for the side ahead makes a difference no less likely to be real.
        let further = McNemar { only_first: only_first.max(only_second) + 1, only_second: only_first.min(only_second) };
        prop_assert!(further.exact() <= a.exact() * (1.0 + 1e-9));
    }

    #[test]
    fn a_permutation_test_is_a_probability_that_knows_no_side(
        pairs in prop::collection::vec(((0_u8..8).prop_map(f64::from), (0_u8..8).prop_map(f64::from)), 1..14), seed in any::<u64>(),
    ) {
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let test = |a: &[f64], b: &[f64], resamples| paired_permutation(a, b, resamples, seed).unwrap();
        let exact = test(&first, &second, 1 << 14);
        prop_assert!(exact.exact && exact.p_value > 0.0 && exact.p_value <= 1.0);
        prop_assert_eq!(exact.p_value, test(&second, &first, 1 << 14).p_value);
        let random = test(&first, &second, 40);
        prop_assert!(random.p_value > 0.0 && random.p_value <= 1.0);
        prop_assert_eq!(random, test(&first, &second, 40));
        // The mean of no differences is as close to 0 as can be.
        prop_assert_eq!(test(&first, &first, 40).p_value, 1.0);
    }

    #[test]
    fn holm_raises_no_more_than_bonferroni_and_keeps_the_order(p in prop::collection::vec(0.0..=1.0, 1..12)) {
        let adjusted = holm(&p).unwrap();
        for (index, (before, after)) in p.iter().zip(&adjusted).enumerate() {
            prop_assert!(before <= after && *after <= (before * p.len() as f64).min(1.0));
            for (other, other_after) in p.iter().zip(&adjusted) {
                prop_assert!(before > other || after <= other_after, "at {index}");
            }
        }
        let least = p.iter().copied().fold(1.0, f64::min);
        prop_assert_eq!(adjusted.iter().copied().fold(1.0, f64::min), (least * p.len() as f64).min(1.0));
    }
}

#[test]
fn the_better_of_two_values_depends_on_the_metric() {
    let best = |metric: Metric| [0.4, f64::NAN, 0.7].into_iter().max_by(|a, b| metric.compare(*a, *b)).unwrap();
    assert_eq!((best(Metric::ACCURACY), best(Metric::LOG_LOSS)), (0.7, 0.4));
    let loss = Metric::LOG_LOSS.measured(0.21071, 153).unwrap();
    assert_eq!(
        (loss.to_string(), format!("{loss:.2}")),
        ("log loss 0.2107 nats (153 samples)".into(), "log loss 0.21 nats (153 samples)".into())
    );
    assert_eq!(Metric::ACCURACY.measured(1.0, 1).unwrap().to_string(), "accuracy 1.0000 (1 sample)");
}
