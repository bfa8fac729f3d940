//! XGBoost's float32 functions of a row's margins: `src/common/math.h` and the objectives' `PredTransform`.
//!
//! Bit-equal to XGBoost on a system with the same `expf`.

/// Beyond this XGBoost does not let `expf` go, so that it stays finite.
const GREATEST_EXPONENT: f32 = 88.7;

/// `Sigmoid`: `1 / (expf(min(-x, 88.7)) + 1)`, in this order of the summands.
pub(in crate::native) fn logistic(x: f32) -> f32 {
    // Not `min`: NaN stays NaN, as with C++'s std::min in this order.
    let exponent = if GREATEST_EXPONENT < -x { GREATEST_EXPONENT } else { -x };
    1.0 / (exponent.exp() + 1.0)
}

/// `Softmax`, in place: the greatest is subtracted; float32 exponentials are added in float64 one after the other; their sum is
/// rounded to float32 and divides each.
pub(in crate::native) fn softmax(row: &mut [f32]) {
    let Some(greatest) = row.iter().copied().reduce(f32::max) else { return };
    let mut sum = 0.0_f64;
    for x in row.iter_mut() {
        *x = (*x - greatest).exp();
        sum += f64::from(*x);
    }
    let sum = sum as f32;
    row.iter_mut().for_each(|x| *x /= sum);
}
