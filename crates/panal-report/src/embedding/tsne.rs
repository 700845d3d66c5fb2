//! t-SNE by `bhtsne`, made to give the same points each time: it begins at the principal components and runs on one thread.

use bhtsne::tSNE;

use super::{Plane, pca};

/// About so many neighbours count, where there are three times as many images.
const PERPLEXITY: f64 = 30.0;
/// The fewest images: each has two neighbours.
const FEWEST: usize = 7;
/// scikit-learn's rate is the greater of this and a 48th of the images. The library leaves out the gradient's factor of 4, so its rate has it.
const LEAST_RATE: f64 = 50.0;
/// The spread of the points that it begins with, as scikit-learn has it.
const BEGIN: f64 = 1e-4;

/// Points whose neighbours are those of the features.
pub(super) fn plane(features: &[Vec<f32>]) -> Result<(Vec<[f64; 2]>, Plane), String> {
    let count = features.len();
    if count < FEWEST {
        return Err(format!("features must be of at least {FEWEST} images for t-SNE, got {count}"));
    }
    let (begin, _) = pca::plane(features);
    let spread = (begin.iter().map(|point| point[0] * point[0]).sum::<f64>() / count as f64).sqrt();
    if spread == 0.0 || features.iter().all(|row| *row == features[0]) {
        return Err("features must differ, got the same for every image".to_owned());
    }
    let begin: Vec<f64> = begin.iter().flatten().map(|value| value / spread * BEGIN).collect();
    let perplexity = PERPLEXITY.min(((count - 1) / 3) as f64);
    let rate = 4.0 * (count as f64 / 48.0).max(LEAST_RATE);
    // Sums of more threads come out in another order each time, and a thousand steps make much of the last digit.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| error.to_string())?;
    let (found, divergence) = pool.install(|| {
        let mut tsne: tSNE<'_, f64, Vec<f32>> = tSNE::new(features);
        tsne.perplexity(perplexity).learning_rate(rate).initial_embedding(begin).exact(|a, b| square(a, b));
        (tsne.embedding(), tsne.kl_divergence().unwrap_or(f64::NAN))
    });
    if !divergence.is_finite() || found.iter().any(|value| !value.is_finite()) {
        return Err("t-SNE finds no points for these features".to_owned());
    }
    let points = found.chunks_exact(2).map(|point| [point[0], point[1]]).collect();
    Ok((points, Plane::Neighbours { perplexity, divergence }))
}

/// The squared Euclidean distance.
fn square(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}
