//! XGBoost's model document: objective, base score, boosters and the order of trees.
//!
//! What is done in float32 here is done in float32 there: the base score's way to a margin, and DART's weights. The sum of
//! a row begins with the base score, and trees are added in the order of the file.
//!
//! `tree` reads one tree of the document, `categories` those of a data frame, `json` what is special about its numbers.

mod categories;
mod json;
mod tree;

use serde::Deserialize;

use self::categories::Container;
use self::tree::{Forms, TreeDocument};
use super::{NAMELESS_FEATURES_AT_MOST, Shape, TARGETS_AT_MOST, Trained, classification, ubjson};
use crate::error::{Error, Kind, Result};
use crate::interface::{ElementType, Task};
use crate::native::{Aggregate, Ensemble, FeatureUse, Function, LabelRule, Link, Missing, Precision};

/// Where the first member's name must lie; both writers begin with it.
const HEAD: usize = 256;

/// The first bytes of the binary format that XGBoost 3.1 gave up, and of the same in base64.
const OLD_BINARY: [&[u8]; 2] = [b"binf", b"bs64"];

#[derive(Deserialize)]
struct Document {
    learner: Learner,
    /// Who wrote it; versions before 1.0 did not say.
    #[serde(default)]
    version: Vec<i64>,
}

#[derive(Deserialize)]
struct Learner {
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: Parameters,
    objective: Named,
}

#[derive(Default, Deserialize)]
struct Attributes {
    #[serde(default)]
    best_iteration: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// `gbtree` has a model; `dart` has a `gbtree` with a model, and weights.
#[derive(Deserialize)]
struct Booster {
    name: String,
    #[serde(default)]
    model: Option<Model>,
    #[serde(default)]
    gbtree: Option<Inner>,
    #[serde(default)]
    weight_drop: Vec<f32>,
}

#[derive(Deserialize)]
struct Inner {
    model: Model,
}

/// Everything may be absent, because a linear booster's model has other members.
#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    cats: Container,
    #[serde(default)]
    gbtree_model_param: ModelParameters,
    #[serde(default)]
    iteration_indptr: Vec<i64>,
    #[serde(default)]
    tree_info: Vec<i64>,
    #[serde(default)]
    trees: Vec<TreeDocument>,
}

#[derive(Default, Deserialize)]
struct ModelParameters {
    #[serde(default)]
    num_parallel_tree: Option<String>,
    #[serde(default)]
    num_trees: Option<String>,
}

/// Numbers are written as texts here.
#[derive(Deserialize)]
struct Parameters {
    base_score: String,
    /// Whether the base score still waits for training to estimate it.
    #[serde(default)]
    boost_from_average: Option<String>,
    #[serde(default)]
    num_class: Option<String>,
    num_feature: String,
    #[serde(default)]
    num_target: Option<String>,
}

/// Whether bytes look like a model of XGBoost.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let binary = is_binary(bytes);
    let bytes = bytes.trim_ascii_start();
    let head = bytes.get(..HEAD.min(bytes.len())).unwrap_or_default();
    let name = b"learner";
    binary || head.first() == Some(&b'{') && head.windows(name.len()).any(|part| part == name)
}

/// Whether bytes are a model in XGBoost's own binary format: with a mark, in base64 with another, or, before 1.1, without.
/// That one begins with 136 bytes of parameters, of which the last 108 are zeros, and the objective's and the booster's name,
/// each behind its length.
fn is_binary(bytes: &[u8]) -> bool {
    const ZEROS: std::ops::Range<usize> = 28..136;
    fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        Some((std::str::from_utf8(name).ok()?, rest))
    }
    let unmarked = || {
        bytes.get(ZEROS)?.iter().all(|byte| *byte == 0).then_some(())?;
        let (objective, rest) = name(&bytes[ZEROS.end..])?;
        let (booster, _) = name(rest)?;
        (objective.contains(':') && matches!(booster, "gbtree" | "dart" | "gblinear")).then_some(())
    };
    OLD_BINARY.iter().any(|mark| bytes.starts_with(mark)) || unmarked().is_some()
}

pub(super) fn read(bytes: &[u8]) -> Result<Trained> {
    if is_binary(bytes) {
        return Err(Error::new(Kind::Unsupported, "the model is in the binary format that XGBoost has given up")
            .with_hint("Load it with an XGBoost before 3.1 and save it with save_model('model.ubj')."));
    }
    let bytes = bytes.trim_ascii_start();
    let text = bytes[1..].trim_ascii_start().starts_with(b"\"");
    let document: Document = if text {
        serde_json::from_slice(&json::plain(bytes)).map_err(broken)?
    } else {
        ubjson::from_slice(bytes).map_err(broken)?
    };
    trained(document.learner, document.version >= vec![3, 1])
}

/// A model with its settings, in UBJSON: what a pickled booster holds.
#[derive(Deserialize)]
struct Buffer {
    #[serde(rename = "Model")]
    model: Document,
}

pub(super) fn read_buffer(bytes: &[u8]) -> Result<Trained> {
    let Buffer { model } = ubjson::from_slice(bytes).map_err(broken)?;
    trained(model.learner, model.version >= vec![3, 1])
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::BadModel, format!("the XGBoost model is broken: {why}"))
}

/// A whole number that is written as a text.
fn number(name: &str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| broken(format!("{name} is {text:?}")))
}

fn optional_number(name: &str, text: Option<&String>) -> Result<usize> {
    text.map_or(Ok(0), |text| number(name, text))
}

/// `intercepts` is whether the writer knows base scores of 3.1: a list, and limits.
fn trained(learner: Learner, intercepts: bool) -> Result<Trained> {
    let Learner { attributes, feature_names, gradient_booster, learner_model_param: parameters, objective } = learner;
    let width = number("num_feature", &parameters.num_feature)?;
    let names = names(feature_names, width)?;
    let class_count = optional_number("num_class", parameters.num_class.as_ref())?;
    let target_count = optional_number("num_target", parameters.num_target.as_ref())?;
    let targets = class_count.max(target_count).max(1);
    if targets > TARGETS_AT_MOST {
        return Err(Error::new(Kind::Limit, format!("the model has {targets} classes, more than {TARGETS_AT_MOST}")));
    }
    let objective = Objective::of(&objective.name, targets)?;
    let (model, weights) = match gradient_booster {
        Booster { name, model: Some(model), .. } if name == "gbtree" => (model, None),
        Booster { name, gbtree: Some(inner), weight_drop, .. } if name == "dart" => (inner.model, Some(weight_drop)),
        Booster { name, .. } if name == "gblinear" => {
            return Err(Error::new(Kind::Unsupported, "linear boosters (gblinear) of XGBoost are not read")
                .with_hint("Export the model to ONNX as a linear model, or train it with booster='gbtree'."));
        }
        Booster { name, .. } => return Err(broken(format!("its booster {name:?} has no trees"))),
    };
    let used = model.trees_used(attributes.best_iteration.as_deref(), targets)?;
    let Model { tree_info, trees, cats, .. } = model;
    let waits = parameters.boost_from_average.as_deref() == Some("1");
    let scale = match objective.base {
        // An estimate that no round of training has asked for is taken as it is.
        _ if intercepts && waits && trees.is_empty() => BaseScale::Margin,
        BaseScale::Probability { .. } => BaseScale::Probability { clamped: intercepts },
        scale => scale,
    };
    let base = base(&parameters.base_score, targets, scale)?;
    if tree_info.len() != trees.len() || weights.as_ref().is_some_and(|weights| weights.len() != trees.len()) {
        return Err(broken(format!("it has {} trees, but not one class and weight for each", trees.len())));
    }
    let mut converted = Vec::with_capacity(used);
    for (index, document) in trees.into_iter().take(used).enumerate() {
        let target = usize::try_from(tree_info[index]).ok().filter(|target| *target < targets);
        let forms = Forms {
            target: target.ok_or_else(|| broken(format!("tree {index} is of class {}", tree_info[index])))?,
            targets,
            width,
            weight: weights.as_ref().map(|weights| weights[index]),
        };
        converted.push(tree::read(document, &forms).map_err(|why| broken(format!("tree {index}: {why}")))?);
    }
    let columns = u32::try_from(width).map_err(|_| broken("it has too many features"))?;
    let ensemble = Ensemble {
        width,
        features: (0..columns).map(|column| FeatureUse { column, missing: Missing::Nan }).collect(),
        trees: converted,
        targets,
        compared_in: Precision::Single,
        added_in: Precision::Single,
        aggregate: Aggregate::Sum,
        base,
        base_first: true,
    };
    ensemble.check()?;
    let shape = Shape {
        element: ElementType::Float32,
        names,
        task: objective.task,
        width: targets,
        categories: cats.read(width)?,
    };
    let link = Link::new(objective.function, objective.label);
    Ok(Trained { framework: "xgboost", interface: shape.interface()?, ensemble, link })
}

fn names(given: Vec<String>, width: usize) -> Result<Vec<String>> {
    if !given.is_empty() {
        return if given.len() == width {
            Ok(given)
        } else {
            Err(broken(format!("it names {} features and has {width}", given.len())))
        };
    }
    if width > NAMELESS_FEATURES_AT_MOST {
        return Err(Error::new(
            Kind::Limit,
            format!("the model has {width} features without names, more than {NAMELESS_FEATURES_AT_MOST}"),
        ));
    }
    Ok((0..width).map(|index| format!("f{index}")).collect())
}

impl Model {
    /// How many of the trees `predict` uses.
    fn trees_used(&self, best_iteration: Option<&str>, targets: usize) -> Result<usize> {
        let count = self.trees.len();
        if let Some(stated) = &self.gbtree_model_param.num_trees
            && number("num_trees", stated)? != count
        {
            return Err(broken(format!("it has {count} trees and says {stated}")));
        }
        let Some(best) = best_iteration else { return Ok(count) };
        let rounds = number("best_iteration", best)?.saturating_add(1);
        let end = if self.iteration_indptr.is_empty() {
            let parallel = optional_number("num_parallel_tree", self.gbtree_model_param.num_parallel_tree.as_ref())?;
            Some(rounds.saturating_mul(parallel.max(1)).saturating_mul(targets))
        } else {
            self.iteration_indptr.get(rounds).and_then(|end| usize::try_from(*end).ok())
        };
        end.filter(|end| *end <= count)
            .ok_or_else(|| broken(format!("its best iteration {best} lies beyond its {count} trees")))
    }
}

/// The base score as margins, one a target. Older versions write one number, newer ones a list.
fn base(text: &str, targets: usize, scale: BaseScale) -> Result<Vec<f64>> {
    let wrong = || broken(format!("its base score is {text:?}"));
    let list = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let margins = list
        .split(',')
        .map(|score| score.trim().parse::<f32>().ok().and_then(|score| scale.margin(score)).ok_or_else(wrong))
        .collect::<Result<Vec<f32>>>()?;
    match margins.as_slice() {
        [one] => Ok(vec![f64::from(*one); targets]),
        _ if margins.len() == targets => Ok(margins.into_iter().map(f64::from).collect()),
        _ => Err(wrong()),
    }
}

/// On which scale an objective states its base score.
#[derive(Clone, Copy)]
enum BaseScale {
    Margin,
    /// From 3.1 on between limits. A model that was trained on one class alone has 0 or 1, which no older version scores.
    Probability {
        clamped: bool,
    },
    /// 0 where a model was trained on zeros alone.
    Positive,
}

impl BaseScale {
    fn margin(self, score: f32) -> Option<f32> {
        const LEAST: f32 = 1e-6;
        match self {
            Self::Margin => score.is_finite().then_some(score),
            Self::Probability { clamped } => (0.0..=1.0).contains(&score).then(|| {
                let clamps = clamped || score == 0.0 || score == 1.0;
                let score = if clamps { score.clamp(LEAST, 1.0 - LEAST) } else { score };
                -(1.0 / score - 1.0).ln()
            }),
            Self::Positive => (score >= 0.0 && score.is_finite()).then(|| score.ln()),
        }
    }
}

/// What an objective says about a model that has been trained.
struct Objective {
    base: BaseScale,
    function: Function,
    task: Task,
    label: LabelRule,
}

impl Objective {
    fn of(name: &str, targets: usize) -> Result<Self> {
        use BaseScale::{Margin, Positive};
        let probability = BaseScale::Probability { clamped: true };
        let logistic = Function::Logistic { coefficient: 1.0 };
        let (base, function) = match name {
            "reg:squarederror"
            | "reg:linear"
            | "reg:squaredlogerror"
            | "reg:pseudohubererror"
            | "reg:absoluteerror"
            | "reg:quantileerror"
            | "rank:pairwise"
            | "rank:ndcg"
            | "rank:map" => (Margin, Function::Identity),
            "reg:logistic" | "binary:logistic" => (probability, logistic),
            // The margin is the prediction: this objective's answer is no probability.
            "binary:logitraw" => (Margin, Function::Identity),
            "binary:hinge" => (Margin, Function::Step),
            "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
                (Positive, Function::Exp)
            }
            "multi:softprob" | "multi:softmax" => (Margin, Function::Softmax),
            _ => {
                return Err(Error::new(Kind::Unsupported, format!("the XGBoost objective {name:?} is not known"))
                    .with_hint("Export the model to ONNX instead."));
            }
        };
        let (task, label) = match name {
            "binary:logistic" | "binary:hinge" if targets == 1 => (Task::BinaryClassification, LabelRule::AboveHalf),
            "binary:logistic" | "binary:hinge" => (Task::Other, LabelRule::None),
            "multi:softprob" => (classification(targets), LabelRule::Greatest),
            "multi:softmax" => (classification(targets), LabelRule::GreatestSum),
            _ => (Task::Regression, LabelRule::None),
        };
        if matches!(function, Function::Softmax) && targets < 2 {
            return Err(broken(format!("{name} with {targets} class")));
        }
        Ok(Self { base, function, task, label })
    }
}
