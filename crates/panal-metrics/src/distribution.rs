//! The three distributions that intervals and tests need, to about 13 digits: normal, Student's t, and the binomial of a fair coin.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// Probability that a standard normal lies outside `[-z, z]`, for `z >= 0`; precise also far out.
pub(crate) fn normal_outside(z: f64) -> f64 {
    let x = z / SQRT_2;
    if x > 2.5 {
        // Laplace's continued fraction, from the inside out: erfc(x) = exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + (2/2) / (x + ...))).
        let fraction = (1..200).rev().fold(x, |inner, k| x + f64::from(k) / 2.0 / inner);
        return (-x * x).exp() / (PI.sqrt() * fraction);
    }
    // erf(x) = 2 / sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (1 3 5 ... (2n+1)), every term positive.
    let mut term = x;
    let mut sum = x;
    let mut odd = 1.0;
    while term > sum * 1e-17 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// Probability that Student's t with `df >= 1` degrees of freedom lies within `[-t, t]`, for `t >= 0`: a finite sum of positive
/// terms with `tan(a) = t / sqrt(df)` (Abramowitz and Stegun, 26.7.3 and 26.7.4). Takes time in proportion to `df`.
pub(crate) fn student_within(t: f64, df: usize) -> f64 {
    let angle = (t / (df as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let odd = df % 2 == 1;
    // Powers of the cosine 1, 3, .. df - 2 for odd df and 0, 2, .. df - 2 for even; each coefficient is the last times k / (k + 1).
    let (mut term, mut k) = if odd { (cos, 2.0) } else { (1.0, 1.0) };
    let mut sum = 0.0;
    for _ in 0..df / 2 {
        sum += term;
        term *= cos * cos * k / (k + 1.0);
        k += 2.0;
    }
    if odd { 2.0 / PI * (angle + sin * sum) } else { sin * sum }
}

/// The `x >= 0` with `within(x) = level`, for `within` rising from 0 at 0 towards 1, by halving.
pub(crate) fn two_sided_quantile(level: f64, within: impl Fn(f64) -> f64) -> f64 {
    let mut high = 1.0;
    while within(high) < level && high < 1e300 {
        high *= 2.0;
    }
    let mut low = 0.0;
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if within(middle) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Probability of at most `heads` heads in `tosses` tosses of a fair coin, for `heads <= tosses / 2`.
pub(crate) fn fair_coin_at_most(heads: u64, tosses: u64) -> f64 {
    // ln of the largest term, C(tosses, heads) / 2^tosses ...
    let largest: f64 =
        (1..=heads).map(|k| ((tosses - heads + k) as f64 / k as f64).ln()).sum::<f64>() - tosses as f64 * LN_2;
    // ... and the sum of all terms in units of it, downwards: C(n, k - 1) = C(n, k) k / (n - k + 1).
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in (1..=heads).rev() {
        term *= k as f64 / (tosses - k + 1) as f64;
        sum += term;
    }
    (largest.exp() * sum).min(1.0)
}
