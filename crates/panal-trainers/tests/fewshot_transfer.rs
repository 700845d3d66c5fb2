//! Few-shot methods over frozen features against plain loops in f64, the laws that they keep, what is refused, and support
//! sets that are saved, read and grown.

// The lint lets test functions unwrap, not the helpers beside them.
#![allow(clippy::unwrap_used)]

use panal_data::{Episode, EpisodeClass, EpisodeItem, Rotation, keyed_rng};
use panal_trainers::{
    Bank, CosineSpec, EncoderCard, FewShotMethod, FitSpec, LaplacianShotSpec, LogisticSpec, RejectThreshold,
    SupportSet, TimSpec, TrainError, Transform, evaluate_episodes, logistic_regression,
};
use rand::RngExt;
use serde_json::json;
use tch::{Kind, Tensor};

type Rows = Vec<Vec<f64>>;

const DIM: usize = 7;

/// Overlapping clouds of three classes, `shots` support images of each in turn, and queries in another order.
struct Task {
    support: Rows,
    labels: Vec<usize>,
    query: Rows,
    truth: Vec<usize>,
}

fn task(shots: usize, queries: usize, key: u64) -> Task {
    let mut rng = keyed_rng(23, &[key]);
    let mut cloud = |label: usize| -> Vec<f64> {
        (0..DIM).map(|d| f64::from(f32::from(d % 3 == label) + 1.5 * rng.random::<f32>())).collect()
    };
    let labels: Vec<usize> = (0..3 * shots).map(|index| index % 3).collect();
    let truth: Vec<usize> = (0..queries).map(|index| (index * 2 + 1) % 3).collect();
    let support = labels.iter().map(|&label| cloud(label)).collect();
    let query = truth.iter().map(|&label| cloud(label)).collect();
    Task { support, labels, query, truth }
}

fn tensor(rows: &[Vec<f64>]) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]).to_kind(Kind::Float)
}

fn rows(tensor: &Tensor) -> Rows {
    Vec::<Vec<f64>>::try_from(tensor.to_kind(Kind::Double)).unwrap()
}

fn all_methods() -> [FewShotMethod; 5] {
    [
        FewShotMethod::NearestMean,
        FewShotMethod::Cosine(CosineSpec::default()),
        FewShotMethod::Logistic(LogisticSpec::default()),
        FewShotMethod::LaplacianShot(LaplacianShotSpec::default()),
        FewShotMethod::Tim(TimSpec { temperature: 1.0, iterations: 30, ..TimSpec::default() }),
    ]
}

/// Softmax of each row: what logits mean.
fn shares(logits: &Rows) -> Rows {
    let softmax = |row: &Vec<f64>| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> = row.iter().map(|value| (value - most).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.into_iter().map(|exp| exp / sum).collect()
    };
    logits.iter().map(softmax).collect()
}

fn predict(method: &FewShotMethod, task: &Task) -> Rows {
    shares(&rows(&method.predict(&tensor(&task.support), &task.labels, &tensor(&task.query), 3).unwrap()))
}

#[track_caller]
fn near(got: &Rows, expected: &Rows, tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((got - expected).abs() <= tolerance, "{got}, expected {expected}");
    }
}

fn message<T>(result: Result<T, TrainError>) -> String {
    result.err().unwrap().to_string()
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn means(task: &Task) -> Rows {
    (0..3)
        .map(|class| {
            let of: Vec<&Vec<f64>> =
                task.support.iter().zip(&task.labels).filter(|(_, label)| **label == class).map(|(x, _)| x).collect();
            (0..DIM).map(|d| of.iter().map(|x| x[d]).sum::<f64>() / of.len() as f64).collect()
        })
        .collect()
}

fn distances(x: &Rows, to: &Rows) -> Rows {
    x.iter().map(|x| to.iter().map(|m| squared(x, m)).collect()).collect()
}

fn scaled(rows: &Rows, factor: f64) -> Rows {
    rows.iter().map(|row| row.iter().map(|value| factor * value).collect()).collect()
}

#[test]
fn the_nearest_mean_is_that_of_a_plain_loop() {
    let mut task = task(4, 11, 0);
    // Classes of unlike size, so that a mean is not a sum.
    task.support.pop();
    task.labels.pop();
    let expected = shares(&scaled(&distances(&task.query, &means(&task)), -1.0));
    near(&predict(&FewShotMethod::NearestMean, &task), &expected, 1e-5);
}

#[test]
fn the_cosine_is_that_of_a_plain_loop() {
    let task = task(3, 10, 1);
    let cosine = |x: &[f64], m: &[f64]| dot(x, m) / (dot(x, x) * dot(m, m)).sqrt();
    let means = means(&task);
    let expected: Rows = task.query.iter().map(|x| means.iter().map(|m| 4.0 * cosine(x, m)).collect()).collect();
    near(&predict(&FewShotMethod::Cosine(CosineSpec { scale: 4.0 }), &task), &shares(&expected), 1e-5);
}

#[test]
fn logistic_regression_is_the_fit_to_the_support() {
    let task = task(5, 9, 2);
    let bank = Bank::new(tensor(&task.support), task.labels.clone(), 3).unwrap();
    let fit = logistic_regression(&bank, 0.3, &FitSpec::default()).unwrap();
    let query = Bank::new(tensor(&task.query), task.truth.clone(), 3).unwrap();
    let expected = shares(&rows(&fit.logits(&query).unwrap()));
    let method = FewShotMethod::Logistic(LogisticSpec { l2: 0.3, ..LogisticSpec::default() });
    near(&predict(&method, &task), &expected, 1e-4);
}

#[test]
fn laplacian_shot_is_that_of_a_plain_loop() {
    let task = task(2, 12, 3);
    let spec = LaplacianShotSpec { neighbours: 3, lambda: 0.7, iterations: 6 };
    let unary = scaled(&distances(&task.query, &means(&task)), -1.0);
    let nearest: Vec<Vec<usize>> = (0..12)
        .map(|q| {
            let mut others: Vec<usize> = (0..12).filter(|&p| p != q).collect();
            others.sort_by(|&a, &b| {
                squared(&task.query[q], &task.query[a]).total_cmp(&squared(&task.query[q], &task.query[b]))
            });
            others.truncate(3);
            others
        })
        .collect();
    let mut y = shares(&unary);
    for _ in 0..6 {
        let pulled = (0..12)
            .map(|q| (0..3).map(|c| unary[q][c] + 0.7 * nearest[q].iter().map(|&p| y[p][c]).sum::<f64>()).collect());
        y = shares(&pulled.collect());
    }
    near(&predict(&FewShotMethod::LaplacianShot(spec), &task), &y, 1e-5);
    let alone = LaplacianShotSpec { lambda: 0.0, ..spec };
    near(&predict(&FewShotMethod::LaplacianShot(alone), &task), &predict(&FewShotMethod::NearestMean, &task), 1e-6);
}

#[test]
fn laplacian_shot_takes_few_queries_too() {
    for queries in [1, 2, 3] {
        let task = task(2, queries, 4);
        let logits = predict(&FewShotMethod::LaplacianShot(LaplacianShotSpec::default()), &task);
        assert!(logits.iter().flatten().all(|share| share.is_finite()));
        if queries == 1 {
            near(&logits, &predict(&FewShotMethod::NearestMean, &task), 1e-6);
        }
    }
}

#[test]
fn tim_is_that_of_a_plain_loop_and_lowers_its_objective() {
    let task = task(2, 12, 5);
    let spec = TimSpec { temperature: 2.0, lambda: 0.3, alpha: 0.2, iterations: 8 };
    let truth: Rows =
        task.labels.iter().map(|&label| (0..3).map(|c| f64::from(u8::from(c == label))).collect()).collect();
    let at = |x: &Rows, w: &Rows| shares(&scaled(&distances(x, w), -0.5 * spec.temperature));
    let objective = |w: &Rows| {
        let (p, s) = (at(&task.query, w), at(&task.support, w));
        let cross: f64 = -s.iter().zip(&task.labels).map(|(p, &label)| p[label].ln()).sum::<f64>() / s.len() as f64;
        let conditional: f64 = -p.iter().flatten().map(|p| p * p.ln()).sum::<f64>() / p.len() as f64;
        let marginal = |c: usize| p.iter().map(|p| p[c]).sum::<f64>() / p.len() as f64;
        let entropy: f64 = -(0..3).map(|c| marginal(c) * marginal(c).ln()).sum::<f64>();
        spec.lambda * cross - entropy + spec.alpha * conditional
    };
    let mut w = means(&task);
    let mut course = vec![objective(&w)];
    for _ in 0..spec.iterations {
        let (p, s) = (at(&task.query, &w), at(&task.support, &w));
        let power = |p: f64| p.powf(1.0 + spec.alpha);
        let root: Vec<f64> = (0..3).map(|c| p.iter().map(|p| power(p[c])).sum::<f64>().sqrt()).collect();
        let q: Rows = p
            .iter()
            .map(|p| {
                let row: Vec<f64> = (0..3).map(|c| power(p[c]) / root[c]).collect();
                let sum: f64 = row.iter().sum();
                row.into_iter().map(|value| value / sum).collect()
            })
            .collect();
        let (a, b) = (spec.lambda / (1.0 + spec.alpha), s.len() as f64 / p.len() as f64);
        w = (0..3)
            .map(|c| {
                let sum = |x: &Rows, y: &Rows, p: &Rows, d: usize| -> f64 {
                    (0..x.len()).map(|i| y[i][c] * x[i][d] + p[i][c] * (w[c][d] - x[i][d])).sum()
                };
                let under = a * truth.iter().map(|y| y[c]).sum::<f64>() + b * q.iter().map(|q| q[c]).sum::<f64>();
                (0..DIM)
                    .map(|d| (a * sum(&task.support, &truth, &s, d) + b * sum(&task.query, &q, &p, d)) / under)
                    .collect()
            })
            .collect();
        course.push(objective(&w));
    }
    near(&predict(&FewShotMethod::Tim(spec), &task), &at(&task.query, &w), 1e-4);
    assert!(course.last() < course.first(), "{course:?}");
}

#[test]
fn only_two_methods_look_at_other_queries() {
    let task = task(3, 12, 6);
    let method_of = |transductive: bool| all_methods().into_iter().filter(move |m| m.is_transductive() == transductive);
    assert_eq!(method_of(true).count(), 2);
    assert!(method_of(true).all(|method| method.to_string().contains("transductive")));
    let first = Task { query: task.query[..1].to_vec(), truth: vec![], ..self::task(3, 12, 6) };
    for method in method_of(false) {
        near(&predict(&method, &first), &predict(&method, &task)[..1].to_vec(), 1e-5);
    }
    for method in method_of(true) {
        let (alone, together) = (predict(&method, &first), predict(&method, &task));
        assert!(alone[0].iter().zip(&together[0]).any(|(a, b)| (a - b).abs() > 1e-3), "{method}");
    }
}

#[test]
fn renaming_the_classes_renames_the_answers() {
    let mut task = task(3, 12, 7);
    let new_name = [2, 0, 1];
    for method in all_methods() {
        let before = predict(&method, &task);
        task.labels.iter_mut().for_each(|label| *label = new_name[*label]);
        let after = predict(&method, &task);
        let back: Rows = after.iter().map(|row| new_name.iter().map(|&class| row[class]).collect()).collect();
        near(&back, &before, 1e-4);
        task.labels.iter_mut().for_each(|label| *label = new_name.iter().position(|name| name == label).unwrap());
    }
}

#[test]
fn the_order_of_the_support_does_not_matter() {
    let task = task(3, 12, 8);
    let mut turned = self::task(3, 12, 8);
    turned.support.rotate_left(4);
    turned.labels.rotate_left(4);
    for method in all_methods() {
        near(&predict(&method, &turned), &predict(&method, &task), 1e-4);
    }
}

#[test]
fn what_is_added_to_all_features_is_not_seen_but_by_the_cosine() {
    let task = task(3, 12, 9);
    let moved = |rows: &Rows| -> Rows { rows.iter().map(|row| row.iter().map(|x| x + 300.0).collect()).collect() };
    let there = Task { support: moved(&task.support), query: moved(&task.query), ..self::task(3, 12, 9) };
    for method in all_methods() {
        let (here, there) = (predict(&method, &task), predict(&method, &there));
        if matches!(method, FewShotMethod::Cosine(_)) {
            assert!(here.iter().flatten().zip(there.iter().flatten()).any(|(a, b)| (a - b).abs() > 1e-2));
        } else {
            near(&there, &here, 2e-3);
        }
    }
}

/// Turned in a space of more dimensions than there are images, where some methods take a shorter way.
#[test]
fn no_method_sees_how_features_are_turned() {
    let task = task(3, 12, 15);
    let axis: Vec<f64> = (0..40).map(|d| f64::from(d % 5) - 1.5).collect();
    let reflected = |row: &Vec<f64>| -> Vec<f64> {
        let mut wide = row.clone();
        wide.resize(40, 0.0);
        let along = 2.0 * dot(&wide, &axis) / dot(&axis, &axis);
        wide.iter().zip(&axis).map(|(x, a)| x - along * a).collect()
    };
    let there = Task {
        support: task.support.iter().map(reflected).collect(),
        query: task.query.iter().map(reflected).collect(),
        ..self::task(3, 12, 15)
    };
    for method in all_methods() {
        // Logistic regression scales features one by one on its way, and ends where it is near enough.
        near(&predict(&method, &there), &predict(&method, &task), 2e-3);
    }
}

#[test]
fn transforms_are_those_of_simple_shot() {
    let features: Rows = vec![vec![3.0, 4.0], vec![0.0, 0.0], vec![-6.0, 8.0]];
    near(&rows(&Transform::None.apply(&tensor(&features)).unwrap()), &features, 0.0);
    let unit = rows(&Transform::L2.apply(&tensor(&features)).unwrap());
    near(&unit, &vec![vec![0.6, 0.8], vec![0.0, 0.0], vec![-0.6, 0.8]], 1e-7);
    let centred = Transform::centred_by(&Bank::new(tensor(&features), vec![0, 0, 1], 2).unwrap()).unwrap();
    assert_eq!(centred, Transform::CentredL2 { mean: vec![-1.0, 4.0] });
    let expected = vec![
        vec![1.0, 0.0],
        vec![1.0 / 17f64.sqrt(), -4.0 / 17f64.sqrt()],
        vec![-5.0 / 41f64.sqrt(), 4.0 / 41f64.sqrt()],
    ];
    near(&rows(&centred.apply(&tensor(&features)).unwrap()), &expected, 1e-6);
    assert_eq!([Transform::None.name(), Transform::L2.name(), centred.name()], ["UN", "L2N", "CL2N"]);
    let other = tensor(&[vec![1.0; 3]]);
    assert_eq!(message(centred.apply(&other)), "few_shot.transform.mean must be 3 numbers, as the features, got 2");
}

#[test]
fn centring_takes_out_what_is_added_to_all_features() {
    let task = task(3, 12, 10);
    let base = self::task(20, 1, 11).support;
    let moved = |rows: &Rows| -> Rows { rows.iter().map(|row| row.iter().map(|x| x - 20.0).collect()).collect() };
    let answer = |change: &dyn Fn(&Rows) -> Rows| {
        let bank = Bank::new(tensor(&change(&base)), vec![0; base.len()], 1).unwrap();
        let transform = Transform::centred_by(&bank).unwrap();
        let [support, query] =
            [&task.support, &task.query].map(|rows| transform.apply(&tensor(&change(rows))).unwrap());
        shares(&rows(&FewShotMethod::NearestMean.predict(&support, &task.labels, &query, 3).unwrap()))
    };
    near(&answer(&moved), &answer(&|rows| rows.clone()), 1e-4);
}

#[test]
fn methods_and_transforms_are_read_as_they_are_written() {
    for method in all_methods() {
        let text = serde_json::to_string(&method).unwrap();
        assert_eq!(serde_json::from_str::<FewShotMethod>(&text).unwrap(), method, "{text}");
    }
    let short: FewShotMethod = serde_json::from_value(json!({ "kind": "tim", "alpha": 0.5 })).unwrap();
    assert_eq!(short, FewShotMethod::Tim(TimSpec { alpha: 0.5, ..TimSpec::default() }));
    assert!(serde_json::from_value::<FewShotMethod>(json!({ "kind": "tim", "beta": 0.5 })).is_err());
    let transform = Transform::CentredL2 { mean: vec![0.1, -2.0] };
    assert_eq!(serde_json::from_value::<Transform>(json!(transform)).unwrap(), transform);
}

#[test]
fn wrong_settings_and_tasks_are_refused() {
    let task = task(2, 4, 12);
    let (support, query) = (tensor(&task.support), tensor(&task.query));
    let said = |method: FewShotMethod| message(method.predict(&support, &task.labels, &query, 3));
    let laplacian = LaplacianShotSpec::default();
    let tim = TimSpec::default();
    for (method, expected) in [
        (FewShotMethod::Cosine(CosineSpec { scale: 0.0 }), "few_shot.cosine.scale must be a finite number > 0, got 0"),
        (
            FewShotMethod::Logistic(LogisticSpec { l2: -1.0, ..LogisticSpec::default() }),
            "few_shot.logistic.l2 must be a finite number > 0, got -1",
        ),
        (
            FewShotMethod::LaplacianShot(LaplacianShotSpec { neighbours: 0, ..laplacian }),
            "few_shot.laplacian_shot.neighbours must be at least 1, got 0",
        ),
        (
            FewShotMethod::LaplacianShot(LaplacianShotSpec { lambda: f64::NAN, ..laplacian }),
            "few_shot.laplacian_shot.lambda must be a finite number >= 0, got NaN",
        ),
        (
            FewShotMethod::LaplacianShot(LaplacianShotSpec { iterations: 0, ..laplacian }),
            "few_shot.laplacian_shot.iterations must be at least 1, got 0",
        ),
        (
            FewShotMethod::Tim(TimSpec { temperature: 0.0, ..tim }),
            "few_shot.tim.temperature must be a finite number > 0, got 0",
        ),
        (FewShotMethod::Tim(TimSpec { lambda: 0.0, ..tim }), "few_shot.tim.lambda must be a finite number > 0, got 0"),
        (
            FewShotMethod::Tim(TimSpec { alpha: -0.1, ..tim }),
            "few_shot.tim.alpha must be a finite number >= 0, got -0.1",
        ),
        (FewShotMethod::Tim(TimSpec { iterations: 0, ..tim }), "few_shot.tim.iterations must be at least 1, got 0"),
    ] {
        assert_eq!(said(method), expected);
    }
    let mean = FewShotMethod::NearestMean;
    let said = |labels: &[usize], query: &Tensor, ways| message(mean.predict(&support, labels, query, ways));
    assert_eq!(said(&[0; 6], &query, 1), "few_shot.ways must be at least 2, got 1");
    assert_eq!(said(&[0, 1], &query, 2), "few_shot.labels must be as many as there are support images, 6, got 2");
    assert_eq!(said(&[0, 1, 2, 0, 1, 3], &query, 3), "few_shot.labels[5] must be < 3, the classes, got 3");
    assert_eq!(
        said(&[0, 1, 0, 0, 1, 1], &query, 3),
        "few_shot.labels must be of every class at least once, got none of class 2"
    );
    let narrow = query.narrow(1, 0, 5);
    assert_eq!(
        said(&task.labels, &narrow, 3),
        "few_shot.query must be [N, 7] of Float on Cpu, neither of them 0, got [4, 5] of Float on Cpu"
    );
    assert!(said(&task.labels, &query.to_kind(Kind::Double), 3).contains("of Double on Cpu"));
    let infinite = &query / 0.0;
    assert_eq!(said(&task.labels, &infinite, 3), "few_shot.query must be finite numbers, got 28 that are not");
}

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
            let scores = evaluate_episodes(&bank, &episodes, &method, &transform).unwrap();
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
    let scores = evaluate_episodes(&bank, &four, &FewShotMethod::NearestMean, &Transform::None).unwrap();
    assert_eq!(scores.accuracies, vec![scores.accuracies[0]; 25]);
}

#[test]
fn episodes_that_are_not_of_the_bank_are_refused() {
    let bank = bank();
    let good = episodes(&bank).remove(1);
    let said = |change: fn(&mut Episode)| {
        let mut episode = good.clone();
        change(&mut episode);
        message(evaluate_episodes(&bank, &[episode], &FewShotMethod::NearestMean, &Transform::None))
    };
    assert_eq!(said(|e| e.query[0].image = 36), "episode 1: image must be < 36, the images of the bank, got 36");
    assert_eq!(
        said(|e| e.query[0].rotation = Rotation::Half),
        "episode 1: rotation of image 4 must be 0, for the bank has no others, got 180 degrees"
    );
    assert_eq!(said(|e| e.ways[0].class = 0), "episode 1: class of image 1 must be 1, as in the bank, got 0");
    assert_eq!(said(|e| e.query.clear()), "episode 1: classes and queries must be at least 2 and 1, got 2 and 0");
    assert_eq!(
        said(|e| {
            e.support.remove(0);
        }),
        "episode 1: support images of label 0 must be at least 1, got 0"
    );
    let none = evaluate_episodes(&bank, &[], &FewShotMethod::NearestMean, &Transform::None);
    assert_eq!(message(none), "few_shot.episodes must be at least 1, got 0");
    let one =
        evaluate_episodes(&bank, std::slice::from_ref(&good), &FewShotMethod::NearestMean, &Transform::None).unwrap();
    assert!(message(one.interval(0.95)).contains("at least 2"));
}

fn card(digest: &str) -> EncoderCard {
    EncoderCard { digest: digest.into(), card: json!({ "init": "random:resnet18" }) }
}

fn names(class: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{class}-{index}")).collect()
}

fn support_set(transform: Transform) -> (SupportSet, Task) {
    let task = task(4, 5, 14);
    let mut set = SupportSet::new(card("a"), transform);
    for class in 0..3 {
        set.grow(["fly", "bee", "ant"][class], &of_class(&task, class), &names(&class.to_string(), 4)).unwrap();
    }
    (set, task)
}

fn of_class(task: &Task, class: usize) -> Tensor {
    let of = task.support.iter().zip(&task.labels).filter(|(_, label)| **label == class);
    tensor(&of.map(|(x, _)| x.clone()).collect::<Rows>())
}

#[test]
fn a_support_set_knows_the_cosines_to_class_means() {
    let (set, task) = support_set(Transform::None);
    assert_eq!((set.classes(), set.counts()), (vec!["fly", "bee", "ant"], vec![4, 4, 4]));
    let cosine = |x: &[f64], m: &[f64]| dot(x, m) / (dot(x, x) * dot(m, m)).sqrt();
    let means = means(&task);
    let expected: Rows = task.query.iter().map(|x| means.iter().map(|m| cosine(x, m)).collect()).collect();
    near(&rows(&set.similarities(&tensor(&task.query)).unwrap()), &expected, 1e-6);
    // An image without itself: the mean of the other three.
    let left_out = rows(&set.similarities_left_out("bee", &of_class(&task, 1)).unwrap());
    let bees = rows(&of_class(&task, 1));
    let others: Vec<f64> = (0..DIM).map(|d| (bees[0][d] + bees[1][d] + bees[3][d]) / 3.0).collect();
    near(
        &left_out[2..3].to_vec(),
        &vec![vec![cosine(&bees[2], &means[0]), cosine(&bees[2], &others), cosine(&bees[2], &means[2])]],
        1e-6,
    );
}

#[test]
fn a_support_set_grows_as_if_it_had_been_made_at_once() {
    for transform in [Transform::None, Transform::L2, Transform::CentredL2 { mean: vec![0.5; DIM] }] {
        let (whole, task) = support_set(transform.clone());
        let mut grown = SupportSet::new(card("a"), transform);
        for class in 0..3 {
            let (name, images) = (["fly", "bee", "ant"][class], names(&class.to_string(), 4));
            let features = of_class(&task, class);
            grown.grow(name, &features.narrow(0, 0, 1), &images[..1]).unwrap();
            grown.grow(name, &features.narrow(0, 1, 3), &images[1..]).unwrap();
        }
        let query = tensor(&task.query);
        near(&rows(&grown.similarities(&query).unwrap()), &rows(&whole.similarities(&query).unwrap()), 1e-12);
        assert_eq!(grown.counts(), whole.counts());
    }
}

#[test]
fn a_support_set_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    let (mut set, task) = support_set(Transform::CentredL2 { mean: vec![0.1; DIM] });
    set.reject = Some(0.25);
    set.write(&path).unwrap();
    let mut read = SupportSet::read(&path).unwrap();
    assert_eq!((read.classes(), read.counts(), read.reject), (set.classes(), set.counts(), Some(0.25)));
    assert_eq!((read.encoder(), read.transform()), (set.encoder(), set.transform()));
    assert_eq!((read.class_of("1-3"), read.class_of("1-4")), (Some("bee"), None));
    let query = tensor(&task.query);
    assert_eq!(rows(&read.similarities(&query).unwrap()), rows(&set.similarities(&query).unwrap()));
    read.grow("wasp", &of_class(&task, 0), &names("wasp", 4)).unwrap();
    assert_eq!(read.similarities(&query).unwrap().size(), [5, 4]);
    read.check_encoder(&card("a")).unwrap();
    assert_eq!(
        message(read.check_encoder(&card("b"))),
        "the support set was made by an encoder of digest a, and this one has b: use that encoder, or make the set anew"
    );
}

#[test]
fn a_support_set_refuses_what_does_not_fit() {
    let (mut set, task) = support_set(Transform::L2);
    let features = of_class(&task, 0);
    let said = message(set.grow("wasp", &features, &names("wasp", 3)));
    assert_eq!(said, "few_shot.support images must be as many as there are features, 4, got 3");
    let mut twice = names("wasp", 4);
    twice[2] = "1-1".into();
    let said = message(set.grow("wasp", &features, &twice));
    assert_eq!(
        said,
        "few_shot.support images[2] of wasp must be an image that is not in the set, of bee, already, got 1-1"
    );
    twice[2] = twice[1].clone();
    assert!(message(set.grow("wasp", &features, &twice)).contains("not in the set, of wasp"));
    assert!(message(set.grow("wasp", &features.narrow(1, 0, 3), &names("wasp", 4))).contains("[N, 7]"));
    assert_eq!(set.classes().len(), 3, "refused, it stays as it was");
    assert!(message(set.similarities(&features.narrow(1, 0, 3))).contains("few_shot.query must be [N, 7]"));
    let said = message(set.similarities_left_out("wasp", &features));
    assert_eq!(said, "few_shot.class must be one of fly, bee, ant, got wasp");
    set.grow("wasp", &features.narrow(0, 0, 1), &names("wasp", 1)).unwrap();
    let said = message(set.similarities_left_out("wasp", &features.narrow(0, 0, 1)));
    assert_eq!(said, "few_shot.images of wasp must be at least 2, to leave one out, got 1");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    let none = SupportSet::new(card("a"), Transform::None);
    assert_eq!(message(none.write(&path)), "few_shot.the support set must be of at least one class, got none");
    assert!(message(none.similarities(&features)).contains("at least one class"));
    assert!(message(SupportSet::read(&path)).contains("set.safetensors"));
    let tensors = [("sums".to_owned(), Tensor::from_slice(&[1f64, 2.0]).view([1, 2]))];
    let bad = |card: &str| {
        let metadata = [("panal.support_set".to_owned(), card.to_owned())].into_iter().collect();
        panal_tensor::write_safetensors(&path, &tensors, &metadata).unwrap();
        message(SupportSet::read(&path))
    };
    assert!(bad("{}").contains("is no support set: its card: missing field"));
    let card = |format: &str, classes: serde_json::Value| {
        json!({ "format": format, "encoder": { "digest": "a", "card": null }, "transform": { "kind": "l2" },
                "reject": null, "classes": classes })
        .to_string()
    };
    assert!(bad(&card("other", json!([]))).contains("its format must be `panal support set 1`, got `other`"));
    let format = "panal support set 1";
    assert!(
        bad(&card(format, json!([["a", ["x"]], ["b", ["y"]]]))).contains("`sums` is [1, 2] of Double for 2 classes")
    );
    assert!(bad(&card(format, json!([["a", []]]))).contains("class a is there twice, or without images"));
}

#[test]
fn the_threshold_is_the_best_between_known_and_unknown() {
    let best = RejectThreshold::choose(&[0.9, 0.8, 0.7], &[0.1, 0.3]).unwrap();
    assert_eq!(best, RejectThreshold { threshold: 0.5, balanced_accuracy: 1.0 });
    // By hand: at 0.775 two of four known are lost and all unknown are away, which is more than the 17/24 at 0.5.
    let mixed = RejectThreshold::choose(&[0.9, 0.8, 0.7, 0.2], &[0.1, 0.3, 0.75]).unwrap();
    assert!((mixed.threshold - 0.775).abs() < 1e-12 && mixed.balanced_accuracy == 0.75, "{mixed:?}");
    // Of equals the widest gap: between 0.1 and 0.2 as good as between 0.3 and 0.8.
    let wide = RejectThreshold::choose(&[0.2, 0.8], &[0.1, 0.3]).unwrap();
    assert!((wide.threshold - 0.55).abs() < 1e-12, "{wide:?}");
    // The other way round nothing helps, so everything is kept.
    let worse = RejectThreshold::choose(&[0.1], &[0.9]).unwrap();
    assert_eq!(worse, RejectThreshold { threshold: 0.1, balanced_accuracy: 0.5 });
    assert_eq!(RejectThreshold::choose(&[0.4], &[0.4]).unwrap().balanced_accuracy, 0.5);
    let said = |known: &[f64], unknown: &[f64]| message(RejectThreshold::choose(known, unknown));
    assert_eq!(said(&[], &[0.1]), "few_shot.known similarities must be at least one, got 0");
    assert_eq!(said(&[0.1], &[]), "few_shot.unknown similarities must be at least one, got 0");
    assert_eq!(said(&[0.1], &[f64::NAN]), "few_shot.unknown similarities must be finite numbers, got NaN");
}
