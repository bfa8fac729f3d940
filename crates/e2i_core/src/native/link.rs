//! From raw sums to predictions, as the training libraries compute it.
//!
//! The type of the sums says whose arithmetic it is: float32 is XGBoost's, float64 LightGBM's. Order and type of every
//! operation are theirs, and so are the bits as long as the platform's `expf`, `exp` and `log1p` are the same ones.
//!
//! What does not belong here: the post transforms of ONNX, which differ from both.

use serde::{Deserialize, Serialize};

use super::arithmetic::{Float, lightgbm, xgboost};

/// What is computed of the sums of one row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Nothing.
    Identity,
    /// `1 / (1 + exp(-coefficient * x))` of each; XGBoost has no coefficient, so that float32 ignores it.
    Logistic {
        /// LightGBM's `sigmoid`.
        coefficient: f64,
    },
    /// Exponentials divided by their sum.
    Softmax,
    /// `exp(x)` of each.
    Exp,
    /// 1 where positive, else 0 (XGBoost's `binary:hinge`).
    Step,
    /// `sign(x) * x * x` of each (LightGBM's `reg_sqrt`).
    SignedSquare,
    /// `ln(1 + exp(x))` of each (LightGBM's `cross_entropy_lambda`).
    Softplus,
}

/// How the class of a row is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRule {
    /// There are no classes.
    None,
    /// 1 where the one prediction is above one half, else 0.
    AboveHalf,
    /// The first greatest prediction.
    Greatest,
    /// The first greatest of the sums, before the function (XGBoost's `multi:softmax`).
    GreatestSum,
}

/// The way from the raw sums of an ensemble to predictions and labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// What the sums are divided by first: LightGBM's number of iterations where it averages (`average_output`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisor: Option<u32>,
    /// What is computed of them.
    pub function: Function,
    /// How the class is found.
    pub label: LabelRule,
}

impl Link {
    /// A link without a divisor.
    #[must_use]
    pub fn new(function: Function, label: LabelRule) -> Self {
        Self { divisor: None, function, label }
    }

    /// Turns float32 sums, `targets` a row, into predictions in place, and fills one label a row unless `labels` is empty.
    /// Whatever is beyond the last whole row, or beyond the shorter of the two, is left alone.
    pub fn apply_single(&self, targets: usize, sums: &mut [f32], labels: &mut [i64]) {
        self.apply(targets, sums, labels);
    }

    /// The same for float64.
    pub fn apply_double(&self, targets: usize, sums: &mut [f64], labels: &mut [i64]) {
        self.apply(targets, sums, labels);
    }

    fn apply<N: Library>(&self, targets: usize, sums: &mut [N], labels: &mut [i64]) {
        let mut labels = labels.iter_mut();
        for row in sums.chunks_exact_mut(targets.max(1)) {
            if let Some(divisor) = self.divisor {
                row.iter_mut().for_each(|sum| *sum = sum.over(divisor as usize));
            }
            let label = labels.next();
            let before = if self.label == LabelRule::GreatestSum { greatest(row) } else { 0 };
            self.function.apply(row);
            if let Some(label) = label {
                *label = match self.label {
                    LabelRule::None => 0,
                    LabelRule::AboveHalf => i64::from(row[0] > N::nearest(0.5)),
                    LabelRule::Greatest => greatest(row),
                    LabelRule::GreatestSum => before,
                };
            }
        }
    }
}

impl Function {
    fn apply<N: Library>(self, row: &mut [N]) {
        let each = |row: &mut [N], function: fn(N) -> N| row.iter_mut().for_each(|x| *x = function(*x));
        match self {
            Self::Identity => {}
            Self::Logistic { coefficient } => row.iter_mut().for_each(|x| *x = x.logistic(coefficient)),
            Self::Softmax => N::softmax(row),
            Self::Exp => each(row, N::exp),
            Self::Step => each(row, |x| if x > N::ZERO { N::ONE } else { N::ZERO }),
            Self::SignedSquare => each(row, |x| x.absolute() * x),
            Self::Softplus => each(row, N::softplus),
        }
    }
}

/// The index of the first greatest number.
fn greatest<N: Library>(row: &[N]) -> i64 {
    let best = row.iter().enumerate().fold(0, |best, (index, x)| if *x > row[best] { index } else { best });
    i64::try_from(best).unwrap_or(i64::MAX)
}

/// The type of the sums, and with it the library whose functions are meant. What neither does in an order of its own is here.
trait Library: Float {
    fn logistic(self, coefficient: f64) -> Self;
    fn softmax(row: &mut [Self]);
    fn exp(self) -> Self;
    /// `ln(1 + e^x)`.
    fn softplus(self) -> Self;
}

impl Library for f32 {
    fn logistic(self, _coefficient: f64) -> Self {
        xgboost::logistic(self)
    }

    fn softmax(row: &mut [Self]) {
        xgboost::softmax(row);
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn softplus(self) -> Self {
        self.exp().ln_1p()
    }
}

impl Library for f64 {
    fn logistic(self, coefficient: f64) -> Self {
        lightgbm::logistic(self, coefficient)
    }

    fn softmax(row: &mut [Self]) {
        lightgbm::softmax(row);
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn softplus(self) -> Self {
        self.exp().ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_their_rule() {
        let label = |function, rule, sums: &mut [f64]| {
            let mut labels = [7];
            Link::new(function, rule).apply_double(sums.len(), sums, &mut labels);
            labels[0]
        };
        let logistic = Function::Logistic { coefficient: 1.0 };
        assert_eq!(label(logistic, LabelRule::AboveHalf, &mut [0.0]), 0);
        assert_eq!(label(logistic, LabelRule::AboveHalf, &mut [1e-9]), 1);
        assert_eq!(label(Function::Softmax, LabelRule::Greatest, &mut [1.0, 3.0, 3.0]), 1);
        // Too close for the softmax to tell them apart.
        assert_eq!(label(Function::Softmax, LabelRule::Greatest, &mut [1e-18, 2e-18]), 0);
        assert_eq!(label(Function::Softmax, LabelRule::GreatestSum, &mut [1e-18, 2e-18]), 1);
    }

    #[test]
    fn rows_are_independent_and_extremes_stay_finite() {
        let mut sums = [1000.0_f32, -1000.0, 3.0, 3.0];
        Link::new(Function::Softmax, LabelRule::None).apply_single(2, &mut sums, &mut []);
        assert_eq!(sums, [1.0, 0.0, 0.5, 0.5]);
        let mut sums = [-1000.0_f32, f32::NAN];
        Link::new(Function::Logistic { coefficient: 1.0 }, LabelRule::None).apply_single(1, &mut sums, &mut []);
        assert!(sums[0] > 0.0 && sums[1].is_nan());
    }
}
