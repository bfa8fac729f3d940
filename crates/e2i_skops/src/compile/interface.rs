//! What a compiled model takes and gives, and rows that it can be tried on.

use std::collections::HashSet;

use e2i_core::native::agreement::Sample;
use e2i_core::native::{PlanBuilder, ValueType};
use e2i_core::{
    Batch, Categories, Category, ClassScores, Classes, Column, ElementType, Error, Feature, InputTensor, Interface,
    Kind, OutputTensor, Result, Rows, Task, Unseen,
};

use super::answer::{Answer, Classified};
use super::inputs::{Holds, Input};
use super::libraries::library_features;
use super::texts::{VECTORIZERS, is_vectorizer, sample_texts};
use super::{COLUMNS_AT_MOST, Compiler, Table, TableColumn};
use crate::Model;
use crate::node::{File, Node};

/// Rows to try a model on.
const SAMPLES: usize = 64;

/// Estimators that replace what is missing, or say that it is: whether that is None is known when all steps are.
const REPLACERS: [&str; 2] = ["MissingIndicator", "SimpleImputer"];

/// Attributes by which an estimator of estimators leads to the one that sees the features.
const INNER: [&str; 6] = ["best_estimator_", "estimator_", "steps", "transformer_list", "estimators_", "estimator"];

/// How many features an estimator was fitted to, and their names; asked of those inside it where it does not say itself.
fn fitted_to(node: Node<'_>, depth: usize) -> Result<Option<(usize, Option<Vec<String>>)>> {
    if depth == 0 {
        return Ok(None);
    }
    if is_vectorizer(node) {
        return Ok(Some((1, Some(vec!["text".to_owned()]))));
    }
    // What takes one column alone knows no name of it.
    let alone = match node.class() {
        "IsotonicRegression" => Some("x"),
        "LabelBinarizer" | "LabelEncoder" => Some("label"),
        _ => None,
    };
    if let Some(name) = alone.filter(|_| node.is_of("sklearn")) {
        return Ok(Some((1, Some(vec![name.to_owned()]))));
    }
    let names = node
        .some("feature_names_in_")
        .map(|names| names.simples().map(|names| names.iter().map(super::answer::shown).collect()));
    let names: Option<Vec<String>> = names.transpose()?;
    if let Some(count) = node.some("n_features_in_") {
        return Ok(Some((count.count()?, names)));
    }
    if let Some(names) = names {
        return Ok(Some((names.len(), Some(names))));
    }
    if let Some(names) = library_features(node)? {
        return Ok(Some((names.len(), Some(names))));
    }
    for attribute in INNER {
        let Some(inner) = node.attribute(attribute) else { continue };
        if inner.attribute("n_features_in_").is_some() || inner.loader() == "ObjectNode" {
            if let Some(found) = fitted_to(inner, depth - 1)? {
                return Ok(Some(found));
            }
            continue;
        }
        for item in inner.items().unwrap_or_default() {
            // A name and an estimator, or an estimator.
            let estimator = match item.items() {
                Ok(pair) => pair.last().copied().unwrap_or(item),
                Err(_) => item,
            };
            if Compiler::is_skipped(estimator) || estimator.text().is_ok() {
                continue;
            }
            if let Some(found) = fitted_to(estimator, depth - 1)? {
                return Ok(Some(found));
            }
            // Of the steps of a pipeline only the first sees the features.
            break;
        }
    }
    Ok(None)
}

/// Compiles the model of a file.
pub(crate) fn compile(file: &File<'_>) -> Result<Model> {
    const DEEPEST: usize = 64;
    let root = file.root();
    let (count, names) = fitted_to(root, DEEPEST)?.ok_or_else(|| {
        Error::new(
            Kind::Unsupported,
            format!("the skops file holds a {}, and nothing says which features it takes", root.class()),
        )
        .with_hint("Save a fitted estimator or pipeline: skops.io.dump(pipeline, 'model.skops').")
    })?;
    if count == 0 || count > COLUMNS_AT_MOST {
        return Err(Error::new(Kind::BadModel, format!("the skops file holds a model of {count} features")));
    }
    let names = names.unwrap_or_else(|| (0..count).map(|index| format!("x{index}")).collect());
    if names.len() != count {
        return Err(Error::new(
            Kind::BadModel,
            format!("the model has {count} features and {} names of them", names.len()),
        ));
    }
    let mut seen = HashSet::with_capacity(count);
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(Error::new(Kind::BadModel, format!("the model has two features named {twice:?}")));
    }
    // Which features are texts made of words is known when all steps are: until then each may be. Likewise of None.
    let (mut words, mut nones) = (vec![], vec![]);
    let has_words = VECTORIZERS.iter().any(|class| file.mentions(class));
    if has_words || REPLACERS.iter().any(|class| file.mentions(class)) {
        let all: Vec<usize> = (0..count).collect();
        let mut compiler = Compiler::new(&names, &all, if has_words { &all } else { &[] });
        compiler.whole(root)?;
        words = (0..count).filter(|feature| compiler.inputs[*feature].holds == Holds::Words).collect();
        nones = (0..count).filter(|feature| compiler.inputs[*feature].null_is_none).collect();
    }
    let numbers: Vec<usize> = (0..count).filter(|feature| !words.contains(feature)).collect();
    let mut compiler = Compiler::new(&names, &numbers, &words);
    nones.into_iter().for_each(|feature: usize| compiler.inputs[feature].null_is_none = true);
    let answer = compiler.whole(root)?;
    compiler.finish(answer, &numbers, &words)
}

impl Compiler {
    /// A compiler of a model whose features are numbers, or texts made of words; or nobody knows yet, and they are both.
    fn new(names: &[String], numbers: &[usize], words: &[usize]) -> Self {
        let mut plan = PlanBuilder::default();
        let mut inputs: Vec<Input> = names.iter().cloned().map(Input::new).collect();
        let value = (!numbers.is_empty()).then(|| plan.input(ValueType::new(ElementType::Float64, numbers.len())));
        let texts = (!words.is_empty()).then(|| plan.input(ValueType::new(ElementType::Text, words.len())));
        words.iter().enumerate().for_each(|(place, feature)| inputs[*feature].place = Some(place));
        let mut compiler = Self { plan, inputs, texts, path: vec![], features: 0, trees: vec![] };
        if let Some(value) = value {
            // A column for each feature, so that a step finds its own; of those that are no numbers nothing reads it.
            let place = |feature| numbers.iter().position(|number| *number == feature).unwrap_or(0);
            compiler.features = compiler.pick(value, &(0..names.len()).map(place).collect::<Vec<_>>());
        }
        compiler
    }

    /// What the outermost estimator answers.
    fn whole(&mut self, root: Node<'_>) -> Result<Answer> {
        let column = |feature| TableColumn { feature: Some(feature), missing_with: Some(feature) };
        let table = Table { value: self.features, columns: (0..self.inputs.len()).map(column).collect() };
        self.answer(root_name(root), root, &table)
    }
}

/// How the outermost estimator is called: nothing but steps inside it has a name.
fn root_name(root: Node<'_>) -> &'static str {
    if root.class() == "Pipeline" { "pipeline" } else { "model" }
}

fn output(name: &str, element: ElementType, width: usize) -> OutputTensor {
    OutputTensor {
        name: name.to_owned(),
        tensor: name.to_owned(),
        element,
        width: Some(width),
        ..OutputTensor::default()
    }
}

/// Classes as they are shown, beside the numbers that the plan writes.
fn classes(shown: Vec<String>) -> Classes {
    let written: Vec<String> = (0..shown.len()).map(|class| class.to_string()).collect();
    let graph_labels = (written != shown).then_some(written);
    Classes { labels: shown, graph_labels }
}

impl Input {
    fn feature(&self, position: usize) -> Feature {
        // A column that every step leaves out has no categories and no numbers: it may be anything, and need not be there.
        let is_read = self.holds != Holds::Anything;
        let categories = (!is_read || self.holds == Holds::Texts).then(|| Categories {
            values: self.texts.iter().map(|text| Category::Text(text.clone())).collect(),
            unseen: if self.refuses_unseen == Some(true) { Unseen::Refused } else { Unseen::Apart },
        });
        Feature {
            name: self.name.clone(),
            tensor: 0,
            position,
            element: ElementType::Float64,
            required: is_read,
            takes_missing: self.takes_missing,
            whole: false,
            instant: false,
            categories,
            default: None,
        }
    }

    /// A feature that is a text made of words.
    fn text(&self, tensor: usize, position: usize) -> Feature {
        Feature {
            name: self.name.clone(),
            tensor,
            position,
            element: ElementType::Text,
            required: true,
            takes_missing: self.takes_missing,
            whole: false,
            instant: false,
            categories: None,
            default: None,
        }
    }

    /// Values that the model takes, if it does not take any number.
    fn samples(&self) -> Option<Vec<f64>> {
        let missing = self.takes_missing.then_some(f64::NAN);
        let refuses = self.refuses_unseen == Some(true);
        if self.holds == Holds::Texts {
            let codes = (0..self.texts.len()).map(|code| code as f64);
            return Some(codes.chain((!refuses).then_some(self.texts.len() as f64)).chain(missing).collect());
        }
        (!self.numbers.is_empty()).then(|| {
            let unseen = (!refuses).then_some(1.0 / 3.0);
            self.numbers.iter().copied().chain(unseen).chain(missing).collect()
        })
    }
}

impl Compiler {
    fn finish(mut self, answer: Answer, numbers: &[usize], words: &[usize]) -> Result<Model> {
        if let Answer::Table(table) = &answer {
            // What passes through unread comes out as a number.
            self.take_numbers(&unread(&self.inputs, table))?;
        }
        let mut scores = ClassScores::default();
        let (task, shown, label, main, outputs) = match answer {
            Answer::Classes(Classified { classes: shown, label, decision, probabilities }) => {
                let task = if shown.len() == 2 { Task::BinaryClassification } else { Task::MulticlassClassification };
                let main = probabilities.or(decision);
                if probabilities.is_none() && decision.is_some() {
                    scores = ClassScores::OperatorMargin;
                }
                let name = if probabilities.is_some() { "probabilities" } else { "decision" };
                let mut outputs = vec![output("label", ElementType::Int64, 1)];
                outputs.extend(main.map(|main| output(name, ElementType::Float64, self.width_of(main))));
                (task, Some(shown), Some(label), main, outputs)
            }
            Answer::Values(value) => {
                let outputs = vec![output("prediction", ElementType::Float64, self.width_of(value))];
                (Task::Regression, None, None, Some(value), outputs)
            }
            Answer::Anomaly { verdict, score } => {
                let outputs = vec![output("label", ElementType::Int64, 1), output("score", ElementType::Float64, 1)];
                (Task::Anomaly, None, Some(verdict), Some(score), outputs)
            }
            Answer::Clusters { label, scores, name } => {
                let width = self.width_of(scores);
                let outputs = vec![output("label", ElementType::Int64, 1), output(name, ElementType::Float64, width)];
                (Task::Clustering, None, Some(label), Some(scores), outputs)
            }
            Answer::Table(table) if table.columns.is_empty() => {
                return Err(Error::new(Kind::BadModel, "the model gives no columns"));
            }
            Answer::Table(table) => {
                let outputs = vec![output("output", ElementType::Float64, table.width())];
                (Task::Other, None, None, Some(table.value), outputs)
            }
        };
        let place = |feature| numbers.iter().position(|number| *number == feature).unwrap_or(0);
        let tensor = usize::from(!numbers.is_empty());
        let features: Vec<Feature> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(at, input)| match input.place {
                Some(position) => input.text(tensor, position),
                None => input.feature(place(at)),
            })
            .collect();
        let inputs: Vec<InputTensor> =
            [("features", ElementType::Float64, numbers), ("texts", ElementType::Text, words)]
                .into_iter()
                .filter(|(.., features)| !features.is_empty())
                .map(|(name, element, features)| InputTensor {
                    name: name.to_owned(),
                    element,
                    shape: vec![features.len()],
                    rows: Rows::Free,
                })
                .collect();
        let samples = samples(&self.inputs, &inputs, numbers, words);
        let interface = Interface {
            format: Interface::FORMAT,
            task,
            classes: shown.map(classes),
            class_scores: scores,
            pair: e2i_core::class_scores::Pair::default(),
            inputs,
            features,
            vectors: vec![],
            passed_on: vec![],
            label: label.map(|_| 0),
            main: main.map(|_| outputs.len() - 1),
            outputs,
            rows_at_once: Interface::ROWS_AT_ONCE,
            varies: None,
            is_same_together: false,
            engine_times: None,
        };
        Ok(Model { interface, plan: self.plan.finish(label, main)?, samples, unknown_version: None, trees: self.trees })
    }
}

/// The columns of a table that are features as they are.
fn unread(inputs: &[Input], table: &Table) -> Table {
    let is_feature = |column: &&TableColumn| column.feature.and_then(|feature| inputs.get(feature)).is_some();
    Table { value: table.value, columns: table.columns.iter().filter(is_feature).copied().collect() }
}

/// Rows that take each value of a category in turn.
fn samples(inputs: &[Input], tensors: &[InputTensor], numbers: &[usize], words: &[usize]) -> Sample {
    let values: Vec<Option<Vec<f64>>> = numbers.iter().map(|feature| inputs[*feature].samples()).collect();
    let texts: Vec<Vec<String>> = words.iter().map(|feature| sample_texts(&inputs[*feature].texts)).collect();
    let mut rows = Batch::new(tensors, SAMPLES);
    for tensor in rows.tensors_mut() {
        // Columns in different steps, so that not all of them begin again together.
        let turn = |row: usize, column: usize| row * (2 * column + 1) + column;
        match &mut tensor.values {
            Column::Float64(cells) => {
                for (at, cell) in cells.iter_mut().enumerate() {
                    let (row, column) = (at / values.len(), at % values.len());
                    if let Some(values) = values[column].as_ref().filter(|values| !values.is_empty()) {
                        *cell = values[turn(row, column) % values.len()];
                    }
                }
            }
            Column::Text(cells) => {
                for (at, cell) in cells.iter_mut().enumerate() {
                    let (row, column) = (at / texts.len(), at % texts.len());
                    cell.clone_from(&texts[column][turn(row, column) % texts[column].len()]);
                }
            }
            _ => {}
        }
    }
    let closed = |column: &Column, width| match column {
        Column::Float64(_) => values.iter().map(Option::is_some).collect(),
        _ => vec![false; width],
    };
    let closed = rows.tensors().iter().map(|tensor| closed(&tensor.values, tensor.width)).collect();
    Sample { rows, closed }
}
