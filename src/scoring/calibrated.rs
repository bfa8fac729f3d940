//! How sure a version is of its answers: what was calibrated, applied to the rows of a scorer.
//!
//! It is read once, when a scorer is made, and a change of it makes that anew: no row reads a table. Which group a row is in is read
//! from its features when it is bound, and the column need be none of the model's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use e2i_calibrate::conformal::{self, Interval};
use e2i_calibrate::{Margins, Method, Purpose, Spread};
use e2i_core::{
    Answer, Batch, Binder, ElementType, Error, Feature, InputTensor, Interface, Kind, Result, Rows, Scalar,
};

use crate::catalog::calibration::{self, Calibration, Group};
use crate::catalog::schema::Schema;
use crate::datum::features::{FeatureSource, Features};
use crate::datum::layout::Strictness;
use crate::scoring::model::LoadedModel;

/// A calibration of a version, and the groups that rows are in.
pub struct Calibrated {
    purpose: Purpose,
    found: Option<Rc<Calibration>>,
    groups: Option<Groups>,
}

/// An interval with what is told of it.
pub struct Sure {
    /// Prediction and ends.
    pub interval: Interval,
    /// How often the truth was within; `None` where nothing is known.
    pub coverage: Option<f64>,
}

impl Calibrated {
    /// What is known of a version.
    ///
    /// # Errors
    /// Rows of the table that cannot be read.
    pub fn find(schema: Schema, model: &LoadedModel, purpose: Purpose) -> Result<Self> {
        let found = calibration::read(schema, &model.id, purpose)?.map(Rc::new);
        Ok(Self::of(model, purpose, found))
    }

    /// Of a calibration that is at hand.
    pub fn of(model: &LoadedModel, purpose: Purpose, found: Option<Rc<Calibration>>) -> Self {
        let groups = found.as_ref().and_then(|found| {
            let names = found.groups.iter().map(|group| group.name.clone());
            Some(Groups {
                reader: GroupReader::new(model.reference(), found.grouped_by.as_deref()?),
                numbers: names.zip(0..).collect(),
                of_rows: vec![],
            })
        });
        Self { purpose, found, groups }
    }

    /// The name of that group; `None` for rows where its column is NULL, and for one that is not known.
    pub fn group_name(&self, row: usize) -> Option<String> {
        self.found.as_ref()?.groups.get(self.group(row)?)?.name.clone()
    }

    /// Whether rows have to be seen as they were given.
    pub fn reads_groups(&self) -> bool {
        self.groups.is_some()
    }

    /// A row is bound at this place.
    ///
    /// # Errors
    /// [`Kind::MissingValue`] where the features do not hold the column of groups.
    pub fn bind(&mut self, binder: &Binder, features: Features<'_>, row: usize) -> Result<()> {
        let Some(groups) = &mut self.groups else { return Ok(()) };
        let group = groups.reader.read(binder, features)?;
        groups.of_rows.resize(row, None);
        groups.of_rows.push(groups.numbers.get(&group).copied());
        Ok(())
    }

    /// The number of the group that the row at this place is in; `None` for one that is not known.
    pub fn group(&self, row: usize) -> Option<usize> {
        match &self.groups {
            None => Some(0),
            Some(groups) => groups.of_rows.get(row).copied().flatten(),
        }
    }

    /// The calibration, which there must be.
    ///
    /// # Errors
    /// [`Kind::WrongState`] with what makes one.
    #[inline]
    pub fn required(&self, model: &LoadedModel) -> Result<&Rc<Calibration>> {
        self.found.as_ref().ok_or_else(|| self.missing(model))
    }

    #[cold]
    fn missing(&self, model: &LoadedModel) -> Error {
        let reference = model.reference();
        let (what, method) = match self.purpose {
            Purpose::Interval if model.interface().task.is_classification() => {
                let message = format!("model {reference} predicts classes, and intervals are of numbers");
                return Error::new(Kind::WrongState, message)
                    .with_hint("Use e2i_predict_set, after e2i_calibrate with method => 'lac' or 'aps'.");
            }
            Purpose::Interval => ("intervals", "residual"),
            Purpose::Set => ("sets of classes", "lac"),
            Purpose::Probability => ("probabilities", "isotonic"),
        };
        let written = reference.replace('\'', "''");
        Error::new(Kind::WrongState, format!("model {reference} is not calibrated for {what}")).with_hint(format!(
            "SELECT e2i_calibrate('{written}', 'labelled_rows', 'target', method => '{method}'); with rows that it was not trained with."
        ))
    }

    /// The margins of a row, and how often they have held.
    #[inline]
    fn margins(calibration: &Calibration, group: Option<usize>, level: f64) -> Result<(Margins, Option<f64>)> {
        let Some(Group { spread, checked, .. }) = group.and_then(|group| calibration.groups.get(group)) else {
            return Spread::of_nothing(level).map(|margins| (margins, None));
        };
        let margins = spread.at(level)?;
        let measured = match checked {
            Some(checked) if checked.level == level && checked.n > 0 => checked.covered as f64 / checked.n as f64,
            _ => margins.coverage,
        };
        Ok((margins, Some(measured)))
    }

    /// The interval of a row that was bound at this place and answered with these numbers.
    ///
    /// # Errors
    /// What is no level; versions without a calibration, rows without a scale.
    #[inline]
    pub fn interval(
        &self,
        model: &LoadedModel,
        (batch, row): (&Batch, usize),
        answer: &Answer,
        level: f64,
    ) -> Result<Sure> {
        let calibration = self.required(model)?;
        let (margins, coverage) = Self::margins(calibration, self.group(row), level)?;
        let numbers: &[f64] = match answer {
            Answer::Number(number) => std::slice::from_ref(number),
            Answer::Numbers(numbers) => numbers,
            Answer::Label(_) => &[],
        };
        let interval = match calibration.method {
            Method::Quantiles | Method::AsymmetricQuantiles => conformal::moved(&conformal::ends(numbers), margins),
            _ => {
                let first = numbers.first().copied().unwrap_or(f64::NAN);
                conformal::around(first, scale(calibration, model, (batch, row), numbers)?, margins)
            }
        };
        Ok(Sure { interval, coverage })
    }

    /// The classes of a row's set, by their numbers.
    ///
    /// # Errors
    /// As [`Calibrated::interval`].
    pub fn set(&self, model: &LoadedModel, row: usize, answer: &Answer, level: f64) -> Result<Vec<usize>> {
        let calibration = self.required(model)?;
        let (margins, _) = Self::margins(calibration, self.group(row), level)?;
        let Answer::Numbers(probabilities) = answer else { return Ok(vec![]) };
        let scores = scores_of_classes(calibration.method, probabilities);
        Ok((0..scores.len()).filter(|class| scores[*class] <= margins.above).collect())
    }

    /// The calibrated probabilities of a row; `None` for one of a group that is not known.
    ///
    /// # Errors
    /// Versions without a calibration.
    pub fn probabilities(&self, model: &LoadedModel, row: usize, answer: &Answer) -> Result<Option<Vec<f64>>> {
        let calibration = self.required(model)?;
        let Answer::Numbers(probabilities) = answer else { return Ok(None) };
        let maps = self.group(row).and_then(|group| calibration.groups.get(group)?.maps.as_ref());
        Ok(maps.map(|maps| match calibration.is_of_margins {
            true => maps.at(&probabilities.iter().map(|p| margin(*p)).collect::<Vec<f64>>()),
            false => maps.at(probabilities),
        }))
    }
}

/// The labels of a classifier's classes: its own, or their numbers.
pub fn labels(interface: &Interface) -> Cow<'_, [String]> {
    match &interface.classes {
        Some(classes) => Cow::Borrowed(&classes.labels),
        None => {
            let width = interface.main_output().and_then(|output| output.width).unwrap_or(2).max(2);
            Cow::Owned((0..width).map(|class| class.to_string()).collect())
        }
    }
}

/// The scores of all classes.
pub fn scores_of_classes(method: Method, probabilities: &[f64]) -> Vec<f64> {
    match method {
        Method::Aps => conformal::aps(probabilities),
        _ => probabilities.iter().map(|probability| conformal::lac(*probability)).collect(),
    }
}

/// The margin that a probability is the logistic function of, which is finite: what is 0 or 1 in a model's float32 is beside it.
pub fn margin(probability: f64) -> f64 {
    let within = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    (within / (1.0 - within)).ln()
}

/// What a row's residual is a multiple of: the feature that was named, else the second number of a model that gives it, else 1.
///
/// # Errors
/// [`Kind::OutOfRange`] for what is not greater than 0.
#[inline]
pub fn scale(
    calibration: &Calibration,
    model: &LoadedModel,
    (batch, row): (&Batch, usize),
    numbers: &[f64],
) -> Result<f64> {
    if calibration.method != Method::NormalisedResidual {
        return Ok(1.0);
    }
    let scale = match &calibration.scale {
        None => numbers.get(1).copied().unwrap_or(f64::NAN),
        Some(name) => {
            let feature = model.interface().features.iter().find(|feature| feature.name == *name);
            let value = feature.and_then(|feature| {
                let tensor = batch.tensors().get(feature.tensor)?;
                tensor.values.number(row * tensor.width + feature.position)
            });
            value.unwrap_or(f64::NAN)
        }
    };
    if scale > 0.0 && scale.is_finite() {
        return Ok(scale);
    }
    let what = calibration.scale.as_ref().map_or("second number".to_owned(), |name| format!("feature \"{name}\""));
    let message = format!("the {what} of model {} is the scale of residuals, and is {scale}", model.reference());
    Err(Error::new(Kind::OutOfRange, message).with_hint("It must be greater than 0 and finite in every row."))
}

/// The groups of rows that are bound.
struct Groups {
    reader: GroupReader,
    numbers: HashMap<Option<String>, usize>,
    /// By the place of the row.
    of_rows: Vec<Option<usize>>,
}

/// Reads a column that says something of a row beside its features, whichever way they are given.
pub struct GroupReader {
    column: Binder,
    source: FeatureSource,
    /// For arrays, which have no names but the features'.
    features: FeatureSource,
}

/// One text column of that name.
fn interface_of(column: &str) -> Interface {
    let element = ElementType::Text;
    Interface {
        format: Interface::FORMAT,
        task: e2i_core::Task::Other,
        classes: None,
        class_scores: Default::default(),
        pair: Default::default(),
        inputs: vec![InputTensor { name: column.to_owned(), element, shape: vec![], rows: Rows::Free }],
        features: vec![Feature {
            name: column.to_owned(),
            tensor: 0,
            position: 0,
            element,
            required: false,
            takes_missing: true,
            whole: false,
            instant: false,
            categories: None,
            default: None,
        }],
        vectors: vec![],
        passed_on: vec![],
        outputs: vec![],
        rows_at_once: Interface::ROWS_AT_ONCE,
        varies: None,
        is_same_together: true,
        engine_times: None,
        label: None,
        main: None,
    }
}

impl GroupReader {
    /// Of a column, for rows of this model.
    pub fn new(model: &str, column: &str) -> Self {
        let column = Binder::new(Arc::new(interface_of(column)), model);
        Self { column, source: FeatureSource::default(), features: FeatureSource::default() }
    }

    /// The name of the column.
    pub fn name(&self) -> &str {
        self.column.interface().features.first().map_or("", |feature| &feature.name)
    }

    /// Hands over what a row has there.
    ///
    /// # Errors
    /// [`Kind::MissingValue`] where the row has no such column, and what `take` reports.
    pub fn with<R>(
        &mut self,
        binder: &Binder,
        features: Features<'_>,
        mut take: impl FnMut(Scalar<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut found = None;
        let (name, lenient) = (self.name().to_owned(), Strictness::DryRun);
        if features.is_by_position() {
            let wanted = binder.interface().features.iter().position(|feature| feature.name == name);
            self.features.scan(binder, features, lenient, |feature, value| {
                if let Some(value) = value.filter(|_| Some(feature) == wanted) {
                    found = Some(take(value)?);
                }
                Ok(())
            })?;
        } else {
            self.source.scan(&self.column, features, lenient, |_, value| {
                if let Some(value) = value {
                    found = Some(take(value)?);
                }
                Ok(())
            })?;
        }
        found.ok_or_else(|| {
            Error::new(
                Kind::MissingValue,
                format!("the row has no column \"{name}\", by which model {} was calibrated", binder.model()),
            )
            .with_hint(format!("Give it beside the features: '{{\"{name}\": …}}', or a row with that column."))
        })
    }

    /// The group that a row is in: what it has there as text, and `None` for NULL. Numbers are the same group however they are spelled.
    ///
    /// # Errors
    /// As [`GroupReader::with`].
    pub fn read(&mut self, binder: &Binder, features: Features<'_>) -> Result<Option<String>> {
        self.with(binder, features, |value| Ok(shown(&value)))
    }
}

/// A value as text, the same for equal ones.
pub fn shown(value: &Scalar<'_>) -> Option<String> {
    match value {
        value if value.is_missing() => None,
        Scalar::Text(text) => Some((*text).to_owned()),
        Scalar::Bool(is_so) => Some(is_so.to_string()),
        Scalar::Int(number) => Some(number.to_string()),
        other => Some(other.to_i64().map_or_else(
            |_| other.to_f64().map_or_else(|_| other.to_string(), |number| number.to_string()),
            |number| number.to_string(),
        )),
    }
}
