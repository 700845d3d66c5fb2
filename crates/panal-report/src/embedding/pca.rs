//! The two principal components of features.

use super::Plane;

/// Steps of the power iteration at most, and the turn of the direction, as 1 - cosine, that ends it before.
const STEPS: usize = 500;
const STILL: f64 = 1e-12;

/// Points in the plane of the first two components.
pub(super) fn plane(features: &[Vec<f32>]) -> (Vec<[f64; 2]>, Plane) {
    let mut rows = centred(features);
    let total = variance(&rows);
    let (mut points, mut explained) = (vec![[0.0; 2]; rows.len()], [0.0; 2]);
    for component in 0..2 {
        // What rounding leaves of features that lie on a line is no second direction.
        if variance(&rows) <= total * 1e-12 {
            break;
        }
        let direction = principal_direction(&rows);
        for (row, point) in rows.iter_mut().zip(&mut points) {
            let along = dot(row, &direction);
            point[component] = along;
            explained[component] += along * along / total;
            row.iter_mut().zip(&direction).for_each(|(value, d)| *value -= along * d);
        }
    }
    (points, Plane::Components { explained })
}

/// The rows less their mean.
fn centred(features: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let mut mean = vec![0.0; features[0].len()];
    for row in features {
        mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / features.len() as f64);
    }
    features.iter().map(|row| row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect()).collect()
}

/// The unit vector along which centred `rows`, not all of them 0, vary most.
fn principal_direction(rows: &[Vec<f64>]) -> Vec<f64> {
    // The longest row is no stranger to the first component, as a fixed vector may be.
    let longest = rows.iter().max_by(|a, b| dot(a, a).total_cmp(&dot(b, b)));
    let mut direction = unit(longest.cloned().unwrap_or_default());
    for _ in 0..STEPS {
        let mut next = vec![0.0; direction.len()];
        for row in rows {
            let along = dot(row, &direction);
            next.iter_mut().zip(row).for_each(|(sum, value)| *sum += along * value);
        }
        let next = unit(next);
        let turn = 1.0 - dot(&next, &direction);
        direction = next;
        if turn < STILL {
            break;
        }
    }
    let largest = direction.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
    direction.iter().map(|value| value * largest.signum()).collect()
}

fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

fn variance(rows: &[Vec<f64>]) -> f64 {
    rows.iter().map(|row| dot(row, row)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Found {
        points: Vec<[f64; 2]>,
        explained: [f64; 2],
    }

    fn pca(features: &[Vec<f32>]) -> Found {
        match plane(features) {
            (points, Plane::Components { explained }) => Found { points, explained },
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        /// In two dimensions the variances are the eigenvalues of a matrix of 2 by 2, which have a formula.
        #[test]
        fn variances_are_the_eigenvalues(features in prop::collection::vec(prop::collection::vec(-9.0_f32..9.0, 2), 3..30)) {
            let rows = centred(&features);
            let sum = |i: usize, j: usize| rows.iter().map(|row| row[i] * row[j]).sum::<f64>();
            let (a, b, c) = (sum(0, 0), sum(0, 1), sum(1, 1));
            let root = ((a - c).powi(2) + 4.0 * b * b).sqrt();
            // Directions of the same variance are not told apart.
            prop_assume!(root > 0.1 * (a + c));
            let expected = [(a + c + root) / 2.0 / (a + c), (a + c - root) / 2.0 / (a + c)];
            let found = pca(&features).explained;
            prop_assert!((found[0] - expected[0]).abs() < 1e-6 && (found[1] - expected[1]).abs() < 1e-6, "{found:?} {expected:?}");
        }

        /// Points of a plane keep their distances, wherever in six dimensions the plane lies.
        #[test]
        fn a_plane_is_seen_as_it_is(plane in prop::collection::vec((-9.0_f32..9.0, -9.0_f32..9.0), 3..20)) {
            let features: Vec<Vec<f32>> =
                plane.iter().map(|&(x, y)| vec![5.0, 0.6 * x, 0.8 * x, -1.0, 0.8 * y, -0.6 * y]).collect();
            let found = pca(&features);
            for i in 0..plane.len() {
                for j in 0..i {
                    let far = f64::from((plane[i].0 - plane[j].0).hypot(plane[i].1 - plane[j].1));
                    let seen = (found.points[i][0] - found.points[j][0]).hypot(found.points[i][1] - found.points[j][1]);
                    prop_assert!((far - seen).abs() < 1e-3, "{far} {seen}");
                }
            }
        }
    }

    #[test]
    fn a_line_has_one_component_and_a_point_none() {
        let line: Vec<Vec<f32>> = (0..5).map(|i| vec![-2.0 * i as f32, 1.0, i as f32]).collect();
        let found = pca(&line);
        assert!((found.explained[0] - 1.0).abs() < 1e-12 && found.explained[1] == 0.0, "{:?}", found.explained);
        // The largest weight, that of the first column, is positive.
        assert!(found.points[0][0] > found.points[4][0]);
        let point = pca(&vec![vec![1.0, 2.0]; 4]);
        assert_eq!((point.explained, point.points), ([0.0; 2], vec![[0.0; 2]; 4]));
    }
}
