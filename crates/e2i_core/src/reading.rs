//! Reading outputs: what a prediction, a label, probabilities and a vector are, for each task.

use std::borrow::Cow;

use crate::batch::Column;
use crate::class_scores::{ClassScores, Pair};
use crate::engine::{OutputSet, Outputs};
use crate::error::{Error, Kind, Result};
use crate::interface::{Classes, Interface, Task};
use crate::names::quoted;
use crate::native::arithmetic::own::{logistic_double, softmax};

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
            Task::BinaryClassification if has_main && !interface.class_scores.gives_prediction() => {
                Err(no_probabilities(interface, model))
            }
            _ if has_main => Ok(OutputSet::MAIN),
            _ if interface.classes.as_ref().is_some_and(|classes| !classes.are_numbers()) => {
                refuse("gives a text label and no probabilities", "e2i_predict_label")
            }
            _ => Ok(OutputSet::LABEL),
        },
        Question::Label => match task {
            _ if has_label => Ok(OutputSet::LABEL),
            Task::BinaryClassification if interface.class_scores == ClassScores::Unknown && !has_several(interface) => {
                Err(no_probabilities(interface, model))
            }
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
            if !interface.class_scores.give_probabilities() {
                return Err(no_probabilities(interface, model));
            }
            Ok(OutputSet::MAIN)
        }
        Question::Vector if has_main => Ok(OutputSet::MAIN),
        Question::Vector => refuse("gives a label but no numbers", "e2i_predict_label"),
    }
}

/// What a model server calls the prediction of a model: the number that [`prediction`] reads where there is one, else the label,
/// else every number.
#[must_use]
pub fn served(interface: &Interface, model: &str) -> Question {
    let can = |question| needed(interface, question, model).is_ok();
    let has_labels = interface.task.is_classification() || interface.main.is_none();
    match () {
        () if can(Question::Prediction) => Question::Prediction,
        () if has_labels && can(Question::Label) => Question::Label,
        () => Question::Vector,
    }
}

fn has_several(interface: &Interface) -> bool {
    interface.main_output().and_then(|output| output.width).is_some_and(|width| width > 1)
}

/// What numbers that are no probabilities are refused with: the ways out.
#[cold]
fn no_probabilities(interface: &Interface, model: &str) -> Error {
    let label = interface.label.is_some() || interface.class_scores != ClassScores::Unknown || has_several(interface);
    let others = if label { "e2i_predict_label or e2i_predict_vector" } else { "e2i_predict_vector" };
    let message = match interface.class_scores {
        ClassScores::Unknown => format!("the numbers of model {model} are no probabilities"),
        scores => format!("the numbers of model {model} are {scores}, no probabilities"),
    };
    let link = if has_several(interface) && interface.pair == Pair::Each { "softmax" } else { "the logistic function" };
    let is_margin = interface.task == Task::BinaryClassification && interface.class_scores != ClassScores::Margin;
    let margin = if is_margin { " With 'margin', e2i_predict is the margin." } else { "" };
    Error::new(Kind::WrongState, message).with_hint(format!(
        "Use {others}. If {link} makes probabilities of them, register it with class_scores => 'logit'.{margin}"
    ))
}

/// The prediction of a row: a regression's value, the probability of a binary classifier's positive (second) class, or its
/// margin where that was stated, a class or cluster as a number, an anomaly detector's score.
///
/// # Errors
/// [`Kind::WrongState`] or [`Kind::Runtime`] when the outputs do not hold it.
#[inline]
pub fn prediction(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<f64> {
    match interface.task {
        Task::MulticlassClassification | Task::Clustering => class_number(interface, outputs, row, model),
        Task::BinaryClassification if interface.main.is_none() => class_number(interface, outputs, row, model),
        Task::Anomaly if interface.main.is_none() => class_number(interface, outputs, row, model),
        Task::BinaryClassification if interface.class_scores != ClassScores::Probability => {
            let margin = margin(interface, outputs, row, model)?;
            Ok(if interface.class_scores == ClassScores::Logit { logistic_double(margin) } else { margin })
        }
        Task::BinaryClassification if outputs.width >= 2 => number(outputs, row, 1, model),
        _ if outputs.width == 1 => number(outputs, row, 0, model),
        _ => Err(Error::new(Kind::WrongState, format!("model {model} gives {} numbers a row", outputs.width))
            .with_hint("Use e2i_predict_vector.")),
    }
}

/// The label of a row: the class, the cluster, or an anomaly detector's verdict, as text. A classifier's is always one of
/// the interface's classes.
///
/// # Errors
/// [`Kind::Runtime`] when the outputs do not hold it, or hold what is none of the classes.
pub fn label<'o>(interface: &'o Interface, outputs: &'o Outputs, row: usize, model: &str) -> Result<Cow<'o, str>> {
    if interface.label.is_none() {
        let index = best_class(interface, outputs, row, model)?;
        return Ok(match interface.classes.as_ref().and_then(|classes| classes.labels.get(index)) {
            Some(label) => Cow::Borrowed(label),
            None => Cow::Owned(index.to_string()),
        });
    }
    let Some(classes) = &interface.classes else {
        return match &outputs.label {
            Column::Text(labels) => labels.get(row).map(|written| Cow::Borrowed(written.as_str())),
            other => other.shown(row).map(Cow::Owned),
        }
        .ok_or_else(|| short_output(model))
        .and_then(|label| if label.contains('\0') { Err(zero_byte(model, &label)) } else { Ok(label) });
    };
    match written_class(classes, outputs, row) {
        Some(index) => Ok(Cow::Borrowed(&classes.labels[index])),
        None => Err(foreign_label(classes, outputs, row, model)),
    }
}

/// The index of the class that the model wrote for a row; `None` if it is none of them.
#[must_use]
pub fn written_class(classes: &Classes, outputs: &Outputs, row: usize) -> Option<usize> {
    match &outputs.label {
        Column::Text(labels) => classes.index(labels.get(row)?),
        Column::Bool(labels) => {
            let label = *labels.get(row)?;
            classes.index(if label { "true" } else { "false" }).or_else(|| classes.index(if label { "1" } else { "0" }))
        }
        other => classes.index(&other.shown(row)?),
    }
}

#[cold]
fn foreign_label(classes: &Classes, outputs: &Outputs, row: usize, model: &str) -> Error {
    let Some(written) = outputs.label.shown(row) else { return short_output(model) };
    let known = quoted(classes.graph_labels.as_ref().unwrap_or(&classes.labels).iter().map(String::as_str));
    Error::new(
        Kind::Runtime,
        format!("model {model} answered the label {written:?}, which is none of its classes {known}"),
    )
    .with_hint(
        "Use e2i_predict_proba, or register it with class_labels => ARRAY[…], in the order of the probabilities.",
    )
}

#[cold]
fn zero_byte(model: &str, label: &str) -> Error {
    Error::new(Kind::Runtime, format!("model {model} answered the label {label:?}, which holds a zero byte"))
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
    let is_binary = interface.task == Task::BinaryClassification;
    if interface.class_scores == ClassScores::Probability {
        if is_binary && outputs.width == 1 {
            let positive = number(outputs, row, 0, model)?;
            into.extend([1.0 - positive, positive]);
            return Ok(());
        }
        return numbers(outputs, row, model, into);
    }
    if is_binary {
        let odds = margin(interface, outputs, row, model)?;
        into.extend([logistic_double(-odds), logistic_double(odds)]);
        return Ok(());
    }
    let start = into.len();
    numbers(outputs, row, model, into)?;
    softmax(&mut into[start..]);
    Ok(())
}

/// Appends every number of the main output; of a classifier in the order of its classes.
///
/// # Errors
/// [`Kind::Runtime`] when the outputs do not hold them.
pub fn vector(interface: &Interface, outputs: &Outputs, row: usize, model: &str, into: &mut Vec<f64>) -> Result<()> {
    let start = into.len();
    numbers(outputs, row, model, into)?;
    if interface.pair == Pair::Reversed {
        into[start..].reverse();
    }
    Ok(())
}

fn numbers(outputs: &Outputs, row: usize, model: &str, into: &mut Vec<f64>) -> Result<()> {
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

/// A binary classifier's one margin, above 0 where the second class is predicted; of logits the logarithm of its odds.
fn margin(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<f64> {
    match (outputs.width, interface.pair) {
        (2, Pair::Each) => Ok(number(outputs, row, 1, model)? - number(outputs, row, 0, model)?),
        (2, Pair::Mirrored | Pair::Complement) => number(outputs, row, 1, model),
        _ => number(outputs, row, 0, model),
    }
}

/// The class or cluster of a row as a number.
fn class_number(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<f64> {
    // Without classes, integer labels need no detour through text.
    if interface.label.is_some()
        && interface.classes.is_none()
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

/// Where a model gives only numbers: the first largest one, the second class where the only one is beyond the border, or the
/// first smallest distance.
fn best_class(interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<usize> {
    if interface.task == Task::BinaryClassification {
        let is_probability = interface.class_scores == ClassScores::Probability;
        return Ok(usize::from(match (is_probability, outputs.width) {
            (true, 1) => number(outputs, row, 0, model)? > 0.5,
            (true, _) => number(outputs, row, 1, model)? > number(outputs, row, 0, model)?,
            (false, _) => margin(interface, outputs, row, model)? > 0.0,
        }));
    }
    let sign = if interface.task == Task::Clustering { -1.0 } else { 1.0 };
    let (mut best, mut greatest) = (0, f64::NAN);
    for index in 0..outputs.width {
        let number = sign * number(outputs, row, index, model)?;
        if index == 0 || number > greatest {
            (best, greatest) = (index, number);
        }
    }
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
            ..OutputTensor::default()
        };
        Interface {
            format: Interface::FORMAT,
            task,
            classes: labels.map(|labels| Classes::new(labels.iter().map(ToString::to_string).collect())),
            class_scores: crate::class_scores::ClassScores::default(),
            pair: crate::class_scores::Pair::default(),
            inputs: vec![],
            features: vec![],
            vectors: vec![],
            passed_on: vec![],
            rows_at_once: 1024,
            varies: None,
            is_same_together: false,
            engine_times: None,
            outputs: vec![output("label", ElementType::Int64, 1), output("scores", ElementType::Float32, width)],
            label: Some(0),
            main: Some(1),
        }
    }

    fn outputs(label: i64, main: &[f64]) -> Outputs {
        Outputs {
            label: Column::Int64(vec![label]),
            main: Column::Float64(main.to_vec()),
            width: main.len(),
            ..Outputs::default()
        }
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
    fn a_label_that_is_no_class_is_an_error_that_names_it() {
        let mut model = interface(Task::BinaryClassification, Some(&["1", "2"]), 2);
        let error = label(&model, &outputs(0, &[0.7, 0.3]), 0, "m:1").unwrap_err();
        assert_eq!(error.message(), "model m:1 answered the label \"0\", which is none of its classes \"1\", \"2\"");
        assert_eq!(label(&model, &outputs(2, &[0.7, 0.3]), 0, "m:1").unwrap(), "2");
        model.classes = None;
        let text = Outputs { label: Column::Text(vec!["a\0b".into()]), ..outputs(0, &[0.5]) };
        assert!(label(&model, &text, 0, "m:1").unwrap_err().message().contains("zero byte"));
    }

    #[test]
    fn a_logit_is_above_one_half_where_it_is_positive() {
        let mut model = interface(Task::BinaryClassification, Some(&["0", "1"]), 1);
        (model.label, model.class_scores) = (None, ClassScores::Logit);
        let logit = outputs(0, &[0.3]);
        assert!((prediction(&model, &logit, 0, "m").unwrap() - 0.574_442_516_811_659).abs() < 1e-15);
        assert_eq!(label(&model, &logit, 0, "m").unwrap(), "1");
        model.class_scores = ClassScores::Margin;
        assert_eq!(label(&model, &logit, 0, "m").unwrap(), "1");
        assert_eq!(prediction(&model, &logit, 0, "m").unwrap(), 0.3);
        assert!(needed(&model, Question::Prediction, "m").is_ok() && needed(&model, Question::Label, "m").is_ok());
        assert!(needed(&model, Question::Probabilities, "m").is_err());
        model.class_scores = ClassScores::OperatorMargin;
        assert!(needed(&model, Question::Prediction, "m").is_err() && needed(&model, Question::Label, "m").is_ok());
        model.class_scores = ClassScores::Unknown;
        assert!(needed(&model, Question::Label, "m").is_err() && needed(&model, Question::Vector, "m").is_ok());
    }

    #[test]
    fn softmax_of_logits_sums_to_one_however_large_they_are() {
        let mut model = interface(Task::MulticlassClassification, Some(&["0", "1", "2"]), 3);
        (model.label, model.class_scores) = (None, ClassScores::Logit);
        let mut got = vec![];
        probabilities(&model, &outputs(0, &[1e4, 1e4, -1e4]), 0, "m", &mut got).unwrap();
        assert_eq!(got, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn margins_the_other_way_round_are_turned() {
        let mut model = interface(Task::BinaryClassification, Some(&["no", "yes"]), 2);
        (model.class_scores, model.pair) = (ClassScores::Margin, Pair::Reversed);
        let mut got = vec![];
        vector(&model, &outputs(0, &[-1.5, 1.5]), 0, "m", &mut got).unwrap();
        assert_eq!(got, [1.5, -1.5]);
        assert_eq!(prediction(&model, &outputs(0, &[-1.5, 1.5]), 0, "m").unwrap(), -1.5);
        (model.class_scores, model.label) = (ClassScores::Logit, None);
        assert!(prediction(&model, &outputs(0, &[-1.5, 1.5]), 0, "m").unwrap() < 0.2);
        assert_eq!(label(&model, &outputs(0, &[-1.5, 1.5]), 0, "m").unwrap(), "no");
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

    #[test]
    fn a_model_server_predicts_a_number_or_a_label_or_all_numbers() {
        let texts = Some(&["low", "high", "none"][..]);
        let mut model = interface(Task::MulticlassClassification, texts, 3);
        assert_eq!(served(&model, "m:1"), Question::Label);
        model.classes = None;
        assert_eq!(served(&model, "m:1"), Question::Prediction);
        assert_eq!(served(&interface(Task::Regression, None, 1), "m:1"), Question::Prediction);
        assert_eq!(served(&interface(Task::Regression, None, 3), "m:1"), Question::Vector);
        // A number that nobody knows the meaning of is no label.
        let mut scores = interface(Task::BinaryClassification, Some(&["no", "yes"]), 1);
        (scores.label, scores.class_scores) = (None, ClassScores::Unknown);
        assert_eq!(served(&scores, "m:1"), Question::Vector);
    }
}
