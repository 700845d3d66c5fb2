//! Features of images as points of a plane. Whoever has the features hands them in; how points are found is in `pca` and `tsne`, drawing in `plot`.

mod pca;
mod tsne;

use crate::ReportError;

/// The most images: each is a point of a figure.
const MOST: usize = 5000;

/// Images as points of a plane, found from their features.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// What the features are of, for people.
    pub title: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The class of each image.
    pub labels: Vec<usize>,
    /// Where each image stands.
    pub points: Vec<[f64; 2]>,
    /// How the plane was found, and what its axes are.
    pub plane: Plane,
    /// Which image each point is; empty where that is not known.
    pub images: Vec<PointImage>,
}

/// The image that a point stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointImage {
    /// Path of the image inside the data set, by which its small picture is found.
    pub id: String,
    /// The class that it was said to be, where somebody said.
    pub predicted: Option<usize>,
}

/// How features became points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plane {
    /// The first two principal components, in the units of the features.
    Components {
        /// The share of the features' variance that each has.
        explained: [f64; 2],
    },
    /// t-SNE: axes and distances between groups mean nothing, neighbours do.
    Neighbours {
        /// About how many neighbours each image has.
        perplexity: f64,
        /// The Kullback-Leibler divergence that is left, in nats.
        divergence: f64,
    },
}

impl Embedding {
    /// The first two principal components of `features` (Pearson 1901, Hotelling 1933), found by power iteration with deflation: the plane
    /// in which they differ most. The sign of a component is that in which its largest weight is positive. Components of nearly the same
    /// variance may come out turned against each other.
    ///
    /// # Shapes
    /// - `labels`: N, each below the number of `classes`
    /// - `features`: N rows of D finite numbers; 3 to 5000 rows, at least 2 columns
    ///
    /// # Errors
    /// [`ReportError::Embedding`] naming the argument, what it may be and what it was.
    pub fn pca(
        title: impl Into<String>,
        classes: &[String],
        labels: &[usize],
        features: &[Vec<f32>],
    ) -> Result<Self, ReportError> {
        Self::of(title.into(), classes, labels, features, |features| Ok(pca::plane(features)))
    }

    /// t-SNE of `features` (van der Maaten and Hinton, JMLR 9, 2008), exact, from their principal components: a plane in which neighbours
    /// stay neighbours. Perplexity 30, or a third of the images where they are fewer; 1000 steps with scikit-learn's rates. Draws nothing
    /// at random and computes on one thread, so that the same features give the same points.
    ///
    /// # Shapes
    /// As [`pca`](Self::pca), with at least 7 rows. Time grows with the square of the rows: 300 take half a second.
    ///
    /// # Errors
    /// As [`pca`](Self::pca).
    pub fn tsne(
        title: impl Into<String>,
        classes: &[String],
        labels: &[usize],
        features: &[Vec<f32>],
    ) -> Result<Self, ReportError> {
        Self::of(title.into(), classes, labels, features, tsne::plane)
    }

    /// The same with what each point stands for, in the order of the points.
    ///
    /// # Errors
    /// [`ReportError::Embedding`] unless there is one for each point, and a predicted class is one of the classes.
    pub fn with_images(mut self, images: Vec<PointImage>) -> Result<Self, ReportError> {
        let message = match images.iter().filter_map(|image| image.predicted).find(|&class| class >= self.classes.len())
        {
            _ if images.len() != self.points.len() => {
                format!("images must be as many as the {} points, got {}", self.points.len(), images.len())
            }
            Some(class) => {
                format!("predicted classes must be below the number of classes, {}, got {class}", self.classes.len())
            }
            None => {
                self.images = images;
                return Ok(self);
            }
        };
        Err(ReportError::Embedding { title: self.title, message })
    }

    fn of(
        title: String,
        classes: &[String],
        labels: &[usize],
        features: &[Vec<f32>],
        find: impl FnOnce(&[Vec<f32>]) -> Result<(Vec<[f64; 2]>, Plane), String>,
    ) -> Result<Self, ReportError> {
        match check(classes, labels, features).and_then(|()| find(features)) {
            Ok((points, plane)) => Ok(Self {
                title,
                classes: classes.to_vec(),
                labels: labels.to_vec(),
                points,
                plane,
                images: Vec::new(),
            }),
            Err(message) => Err(ReportError::Embedding { title, message }),
        }
    }
}

fn check(classes: &[String], labels: &[usize], features: &[Vec<f32>]) -> Result<(), String> {
    if !(3..=MOST).contains(&features.len()) {
        return Err(format!("features must be of 3 to {MOST} images, got {}; draw a sample", features.len()));
    }
    if labels.len() != features.len() {
        return Err(format!("labels must be as many as the {} rows of features, got {}", features.len(), labels.len()));
    }
    if let Some(label) = labels.iter().find(|&&label| label >= classes.len()) {
        return Err(format!("labels must be below the number of classes, {}, got {label}", classes.len()));
    }
    let width = features[0].len();
    if width < 2 {
        return Err(format!("features must have at least 2 columns, got {width}"));
    }
    for (i, row) in features.iter().enumerate() {
        if row.len() != width {
            return Err(format!("features[{i}] must have {width} numbers, as the first row has, got {}", row.len()));
        }
        if let Some(value) = row.iter().find(|value| !value.is_finite()) {
            return Err(format!("features[{i}] must be finite, got {value}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_of_features_is_refused() {
        let refused = |labels: &[usize], features: &[Vec<f32>]| {
            Embedding::pca("f", &["a".to_owned(), "b".to_owned()], labels, features).unwrap_err().to_string()
        };
        let row = vec![1.0, 2.0];
        let three = vec![row.clone(), row.clone(), row.clone()];
        let said = [
            (refused(&[0, 0], &three[..2]), "embedding `f`: features must be of 3 to 5000 images, got 2"),
            (refused(&[0], &vec![row.clone(); 5001]), "embedding `f`: features must be of 3 to 5000 images, got 5001"),
            (refused(&[0, 1], &three), "embedding `f`: labels must be as many as the 3 rows of features, got 2"),
            (refused(&[0, 1, 2], &three), "embedding `f`: labels must be below the number of classes, 2, got 2"),
            (refused(&[0; 3], &vec![vec![1.0]; 3]), "embedding `f`: features must have at least 2 columns, got 1"),
            (
                refused(&[0; 3], &[row.clone(), vec![1.0; 3], row.clone()]),
                "embedding `f`: features[1] must have 2 numbers, as the first row has, got 3",
            ),
            (
                refused(&[0; 3], &[row.clone(), row, vec![1.0, f32::NAN]]),
                "embedding `f`: features[2] must be finite, got NaN",
            ),
        ];
        for (said, expected) in said {
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
