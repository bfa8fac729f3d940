//! What ONNX Runtime's `ai.onnx.ml` operators make of scores: `core/providers/cpu/ml/ml_common.h`, and Platt's probabilities of
//! `svmclassifier.cc`.
//!
//! float32, with the C library's `expf`, `logf` and `sqrtf`, which the runtime calls too: bit-equal to it.

/// How near to 0 and 1 the probability of one class of a pair may be.
const LEAST: f32 = 1e-7;

/// `ComputeLogistic`: 1 / (1 + e^-|x|), and its complement for what is negative.
#[must_use]
pub fn logistic(x: f32) -> f32 {
    let v = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - v } else { v }
}

/// `ComputeProbit`: Winitzki's approximation of the inverse of the normal distribution.
#[must_use]
pub fn probit(p: f32) -> f32 {
    let x = 2.0 * p - 1.0;
    let sign = if x < 0.0 { -1.0f32 } else { 1.0 };
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let v = 2.0 / (std::f32::consts::PI * 0.147f32) + 0.5f32 * log;
    let v2 = 1.0 / 0.147f32 * log;
    let v3 = -v + (v * v - v2).sqrt();
    std::f32::consts::SQRT_2 * (sign * v3.sqrt())
}

/// `ComputeSoftmax`, or with `keep_zero` `ComputeSoftmaxZero`, in place, of the score `of` each element: exponentials of float32,
/// added in float32 one after the other. With `keep_zero`, what is next to 0 is scaled instead, and products and quotients are of
/// the type of the scores: float32 where they are `single`.
pub(in crate::native) fn softmax<S>(row: &mut [S], of: impl Fn(&mut S) -> &mut f64, keep_zero: bool, single: bool) {
    let in_type = |value: f64| if single { f64::from(value as f32) } else { value };
    let mut greatest = -f32::MAX;
    for score in row.iter_mut() {
        let score = *of(score) as f32;
        if score > greatest {
            greatest = score;
        }
    }
    let scale = (-greatest).exp();
    let mut total = 0f32;
    for score in row.iter_mut().map(&of) {
        let value = *score as f32;
        let counts = !keep_zero || value.abs() > 0.000_000_1;
        if !counts {
            *score = in_type(*score * f64::from(scale));
        } else {
            let power = (value - greatest).exp();
            total += power;
            *score = f64::from(power);
        }
    }
    for score in row.iter_mut().map(&of) {
        // Products and quotients of two float32 rounded twice are those rounded once.
        let power = if keep_zero { *score } else { f64::from(*score as f32) };
        *score =
            if keep_zero { in_type(power / f64::from(total)) } else { f64::from((power / f64::from(total)) as f32) };
    }
}

/// `sigmoid_probability`: of the first class of a pair, from its machine's sum by Platt's factor and summand.
pub(in crate::native) fn platt(sum: f32, factor: f32, summand: f32) -> f32 {
    let probability = 1.0 - logistic(sum * factor + summand);
    // NaN stays.
    let probability = if probability < LEAST { LEAST } else { probability };
    if 1.0 - LEAST < probability { 1.0 - LEAST } else { probability }
}
