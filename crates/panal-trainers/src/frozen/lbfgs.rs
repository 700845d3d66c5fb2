//! L-BFGS with a line search for the strong Wolfe conditions, over plain slices. What is minimised, the caller says.

use std::collections::VecDeque;

/// Pairs of steps and gradient changes that stand for the Hessian.
const MEMORY: usize = 10;
/// A step must bring this share of the decrease that the slope promises.
const DECREASE: f64 = 1e-4;
/// A step must leave at most this share of the slope.
const CURVATURE: f64 = 0.9;
/// Evaluations that one line search may take.
const TRIALS: usize = 30;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Iterations at most.
    pub(crate) iterations: usize,
    /// No element of the gradient is larger than this.
    pub(crate) gradient: f64,
    /// An iteration lowers the value by no more than this share of it.
    pub(crate) decrease: f64,
}

/// Where a minimisation ended.
#[derive(Debug)]
pub(crate) struct Minimum {
    pub(crate) x: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) iterations: usize,
    /// One of the two tolerances was met, or rounding hides any further decrease; else the iterations ran out.
    pub(crate) converged: bool,
}

/// A point on the ray that a line search walks along.
struct Trial {
    step: f64,
    value: f64,
    /// Derivative of the value by the step.
    slope: f64,
    gradient: Vec<f64>,
}

/// Minimises a smooth function from `x` on (Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5).
///
/// `evaluate(x, gradient)` returns the value at `x` and writes the gradient.
///
/// # Errors
/// What `evaluate` returns.
pub(crate) fn minimise<E>(
    mut x: Vec<f64>,
    limits: Limits,
    mut evaluate: impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
) -> Result<Minimum, E> {
    let mut gradient = vec![0.0; x.len()];
    let mut value = evaluate(&x, &mut gradient)?;
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::with_capacity(MEMORY);
    let mut iterations = 0;
    let mut converged = largest(&gradient) <= limits.gradient;
    while !converged && iterations < limits.iterations {
        let mut direction = descent(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 || slope.is_nan() {
            // Rounding has spoilt the pairs.
            pairs.clear();
            direction = descent(&gradient, &pairs);
            slope = dot(&direction, &gradient);
        }
        // The pairs give the direction its length; without any, the first step has length 1 at most.
        let first = if pairs.is_empty() { 1.0 / slope.abs().sqrt().max(1.0) } else { 1.0 };
        let mut trial = |step: f64| -> Result<Trial, E> {
            let at: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let mut gradient = vec![0.0; at.len()];
            let value = evaluate(&at, &mut gradient)?;
            Ok(Trial { step, value, slope: dot(&gradient, &direction), gradient })
        };
        let start = Trial { step: 0.0, value, slope, gradient: gradient.clone() };
        let Some(found) = wolfe(start, first, &mut trial)? else {
            if pairs.is_empty() {
                converged = true; // not even along the gradient
            }
            pairs.clear();
            continue;
        };
        iterations += 1;
        let step: Vec<f64> = direction.iter().map(|d| d * found.step).collect();
        let change: Vec<f64> = found.gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        x.iter_mut().zip(&step).for_each(|(x, step)| *x += step);
        let lowered = value - found.value;
        (value, gradient) = (found.value, found.gradient);
        converged = largest(&gradient) <= limits.gradient || lowered <= limits.decrease * value.abs();
        if dot(&step, &change) > f64::EPSILON * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((step, change));
        }
    }
    Ok(Minimum { x, value, iterations, converged })
}

/// The quasi-Newton direction: the two loops of algorithm 7.4.
fn descent(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (step, change) in pairs.iter().rev() {
        let share = dot(step, &direction) / dot(step, change);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some((step, change)) = pairs.back() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, change), share) in pairs.iter().zip(shares.iter().rev()) {
        let other = dot(change, &direction) / dot(step, change);
        add(&mut direction, share - other, step);
    }
    direction
}

/// A step that meets the strong Wolfe conditions (algorithms 3.5 and 3.6), or the lowest one found where rounding or the
/// number of trials ends the search; `None` where none lowers the value.
fn wolfe<E>(start: Trial, first: f64, trial: &mut impl FnMut(f64) -> Result<Trial, E>) -> Result<Option<Trial>, E> {
    let (value, slope) = (start.value, start.slope);
    let too_high = |t: &Trial| t.value > value + DECREASE * t.step * slope || !t.value.is_finite();
    let is_flat = |t: &Trial| t.slope.abs() <= -CURVATURE * slope;
    // `low` is the best point so far that decreases enough; `high` bounds the interval that holds a good one.
    let (mut low, mut high) = (start, None::<Trial>);
    let mut next = first;
    for _ in 0..TRIALS {
        let tried = trial(next)?;
        if too_high(&tried) || tried.value >= low.value {
            high = Some(tried);
        } else if is_flat(&tried) {
            return Ok(Some(tried));
        } else {
            // Descending away from `low` over `high`: the old `low` is the other end.
            let turns = match &high {
                Some(high) => tried.slope * (high.step - low.step) >= 0.0,
                None => tried.slope >= 0.0,
            };
            let old = std::mem::replace(&mut low, tried);
            if turns {
                high = Some(old);
            }
        }
        next = match &high {
            None => 2.0 * low.step,
            Some(high) => {
                let width = high.step - low.step;
                if width.abs() <= 1e-12 * low.step.abs().max(high.step.abs()) {
                    break;
                }
                // Kept off both ends, so that the interval shrinks.
                let (a, b) = (low.step + 0.1 * width, low.step + 0.9 * width);
                cubic(&low, high).map_or(low.step + 0.5 * width, |step| step.clamp(a.min(b), a.max(b)))
            }
        };
    }
    Ok((low.step > 0.0).then_some(low))
}

/// Where the cubic through two points with their slopes is lowest (equation 3.59), if anywhere.
fn cubic(a: &Trial, b: &Trial) -> Option<f64> {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let d2 = (b.step - a.step).signum() * (d1 * d1 - a.slope * b.slope).sqrt();
    let step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    step.is_finite().then_some(step)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], share: f64, of: &[f64]) {
    to.iter_mut().zip(of).for_each(|(to, of)| *to += share * of);
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const TIGHT: Limits = Limits { iterations: 500, gradient: 1e-9, decrease: 0.0 };

    fn run(x: &[f64], limits: Limits, mut function: impl FnMut(&[f64], &mut [f64]) -> f64) -> Minimum {
        let Ok(minimum) = minimise(x.to_vec(), limits, |x, g| Ok::<_, Infallible>(function(x, g)));
        minimum
    }

    /// The chain of Rosenbrock's valleys, minimum 0 at (1, ..., 1).
    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        (0..x.len() - 1)
            .map(|i| {
                let (valley, along) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
                gradient[i] += -400.0 * x[i] * valley - 2.0 * along;
                gradient[i + 1] += 200.0 * valley;
                100.0 * valley * valley + along * along
            })
            .sum()
    }

    #[test]
    fn it_walks_down_rosenbrocks_valley() {
        for start in [vec![-1.2, 1.0], vec![5.0, -7.0], vec![-1.2, 1.0, -0.5, 0.8, 2.0]] {
            let minimum = run(&start, TIGHT, rosenbrock);
            assert!(minimum.converged && minimum.iterations < 100, "{minimum:?}");
            assert!(minimum.x.iter().all(|x| (x - 1.0).abs() < 1e-6), "{minimum:?}");
        }
    }

    #[test]
    fn it_solves_quadratics_of_bad_condition() {
        // SciPy's L-BFGS-B with as many pairs takes some 700 iterations for the last.
        let limits = Limits { iterations: 1000, gradient: 1e-5, decrease: 0.0 };
        for (dim, condition) in [(1_usize, 1.0), (7, 1e2), (30, 1e4)] {
            let curvature = |i: usize| -> f64 { f64::powf(condition, i as f64 / (dim.max(2) - 1) as f64) };
            let minimum = run(&vec![3.0; dim], limits, |x, gradient| {
                let mut value = -4.0;
                for (i, x) in x.iter().enumerate() {
                    let off = x - i as f64;
                    gradient[i] = curvature(i) * off;
                    value += 0.5 * curvature(i) * off * off;
                }
                value
            });
            assert!(minimum.converged, "{dim}: {minimum:?}");
            assert!((minimum.value + 4.0).abs() < 1e-9, "{dim}: {minimum:?}");
            assert!(minimum.x.iter().enumerate().all(|(i, x)| (x - i as f64).abs() <= 1e-5), "{dim}: {minimum:?}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_is_too_far() {
        // Finite only for x < 1, where it falls without end in sight from the start: the first steps overshoot.
        let minimum = run(&[-100.0], TIGHT, |x, gradient| {
            gradient[0] = 1.0 / (1.0 - x[0]) - 2.0;
            -(1.0 - x[0]).ln() - 2.0 * x[0]
        });
        assert!((minimum.x[0] - 0.5).abs() < 1e-6, "{minimum:?}");
    }

    #[test]
    fn it_stops_where_it_is_told() {
        let few = run(&[-1.2, 1.0], Limits { iterations: 3, ..TIGHT }, rosenbrock);
        assert_eq!((few.iterations, few.converged), (3, false));
        let there = run(&[1.0, 1.0], TIGHT, rosenbrock);
        assert_eq!((there.iterations, there.converged), (0, true));
        let coarse = run(&[-1.2, 1.0], Limits { gradient: 0.0, decrease: 0.5, ..TIGHT }, rosenbrock);
        assert!(coarse.converged && coarse.value > 1e-6);
        // No tolerance at all: rounding ends it.
        let rounding = run(&[-1.2, 1.0], Limits { gradient: 0.0, decrease: -1.0, iterations: 500 }, rosenbrock);
        assert!(rounding.converged && rounding.value < 1e-20, "{rounding:?}");
    }

    #[test]
    fn an_error_of_the_function_comes_back() {
        let result = minimise(vec![0.0], TIGHT, |_, _| Err::<f64, _>("no"));
        assert_eq!(result.err(), Some("no"));
    }
}
