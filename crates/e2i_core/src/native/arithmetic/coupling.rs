//! One distribution over classes from the probabilities of their pairs: Wu, Lin and Weng's second method (2004), in the iteration
//! of libsvm's `multiclass_probability`.
//!
//! ONNX Runtime took the iteration from libsvm and does it in float32, scikit-learn has libsvm itself in float64: operations and their
//! order are the same, and each has the bits of its owner.

use super::Float;

/// Rounds at the least that the iteration may take; ONNX Runtime's only limit.
pub(in crate::native) const ROUNDS: usize = 100;

/// Memory of [`couple`], to be used again.
#[derive(Default)]
pub(in crate::native) struct Coupling<T> {
    matrix: Vec<T>,
    products: Vec<T>,
}

/// Overwrites `probabilities`, one for each class. `pairwise` has for each ordered pair `(i, j)` of classes, row after row, the
/// probability of `i` where it is one of the two; what stands for `(i, i)` is not read.
pub(in crate::native) fn couple<T: Float>(
    memory: &mut Coupling<T>,
    pairwise: &[T],
    rounds: usize,
    probabilities: &mut [T],
) {
    let classes = probabilities.len();
    let Coupling { matrix, products } = memory;
    matrix.clear();
    matrix.resize(classes * classes, T::ZERO);
    products.clear();
    products.resize(classes, T::ZERO);
    let count = T::nearest(classes as f64);
    let (enough, two) = (T::nearest(0.005) / count, T::nearest(2.0));
    let at = |i: usize, j: usize| i * classes + j;
    for i in 0..classes {
        probabilities[i] = T::ONE / count;
        for j in (0..classes).filter(|j| *j != i) {
            matrix[at(i, i)] += pairwise[at(j, i)] * pairwise[at(j, i)];
            matrix[at(i, j)] = if j < i { matrix[at(j, i)] } else { -pairwise[at(j, i)] * pairwise[at(i, j)] };
        }
    }
    for _ in 0..rounds {
        let mut whole = T::ZERO;
        for i in 0..classes {
            products[i] = (0..classes).fold(T::ZERO, |sum, j| sum + matrix[at(i, j)] * probabilities[j]);
            whole += probabilities[i] * products[i];
        }
        let apart = products.iter().map(|product| (*product - whole).absolute());
        let error = apart.fold(T::ZERO, |most, apart| if apart > most { apart } else { most });
        if error < enough {
            break;
        }
        for i in 0..classes {
            let own = matrix[at(i, i)];
            let step = (-products[i] + whole) / own;
            probabilities[i] += step;
            whole = (whole + step * (step * own + two * products[i])) / (T::ONE + step) / (T::ONE + step);
            for j in 0..classes {
                products[j] = (products[j] + step * matrix[at(i, j)]) / (T::ONE + step);
                probabilities[j] /= T::ONE + step;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coupled<T: Float>(shares: &[f64]) -> Vec<T> {
        let count = shares.len();
        let pair = |i: usize, j: usize| if i == j { 0.0 } else { shares[i] / (shares[i] + shares[j]) };
        let pairwise: Vec<T> = (0..count * count).map(|place| T::nearest(pair(place / count, place % count))).collect();
        let mut got = vec![T::ZERO; count];
        couple(&mut Coupling { matrix: vec![], products: vec![] }, &pairwise, ROUNDS, &mut got);
        got
    }

    #[test]
    fn consistent_pairs_give_back_their_shares() {
        let shares = [0.5, 0.3, 0.2];
        for (got, share) in coupled::<f32>(&shares).iter().zip(shares) {
            assert!((f64::from(*got) - share).abs() < 2e-3, "{got} {share}");
        }
        for (got, share) in coupled::<f64>(&shares).iter().zip(shares) {
            assert!((got - share).abs() < 2e-3, "{got} {share}");
        }
    }

    #[test]
    fn the_limit_is_the_number_of_each_type_that_is_nearest_to_it() {
        assert_eq!(f32::nearest(0.005), 0.005f32);
    }
}
