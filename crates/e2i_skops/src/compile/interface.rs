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
use super::{COLUMNS_AT_MOST, Compiler, Table, TableColumn};
use crate::Model;
use crate::node::{File, Node};

/// Rows to try a model on.
const SAMPLES: usize = 64;

/// Attributes by which an estimator of estimators leads to the one that sees the features.
const INNER: [&str; 6] = ["best_estimator_", "estimator_", "steps", "transformer_list", "estimators_", "estimator"];

/// How many features an estimator was fitted to, and their names; asked of those inside it where it does not say itself.
fn fitted_to(node: Node<'_>, depth: usize) -> Result<Option<(usize, Option<Vec<String>>)>> {
    if depth == 0 {
        return Ok(None);
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
    let mut plan = PlanBuilder::default();
    let value = plan.input(ValueType::new(ElementType::Float64, count));
    let inputs = names.into_iter().map(Input::new).collect();
    let mut compiler = Compiler { plan, inputs, path: vec![] };
    let columns =
        (0..count).map(|feature| TableColumn { feature: Some(feature), missing_with: Some(feature) }).collect();
    let table = Table { value, columns };
    let answer = compiler.answer(root_name(root), root, &table)?;
    compiler.finish(answer)
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
    fn finish(mut self, answer: Answer) -> Result<Model> {
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
            Answer::Clusters { label, distances } => {
                let width = self.width_of(distances);
                let outputs =
                    vec![output("label", ElementType::Int64, 1), output("distances", ElementType::Float64, width)];
                (Task::Clustering, None, Some(label), Some(distances), outputs)
            }
            Answer::Table(table) if table.columns.is_empty() => {
                return Err(Error::new(Kind::BadModel, "the model gives no columns"));
            }
            Answer::Table(table) => {
                let outputs = vec![output("output", ElementType::Float64, table.width())];
                (Task::Other, None, None, Some(table.value), outputs)
            }
        };
        let features: Vec<Feature> = self.inputs.iter().enumerate().map(|(at, input)| input.feature(at)).collect();
        let inputs = vec![InputTensor {
            name: "features".to_owned(),
            element: ElementType::Float64,
            shape: vec![features.len()],
            rows: Rows::Free,
        }];
        let samples = samples(&self.inputs, &inputs);
        let interface = Interface {
            format: Interface::FORMAT,
            task,
            classes: shown.map(classes),
            class_scores: scores,
            pair: e2i_core::class_scores::Pair::default(),
            inputs,
            features,
            passed_on: vec![],
            label: label.map(|_| 0),
            main: main.map(|_| outputs.len() - 1),
            outputs,
            rows_at_once: Interface::ROWS_AT_ONCE,
            varies: None,
            is_same_together: false,
            engine_times: None,
        };
        Ok(Model { interface, plan: self.plan.finish(label, main)?, samples })
    }
}

/// The columns of a table that no step has looked at.
fn unread(inputs: &[Input], table: &Table) -> Table {
    let is_unread = |column: &&TableColumn| {
        column.feature.and_then(|feature| inputs.get(feature)).is_some_and(|input| input.holds == Holds::Anything)
    };
    Table { value: table.value, columns: table.columns.iter().filter(is_unread).copied().collect() }
}

/// Rows that take each value of a category in turn.
fn samples(inputs: &[Input], tensors: &[InputTensor]) -> Sample {
    let values: Vec<Option<Vec<f64>>> = inputs.iter().map(Input::samples).collect();
    let mut rows = Batch::new(tensors, SAMPLES);
    if let Some(Column::Float64(cells)) = rows.tensors_mut().first_mut().map(|tensor| &mut tensor.values) {
        for (at, cell) in cells.iter_mut().enumerate() {
            let (row, column) = (at / inputs.len(), at % inputs.len());
            if let Some(values) = values[column].as_ref().filter(|values| !values.is_empty()) {
                // Columns in different steps, so that not all of them begin again together.
                *cell = values[(row * (2 * column + 1) + column) % values.len()];
            }
        }
    }
    Sample { rows, closed: vec![values.iter().map(Option::is_some).collect()] }
}
