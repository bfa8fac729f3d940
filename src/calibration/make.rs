//! A calibration from rows whose truth is known.

use std::collections::BTreeMap;

use e2i_calibrate::conformal::{ends, outside, residual};
use e2i_calibrate::{Method, Probabilities, Purpose, Scores, Spread};
use e2i_core::reading::Question;
use e2i_core::{Error, Interface, Kind, Result};

use crate::calibration::rows::{self, Beside, Truth};
use crate::catalog::calibration::{Calibration, Group};
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::scoring::arm::Asked;
use crate::scoring::calibrated::{margin, scale, scores_of_classes};

/// Most groups of a calibration: each is a row of the table, which sessions read whole.
const MOST_GROUPS: usize = 10_000;

/// What is asked for.
pub struct Wanted<'w> {
    /// Where the rows are: a relation or a query.
    pub source: &'w str,
    /// Their columns beside the features.
    pub beside: Beside<'w>,
    /// How they are to be calibrated with; as befits the model if `None`.
    pub method: Option<Method>,
    /// The feature that residuals are multiples of.
    pub scale: Option<&'w str>,
    /// Whether curves are to be over margins.
    pub is_of_margins: bool,
}

/// What is kept of the rows of a group until all are there.
#[derive(Default)]
struct Gathered {
    /// Scores; of the lower side, where sides have their own.
    scores: Vec<f64>,
    upper: Vec<f64>,
    weights: Vec<f64>,
    /// For curves: what the model says of each class, and which is true.
    numbers: Vec<f64>,
    classes: Vec<usize>,
}

/// What is asked of rows that are calibrated for a purpose.
pub fn question(purpose: Purpose) -> Question {
    match purpose {
        Purpose::Interval => Question::Vector,
        Purpose::Set | Purpose::Probability => Question::Probabilities,
    }
}

/// Calibrates a version: with how many rows, and how many were left out because their target is NULL.
///
/// # Errors
/// Methods that do not befit the model, and what [`rows::each`] reports.
pub fn make(schema: Schema, version: &Version, wanted: &Wanted<'_>) -> Result<(Calibration, i64, i64)> {
    let method = befitting(version, wanted)?;
    let empty = Calibration {
        method,
        grouped_by: wanted.beside.by.map(str::to_owned),
        scale: wanted.scale.map(str::to_owned),
        is_of_margins: wanted.is_of_margins,
        groups: vec![],
    };
    let (asked, mut width) =
        (Asked { question: Some(question(method.purpose())), function: None, calibrated: None }, 0);
    let mut gathered = BTreeMap::<Option<String>, Gathered>::new();
    let left_out = rows::each(schema, version, wanted.source, &wanted.beside, asked, |known, scored| {
        let numbers = scored.numbers;
        width = numbers.len();
        if !gathered.contains_key(&known.group) {
            if gathered.len() == MOST_GROUPS {
                let message = format!("the rows are of more than {MOST_GROUPS} groups");
                return Err(Error::new(Kind::Limit, message)
                    .with_hint("by is for a column of few values; without it all rows are one group."));
            }
            gathered.insert(known.group.clone(), Gathered::default());
        }
        let Some(group) = gathered.get_mut(&known.group) else { return Ok(()) };
        group.weights.push(known.weight);
        match (method, known.truth) {
            (Method::Quantiles, Truth::Number(truth)) => {
                let (below, above) = outside(truth, &ends(numbers));
                group.scores.push(below.max(above));
            }
            (Method::AsymmetricQuantiles, Truth::Number(truth)) => {
                let (below, above) = outside(truth, &ends(numbers));
                group.scores.push(below);
                group.upper.push(above);
            }
            (_, Truth::Number(truth)) => {
                let scale = scale(&empty, scored.model, scored.place, numbers)?;
                group.scores.push(residual(truth, numbers.first().copied().unwrap_or_default(), scale));
            }
            (Method::Lac | Method::Aps, Truth::Class(class)) => {
                group.scores.push(scores_of_classes(method, numbers).get(class).copied().unwrap_or(f64::INFINITY));
            }
            (_, Truth::Class(class)) => {
                let margins = numbers.iter().map(|p| if wanted.is_of_margins { margin(*p) } else { *p });
                group.numbers.extend(margins);
                group.classes.push(class);
            }
        }
        if group.scores.last().is_some_and(|score| !score.is_finite()) {
            return Err(Error::new(Kind::OutOfRange, "the truth is farther from the prediction than a number can say"));
        }
        Ok(())
    })?;
    let (mut groups, mut n) = (vec![], 0);
    for (name, gathered) in gathered {
        let count = i64::try_from(gathered.weights.len()).unwrap_or(i64::MAX);
        let (spread, maps) = fitted(method, gathered, width, wanted.beside.weights.is_some())
            .map_err(|error| if wanted.beside.by.is_some() { in_group(&error, name.as_deref()) } else { error })?;
        n += count;
        groups.push(Group { name, n: count, spread, maps, checked: None });
    }
    if groups.is_empty() {
        let message = format!("there are no rows with a target to calibrate model {} with", version.reference());
        return Err(Error::new(Kind::BadOption, message).with_detail(match left_out {
            0 => "The relation or query has no rows.".to_owned(),
            _ => format!("The column \"{}\" is NULL in all of {left_out} rows.", wanted.beside.target),
        }));
    }
    Ok((Calibration { groups, ..empty }, n, left_out))
}

fn in_group(error: &Error, group: Option<&str>) -> Error {
    let group = group.map_or("NULL".to_owned(), |group| format!("\"{group}\""));
    let made = Error::new(error.kind(), format!("group {group}: {}", error.message()));
    match error.hint() {
        Some(hint) => made.with_hint(hint),
        None => made,
    }
}

/// What the rows of a group say.
fn fitted(
    method: Method,
    gathered: Gathered,
    width: usize,
    is_weighted: bool,
) -> Result<(Spread, Option<Probabilities>)> {
    let Gathered { scores, upper, weights, numbers, classes } = gathered;
    if !weights.iter().any(|weight| *weight > 0.0) {
        return Err(Error::new(Kind::BadOption, "all weights are 0"));
    }
    let weights = is_weighted.then_some(weights);
    if method.purpose() == Purpose::Probability {
        let maps = Probabilities::fit(method, &numbers, width, &classes, weights.as_deref())?;
        return Ok((Spread::default(), Some(maps)));
    }
    let upper = (method == Method::AsymmetricQuantiles).then(|| Scores::new(upper, weights.clone()));
    Ok((Spread::new(Scores::new(scores, weights), upper), None))
}

/// The method that is asked for, or that befits a model.
fn befitting(version: &Version, wanted: &Wanted<'_>) -> Result<Method> {
    let (interface, reference) = (&version.interface, version.reference());
    let width = interface.main_output().and_then(|output| output.width);
    let is_of_classes = interface.task.is_classification();
    let wrong = |kind, message: String, hint: &str| Err(Error::new(kind, message).with_hint(hint));
    let method = match wanted.method {
        Some(method) => method,
        None if is_of_classes => Method::Lac,
        None if width.is_none_or(|width| width == 1) => Method::Residual,
        None => {
            let message = format!("model {reference} gives several numbers, and it is not said what they are");
            return wrong(
                Kind::BadOption,
                message,
                "Say method => 'quantiles' for quantiles, or 'normalised_residual' for a number and its scale.",
            );
        }
    };
    let name = method.name();
    match method.purpose() {
        Purpose::Interval if is_of_classes => {
            let message = format!("the method {name} is for numbers, and model {reference} predicts classes");
            return wrong(
                Kind::WrongState,
                message,
                "Say method => 'lac' or 'aps', or 'isotonic', 'platt' or 'beta' for probabilities.",
            );
        }
        Purpose::Set | Purpose::Probability if !is_of_classes => {
            let message =
                format!("the method {name} is for classes, and the task of model {reference} is {}", interface.task);
            return wrong(Kind::WrongState, message, "Say method => 'residual', 'normalised_residual' or 'quantiles'.");
        }
        _ => {}
    }
    has_what_it_takes(interface, method, width, wanted).map_err(|error| error.of_model(&reference))?;
    Ok(method)
}

/// Whether a model gives what a method needs, and options are those of the method.
fn has_what_it_takes(interface: &Interface, method: Method, width: Option<usize>, wanted: &Wanted<'_>) -> Result<()> {
    let several = width.is_some_and(|width| width > 1);
    let wrong = |message: String, hint: &str| Err(Error::new(Kind::BadOption, message).with_hint(hint));
    match method {
        Method::Quantiles | Method::AsymmetricQuantiles if !several => {
            let message = "the model gives one number a row, and quantiles are two or more".to_owned();
            return wrong(message, "Register a model of several quantiles, or say method => 'residual'.");
        }
        Method::Residual if several => {
            let message = "the model gives several numbers a row, and the method residual is for one".to_owned();
            return wrong(message, "Say method => 'quantiles' or 'normalised_residual'.");
        }
        Method::NormalisedResidual if wanted.scale.is_none() && width != Some(2) => {
            let message = "it is not said what residuals of the model are multiples of".to_owned();
            return wrong(
                message,
                "Say scale => 'name of a feature', or register a model that gives a number and its scale.",
            );
        }
        _ => {}
    }
    if let Some(scale) = wanted.scale {
        if method != Method::NormalisedResidual {
            return wrong(format!("the method {} has no scale", method.name()), "Say method => 'normalised_residual'.");
        }
        let feature = interface.features.iter().find(|feature| feature.name == scale);
        if feature.is_none_or(|feature| feature.categories.is_some() || feature.element == e2i_core::ElementType::Text)
        {
            let message = format!("\"{scale}\" is no feature of the model that is a number");
            return wrong(message, "SELECT name, type FROM e2i_describe_model('model'); shows its features.");
        }
    }
    if wanted.is_of_margins && !matches!(method, Method::Isotonic | Method::Platt) {
        let message = format!("the method {} is not over margins", method.name());
        return wrong(message, "space => 'margin' is for 'platt' and 'isotonic'.");
    }
    Ok(())
}
