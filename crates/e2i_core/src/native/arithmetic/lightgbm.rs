//! LightGBM's float64 functions of a row's raw scores: `ConvertOutput` of its objectives, `include/LightGBM/utils/common.h`.
//!
//! Bit-equal to LightGBM on a system with the same `exp`.

/// `1 / (1 + exp(-sigmoid * x))`.
pub(in crate::native) fn logistic(x: f64, sigmoid: f64) -> f64 {
    1.0 / (1.0 + (-sigmoid * x).exp())
}

/// `Common::Softmax`, in place: the greatest is subtracted, exponentials are added one after the other, their sum divides each.
pub(in crate::native) fn softmax(row: &mut [f64]) {
    let Some(greatest) = row.iter().copied().reduce(f64::max) else { return };
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = (*x - greatest).exp();
        sum += *x;
    }
    row.iter_mut().for_each(|x| *x /= sum);
}
