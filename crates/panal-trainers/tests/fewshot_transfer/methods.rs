//! Each method against a plain loop in f64.

use panal_trainers::{
    Bank, CosineSpec, FewShotMethod, FitSpec, LaplacianShotSpec, LogisticSpec, TimSpec, logistic_regression,
};

use crate::tasks::*;

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
    let spec = LaplacianShotSpec { neighbours: 3, lambda: 0.7, iterations: 6, rectify: false };
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
