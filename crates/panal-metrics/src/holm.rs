//! Holm's correction of p-values for several comparisons made at once.

use crate::MetricsError;
use crate::error::non_empty;

/// Adjusted p-values, in the order given: with `m` of them sorted, `p'(i) = max over j <= i of min(1, (m - j + 1) p(j))`.
/// Rejecting those at most `a` makes any false rejection at most `a` likely, whatever the tests' dependence.
///
/// # Errors
/// [`MetricsError::Empty`]; [`MetricsError::Number`] for NaN or a value outside `[0, 1]`.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, MetricsError> {
    non_empty("p_values", p_values)?;
    if let Some((index, &got)) = p_values.iter().enumerate().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        return Err(MetricsError::Number { what: "p_values", index, allowed: "in [0, 1]", got });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        least = least.max((p_values.len() - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = least;
    }
    Ok(adjusted)
}
