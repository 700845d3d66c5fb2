//! The images that a row was most sure of and wrong about. How they are shown is decided in `page`.

use std::collections::HashMap;

use crate::RunRecord;

/// How many images are kept of each row. The surest mistakes of a row are among those of its seeds.
pub const MOST_MISTAKES: usize = 8;

/// An image that a row was wrong about, with the seed that was surest.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// Path of the image inside the data set.
    pub id: String,
    /// The true class.
    pub truth: usize,
    /// The class that the surest seed predicted.
    pub predicted: usize,
    /// The probability that it gave to that class.
    pub probability: f64,
    /// The surest seed.
    pub seed: u64,
    /// Seeds that were wrong about this image, whatever they predicted.
    pub seeds: usize,
}

/// At most [`MOST_MISTAKES`] mistakes of one row, the surest first, equals by name. A prediction without its probability has no place among them.
pub(crate) fn mistakes(runs: &[&RunRecord]) -> Vec<Mistake> {
    let mut of_image: HashMap<&str, Mistake> = HashMap::new();
    let mut wrong_seeds: HashMap<&str, usize> = HashMap::new();
    let said = runs.iter().flat_map(|run| run.predictions.iter().map(|said| (run.seed, said)));
    for (seed, prediction) in said.filter(|(_, said)| said.truth != said.predicted) {
        *wrong_seeds.entry(&prediction.id).or_default() += 1;
        let Some(probability) = prediction.probabilities.get(prediction.predicted).map(|&p| f64::from(p)) else {
            continue;
        };
        let surest = of_image.get(prediction.id.as_str()).is_none_or(|known| probability > known.probability);
        if probability.is_finite() && surest {
            let mistake = Mistake {
                id: prediction.id.clone(),
                truth: prediction.truth,
                predicted: prediction.predicted,
                probability,
                seed,
                seeds: 0,
            };
            of_image.insert(&prediction.id, mistake);
        }
    }
    let mut mistakes: Vec<Mistake> = of_image
        .into_iter()
        .map(|(id, mistake)| Mistake { seeds: wrong_seeds.get(id).copied().unwrap_or(0), ..mistake })
        .collect();
    mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.id.cmp(&b.id)));
    mistakes.truncate(MOST_MISTAKES);
    mistakes
}
