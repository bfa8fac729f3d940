//! Attributions of the files of training libraries against what the libraries say themselves.
//!
//! `tests/models/make_explanations.py` made the answers. LightGBM's are float64 and right to the last digits. XGBoost adds its in
//! float32: they are right to about 1e-6 of what is added.

use std::path::PathBuf;
use std::rc::Rc;

use e2i_core::formats::{self, Trained};
use e2i_explain::{Attributions, Leaves, Unknown, interactions};
use serde_json::Value;

fn models() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models"))
}

fn trained(name: &str) -> Trained {
    let ending = if name.starts_with("xgb") { "json" } else { "txt" };
    let bytes = std::fs::read(models().join(format!("trained/{name}.{ending}"))).unwrap();
    formats::read(&bytes).unwrap().unwrap()
}

fn numbers(of: &Value) -> Vec<f64> {
    of.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
}

/// The greatest difference from what the library says, as a part of what it adds.
fn difference(name: &str) -> f64 {
    let golden = std::fs::read(models().join(format!("explanations/{name}.json"))).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let trained = trained(name);
    let leaves = Rc::new(Leaves::of(&trained.ensemble, trained.link.divisor).unwrap());
    let made = Attributions::by_covers(leaves, 1 << 20, || false).unwrap();
    let (width, targets) = (trained.ensemble.width, trained.ensemble.targets);
    let rows: Vec<f64> = golden["rows"].as_array().unwrap().iter().flat_map(numbers).collect();
    let all = made.of_rows(&rows);
    let mut greatest = 0.0_f64;
    for (row, given) in golden["contributions"].as_array().unwrap().iter().enumerate() {
        let sums = trained.ensemble.sums(&rows[row * width..][..width]);
        for target in 0..targets {
            let given = numbers(&given[target]);
            let got = &all[(row * targets + target) * width..][..width];
            let base = made.base()[target];
            let pairs = given.iter().zip(got.iter().chain([&base]));
            greatest = pairs.fold(greatest, |greatest, (a, b)| greatest.max((a - b).abs()));
            let sum = base + got.iter().sum::<f64>();
            let right = sums[target] / f64::from(trained.link.divisor.unwrap_or(1));
            assert!((sum - right).abs() <= 1e-6 * right.abs().max(1.0), "{name}: {sum} of {right}");
        }
    }
    greatest / golden["scale"].as_f64().unwrap().max(1e-9)
}

#[test]
fn xgboost_says_the_same_to_the_precision_of_its_sums() {
    for name in [
        "xgb_binary",
        "xgb_base_score",
        "xgb_squared",
        "xgb_poisson",
        "xgb_softprob",
        "xgb_dart",
        "xgb_dart_classes",
        "xgb_one_hot",
        "xgb_sets",
        "xgb_targets",
        "xgb_pruned",
        "xgb_best",
        "xgb_no_rounds",
    ] {
        let difference = difference(name);
        assert!(difference <= 1e-6, "{name}: {difference:e}");
    }
}

#[test]
fn lightgbm_says_the_same() {
    for name in [
        "lgb_binary",
        "lgb_classes",
        "lgb_dart",
        "lgb_sets",
        "lgb_one_hot",
        "lgb_zero_missing",
        "lgb_no_missing",
        "lgb_poisson",
        "lgb_one_leaf",
    ] {
        let difference = difference(name);
        assert!(difference <= 1e-13, "{name}: {difference:e}");
    }
}

/// The greatest difference of a cell of the matrix of a row, as a part of what is added.
fn difference_of_pairs(name: &str) -> f64 {
    let golden = std::fs::read(models().join(format!("interactions/{name}.json"))).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let trained = trained(name);
    let leaves = Rc::new(Leaves::of(&trained.ensemble, trained.link.divisor).unwrap());
    let made = Attributions::by_covers(Rc::clone(&leaves), 0, || false).unwrap();
    let (width, targets) = (trained.ensemble.width, trained.ensemble.targets);
    let (mut greatest, mut seen) = (0.0_f64, 0);
    for (row, given) in golden["rows"].as_array().unwrap().iter().zip(golden["interactions"].as_array().unwrap()) {
        let row = numbers(row);
        let contributions = made.of_rows(&row);
        for (target, given) in given.as_array().unwrap().iter().enumerate() {
            let mut matrix = vec![0.0; width * width];
            let pairs = interactions(&leaves, &row, target, Unknown::Covers, || false).unwrap();
            seen += pairs.len();
            for (a, b, got) in pairs {
                matrix[a as usize * width + b as usize] = got / 2.0;
                matrix[b as usize * width + a as usize] = got / 2.0;
            }
            let of_target = &contributions[target * width..][..width];
            for (column, contribution) in of_target.iter().enumerate() {
                let pairs: f64 = matrix[column * width..][..width].iter().sum();
                matrix[column * width + column] = contribution - pairs;
            }
            let given = given.as_array().unwrap().iter().flat_map(numbers);
            greatest = given.zip(&matrix).fold(greatest, |greatest, (a, b)| greatest.max((a - b).abs()));
        }
        assert_eq!(given.as_array().unwrap().len(), targets, "{name}");
    }
    assert!(seen > 0, "{name} has no pairs");
    greatest / golden["scale"].as_f64().unwrap()
}

#[test]
fn xgboost_and_shap_say_the_same_of_pairs() {
    for name in ["xgb_binary", "xgb_squared", "xgb_poisson", "xgb_softprob", "xgb_dart", "xgb_sets"] {
        let difference = difference_of_pairs(name);
        assert!(difference <= 1e-6, "{name}: {difference:e}");
    }
    for name in ["lgb_binary", "lgb_poisson"] {
        let difference = difference_of_pairs(name);
        assert!(difference <= 1e-9, "{name}: {difference:e}");
    }
}
