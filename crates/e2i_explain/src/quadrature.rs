//! Integrals of polynomials over [0, 1], exact up to rounding: Gauss and Legendre's points and weights.

/// The points and weights that integrate polynomials of a degree below `2 * count` exactly, by Newton's method from where the
/// roots are about.
pub(crate) fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let n = count as f64;
    (0..count)
        .map(|index| {
            let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (n + 0.5)).cos();
            let mut slope = 1.0;
            // Each step doubles the digits; the first guess has two of them.
            for _ in 0..8 {
                let (value, before) = legendre(count, x);
                slope = n * (x * value - before) / (x * x - 1.0);
                x -= value / slope;
            }
            ((1.0 + x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// The Legendre polynomials of degree `count` and of one less, at `x`.
fn legendre(count: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for degree in 2..=count {
        let n = degree as f64;
        (before, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n);
    }
    (value, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        for count in 1..40usize {
            let points = gauss_legendre(count);
            for degree in 0..2 * count {
                let integral: f64 = points.iter().map(|(x, weight)| weight * x.powi(degree as i32)).sum();
                let right = 1.0 / (degree as f64 + 1.0);
                assert!((integral - right).abs() < 1e-14, "{count} points, degree {degree}: {integral}");
            }
        }
    }
}
