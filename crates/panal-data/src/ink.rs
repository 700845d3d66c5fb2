//! Distances between drawings that need no learning, the floor under Omniglot's one-shot task. Which images are compared is for others to say.

use image::RgbImage;
use rayon::prelude::*;

use crate::{DataError, DataSource, Episode};

/// The inked pixels of a drawing, those that are black, as row and column less the mean of all: the points that
/// [`modified_hausdorff`] compares.
pub fn inked(image: &RgbImage) -> Vec<[f64; 2]> {
    let black = image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == [0; 3]);
    let mut points: Vec<[f64; 2]> = black.map(|(x, y, _)| [f64::from(y), f64::from(x)]).collect();
    for axis in 0..2 {
        let mean = points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64;
        points.iter_mut().for_each(|point| point[axis] -= mean);
    }
    points
}

/// The modified Hausdorff distance of two sets of points, `max(d(A, B), d(B, A))` with `d(A, B)` the mean over the points of
/// `A` of the distance to the nearest point of `B` (Dubuisson and Jain, A Modified Hausdorff Distance for Object Matching,
/// ICPR 1994: `d_6` joined by `f_2`). In units of the points; infinite where one set is empty, and 0 where both are.
pub fn modified_hausdorff(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return if a.len() == b.len() { 0.0 } else { f64::INFINITY };
    }
    let mut nearest_of_b = vec![f64::INFINITY; b.len()];
    let mut from_a = 0.0;
    for p in a {
        let mut nearest = f64::INFINITY;
        for (q, nearest_of_q) in b.iter().zip(&mut nearest_of_b) {
            let square = (p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1]);
            nearest = nearest.min(square);
            *nearest_of_q = nearest_of_q.min(square);
        }
        from_a += nearest.sqrt();
    }
    let from_b: f64 = nearest_of_b.into_iter().map(f64::sqrt).sum();
    (from_a / a.len() as f64).max(from_b / b.len() as f64)
}

/// The Euclidean distance of two images as vectors of values from 0 to 1; infinite where their sizes differ.
pub fn pixel_distance(a: &RgbImage, b: &RgbImage) -> f64 {
    if a.dimensions() != b.dimensions() {
        return f64::INFINITY;
    }
    let squares: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    (squares as f64).sqrt() / 255.0
}

/// The label that [`modified_hausdorff`] gives each query of an episode: that of the nearest support image, the first of
/// equals, as in the demonstration that comes with Omniglot (`demo_classification.py`).
///
/// # Errors
/// As [`DataSource::image`].
pub fn nearest_by_hausdorff(episode: &Episode, source: &dyn DataSource) -> Result<Vec<usize>, DataError> {
    nearest(episode, source, |image| inked(&image), |a, b| modified_hausdorff(a, b))
}

/// The label that [`pixel_distance`] gives each query of an episode: that of the nearest support image, the first of equals.
///
/// # Errors
/// As [`DataSource::image`].
pub fn nearest_by_pixels(episode: &Episode, source: &dyn DataSource) -> Result<Vec<usize>, DataError> {
    nearest(episode, source, |image| image, pixel_distance)
}

/// The label of the support image nearest to each query, on all threads of rayon's global pool.
fn nearest<T: Send + Sync>(
    episode: &Episode,
    source: &dyn DataSource,
    prepare: fn(RgbImage) -> T,
    distance: fn(&T, &T) -> f64,
) -> Result<Vec<usize>, DataError> {
    let support: Vec<_> = episode.support.par_iter().map(|item| item.pixels(source).map(prepare)).collect();
    let support: Vec<T> = support.into_iter().collect::<Result<_, _>>()?;
    let label_of = |query: T| {
        let distances = support.iter().map(|support| distance(&query, support));
        let nearest = distances.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.map_or(0, |(index, _)| episode.support[index].label)
    };
    let labels: Vec<_> = episode.query.par_iter().map(|item| item.pixels(source).map(prepare).map(label_of)).collect();
    labels.into_iter().collect()
}
