//! Small tasks of random clouds, and what every test asks of them. Tests nothing itself.

use std::sync::atomic::AtomicBool;

use panal_data::keyed_rng;
use panal_trainers::{CosineSpec, FewShotMethod, LaplacianShotSpec, LogisticSpec, TimSpec, TrainError};
use rand::RngExt;
use tch::{Kind, Tensor};

pub(crate) type Rows = Vec<Vec<f64>>;

pub(crate) const DIM: usize = 7;
/// Nobody asks to stop.
pub(crate) static GO: AtomicBool = AtomicBool::new(false);

/// Overlapping clouds of three classes, `shots` support images of each in turn, and queries in another order.
pub(crate) struct Task {
    pub(crate) support: Rows,
    pub(crate) labels: Vec<usize>,
    pub(crate) query: Rows,
    pub(crate) truth: Vec<usize>,
}

pub(crate) fn task(shots: usize, queries: usize, key: u64) -> Task {
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

pub(crate) fn tensor(rows: &[Vec<f64>]) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]).to_kind(Kind::Float)
}

pub(crate) fn rows(tensor: &Tensor) -> Rows {
    Vec::<Vec<f64>>::try_from(tensor.to_kind(Kind::Double)).unwrap()
}

pub(crate) fn all_methods() -> [FewShotMethod; 6] {
    [
        FewShotMethod::NearestMean,
        FewShotMethod::Cosine(CosineSpec::default()),
        FewShotMethod::Logistic(LogisticSpec::default()),
        FewShotMethod::LaplacianShot(LaplacianShotSpec::default()),
        FewShotMethod::LaplacianShot(LaplacianShotSpec { rectify: true, ..LaplacianShotSpec::default() }),
        FewShotMethod::Tim(TimSpec { temperature: 1.0, iterations: 30, ..TimSpec::default() }),
    ]
}

/// Softmax of each row: what logits mean.
pub(crate) fn shares(logits: &Rows) -> Rows {
    let softmax = |row: &Vec<f64>| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> = row.iter().map(|value| (value - most).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.into_iter().map(|exp| exp / sum).collect()
    };
    logits.iter().map(softmax).collect()
}

pub(crate) fn predict(method: &FewShotMethod, task: &Task) -> Rows {
    shares(&rows(&method.predict(&tensor(&task.support), &task.labels, &tensor(&task.query), 3).unwrap()))
}

#[track_caller]
pub(crate) fn near(got: &Rows, expected: &Rows, tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((got - expected).abs() <= tolerance, "{got}, expected {expected}");
    }
}

pub(crate) fn message<T>(result: Result<T, TrainError>) -> String {
    result.err().unwrap().to_string()
}

pub(crate) fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn means(task: &Task) -> Rows {
    (0..3)
        .map(|class| {
            let of: Vec<&Vec<f64>> =
                task.support.iter().zip(&task.labels).filter(|(_, label)| **label == class).map(|(x, _)| x).collect();
            (0..DIM).map(|d| of.iter().map(|x| x[d]).sum::<f64>() / of.len() as f64).collect()
        })
        .collect()
}

pub(crate) fn distances(x: &Rows, to: &Rows) -> Rows {
    x.iter().map(|x| to.iter().map(|m| squared(x, m)).collect()).collect()
}

pub(crate) fn scaled(rows: &Rows, factor: f64) -> Rows {
    rows.iter().map(|row| row.iter().map(|value| factor * value).collect()).collect()
}
