//! t-SNE against scikit-learn's (tests/golden/tsne.py), and what points may be told of.

use panal_report::{Embedding, Plane, PointImage};
use serde_json::Value;

fn golden() -> (Value, Vec<Vec<f32>>) {
    let golden: Value = serde_json::from_str(include_str!("../golden/tsne.json")).unwrap();
    let features = serde_json::from_value(golden["features"].clone()).unwrap();
    (golden, features)
}

fn tsne(features: &[Vec<f32>]) -> Embedding {
    Embedding::tsne("t", &["a".to_owned()], &vec![0; features.len()], features).unwrap()
}

/// The order of all points by their distance from one, itself left out.
fn nearest(points: &[Vec<f64>], from: usize) -> Vec<usize> {
    let far = |i: usize| points[i].iter().zip(&points[from]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let mut order: Vec<usize> = (0..points.len()).filter(|&i| i != from).collect();
    order.sort_by(|&a, &b| far(a).total_cmp(&far(b)));
    order
}

/// Trustworthiness (Venna and Kaski 2001): 1 where every neighbour in the plane is one in the features.
fn trustworthiness(features: &[Vec<f64>], plane: &[Vec<f64>], neighbours: usize) -> f64 {
    let count = features.len();
    let mut penalty = 0;
    for i in 0..count {
        let ranks = nearest(features, i);
        for j in &nearest(plane, i)[..neighbours] {
            let rank = 1 + ranks.iter().position(|other| other == j).unwrap();
            penalty += rank.saturating_sub(neighbours);
        }
    }
    let (n, k) = (count as f64, neighbours as f64);
    1.0 - 2.0 * penalty as f64 / (n * k * (2.0 * n - 3.0 * k - 1.0))
}

#[test]
fn tsne_is_as_good_as_scikit_learn_s() {
    let (golden, features) = golden();
    let found = tsne(&features);
    let Plane::Neighbours { perplexity, divergence } = found.plane else { panic!("{:?}", found.plane) };
    assert_eq!(golden["perplexity"], perplexity);
    let expected = golden["divergence"].as_f64().unwrap();
    assert!((divergence - expected).abs() < 0.03 * expected, "{divergence} for {expected}");
    let wide: Vec<Vec<f64>> = features.iter().map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let plane: Vec<Vec<f64>> = found.points.iter().map(|point| point.to_vec()).collect();
    for neighbours in [5, 12] {
        let expected = golden["trustworthiness"][neighbours.to_string()].as_f64().unwrap();
        let got = trustworthiness(&wide, &plane, neighbours);
        assert!((got - expected).abs() < 0.01, "{neighbours}: {got} for {expected}");
    }
}

#[test]
fn tsne_gives_the_same_points_whatever_threads_there_are() {
    let (_, features) = golden();
    let alone = tsne(&features);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap();
    assert_eq!(pool.install(|| tsne(&features)), alone);
}

#[test]
fn few_images_have_few_neighbours_and_none_have_no_map() {
    let (_, features) = golden();
    let found = tsne(&features[..7]);
    assert!(matches!(found.plane, Plane::Neighbours { perplexity: 2.0, .. }), "{:?}", found.plane);
    let refused = |features: &[Vec<f32>]| {
        Embedding::tsne("t", &["a".to_owned()], &vec![0; features.len()], features).unwrap_err().to_string()
    };
    assert_eq!(refused(&features[..6]), "embedding `t`: features must be of at least 7 images for t-SNE, got 6");
    assert_eq!(refused(&vec![vec![1.0, 2.0]; 9]), "embedding `t`: features must differ, got the same for every image");
    // Pairs of equal images stand in one place, or nearly.
    let twins: Vec<Vec<f32>> = features[..20].iter().flat_map(|row| [row.clone(), row.clone()]).collect();
    assert!(tsne(&twins).points.iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn images_must_be_those_of_the_points() {
    let features: Vec<Vec<f32>> = (0..4).map(|i| vec![i as f32, 1.0]).collect();
    let embedding = Embedding::pca("t", &["a".to_owned(), "b".to_owned()], &[0, 1, 0, 1], &features).unwrap();
    let image = |predicted| PointImage { id: "x".to_owned(), predicted };
    let said = |images| embedding.clone().with_images(images).unwrap_err().to_string();
    assert_eq!(said(vec![image(None); 3]), "embedding `t`: images must be as many as the 4 points, got 3");
    assert_eq!(
        said(vec![image(Some(2)); 4]),
        "embedding `t`: predicted classes must be below the number of classes, 2, got 2"
    );
    assert_eq!(embedding.with_images(vec![image(Some(1)); 4]).unwrap().images.len(), 4);
}
