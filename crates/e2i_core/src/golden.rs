//! Golden rows: rows with what training predicted for them, so that a model can prove that it scores the same.
//!
//! Written as a JSON list of `{"features": …, "prediction": …, "label": …, "probabilities": […], "vector": […]}`;
//! features as everywhere, an object by name or an array by position, and at least one output. An output that is null or
//! left out is not compared.

use serde_json::{Map, Value};

use crate::batch::Batch;
use crate::bind::Binder;
use crate::engine::{OutputSet, Outputs};
use crate::error::{Error, Kind, Result};
use crate::interface::Interface;
use crate::reading::{self, Question, needed};
use crate::value::{Scalar, float_text};

/// Differences that an error lists.
const SHOWN: usize = 5;

/// Golden rows of a version.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    rows: Vec<Example>,
    tolerance: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Example {
    features: Value,
    expected: Vec<Expected>,
}

#[derive(Debug, Clone, PartialEq)]
enum Expected {
    Prediction(f64),
    Label(String),
    Probabilities(Vec<f64>),
    Vector(Vec<f64>),
}

/// One output of one row, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The row, from 1.
    pub row: usize,
    /// `prediction`, `label`, `probabilities` or `vector`.
    pub output: &'static str,
    /// What training predicted; several numbers as an SQL array.
    pub expected: String,
    /// What the model gives.
    pub got: String,
    /// The difference, the largest of several; `None` for labels and where the counts differ.
    pub difference: Option<f64>,
    /// Whether they agree.
    pub ok: bool,
    /// The place and the numbers of the largest of several differences.
    worst: Option<(usize, f64, f64)>,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::BadOption, message).with_hint(
        r#"Golden rows are [{"features": {"age": 41}, "prediction": 0.7, "label": "1", "probabilities": [0.3, 0.7]}, …]; one output is enough."#,
    )
}

impl Examples {
    /// Two numbers agree when they differ by at most this part of the expected one, or of 1 if that is larger.
    pub const TOLERANCE: f64 = 1e-4;

    /// Reads golden rows.
    ///
    /// # Errors
    /// [`Kind::BadOption`] saying what is not of the expected form.
    pub fn parse(rows: &Value, tolerance: Option<f64>) -> Result<Self> {
        let tolerance = tolerance.unwrap_or(Self::TOLERANCE);
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            return Err(Error::new(Kind::BadOption, format!("the tolerance is {}", float_text(tolerance)))
                .with_hint("It is a part of the expected number, 1e-4 for instance."));
        }
        let Value::Array(rows) = rows else {
            return Err(bad("the examples are not a JSON array"));
        };
        if rows.is_empty() {
            return Err(bad("the examples are an empty array"));
        }
        let rows = rows.iter().enumerate().map(|(row, value)| Example::parse(value, row + 1));
        Ok(Self { rows: rows.collect::<Result<_>>()?, tolerance })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Binds the features of the first `rows` rows.
    ///
    /// # Errors
    /// What is wrong with them, as for any other row.
    pub fn bind(&self, binder: &Binder, rows: usize) -> Result<Batch> {
        let rows = rows.min(self.rows.len());
        let mut batch = Batch::new(&binder.interface().inputs, rows);
        for (row, example) in self.rows.iter().take(rows).enumerate() {
            example.bind(binder, &mut batch, row).map_err(|error| error.in_row(row + 1))?;
        }
        Ok(batch)
    }

    /// Which outputs of a model are needed for the comparison.
    ///
    /// # Errors
    /// [`Kind::WrongState`] when the model has no such output.
    pub fn needed(&self, interface: &Interface, model: &str) -> Result<OutputSet> {
        let mut wanted = OutputSet { label: false, main: false };
        for (row, example) in self.rows.iter().enumerate() {
            for expected in &example.expected {
                let set = needed(interface, expected.question(), model).map_err(|error| error.in_row(row + 1))?;
                wanted = OutputSet { label: wanted.label || set.label, main: wanted.main || set.main };
            }
        }
        Ok(wanted)
    }

    /// Has all rows scored, and compares.
    ///
    /// # Errors
    /// What binding, `score` or reading the outputs reports; a difference is no error.
    pub fn prove(
        &self,
        binder: &Binder,
        score: impl FnOnce(&Batch, OutputSet, &mut Outputs) -> Result<()>,
    ) -> Result<Vec<Check>> {
        let wanted = self.needed(binder.interface(), binder.model())?;
        let batch = self.bind(binder, self.len())?;
        let mut outputs = Outputs::default();
        score(&batch, wanted, &mut outputs)?;
        self.compare(binder.interface(), &outputs, binder.model())
    }

    /// Compares what a model gave for all rows, in order.
    ///
    /// # Errors
    /// What reading the outputs reports.
    pub fn compare(&self, interface: &Interface, outputs: &Outputs, model: &str) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for (row, example) in self.rows.iter().enumerate() {
            for expected in &example.expected {
                checks.push(self.check(expected, interface, outputs, row, model)?);
            }
        }
        Ok(checks)
    }

    fn check(
        &self,
        expected: &Expected,
        interface: &Interface,
        outputs: &Outputs,
        row: usize,
        model: &str,
    ) -> Result<Check> {
        let check = |expected: String, got: String, ok| Check {
            row: row + 1,
            output: "",
            expected,
            got,
            difference: None,
            ok,
            worst: None,
        };
        let check = match expected {
            Expected::Prediction(number) => {
                let got = reading::prediction(interface, outputs, row, model)?;
                let (difference, ok) = self.difference(*number, got);
                Check { difference: Some(difference), ..check(float_text(*number), float_text(got), ok) }
            }
            Expected::Label(label) => {
                let got = reading::label(interface, outputs, row, model)?;
                check(label.clone(), got.to_string(), *label == got)
            }
            Expected::Probabilities(numbers) | Expected::Vector(numbers) => {
                let mut got = Vec::with_capacity(numbers.len());
                match expected {
                    Expected::Vector(_) => reading::vector(interface, outputs, row, model, &mut got)?,
                    _ => reading::probabilities(interface, outputs, row, model, &mut got)?,
                }
                let texts = check(array_text(numbers), array_text(&got), false);
                if numbers.len() == got.len() { self.check_all(numbers, &got, texts) } else { texts }
            }
        };
        Ok(Check { output: expected.name(), ..check })
    }

    fn check_all(&self, expected: &[f64], got: &[f64], texts: Check) -> Check {
        let mut check = Check { ok: true, difference: Some(0.0), ..texts };
        for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
            let (difference, ok) = self.difference(*expected, *got);
            // The first that disagrees stands before larger ones that agree; NaN is larger than all.
            let larger = !check.difference.is_some_and(|known| difference <= known);
            if (check.ok && !ok) || (check.ok == ok && larger) {
                check.difference = Some(difference);
                check.worst = Some((index, *expected, *got));
            }
            check.ok &= ok;
        }
        check
    }

    /// The difference, and whether it is within the tolerance.
    fn difference(&self, expected: f64, got: f64) -> (f64, bool) {
        if expected == got || (expected.is_nan() && got.is_nan()) {
            return (0.0, true);
        }
        let difference = (expected - got).abs();
        (difference, difference <= self.tolerance * expected.abs().max(1.0) && expected.is_finite())
    }

    /// An error with the first differences, if there are any.
    ///
    /// # Errors
    /// [`Kind::BadModel`].
    pub fn judge(&self, checks: &[Check]) -> Result<()> {
        let wrong: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let mut detail: Vec<String> = wrong.iter().take(SHOWN).map(|check| check.to_string()).collect();
        if wrong.len() > SHOWN {
            detail.push(format!("And {} more.", wrong.len() - SHOWN));
        }
        let message = format!(
            "the model does not score its examples as expected: {} of {} outputs differ by more than the tolerance {}",
            wrong.len(),
            checks.len(),
            float_text(self.tolerance)
        );
        Err(Error::new(Kind::BadModel, message).with_detail(detail.join("\n")))
    }
}

impl Example {
    fn parse(value: &Value, row: usize) -> Result<Self> {
        let Value::Object(fields) = value else {
            return Err(bad("an example is not a JSON object").in_row(row));
        };
        const KNOWN: [&str; 5] = ["features", "prediction", "label", "probabilities", "vector"];
        if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(bad(format!("an example has an unknown field {unknown:?}")).in_row(row));
        }
        let features = match fields.get("features") {
            Some(features @ (Value::Object(_) | Value::Array(_))) => features.clone(),
            Some(_) => return Err(bad("the features of an example are neither an object nor an array").in_row(row)),
            None => return Err(bad("an example has no features").in_row(row)),
        };
        let expected = expected(fields).map_err(|error| error.in_row(row))?;
        if expected.is_empty() {
            return Err(bad("an example has features and nothing to compare").in_row(row));
        }
        Ok(Self { features, expected })
    }

    fn bind(&self, binder: &Binder, batch: &mut Batch, row: usize) -> Result<()> {
        let (layout, values): (_, Vec<&Value>) = match &self.features {
            Value::Object(fields) => {
                (binder.layout_by_name(fields.keys().map(String::as_str))?, fields.values().collect())
            }
            Value::Array(values) => (binder.layout_by_position(values.len())?, values.iter().collect()),
            _ => return Err(bad("the features of an example are neither an object nor an array")),
        };
        let mut fed = 0;
        for (feature, source) in layout.sources().iter().enumerate() {
            if feature < fed {
                continue;
            }
            let value = source.and_then(|source| values.get(source as usize)).copied();
            let Some((spread, value)) = layout.spread_at(feature).zip(value.filter(|value| !value.is_null())) else {
                binder.set(batch, row, feature, value.map_or(Scalar::Missing, scalar))?;
                continue;
            };
            let (mut lengths, mut elements) = (vec![], vec![]);
            flatten(value, 0, &mut lengths, &mut elements);
            if !value.is_array() && spread.count > 1 {
                return Err(binder.no_array(spread, scalar(value)));
            }
            if value.is_array() {
                binder.check_lengths(spread, &lengths)?;
            }
            for (place, value) in elements.into_iter().take(spread.count).enumerate() {
                binder.set(batch, row, feature + place, scalar(value))?;
            }
            fed = feature + spread.count;
        }
        Ok(())
    }
}

/// The values in arrays of arrays, and the lengths of these by the first of each.
fn flatten<'v>(value: &'v Value, axis: usize, lengths: &mut Vec<usize>, elements: &mut Vec<&'v Value>) {
    match value {
        Value::Array(values) if axis < 16 => {
            if lengths.len() == axis {
                lengths.push(values.len());
            }
            values.iter().for_each(|value| flatten(value, axis + 1, lengths, elements));
        }
        value => elements.push(value),
    }
}

fn expected(fields: &Map<String, Value>) -> Result<Vec<Expected>> {
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let wrong = |name: &str, what: &str| bad(format!("the {name} of an example is not {what}"));
    let mut all = Vec::new();
    if let Some(value) = given("prediction") {
        all.push(Expected::Prediction(number(value).ok_or_else(|| wrong("prediction", "a number"))?));
    }
    if let Some(value) = given("label") {
        all.push(Expected::Label(match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(wrong("label", "a text")),
        }));
    }
    let numbers = |name: &str| {
        let Some(value) = given(name) else { return Ok(None) };
        let list = value.as_array().and_then(|list| list.iter().map(number).collect::<Option<Vec<f64>>>());
        list.map(Some).ok_or_else(|| wrong(name, "an array of numbers"))
    };
    all.extend(numbers("probabilities")?.map(Expected::Probabilities));
    all.extend(numbers("vector")?.map(Expected::Vector));
    Ok(all)
}

/// A number, also one that JSON has no number for.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Missing,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Scalar::Float(number.as_f64().unwrap_or(f64::NAN)), Scalar::Int)
        }
        Value::String(text) => Scalar::Text(text),
        Value::Array(_) => Scalar::Other("array"),
        Value::Object(_) => Scalar::Other("object"),
    }
}

fn array_text(numbers: &[f64]) -> String {
    let texts: Vec<String> = numbers.iter().map(|number| float_text(*number)).collect();
    format!("{{{}}}", texts.join(","))
}

impl Expected {
    fn question(&self) -> Question {
        match self {
            Self::Prediction(_) => Question::Prediction,
            Self::Label(_) => Question::Label,
            Self::Probabilities(_) => Question::Probabilities,
            Self::Vector(_) => Question::Vector,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Prediction(_) => "prediction",
            Self::Label(_) => "label",
            Self::Probabilities(_) => "probabilities",
            Self::Vector(_) => "vector",
        }
    }
}

impl std::fmt::Display for Check {
    /// As a line of an error's detail.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { row, output, expected, got, .. } = self;
        match self.worst {
            Some((index, expected, got)) => {
                let (expected, got) = (float_text(expected), float_text(got));
                write!(f, "Row {row}: {output}[{}] is expected to be {expected}, got {got}.", index + 1)
            }
            None => write!(f, "Row {row}: {output} is expected to be {expected}, got {got}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::batch::Column;
    use crate::interface::{Classes, ElementType, Feature, InputTensor, OutputTensor, Rows, Task};

    fn interface() -> Interface {
        let feature = |name: &str, position| Feature {
            name: name.into(),
            tensor: 0,
            position,
            element: ElementType::Float32,
            required: true,
            takes_missing: false,
            whole: false,
            instant: false,
            categories: None,
            default: None,
        };
        let output = |name: &str, element, width| OutputTensor {
            name: name.into(),
            tensor: name.into(),
            element,
            width: Some(width),
            ..OutputTensor::default()
        };
        Interface {
            format: Interface::FORMAT,
            task: Task::BinaryClassification,
            classes: Some(Classes::new(vec!["stays".into(), "leaves".into()])),
            class_scores: crate::class_scores::ClassScores::default(),
            pair: crate::class_scores::Pair::default(),
            inputs: vec![InputTensor {
                name: "x".into(),
                element: ElementType::Float32,
                shape: vec![2],
                rows: Rows::Free,
            }],
            features: vec![feature("a", 0), feature("b", 1)],
            vectors: vec![],
            passed_on: vec![],
            outputs: vec![output("label", ElementType::Text, 1), output("scores", ElementType::Float64, 2)],
            rows_at_once: 1024,
            varies: None,
            is_same_together: false,
            engine_times: None,
            label: Some(0),
            main: Some(1),
        }
    }

    fn outputs(labels: &[&str], main: &[f64]) -> Outputs {
        Outputs {
            label: Column::Text(labels.iter().map(ToString::to_string).collect()),
            main: Column::Float64(main.to_vec()),
            width: 2,
            ..Outputs::default()
        }
    }

    #[test]
    fn rows_that_agree_are_no_error() {
        let rows = json!([
            {"features": {"b": 2, "a": 1}, "prediction": 0.7, "label": "leaves", "probabilities": [0.3, 0.7]},
            {"features": [1, 2], "prediction": 0.20001, "label": null},
        ]);
        let examples = Examples::parse(&rows, None).unwrap();
        let binder = Binder::new(Arc::new(interface()), "m");
        let batch = examples.bind(&binder, 9).unwrap();
        assert_eq!(batch.tensors()[0].values, Column::Float32(vec![1.0, 2.0, 1.0, 2.0]));
        assert_eq!(examples.needed(&interface(), "m").unwrap(), OutputSet::BOTH);
        let given = outputs(&["leaves", "stays"], &[0.3, 0.7, 0.8, 0.2]);
        let checks = examples.compare(&interface(), &given, "m").unwrap();
        assert_eq!(checks.len(), 4);
        examples.judge(&checks).unwrap();
    }

    #[test]
    fn the_first_five_differences_are_named() {
        let row = json!({"features": [1, 2], "prediction": 0.7, "label": "leaves", "probabilities": [0.3, 0.7]});
        let examples = Examples::parse(&json!([row, row, row]), Some(0.01)).unwrap();
        let given = outputs(&["stays", "leaves", "stays"], &[0.4, 0.6, 0.295, 0.705, 0.9, 0.1]);
        let checks = examples.compare(&interface(), &given, "m").unwrap();
        assert_eq!(
            checks.iter().map(|check| check.ok).collect::<Vec<_>>(),
            [false, false, false, true, true, true, false, false, false]
        );
        let error = examples.judge(&checks).unwrap_err();
        assert!(error.message().contains("6 of 9 outputs"), "{error}");
        let detail = error.detail().unwrap();
        assert!(detail.contains("Row 1: label is expected to be leaves, got stays."), "{detail}");
        assert!(detail.contains("Row 1: probabilities[1] is expected to be 0.3, got 0.4."), "{detail}");
        assert!(detail.ends_with("And 1 more."), "{detail}");
    }

    #[test]
    fn numbers_that_are_not_finite_agree_with_themselves_only() {
        let examples = Examples::parse(&json!([{"features": [], "vector": ["NaN", "Infinity", 1]}]), None).unwrap();
        let check = |got: &[f64]| {
            let texts = Check {
                row: 1,
                output: "vector",
                expected: String::new(),
                got: String::new(),
                difference: None,
                ok: false,
                worst: None,
            };
            examples.check_all(&[f64::NAN, f64::INFINITY, 1.0], got, texts).ok
        };
        assert!(check(&[f64::NAN, f64::INFINITY, 1.0]));
        assert!(!check(&[1.0, f64::INFINITY, 1.0]));
        assert!(!check(&[f64::NAN, 1e300, 1.0]));
        assert!(!check(&[f64::NAN, f64::NEG_INFINITY, 1.0]));
        assert!(!check(&[f64::NAN, f64::INFINITY, f64::NAN]));
    }

    #[test]
    fn what_is_no_example_is_refused_by_row() {
        let good = json!({"features": [1, 2], "label": 1});
        for (bad, what) in [
            (json!({}), "no features"),
            (json!(3), "not a JSON object"),
            (json!({"features": 1, "label": "a"}), "neither an object nor an array"),
            (json!({"features": [1, 2]}), "nothing to compare"),
            (json!({"features": [1, 2], "prediction": "x"}), "not a number"),
            (json!({"features": [1, 2], "vector": 1}), "not an array of numbers"),
            (json!({"features": [1, 2], "probabilities": [null]}), "not an array of numbers"),
            (json!({"features": [1, 2], "predictions": 1}), "\"predictions\""),
        ] {
            let error = Examples::parse(&json!([good, bad]), None).unwrap_err();
            assert!(error.message().starts_with("row 2: ") && error.message().contains(what), "{error}");
        }
        assert!(Examples::parse(&json!({}), None).is_err());
        assert!(Examples::parse(&json!([]), None).is_err());
        assert!(Examples::parse(&json!([good]), Some(-1.0)).is_err());
        assert!(Examples::parse(&json!([good]), Some(f64::NAN)).is_err());
        let unbound = Examples::parse(&json!([{"features": {"a": 1}, "label": 1}]), None).unwrap();
        let error = unbound.bind(&Binder::new(Arc::new(interface()), "m"), 1).unwrap_err();
        assert!(error.message().starts_with("row 1: feature \"b\""), "{error}");
    }
}
