//! Fine-tuning on the support: the backbone given stays as it was, results repeat to the bit, a step does what it says, and drawn insects are
//! told apart.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use panal_data::{AugmentSpec, Episode, EpisodeSpec, Episodes, Insects};
use panal_models::{Classifier, ModelSpec, insects_weights};
use panal_trainers::{FineTuneNorm, FineTuneSpec, FineTuner, Silent, Split};
use tch::{Device, Kind, Tensor};

use crate::tasks::*;

/// Insects of four species that the built-in backbone has or has not seen, small.
fn insects() -> Split {
    let species = ["ants", "bees", "ladybirds", "flies"].map(|name| (name, 0..12));
    let source = Insects::new("four", &species, 3).unwrap();
    let ops = "ops = [{ op = \"resize\", size = 72 }, { op = \"center_crop\", size = 64 }]";
    let spec: AugmentSpec = toml::from_str(ops).unwrap();
    Split { source: Arc::new(source), pipeline: spec.check().unwrap() }
}

fn network() -> Classifier {
    let mut network = Classifier::new(&ModelSpec::new("resnet10_w24".parse().unwrap(), 2), Device::Cpu, 1).unwrap();
    network.load_pretrained(&insects_weights().unwrap()).unwrap();
    network
}

fn episodes(split: &Split, count: usize) -> Vec<Episode> {
    Episodes::new(split.source.as_ref(), EpisodeSpec::fixed(3, 2, 5), 4).unwrap().list(count).unwrap().episodes
}

/// Few large steps.
fn quick(batch_norm: FineTuneNorm) -> FineTuneSpec {
    FineTuneSpec { epochs: 4, lr: 1e-3, batch_norm }
}

#[test]
fn the_backbone_given_is_not_touched_and_results_repeat_to_the_bit() {
    let (split, network) = (insects(), network());
    let episodes = episodes(&split, 2);
    let before = network.store().digest().unwrap();
    for batch_norm in [FineTuneNorm::Running, FineTuneNorm::Support] {
        let run = |order: [usize; 3]| -> Vec<Vec<f32>> {
            let mut tuner = FineTuner::new(&network, &split, quick(batch_norm), 7, Some(1)).unwrap();
            let answer = |at: usize| tuner.answer(&episodes[at]).unwrap();
            let found = order.map(answer);
            assert!(found.iter().all(|it| it.losses.len() == 4 && it.losses[3] < it.losses[0]), "{found:?}");
            found.iter().map(|it| Vec::try_from(it.logits.reshape([-1])).unwrap()).collect()
        };
        let (there, back) = (run([0, 1, 0]), run([1, 0, 1]));
        // Whatever was answered before.
        assert_eq!((&there[0], &there[1]), (&there[2], &back[0]));
        assert_eq!(there[0], back[1]);
        assert_ne!(there[0], there[1]);
    }
    assert_eq!(network.store().digest().unwrap(), before);
}

#[test]
fn no_step_leaves_the_cosine_to_the_mean_of_active_features() {
    let (split, network) = (insects(), network());
    let episode = episodes(&split, 1).remove(0);
    // So small a rate that nothing moves.
    let spec = FineTuneSpec { epochs: 1, lr: 1e-30, ..FineTuneSpec::default() };
    let tuned = FineTuner::new(&network, &split, spec, 0, Some(1)).unwrap().answer(&episode).unwrap();
    let features = panal_trainers::features(&network, &split, 8, Some(1), &mut Silent).unwrap().relu();
    let of = |items: &[panal_data::EpisodeItem]| {
        let images: Vec<i64> = items.iter().map(|item| item.image as i64).collect();
        rows(&features.index_select(0, &Tensor::from_slice(&images)))
    };
    let (support, query) = (of(&episode.support), of(&episode.query));
    let means: Rows = (0..3)
        .map(|way| {
            let of_way: Vec<&Vec<f64>> =
                support.iter().zip(&episode.support).filter(|(_, item)| item.label == way).map(|(x, _)| x).collect();
            (0..support[0].len()).map(|d| of_way.iter().map(|x| x[d]).sum()).collect()
        })
        .collect();
    let cosine = |x: &[f64], m: &[f64]| dot(x, m) / (dot(x, x) * dot(m, m)).sqrt();
    let expected: Rows = query.iter().map(|x| means.iter().map(|m| cosine(x, m)).collect()).collect();
    // The features computed apart have batch norm folded into the convolutions.
    near(&rows(&tuned.logits), &expected, 1e-3);
    let other_norm = FineTuneSpec { batch_norm: FineTuneNorm::Support, epochs: 3, lr: 1e-30 };
    let moved = FineTuner::new(&network, &split, other_norm, 0, Some(1)).unwrap().answer(&episode).unwrap();
    let far = (moved.logits - tuned.logits).abs().max().double_value(&[]);
    assert!(far > 1e-3, "running statistics follow the support: {far}");
}

#[test]
fn drawn_insects_are_told_apart_far_above_chance() {
    let (split, network) = (insects(), network());
    let mut tuner = FineTuner::new(&network, &split, quick(FineTuneNorm::Running), 0, Some(1)).unwrap();
    let scores = tuner.evaluate(&episodes(&split, 6), &mut Silent, &GO).unwrap();
    let accuracy = scores.interval(0.95).unwrap();
    assert!(accuracy.lower > 1.0 / 3.0 + 0.1, "{accuracy:?}");
    assert!(!scores.is_transductive);
    assert_eq!(scores.classes.iter().map(|class| class.queries).sum::<u64>(), 6 * 15);
    // A query's answer depends on no other.
    let mut fewer = episodes(&split, 1).remove(0);
    let all = tuner.answer(&fewer).unwrap().logits;
    fewer.query.truncate(1);
    let alone = tuner.answer(&fewer).unwrap().logits;
    assert!((all.narrow(0, 0, 1) - alone).abs().max().to_kind(Kind::Double).double_value(&[]) < 1e-5);
}

#[test]
fn wrong_settings_and_episodes_are_refused_and_a_wish_to_stop_is_heard() {
    let (split, network) = (insects(), network());
    let said = |spec| message(FineTuner::new(&network, &split, spec, 0, Some(1)).map(|_| ()));
    let spec = FineTuneSpec::default();
    assert_eq!((spec.epochs, spec.lr), (25, 5e-5));
    assert_eq!(said(FineTuneSpec { epochs: 0, ..spec }), "few_shot.fine_tune.epochs must be at least 1, got 0");
    let expected = "few_shot.fine_tune.lr must be a finite number > 0, got NaN";
    assert_eq!(said(FineTuneSpec { lr: f64::NAN, ..spec }), expected);
    let mut tuner = FineTuner::new(&network, &split, quick(FineTuneNorm::Running), 0, Some(1)).unwrap();
    let mut wrong = episodes(&split, 1);
    let stop = AtomicBool::new(true);
    let expected = "interrupted after 0 of 1 episodes; nothing was written";
    assert_eq!(message(tuner.evaluate(&wrong, &mut Silent, &stop)), expected);
    wrong[0].query[0].image = 48;
    let expected = "episode 0: image must be < 48, the images there are, got 48";
    assert_eq!(message(tuner.evaluate(&wrong, &mut Silent, &GO)), expected);
}
