//! Distances between drawings that need no learning, the floor under Omniglot's one-shot task. Which images are compared is for others to say.

use std::collections::BTreeSet;

use image::imageops::FilterType;
use image::{RgbImage, imageops};
use multiversion::multiversion;
use rayon::prelude::*;

use crate::{DataError, DataSource, Episode, EpisodeItem};

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
    let mean = |nearest: Vec<f64>| nearest.iter().map(|square| square.sqrt()).sum::<f64>() / nearest.len() as f64;
    mean(nearest_squares(a, b)).max(mean(nearest_squares(b, a)))
}

/// For each point of `a`, the square of its distance to the nearest point of `b`. Several points of `a` are looked at side by side, which
/// changes no value: squares are computed as they are for one alone, and the least of them is exact.
#[multiversion(targets("x86_64+avx2"))]
fn nearest_squares(a: &[[f64; 2]], b: &[[f64; 2]]) -> Vec<f64> {
    const SIDE_BY_SIDE: usize = 16;
    let mut all = Vec::with_capacity(a.len());
    for part in a.chunks(SIDE_BY_SIDE) {
        let (mut rows, mut columns) = ([0.0; SIDE_BY_SIDE], [0.0; SIDE_BY_SIDE]);
        for ((row, column), p) in rows.iter_mut().zip(&mut columns).zip(part) {
            (*row, *column) = (p[0], p[1]);
        }
        let mut nearest = [f64::INFINITY; SIDE_BY_SIDE];
        for q in b {
            for lane in 0..SIDE_BY_SIDE {
                let (row, column) = (rows[lane] - q[0], columns[lane] - q[1]);
                let square = row * row + column * column;
                nearest[lane] = if square < nearest[lane] { square } else { nearest[lane] };
            }
        }
        all.extend_from_slice(&nearest[..part.len()]);
    }
    all
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

/// The image of the lowest number among `items` that has no black pixel, so that [`modified_hausdorff`] has nothing to compare.
///
/// # Errors
/// As [`DataSource::image`].
pub fn first_without_ink<'a>(
    items: impl Iterator<Item = &'a EpisodeItem>,
    source: &dyn DataSource,
) -> Result<Option<usize>, DataError> {
    let images: BTreeSet<usize> = items.map(|item| item.image).collect();
    let images: Vec<usize> = images.into_iter().collect();
    let is_inked = |image: &RgbImage| image.pixels().any(|pixel| pixel.0 == [0; 3]);
    let blank = |&image: &usize| match source.image(image) {
        Ok(pixels) => (!is_inked(&pixels)).then_some(Ok(image)),
        Err(error) => Some(Err(error)),
    };
    images.par_iter().find_map_first(blank).transpose()
}

/// The label that [`pixel_distance`] gives each query of an episode: that of the nearest support image, the first of equals. Images of
/// another size than the first support image are brought to its size, without regard to their proportions.
///
/// # Errors
/// As [`DataSource::image`].
pub fn nearest_by_pixels(episode: &Episode, source: &dyn DataSource) -> Result<Vec<usize>, DataError> {
    let Some(first) = episode.support.first() else { return Ok(vec![0; episode.query.len()]) };
    let (width, height) = first.pixels(source)?.dimensions();
    let sized = |image: RgbImage| {
        let same = image.dimensions() == (width, height);
        if same { image } else { imageops::resize(&image, width, height, FilterType::Triangle) }
    };
    nearest(episode, source, sized, pixel_distance)
}

/// The label of the support image nearest to each query, on all threads of rayon's global pool.
fn nearest<T: Send + Sync>(
    episode: &Episode,
    source: &dyn DataSource,
    prepare: impl Fn(RgbImage) -> T + Sync,
    distance: fn(&T, &T) -> f64,
) -> Result<Vec<usize>, DataError> {
    let support: Vec<_> = episode.support.par_iter().map(|item| item.pixels(source).map(&prepare)).collect();
    let support: Vec<T> = support.into_iter().collect::<Result<_, _>>()?;
    let label_of = |query: T| {
        let distances = support.iter().map(|support| distance(&query, support));
        let nearest = distances.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.map_or(0, |(index, _)| episode.support[index].label)
    };
    let labels: Vec<_> = episode.query.par_iter().map(|item| item.pixels(source).map(&prepare).map(label_of)).collect();
    labels.into_iter().collect()
}
