//! Laws that hold for every method and transform, whatever the features.

use panal_trainers::{Bank, FewShotMethod, Transform};

use crate::tasks::*;

#[test]
fn only_transductive_methods_look_at_other_queries() {
    let task = task(3, 12, 6);
    let method_of = |transductive: bool| all_methods().into_iter().filter(move |m| m.is_transductive() == transductive);
    assert_eq!(method_of(true).count(), 3);
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
fn what_is_added_to_all_features_is_not_seen_but_by_cosines() {
    let task = task(3, 12, 9);
    let moved = |rows: &Rows| -> Rows { rows.iter().map(|row| row.iter().map(|x| x + 300.0).collect()).collect() };
    let there = Task { support: moved(&task.support), query: moved(&task.query), ..self::task(3, 12, 9) };
    for method in all_methods() {
        let (here, there) = (predict(&method, &task), predict(&method, &there));
        let by_cosine = matches!(method, FewShotMethod::Cosine(_))
            || matches!(method, FewShotMethod::LaplacianShot(spec) if spec.rectify);
        if by_cosine {
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
