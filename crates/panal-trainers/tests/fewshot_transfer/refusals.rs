//! Settings and tasks that are refused, and settings as they are written.

use panal_trainers::{CosineSpec, FewShotMethod, LaplacianShotSpec, LogisticSpec, TimSpec, Transform};
use serde_json::json;
use tch::{Kind, Tensor};

use crate::tasks::*;

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
