//! Reading outputs: what a prediction, a label, probabilities and a vector are, for each task.

use std::borrow::Cow;

use crate::batch::Column;
use crate::engine::{OutputSet, Outputs};
use crate::error::{Error, Kind, Result};
use crate::interface::{Classes, Interface, Task};

/// What a caller wants to know about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// One number.
    Prediction,
    /// One text.
    Label,
    /// One probability a class.
    Probabilities,
    /// Every number of the main output.
    Vector,
}

/// Checks that a model can answer a question, and says which outputs are needed for it.
///
/// `model` is the reference used in messages.
///
/// # Errors
/// [`Kind::WrongState`] with the function that does answer, by name.
pub fn needed(interface: &Interface, question: Question, model: &str) -> Result<OutputSet> {
    let task = interface.task;
    let refuse = |why: &str, instead: &str| {
        Err(Error::new(Kind::WrongState, format!("model {model} {why}")).with_hint(format!("Use {instead}.")))
    };
    let (has_label, has_main) = (interface.label.is_some(), interface.main.is_some());
    match question {
        Question::Prediction => match task {
            Task::MulticlassClassification => {
                if interface.classes.as_ref().is_some_and(|classes| !classes.are_numbers()) {
                    return refuse("has classes that are texts, not numbers", "e2i_predict_label or e2i_predict_proba");
                }
                Ok(if has_label { OutputSet::LABEL } else { OutputSet::MAIN })
            }
            Task::Clustering if has_label => Ok(OutputSet::LABEL),
            Task::Regression | Task::Other if !has_main => refuse("gives no numbers", "e2i_predict_label"),
            Task::Regression | Task::Other if interface.main_output().and_then(|o| o.width).is_some_and(|w| w != 1) => {
                refuse("gives several numbers a row", "e2i_predict_vector")
            }
            _ if has_main => Ok(OutputSet::MAIN),
            _ if interface.classes.as_ref().is_some_and(|classes| !classes.are_numbers()) => {
                refuse("gives a text label and no probabilities", "e2i_predict_label")
            }
            _ => Ok(OutputSet::LABEL),
        },
        Question::Label => match task {
            _ if has_label => Ok(OutputSet::LABEL),
            Task::BinaryClassification | Task::MulticlassClassification | Task::Clustering => Ok(OutputSet::MAIN),
            _ => {
                let several = interface.main_output().and_then(|output| output.width).is_some_and(|width| width != 1);
                let instead = if several { "e2i_predict_vector" } else { "e2i_predict" };
                refuse(&format!("has no labels, its task is {task}"), instead)
            }
        },
        Question::Probabilities => {
            if !task.is_classification() {
                return refuse(&format!("has no classes, its task is {task}"), "e2i_predict or e2i_predict_vector");
            }
            if !has_main {
                return refuse("gives a label but no probabilities", "e2i_predict_label");
            }
            Ok(OutputSet::MAIN)
        }
        Question::Vector if has_main => Ok(OutputSet::MAIN),
        Question::Vector => refuse("gives a label but no numbers", "e2i_predict_label"),
    }
}

/// The prediction of a row: a regression's value, the probability of a binary classifier's positive (second) class, a
/// class or cluster as a number, an anomaly detector's score.
///
/// # Errors
/// [`Kind::WrongState`] or [`Kind::Runtime`] when the outputs do not hold it.
pub fn prediction(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<f64> {
    match interface.task {
        Task::MulticlassClassification | Task::Clustering => class_number(interface, outputs, row, model),
        Task::BinaryClassification if interface.main.is_none() => class_number(interface, outputs, row, model),
        Task::Anomaly if interface.main.is_none() => class_number(interface, outputs, row, model),
        Task::BinaryClassification if outputs.width >= 2 => number(outputs, row, 1, model),
        _ if outputs.width == 1 => number(outputs, row, 0, model),
        _ => Err(Error::new(Kind::WrongState, format!("model {model} gives {} numbers a row", outputs.width))
            .with_hint("Use e2i_predict_vector.")),
    }
}

/// The label of a row: the class, the cluster, or an anomaly detector's verdict, as text.
///
/// # Errors
/// [`Kind::Runtime`] when the outputs do not hold it.
pub fn label<'o>(interface: &'o Interface, outputs: &'o Outputs, row: usize, model: &str) -> Result<Cow<'o, str>> {
    let shown = |written: &str| interface.classes.as_ref().map(|classes| classes.shown(written).to_owned());
    if interface.label.is_some() {
        return match &outputs.label {
            Column::Text(labels) => labels
                .get(row)
                .map(|written| match &interface.classes {
                    Some(classes) => Cow::Borrowed(classes.shown(written)),
                    None => Cow::Borrowed(written.as_str()),
                })
                .ok_or_else(|| short_output(model)),
            other => {
                let written = other.shown(row).ok_or_else(|| short_output(model))?;
                Ok(Cow::Owned(shown(&written).unwrap_or(written)))
            }
        };
    }
    let index = best_class(interface, outputs, row, model)?;
    match interface.classes.as_ref().and_then(|classes| classes.labels.get(index)) {
        Some(label) => Ok(Cow::Borrowed(label)),
        None => Ok(Cow::Owned(index.to_string())),
    }
}

/// Appends one probability a class; a single output of a binary classifier becomes both.
///
/// # Errors
/// [`Kind::Runtime`] when the outputs do not hold them.
pub fn probabilities(
    interface: &Interface,
    outputs: &Outputs,
    row: usize,
    model: &str,
    into: &mut Vec<f64>,
) -> Result<()> {
    if interface.task == Task::BinaryClassification && outputs.width == 1 {
        let positive = number(outputs, row, 0, model)?;
        into.extend([1.0 - positive, positive]);
        return Ok(());
    }
    vector(outputs, row, model, into)
}

/// Appends every number of the main output.
///
/// # Errors
/// [`Kind::Runtime`] when the outputs do not hold them.
pub fn vector(outputs: &Outputs, row: usize, model: &str, into: &mut Vec<f64>) -> Result<()> {
    for index in 0..outputs.width {
        into.push(number(outputs, row, index, model)?);
    }
    Ok(())
}

fn number(outputs: &Outputs, row: usize, index: usize, model: &str) -> Result<f64> {
    outputs.main.number(row * outputs.width + index).ok_or_else(|| short_output(model))
}

#[cold]
fn short_output(model: &str) -> Error {
    Error::new(Kind::Runtime, format!("model {model} returned fewer values than it was given rows"))
}

/// The class or cluster of a row as a number.
fn class_number(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<f64> {
    // Integer labels that were not renamed need no detour through text.
    let renamed = interface.classes.as_ref().is_some_and(|classes| classes.graph_labels.is_some());
    if interface.label.is_some()
        && !renamed
        && let Some(value) = outputs.label.number(row)
    {
        return Ok(value);
    }
    let label = label(interface, outputs, row, model)?;
    label.parse().map_err(|_| {
        Error::new(Kind::WrongState, format!("model {model} predicted the class {label:?}, which is no number"))
            .with_hint("Use e2i_predict_label or e2i_predict_proba.")
    })
}

/// Where a model gives only numbers: the first largest probability, or the first smallest distance.
fn best_class(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<usize> {
    let mut numbers = Vec::with_capacity(outputs.width.max(2));
    if interface.task == Task::Clustering {
        vector(outputs, row, model, &mut numbers)?;
        numbers.iter_mut().for_each(|distance| *distance = -*distance);
    } else {
        probabilities(interface, outputs, row, model, &mut numbers)?;
    }
    let best = numbers.iter().enumerate().fold(0, |best, (i, value)| if *value > numbers[best] { i } else { best });
    Ok(best)
}

/// Whether `labels` can name `width` classes; a binary classifier may give one number for its two.
#[must_use]
pub fn class_count_fits(classes: &Classes, task: Task, width: Option<usize>) -> bool {
    match width {
        Some(1) if task == Task::BinaryClassification => classes.labels.len() == 2,
        Some(width) => classes.labels.len() == width,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{ElementType, OutputTensor};

    fn interface(task: Task, labels: Option<&[&str]>, width: usize) -> Interface {
        let output = |name: &str, element, width| OutputTensor {
            name: name.into(),
            tensor: name.into(),
            element,
            width: Some(width),
            rows_axis: 0,
        };
        Interface {
            format: Interface::FORMAT,
            task,
            classes: labels.map(|labels| Classes::new(labels.iter().map(ToString::to_string).collect())),
            inputs: vec![],
            features: vec![],
            passed_on: vec![],
            rows_at_once: 1024,
            varies: None,
            outputs: vec![output("label", ElementType::Int64, 1), output("scores", ElementType::Float32, width)],
            label: Some(0),
            main: Some(1),
        }
    }

    fn outputs(label: i64, main: &[f64]) -> Outputs {
        Outputs { label: Column::Int64(vec![label]), main: Column::Float64(main.to_vec()), width: main.len() }
    }

    #[test]
    fn binary_prediction_is_the_second_class() {
        let model = interface(Task::BinaryClassification, Some(&["0", "1"]), 2);
        let outputs = outputs(1, &[0.3, 0.7]);
        assert_eq!(prediction(&model, &outputs, 0, "m").unwrap(), 0.7);
        assert_eq!(label(&model, &outputs, 0, "m").unwrap(), "1");
    }

    #[test]
    fn one_probability_becomes_two() {
        let mut model = interface(Task::BinaryClassification, Some(&["stay", "churn"]), 1);
        model.label = None;
        let outputs = outputs(0, &[0.75]);
        let mut both = vec![];
        probabilities(&model, &outputs, 0, "m", &mut both).unwrap();
        assert_eq!(both, [0.25, 0.75]);
        assert_eq!(label(&model, &outputs, 0, "m").unwrap(), "churn");
    }

    #[test]
    fn renamed_classes_are_shown_renamed() {
        let mut model = interface(Task::MulticlassClassification, Some(&["low", "mid", "high"]), 3);
        model.classes.as_mut().unwrap().graph_labels = Some(vec!["0".into(), "1".into(), "2".into()]);
        assert_eq!(label(&model, &outputs(2, &[0.1, 0.2, 0.7]), 0, "m").unwrap(), "high");
        let error = needed(&model, Question::Prediction, "m").unwrap_err();
        assert!(error.hint().unwrap().contains("e2i_predict_label"));
    }

    #[test]
    fn a_cluster_is_its_label_or_the_nearest() {
        let mut model = interface(Task::Clustering, None, 3);
        assert_eq!(prediction(&model, &outputs(2, &[5.0, 4.0, 1.0]), 0, "m").unwrap(), 2.0);
        model.label = None;
        assert_eq!(prediction(&model, &outputs(0, &[5.0, 0.5, 1.0]), 0, "m").unwrap(), 1.0);
    }

    #[test]
    fn questions_a_model_cannot_answer_name_the_one_it_can() {
        let regression = interface(Task::Regression, None, 3);
        let error = needed(&regression, Question::Prediction, "m:1").unwrap_err();
        assert_eq!(error.kind(), Kind::WrongState);
        assert!(error.hint().unwrap().contains("e2i_predict_vector"));
        assert!(needed(&regression, Question::Probabilities, "m:1").is_err());
        assert!(needed(&regression, Question::Vector, "m:1").is_ok());
    }
}
