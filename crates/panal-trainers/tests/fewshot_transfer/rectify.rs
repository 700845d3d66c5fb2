//! LaplacianShot's rectification of prototypes against NumPy: `../golden/rectify.py` made the numbers.

use panal_trainers::{FewShotMethod, LaplacianShotSpec};
use serde::Deserialize;

use crate::tasks::*;

#[derive(Deserialize)]
struct Case {
    support: Rows,
    labels: Vec<usize>,
    query: Rows,
    ways: usize,
    neighbours: usize,
    lambda: f64,
    iterations: usize,
    /// Shares of the classes for each query, and without rectification.
    rectified: Rows,
    plain: Rows,
}

#[test]
fn rectified_laplacian_shot_is_numpys() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/rectify.json")).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let Case { neighbours, lambda, iterations, .. } = case;
        for (rectify, expected) in [(true, &case.rectified), (false, &case.plain)] {
            let method = FewShotMethod::LaplacianShot(LaplacianShotSpec { neighbours, lambda, iterations, rectify });
            let logits = method.predict(&tensor(&case.support), &case.labels, &tensor(&case.query), case.ways).unwrap();
            near(&shares(&rows(&logits)), expected, 1e-4);
        }
        let far = case.rectified.iter().flatten().zip(case.plain.iter().flatten()).any(|(a, b)| (a - b).abs() > 1e-2);
        assert!(far, "the two must differ, or the test could not fail");
    }
}
