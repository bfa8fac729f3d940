//! LightGBM's model text: a header of `key=value` lines, then trees; what follows `end of trees` is about training, and, last,
//! the categories of a data frame. Before 2.2 nothing said where the trees end but that importances follow.
//!
//! `tree` reads one block of the trees, `categories` finds out whose the categories are.

mod categories;
mod tree;

use std::collections::HashMap;
use std::str::FromStr;

use super::{Shape, TARGETS_AT_MOST, Trained, classification};
use crate::error::{Error, Kind, Result};
use crate::interface::{ElementType, Task};
use crate::native::{Aggregate, Ensemble, FeatureUse, Function, LabelRule, Link, Missing, Precision, Tree};

const FIRST_LINE: &[u8] = b"tree";
const TREE: &str = "Tree=";
const END: &str = "end of trees";
/// What follows the trees where no line ends them.
const IMPORTANCES: &str = "feature importances:";

/// Whether bytes look like a model of LightGBM.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.strip_prefix(FIRST_LINE).is_some_and(|rest| rest.starts_with(b"\n") || rest.starts_with(b"\r\n"))
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::BadModel, format!("the LightGBM model is broken: {why}"))
}

/// Lines of `key=value`; a line without `=` is a flag.
struct Keys<'a>(HashMap<&'a str, &'a str>);

impl<'a> Keys<'a> {
    /// Takes lines until one satisfies `ends`, which is returned.
    fn take(lines: &mut impl Iterator<Item = &'a str>, ends: impl Fn(&str) -> bool) -> (Self, Option<&'a str>) {
        let mut keys = HashMap::new();
        for line in lines {
            if ends(line) {
                return (Self(keys), Some(line));
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            keys.insert(key, value);
        }
        (Self(keys), None)
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    fn text(&self, key: &str) -> std::result::Result<&'a str, String> {
        self.get(key).ok_or_else(|| format!("{key} is missing"))
    }

    fn number<T: FromStr>(&self, key: &str) -> std::result::Result<T, String> {
        let text = self.text(key)?;
        text.trim().parse().map_err(|_| format!("{key} is {:?}", shortened(text)))
    }

    /// Numbers between spaces, exactly `count`.
    fn numbers<T: FromStr>(&self, key: &str, count: usize) -> std::result::Result<Vec<T>, String> {
        let texts = self.text(key)?.split_ascii_whitespace();
        let numbers = texts
            .map(|text| text.parse().map_err(|_| format!("{key} has {:?}", shortened(text))))
            .collect::<std::result::Result<Vec<T>, String>>()?;
        if numbers.len() == count {
            Ok(numbers)
        } else {
            Err(format!("{key} has {} of {count} numbers", numbers.len()))
        }
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What trees read, each pair of column and meaning of missing once.
#[derive(Default)]
struct Features {
    uses: Vec<FeatureUse>,
    known: HashMap<FeatureUse, u32>,
}

impl Features {
    fn index(&mut self, column: u32, missing: Missing) -> u32 {
        let next = self.uses.len() as u32;
        let used = FeatureUse { column, missing };
        let index = *self.known.entry(used).or_insert(next);
        if index == next {
            self.uses.push(used);
        }
        index
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Trained> {
    let text = std::str::from_utf8(bytes).map_err(|_| broken("it is not UTF-8"))?;
    let mut lines = text.lines();
    let is_end = |line: &str| line == END || line == IMPORTANCES;
    let ends = |line: &str| line.starts_with(TREE) || is_end(line);
    let (header, mut line) = Keys::take(&mut lines, ends);
    if !matches!(header.get("version"), Some("v2" | "v3" | "v4")) {
        let message = match header.get("version") {
            Some(version) => format!("version {:?} of LightGBM's model text is not known", shortened(version)),
            None => "the model was saved by a LightGBM older than 2".to_owned(),
        };
        return Err(Error::new(Kind::Unsupported, message)
            .with_hint("Load the model with a LightGBM of 2.2 to 4 and save it again."));
    }
    let targets: usize = header.number("num_tree_per_iteration").map_err(broken)?;
    if targets == 0 || targets > TARGETS_AT_MOST {
        return Err(broken(format!("it has {targets} trees an iteration")));
    }
    let names: Vec<String> = header.text("feature_names").map_err(broken)?.split(' ').map(str::to_owned).collect();
    let last: u32 = header.number("max_feature_idx").map_err(broken)?;
    if names.len() != last as usize + 1 {
        return Err(broken(format!("it names {} features and has {}", names.len(), u64::from(last) + 1)));
    }

    let mut features = Features::default();
    let mut trees: Vec<Tree> = Vec::new();
    while let Some(begun) = line.filter(|line| !is_end(line)) {
        let (keys, next) = Keys::take(&mut lines, ends);
        let target = (trees.len() % targets) as u32;
        let tree = tree::read(&keys, names.len(), target, &mut features).map_err(|problem| match problem {
            tree::Problem::Broken(why) => broken(format!("{}: {why}", shortened(begun))),
            tree::Problem::Linear => Error::new(Kind::Unsupported, "linear trees of LightGBM are not read")
                .with_hint("Train the model with linear_tree=false."),
        })?;
        trees.push(tree);
        line = next;
    }
    if line.is_none() {
        return Err(broken(format!("it ends after tree {} without saying so", trees.len())));
    }
    let stated = header.get("tree_sizes").map_or(trees.len(), |sizes| sizes.split_ascii_whitespace().count());
    if stated != trees.len() || !trees.len().is_multiple_of(targets) {
        return Err(broken(format!("it has {} trees, {targets} an iteration, and says {stated}", trees.len())));
    }
    let mut link = link(header.get("objective"), targets)?;
    if header.get("average_output").is_some() && !trees.is_empty() {
        let rounds = u32::try_from(trees.len() / targets).map_err(|_| broken("it has too many trees"))?;
        link.divisor = Some(rounds);
    }
    let task = match link.label {
        LabelRule::None | LabelRule::GreatestSum => Task::Regression,
        LabelRule::AboveHalf => Task::BinaryClassification,
        LabelRule::Greatest => classification(targets),
    };
    let categories = categories::read(&header, &names, lines, &trees, &features.uses)?;
    let ensemble = Ensemble {
        width: names.len(),
        features: features.uses,
        trees,
        targets,
        compared_in: Precision::Double,
        added_in: Precision::Double,
        aggregate: Aggregate::Sum,
        base: vec![],
        base_first: false,
    };
    ensemble.check()?;
    let shape = Shape { element: ElementType::Float64, names, task, width: targets, categories };
    Ok(Trained { framework: "lightgbm", interface: shape.interface()?, ensemble, link })
}

/// The link of an objective line: a name and parameters. A model without one (trained with a function of one's own)
/// predicts its raw sums.
fn link(objective: Option<&str>, targets: usize) -> Result<Link> {
    let mut words = objective.unwrap_or("custom").split_ascii_whitespace();
    let name = words.next().unwrap_or("custom");
    let mut coefficient = 1.0;
    let mut squared = false;
    for word in words {
        match word.split_once(':') {
            Some(("sigmoid", value)) => {
                coefficient = value
                    .parse()
                    .ok()
                    .filter(|value: &f64| value.is_finite())
                    .ok_or_else(|| broken(format!("its sigmoid is {:?}", shortened(value))))?;
            }
            None if word == "sqrt" => squared = true,
            _ => {}
        }
    }
    let (function, label) = match name {
        "binary" => (Function::Logistic { coefficient }, LabelRule::AboveHalf),
        "multiclass" => (Function::Softmax, LabelRule::Greatest),
        "multiclassova" => (Function::Logistic { coefficient }, LabelRule::Greatest),
        "regression" | "regression_l1" | "fair" | "quantile" | "mape" if squared => {
            (Function::SignedSquare, LabelRule::None)
        }
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank" | "rank_xendcg"
        | "custom" => (Function::Identity, LabelRule::None),
        "poisson" | "gamma" | "tweedie" => (Function::Exp, LabelRule::None),
        // LightGBM 2.2 had shorter names.
        "cross_entropy" | "xentropy" => (Function::Logistic { coefficient: 1.0 }, LabelRule::None),
        "cross_entropy_lambda" | "xentlambda" => (Function::Softplus, LabelRule::None),
        _ => {
            let name = shortened(name);
            return Err(Error::new(Kind::Unsupported, format!("the LightGBM objective {name:?} is not known"))
                .with_hint("Export the model to ONNX instead."));
        }
    };
    if name != "custom" && (label == LabelRule::Greatest) != (targets > 1) {
        return Err(broken(format!("{} with {targets} trees an iteration", shortened(name))));
    }
    Ok(Link::new(function, label))
}
