//! The same rows as scikit-learn, betacal and MAPIE have calibrated: `tests/models/make_calibrations.py` made the answers.
//!
//! Isotonic regressions, margins and sets are the same to the last digits. Curves are fitted here until nothing moves; the libraries
//! stop where their optimisers are content, which is what the tolerance of curves is for.

use std::path::PathBuf;

use e2i_calibrate::{Level, Method, Probabilities, Scores, Spread, conformal};
use e2i_calibrate::{isotonic::Isotonic, logistic::Beta, logistic::Platt};
use serde_json::Value;

fn cases() -> Value {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models/calibrations.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(of: &Value) -> Vec<f64> {
    match of {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        one => vec![one.as_f64().unwrap()],
    }
}

fn classes(of: &Value) -> Vec<usize> {
    of.as_array().unwrap().iter().map(|class| class.as_u64().unwrap() as usize).collect()
}

fn differ(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max)
}

#[test]
fn two_classes_are_those_of_scikit_learn_and_betacal() {
    let cases = cases();
    for name in ["binary", "binary_weighted"] {
        let case = &cases[name];
        let (p, truth, at) = (numbers(&case["probabilities"]), classes(&case["truth"]), numbers(&case["at"]));
        let weights = case["weights"].is_array().then(|| numbers(&case["weights"]));
        let is_so: Vec<bool> = truth.iter().map(|class| *class == 1).collect();
        let observed: Vec<f64> = truth.iter().map(|class| *class as f64).collect();
        let isotonic = Isotonic::fit(&p, &observed, weights.as_deref());
        let got: Vec<f64> = at.iter().map(|at| isotonic.at(*at)).collect();
        assert!(differ(&got, &numbers(&case["isotonic"])) < 1e-14, "{name}");
        let platt = Platt::fit(&p, &is_so, weights.as_deref());
        let got: Vec<f64> = at.iter().map(|at| platt.at(*at)).collect();
        let off = differ(&got, &numbers(&case["platt"]));
        assert!(off < 1e-6, "{name}: {off}");
        let beta = Beta::fit(&p, &is_so, weights.as_deref());
        let got: Vec<f64> = at.iter().map(|at| beta.at(*at)).collect();
        let off = differ(&got, &numbers(&case["beta"]));
        assert!(off < 1e-3, "{name}: {off} by {beta:?}");
        let off = differ(&got, &numbers(&case["beta_to_the_end"]));
        assert!(off < 1e-7, "{name}: {off} by {beta:?}");
    }
}

#[test]
fn large_margins_and_curves_with_one_side_are_theirs() {
    let cases = cases();
    let case = &cases["margins"];
    let is_so: Vec<bool> = classes(&case["truth"]).iter().map(|class| *class == 1).collect();
    let platt = Platt::fit(&numbers(&case["numbers"]), &is_so, None);
    let got: Vec<f64> = numbers(&case["at"]).iter().map(|at| platt.at(*at)).collect();
    let off = differ(&got, &numbers(&case["platt"]));
    assert!(off < 1e-6, "{off}");
    let case = &cases["one_side"];
    let is_so: Vec<bool> = classes(&case["truth"]).iter().map(|class| *class == 1).collect();
    let beta = Beta::fit(&numbers(&case["probabilities"]), &is_so, None);
    let got: Vec<f64> = numbers(&case["at"]).iter().map(|at| beta.at(*at)).collect();
    let off = differ(&got, &numbers(&case["beta"]));
    assert!(off < 1e-3, "{off} by {beta:?}");
    let off = differ(&got, &numbers(&case["beta_to_the_end"]));
    assert!(off < 1e-7, "{off} by {beta:?}");
    assert!(beta.a == 0.0 || beta.b == 0.0, "{beta:?}");
}

#[test]
fn several_classes_are_those_of_calibrated_classifier_cv() {
    let case = &cases()["several"];
    let (p, truth, at) = (numbers(&case["probabilities"]), classes(&case["truth"]), numbers(&case["at"]));
    for (method, tolerance) in [(Method::Isotonic, 1e-14), (Method::Platt, 1e-6)] {
        let fitted = Probabilities::fit(method, &p, 4, &truth, None).unwrap();
        let got: Vec<f64> = at.chunks(4).flat_map(|row| fitted.at(row)).collect();
        let off = differ(&got, &numbers(&case[method.name()]));
        assert!(off < tolerance, "{method:?}: {off}");
    }
}

#[test]
fn margins_are_those_of_mapie() {
    let cases = cases();
    let case = &cases["residual"];
    let (answers, truth, levels) = (numbers(&case["numbers"]), numbers(&case["truth"]), numbers(&case["levels"]));
    let scores = answers.iter().zip(&truth).map(|(answer, truth)| conformal::residual(*truth, *answer, 1.0)).collect();
    let spread = Spread::new(Scores::new(scores, None), None);
    let ends: Vec<_> = answers[..10]
        .iter()
        .flat_map(|answer| levels.iter().map(|level| conformal::around(*answer, 1.0, spread.at(*level).unwrap())))
        .collect();
    let (lower, upper): (Vec<f64>, Vec<f64>) = ends.iter().map(|ends| (ends.lower, ends.upper)).unzip();
    assert!(differ(&lower, &numbers(&case["lower"])) < 1e-12 && differ(&upper, &numbers(&case["upper"])) < 1e-12);

    let case = &cases["quantiles"];
    let rows = numbers(&case["numbers"]);
    // MAPIE is given lower, upper, median, and lets the first two cross: rows where they do are left to the test of `ends`.
    let raw = |row: &[f64]| conformal::Interval { lower: row[0], upper: row[1], prediction: row[2] };
    let outside: Vec<(f64, f64)> =
        rows.chunks(3).zip(&truth).map(|(row, truth)| conformal::outside(*truth, &raw(row))).collect();
    let (below, above): (Vec<f64>, Vec<f64>) = outside.iter().copied().unzip();
    let either = outside.iter().map(|(below, above)| below.max(*above)).collect();
    let symmetric = Spread::new(Scores::new(either, None), None);
    let asymmetric = Spread::new(Scores::new(below, None), Some(Scores::new(above, None)));
    for (name, spread) in [("quantiles", symmetric), ("asymmetric_quantiles", asymmetric)] {
        let (lower, upper) = (numbers(&case[name]["lower"]), numbers(&case[name]["upper"]));
        for (number, row) in rows.chunks(3).take(10).enumerate() {
            for (place, level) in levels.iter().enumerate() {
                let (at, ends) = (number * levels.len() + place, raw(row));
                let margins = spread.at(*level).unwrap();
                let off =
                    (ends.lower - margins.below - lower[at]).abs() + (ends.upper + margins.above - upper[at]).abs();
                assert!(off < 1e-12, "{name}, row {number}, level {level}: {off}");
            }
        }
    }
}

#[test]
fn sets_are_those_of_mapie_and_of_the_formula() {
    let case = &cases()["sets"];
    let (p, truth, at) = (numbers(&case["probabilities"]), classes(&case["truth"]), numbers(&case["at"]));
    let levels = numbers(&case["levels"]);
    let scores = |row: &[f64], method| match method {
        Method::Lac => row.iter().map(|p| conformal::lac(*p)).collect(),
        _ => conformal::aps(row),
    };
    for method in [Method::Lac, Method::Aps] {
        let of_truth = p.chunks(4).zip(&truth).map(|(row, class)| scores(row, method)[*class]).collect();
        let kept = Scores::new(of_truth, None);
        let got: Vec<f64> = at
            .chunks(4)
            .flat_map(|row| scores(row, method))
            .flat_map(|score| {
                let kept = &kept;
                levels.iter().map(move |level| f64::from(u8::from(score <= kept.quantile(Level::new(*level).unwrap()))))
            })
            .collect();
        assert_eq!(got, numbers(&case[method.name()]), "{method:?}");
    }
}
