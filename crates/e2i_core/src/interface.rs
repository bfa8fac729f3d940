//! What a model takes and gives: tensors, named features, outputs, task and classes.
//!
//! An [`Interface`] is made once, at registration, stored beside the version, and read back by every session; it never
//! changes afterwards. What it does not hold: weights, and anything about where it is stored.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::categories::Categories;
use crate::class_scores::{ClassScores, Pair};
use crate::engine_times::EngineTimes;

/// Element types that features and outputs can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// IEEE single precision.
    #[default]
    Float32,
    /// IEEE double precision.
    Float64,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// Boolean.
    Bool,
    /// UTF-8 text.
    #[serde(rename = "string")]
    Text,
}

impl ElementType {
    /// The name used in messages and listings: numpy's, and `string`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Text => "string",
        }
    }

    /// Whether NaN exists in this type.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a model is for; decides how its outputs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Two classes.
    BinaryClassification,
    /// More than two classes.
    MulticlassClassification,
    /// One number or several.
    Regression,
    /// A label and a score that says how ordinary a row is.
    Anomaly,
    /// A cluster number and distances.
    Clustering,
    /// Anything else: an embedding, for instance.
    Other,
}

impl Task {
    /// All tasks, in the order messages list them.
    pub const ALL: [Self; 6] = [
        Self::BinaryClassification,
        Self::MulticlassClassification,
        Self::Regression,
        Self::Anomaly,
        Self::Clustering,
        Self::Other,
    ];

    /// The name used in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BinaryClassification => "binary_classification",
            Self::MulticlassClassification => "multiclass_classification",
            Self::Regression => "regression",
            Self::Anomaly => "anomaly",
            Self::Clustering => "clustering",
            Self::Other => "other",
        }
    }

    /// The task of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Whether classes and probabilities make sense.
    #[must_use]
    pub fn is_classification(self) -> bool {
        matches!(self, Self::BinaryClassification | Self::MulticlassClassification)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many rows one call may carry in a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rows {
    /// The first axis is free: any number of rows.
    Free,
    /// The first axis is fixed: exactly so many.
    Fixed(usize),
    /// There is no row axis: one row a call.
    Single,
}

/// One tensor that the graph takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputTensor {
    /// The graph's name of it.
    pub name: String,
    /// Its element type.
    pub element: ElementType,
    /// Its axes after the row axis: `[]` for `[N]`, `[1]` for `[N, 1]`, `[30]` for `[N, 30]`.
    pub shape: Vec<usize>,
    /// Its row axis.
    pub rows: Rows,
}

impl InputTensor {
    /// How many features a row of this tensor holds.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.iter().fold(1, |product, axis| product.saturating_mul(*axis))
    }
}

/// One named feature and its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name, unique in the model; binding is by exactly this name.
    pub name: String,
    /// Index of its tensor.
    pub tensor: usize,
    /// Its position in a row of that tensor.
    pub position: usize,
    /// Its element type, the tensor's.
    pub element: ElementType,
    /// Whether it must be given (as a value or as NULL).
    pub required: bool,
    /// Whether NULL becomes NaN (or empty text); otherwise NULL is an error, unless there is a default.
    pub takes_missing: bool,
    /// Whether only whole numbers are accepted although the tensor is a float (a signature said integer or long).
    #[serde(default)]
    pub whole: bool,
    /// Whether it is a point in time that the tensor holds as a number (a signature said datetime): a text is read as one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instant: bool,
    /// The values of a category that the tensor holds by their codes; a row gives the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Categories>,
    /// What stands for a missing value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
}

impl Feature {
    /// The type of the values that a row gives, as listings name it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.categories.as_ref().map_or(self.element.name(), Categories::type_name)
    }
}

/// Features that follow each other and that a row gives as one array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vector {
    /// The name by which a row gives it.
    pub name: String,
    /// Index of its first feature.
    pub first: usize,
    /// How many features it has.
    pub count: usize,
}

impl Vector {
    /// The indexes of its features.
    #[must_use]
    pub fn features(&self) -> Range<usize> {
        self.first..self.first.saturating_add(self.count)
    }
}

/// One output of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputTensor {
    /// The name that people see.
    pub name: String,
    /// The tensor to fetch; differs from the name where the graph wraps the tensor into maps.
    pub tensor: String,
    /// Its element type.
    pub element: ElementType,
    /// Numbers a row, where known.
    pub width: Option<usize>,
    /// Which of its axes holds the rows.
    #[serde(default)]
    pub rows_axis: usize,
    /// The graph's outputs of one number a row that are put side by side to make it, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Whether the graph's type is a narrower one, such as float16.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub widened: bool,
}

/// The classes of a classifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    /// Labels as shown, in the order of the probabilities.
    pub labels: Vec<String>,
    /// Labels as the graph writes them, where they were renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_labels: Option<Vec<String>>,
}

impl Classes {
    /// Classes shown as the graph names them.
    #[must_use]
    pub fn new(labels: Vec<String>) -> Self {
        Self { labels, graph_labels: None }
    }

    /// The index of the class that the graph wrote; `None` for what is none of them.
    #[must_use]
    pub fn index(&self, written: &str) -> Option<usize> {
        let labels = self.graph_labels.as_ref().unwrap_or(&self.labels);
        labels.iter().position(|label| label == written).filter(|index| *index < self.labels.len())
    }

    /// Whether every label is a number, so that a class can be returned as one.
    #[must_use]
    pub fn are_numbers(&self) -> bool {
        self.labels.iter().all(|label| label.parse::<f64>().is_ok())
    }
}

/// Everything a session must know about a model besides its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Version of this structure, for what is stored.
    pub format: u32,
    /// What the model is for.
    pub task: Task,
    /// Its classes, for classifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// What the numbers of a classifier are.
    #[serde(default, skip_serializing_if = "ClassScores::are_default")]
    pub class_scores: ClassScores,
    /// How two of them hold one margin.
    #[serde(default, skip_serializing_if = "Pair::is_default")]
    pub pair: Pair,
    /// The tensors it takes.
    pub inputs: Vec<InputTensor>,
    /// Its features, in the order arrays are read.
    pub features: Vec<Feature>,
    /// Those of its features that a signature calls an array.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<Vector>,
    /// The tensors that a preprocessor graph passes on, in the order of the model graph's inputs; empty without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_on: Vec<String>,
    /// Its outputs.
    pub outputs: Vec<OutputTensor>,
    /// Rows that an engine is given in one call, see [`Interface::set_pace`].
    #[serde(default = "rows_at_once")]
    pub rows_at_once: usize,
    /// Why the answer to a row is not that row's alone, or not always the same, where registration found that: rows are then
    /// scored one at a time, and nothing may be built on the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varies: Option<String>,
    /// Whether a runtime was found to give rows that are scored together every bit that it gives each alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_same_together: bool,
    /// What both engines took at registration, where both can score it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_times: Option<EngineTimes>,
    /// Which output is the label (class, cluster, verdict), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<usize>,
    /// Which output holds the numbers (probabilities, values, scores, distances), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<usize>,
}

/// Most rows of one call, see [`Interface::set_pace`].
fn rows_at_once() -> usize {
    Interface::ROWS_AT_ONCE
}

impl Interface {
    /// The current [`Interface::format`].
    pub const FORMAT: u32 = 1;

    /// Most rows of one call.
    pub const ROWS_AT_ONCE: usize = 1024;

    /// How long one call may take, in microseconds: an engine is interrupted between calls, and some of them nowhere else.
    const CALL_MICROS: u128 = 2_000;

    /// Chooses the rows of one call from the time that one row takes. Done once, at registration: were it done by every
    /// session, the last bits of a score that a runtime computes in batches would differ from session to session.
    pub fn set_pace(&mut self, one_row: std::time::Duration) {
        let rows = usize::try_from(Self::CALL_MICROS / one_row.as_micros().max(1)).unwrap_or(Self::ROWS_AT_ONCE);
        let power = rows.checked_ilog2().map_or(1, |exponent| 1 << exponent);
        self.rows_at_once = power.min(Self::ROWS_AT_ONCE);
    }

    /// Whether all indexes are within bounds, for an interface that was read from storage.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let features = self.features.iter().all(|feature| {
            self.inputs
                .get(feature.tensor)
                .is_some_and(|tensor| feature.position < tensor.width() && feature.element == tensor.element)
                && (feature.categories.is_none() || feature.element.is_float())
        });
        let filled: usize = self.inputs.iter().map(InputTensor::width).fold(0, usize::saturating_add);
        let outputs = [self.label, self.main].into_iter().flatten().all(|index| index < self.outputs.len());
        let vectors =
            self.vectors.iter().all(|vector| vector.count > 0 && vector.features().end <= self.features.len());
        features && vectors && outputs && filled == self.features.len() && self.rows_at_once > 0
    }

    /// How many rows one call to an engine may carry; `None` is any number.
    #[must_use]
    pub fn rows_per_call(&self) -> Option<usize> {
        self.inputs
            .iter()
            .filter_map(|tensor| match tensor.rows {
                Rows::Free => None,
                Rows::Fixed(rows) => Some(rows.max(1)),
                Rows::Single => Some(1),
            })
            .min()
    }

    /// The array that a signature counts a feature to.
    #[must_use]
    pub fn vector_of(&self, feature: usize) -> Option<&Vector> {
        self.vectors.iter().find(|vector| vector.features().contains(&feature))
    }

    /// The output that holds the numbers.
    #[must_use]
    pub fn main_output(&self) -> Option<&OutputTensor> {
        self.main.and_then(|index| self.outputs.get(index))
    }

    /// Outputs that hold numbers and are not read.
    #[must_use]
    pub fn numbers_not_read(&self) -> Vec<&str> {
        let read = |index| self.main == Some(index) || self.label == Some(index);
        let others =
            self.outputs.iter().enumerate().filter(|(index, output)| !read(*index) && output.element.is_float());
        others.map(|(_, output)| output.name.as_str()).collect()
    }

    /// The output that holds the label.
    #[must_use]
    pub fn label_output(&self) -> Option<&OutputTensor> {
        self.label.and_then(|index| self.outputs.get(index))
    }
}
