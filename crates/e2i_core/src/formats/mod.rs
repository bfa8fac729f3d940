//! The files of training libraries: XGBoost's JSON and UBJSON, LightGBM's text.
//!
//! [`read`] finds out what the bytes are and turns them into an [`Ensemble`] with the library's own [`Link`] and an
//! [`Interface`]. The answers are those of the library's `predict`: XGBoost's to the bit, in float32; LightGBM's in float64.
//!
//! What is decided here and not in the files:
//! - XGBoost's `best_iteration`, where training left it in the attributes, ends the trees, as in its scikit-learn
//!   estimators. LightGBM leaves out later trees itself when it saves.
//! - Categories that a data frame had are read: XGBoost's `cats` (since 3.1), LightGBM's `pandas_categorical`. Where a file
//!   has none, categories are the codes that the library trained on, and every feature takes any number, as in the libraries.
//! - An unseen category is missing to LightGBM. XGBoost refuses it; that its 3.2 lets one pass that sorts before a known
//!   category, and takes it for that one, is a fault of its search, and is not copied.
//! - A binary classifier gives one number, the probability of class 1, unless it was trained as a multi-class model of two.
//!   XGBoost's `multi:softmax` gives probabilities too, beside the class. `binary:logitraw` is a regression: of the margin.
//! - Features without names are called `f0`, `f1`, … as XGBoost does.
//! - `gblinear` and LightGBM's linear trees are refused: they are not trees with constant leaves.
//!
//! The bytes are not trusted: whatever they claim is compared with what is there before anything is allocated for it.
//!
//! What does not belong here: ONNX (see `e2i_onnx`), and how an ensemble is computed.

mod kind;
mod lightgbm;
mod ubjson;
mod xgboost;

use std::collections::{BTreeSet, HashSet};

use crate::categories::Categories;
use crate::class_scores::ClassScores;
use crate::error::{Error, Kind, Result};
use crate::interface::{Classes, ElementType, Feature, InputTensor, Interface, OutputTensor, Rows, Task};
use crate::native::{Ensemble, Function, Link, Node, Test};

pub use kind::{NoModel, recognise};

/// Most features without a name of their own in the file: names are made for them, so that a number alone costs memory.
const NAMELESS_FEATURES_AT_MOST: usize = 100_000;

/// Most classes, for the same reason.
const TARGETS_AT_MOST: usize = 65_536;

/// A model as its training library saved it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The library: `xgboost` or `lightgbm`.
    pub framework: &'static str,
    /// What the model takes and gives.
    pub interface: Interface,
    /// Its trees.
    pub ensemble: Ensemble,
    /// From their sums to predictions.
    pub link: Link,
}

/// Reads a model; `None` when the bytes are none of these formats.
///
/// # Errors
/// In the result: [`Kind::BadModel`] for a file that is broken, [`Kind::Unsupported`] for one that needs what is not here,
/// [`Kind::Limit`] for one that is too large.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Result<Trained>> {
    // Windows' tools put a byte order mark before a text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if lightgbm::begins(bytes) {
        Some(lightgbm::read(bytes))
    } else if xgboost::begins(bytes) {
        Some(xgboost::read(bytes))
    } else {
        None
    }
}

/// Reads the state of XGBoost's booster as other formats keep it: its settings beside the model.
///
/// # Errors
/// As [`read`].
pub fn read_xgboost_buffer(bytes: &[u8]) -> Result<Trained> {
    xgboost::read_buffer(bytes)
}

/// The features that a tree splits into sets of codes while nothing says what the codes stand for, in order.
#[must_use]
pub fn coded_features<'i>(ensemble: &Ensemble, interface: &'i Interface) -> Vec<&'i str> {
    let nodes = ensemble.trees.iter().flat_map(|tree| &tree.nodes);
    let columns: BTreeSet<u32> = nodes
        .filter_map(|node| match node {
            Node::Branch(branch) if matches!(branch.test, Test::Member(_)) => Some(branch.feature),
            _ => None,
        })
        .filter_map(|feature| ensemble.features.get(feature as usize).map(|feature| feature.column))
        .collect();
    let features = columns.iter().filter_map(|column| interface.features.get(*column as usize));
    features.filter(|feature| feature.categories.is_none()).map(|feature| feature.name.as_str()).collect()
}

/// The task of a model with one probability a class.
fn classification(classes: usize) -> Task {
    if classes == 2 { Task::BinaryClassification } else { Task::MulticlassClassification }
}

/// What a reader found out about inputs and outputs.
struct Shape {
    /// In which type features are read and predictions are given.
    element: ElementType,
    names: Vec<String>,
    task: Task,
    /// Numbers a row of the main output.
    width: usize,
    /// The categories of each feature; empty where none has any.
    categories: Vec<Option<Categories>>,
}

impl Shape {
    fn interface(self) -> Result<Interface> {
        let mut seen = HashSet::with_capacity(self.names.len());
        if let Some(twice) = self.names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::new(Kind::BadModel, format!("the model has two features named {twice:?}")));
        }
        let Self { element, names, task, width, mut categories } = self;
        categories.resize(names.len(), None);
        let class_count = match task {
            Task::BinaryClassification => Some(2),
            Task::MulticlassClassification => Some(width),
            _ => None,
        };
        let inputs =
            vec![InputTensor { name: "features".to_owned(), element, shape: vec![names.len()], rows: Rows::Free }];
        let features = names
            .into_iter()
            .zip(categories)
            .enumerate()
            .map(|(position, (name, categories))| Feature {
                name,
                tensor: 0,
                position,
                element,
                required: true,
                takes_missing: true,
                whole: false,
                instant: false,
                categories,
                default: None,
            })
            .collect();
        let output = |name: &str, element, width| OutputTensor {
            name: name.to_owned(),
            tensor: name.to_owned(),
            element,
            width: Some(width),
            ..OutputTensor::default()
        };
        let outputs = match class_count {
            Some(_) => vec![output("label", ElementType::Int64, 1), output("probabilities", element, width)],
            None => vec![output("prediction", element, width)],
        };
        Ok(Interface {
            format: Interface::FORMAT,
            task,
            classes: class_count.map(|count| Classes::new((0..count).map(|class| class.to_string()).collect())),
            class_scores: crate::class_scores::ClassScores::default(),
            pair: crate::class_scores::Pair::default(),
            inputs,
            features,
            vectors: vec![],
            passed_on: vec![],
            label: class_count.map(|_| 0),
            main: Some(outputs.len() - 1),
            outputs,
            rows_at_once: Interface::ROWS_AT_ONCE,
            varies: None,
            is_same_together: false,
            engine_times: None,
        })
    }
}

impl Trained {
    /// Its interface, with the task and the meaning of its numbers that are stated. Trained with an objective of one's own, a
    /// model predicts raw sums, which a statement makes the scores of classes.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for a statement that does not fit the file.
    pub fn interface_as(&self, task: Option<Task>, scores: Option<ClassScores>) -> Result<Interface> {
        let mut interface = self.interface.clone();
        let trained_for = interface.task;
        let width = interface.main_output().and_then(|output| output.width).unwrap_or(1);
        let is_raw = trained_for == Task::Regression && self.link.function == Function::Identity;
        match (task, scores) {
            (Some(stated), Some(scores))
                if is_raw && stated.is_classification() && scores != ClassScores::Probability =>
            {
                let classes = if stated == Task::BinaryClassification { 2 } else { width };
                if classes < 2 || (width != 1 && width != classes) {
                    let message = format!("the task {stated} does not fit a model that gives {width} number(s) a row");
                    return Err(Error::new(Kind::BadOption, message));
                }
                interface.task = stated;
                interface.class_scores = scores;
                interface.classes = Some(Classes::new((0..classes).map(|class| class.to_string()).collect()));
            }
            (Some(stated), _) if stated != trained_for => {
                let message = format!("the task {stated} was given, but the model was trained for {trained_for}");
                let error = Error::new(Kind::BadOption, message);
                return Err(if is_raw && stated.is_classification() {
                    error.with_hint(format!(
                        "If its predictions are raw sums that {} makes probabilities of, say so: task => '{stated}', \
                         class_scores => 'logit'.",
                        if width == 1 { "1 / (1 + exp(-x))" } else { "softmax" }
                    ))
                } else {
                    error
                });
            }
            (_, Some(scores)) if trained_for.is_classification() && scores != ClassScores::Probability => {
                let message =
                    format!("class_scores => '{}' was given, but the model predicts probabilities", scores.name());
                return Err(Error::new(Kind::BadOption, message));
            }
            _ => {}
        }
        Ok(interface)
    }
}

/// The cover of a tree's nodes, if each has one that can be.
fn stated_cover(cover: Vec<f64>, nodes: usize) -> Vec<f64> {
    let can_be = cover.len() == nodes && cover.iter().all(|cover| cover.is_finite() && *cover >= 0.0);
    if can_be { cover } else { vec![] }
}

/// Whole numbers in ascending order as closed intervals of the values that truncate to them; `below` is the greatest
/// value under a whole number, in the type that values are compared in.
fn whole_numbers(numbers: impl IntoIterator<Item = u32>, below: impl Fn(u64) -> f64) -> Vec<(f64, f64)> {
    let mut intervals: Vec<(f64, f64)> = Vec::new();
    let mut next = None;
    for number in numbers {
        let after = u64::from(number) + 1;
        match intervals.last_mut() {
            Some(last) if next == Some(u64::from(number)) => last.1 = below(after),
            _ => intervals.push((f64::from(number), below(after))),
        }
        next = Some(after);
    }
    intervals
}
