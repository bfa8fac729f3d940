//! Rows of a relation or a query, each with what the version says of it and what is true.

use e2i_core::{Answer, Batch, Error, Kind, Result, Scalar, quoted};

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::datum::features::{Features, Spelling};
use crate::pg::{data, query};
use crate::scoring::arm::Asked;
use crate::scoring::calibrated::{GroupReader, labels, shown};
use crate::scoring::engines::Preference;
use crate::scoring::{Lease, LoadedModel, Scorer, cache};

/// Rows that are scored together.
const AT_ONCE: usize = 1000;

/// Most rows that are read: a calibration keeps a number for each.
const MOST: usize = 10_000_000;

/// Columns of the rows beside the features.
pub struct Beside<'b> {
    /// What is true.
    pub target: &'b str,
    /// Which group a row is in.
    pub by: Option<&'b str>,
    /// What it weighs.
    pub weights: Option<&'b str>,
}

/// What is true of a row.
#[derive(Debug, Clone, Copy)]
pub enum Truth {
    /// A number.
    Number(f64),
    /// A class, by its number.
    Class(usize),
}

/// A row whose truth is known.
pub struct Known {
    /// What is true.
    pub truth: Truth,
    /// What the row weighs; 1 where that is not said.
    pub weight: f64,
    /// The group that it is in.
    pub group: Option<String>,
}

/// A row that was scored: the scorer, its number there, and the answer.
pub struct Scored<'s> {
    /// What scored it.
    pub scorer: &'s Scorer,
    /// The row's number there.
    pub row: usize,
    /// The version, its batch, and the row's place there.
    pub model: &'s LoadedModel,
    /// As above.
    pub place: (&'s Batch, usize),
    /// All numbers of the answer, none of which is NaN or infinite.
    pub numbers: &'s [f64],
    /// The answer.
    pub answer: &'s Answer,
}

/// Reads rows that stand where `source` says, with the caller's rights, has them scored by one version, and hands over those whose truth
/// is known. How many were left out because it is not.
///
/// # Errors
/// Rows that the version cannot score, columns that are not there, and values in them that cannot be what they are to be; what `take`
/// reports.
pub fn each(
    schema: Schema,
    version: &Version,
    source: &str,
    beside: &Beside<'_>,
    asked: Asked,
    take: impl FnMut(&Known, &Scored<'_>) -> Result<()>,
) -> Result<i64> {
    let sql = data::query_of(source)?;
    let reference = version.reference();
    let (scorer, _) = cache::scorer(schema, &reference, &[asked], Preference::current())?;
    let reader = |column: &str| GroupReader::new(&reference, column);
    let is_of_classes = version.interface.task.is_classification();
    let mut reading = Reading {
        source,
        labels: is_of_classes.then(|| labels(&version.interface).into_owned()),
        target: reader(beside.target),
        by: beside.by.map(reader),
        weights: beside.weights.map(reader),
        known: vec![],
        read: 0,
        left_out: 0,
        scorer,
        take,
    };
    reading.scorer.begin();
    let wrong = query::each_of_caller(&sql, |row| {
        // SAFETY: whole rows, by the form of the query.
        let features = row.map(|row| unsafe { Features::of_datum(Spelling::Row, row) });
        reading.row(features).err()
    });
    match wrong {
        Some(error) => return Err(error),
        None => reading.score()?,
    }
    Ok(i64::try_from(reading.left_out).unwrap_or(i64::MAX))
}

struct Reading<'r, T> {
    source: &'r str,
    /// Of classes.
    labels: Option<Vec<String>>,
    target: GroupReader,
    by: Option<GroupReader>,
    weights: Option<GroupReader>,
    /// Those that are bound, each with its number in what is read.
    known: Vec<(usize, Known)>,
    read: usize,
    left_out: usize,
    scorer: Lease,
    take: T,
}

impl<T: FnMut(&Known, &Scored<'_>) -> Result<()>> Reading<'_, T> {
    fn row(&mut self, features: Option<Features<'_>>) -> Result<()> {
        self.read += 1;
        let number = self.read;
        let Some(features) = features else {
            self.left_out += 1;
            return Ok(());
        };
        let known = self.known(features);
        // A column that is not there is in no row.
        let known = known.map_err(|error| if error.kind() == Kind::BadOption { error } else { error.in_row(number) });
        let Some(known) = known? else {
            self.left_out += 1;
            return Ok(());
        };
        if self.read - self.left_out > MOST {
            let message = format!("there are more than {MOST} rows to calibrate with");
            return Err(Error::new(Kind::Limit, message)
                .with_hint("Take some of them: 'SELECT * FROM labelled_rows TABLESAMPLE SYSTEM (10)'."));
        }
        self.scorer.bind(features);
        self.known.push((number, known));
        if self.known.len() == AT_ONCE { self.score() } else { Ok(()) }
    }

    /// What is known of a row beside its features; `None` where its truth is not.
    fn known(&mut self, features: Features<'_>) -> Result<Option<Known>> {
        let source = self.source;
        let absent = |reader: &GroupReader, error: Error| match error.kind() {
            Kind::MissingValue if error.message().starts_with("the row has no column") => {
                let message = format!("{} has no column \"{}\"", one_line(source), reader.name());
                Error::new(Kind::BadOption, message)
                    .with_hint("target, by and weights are columns of the relation or of what the query gives.")
            }
            _ => error,
        };
        let binder = &self.scorer.active().binder;
        let (name, labels) = (self.target.name().to_owned(), self.labels.as_deref());
        let model = binder.model();
        let truth = self.target.with(binder, features, |value| truth(&value, labels, &name, model));
        let Some(truth) = truth.map_err(|error| absent(&self.target, error))? else { return Ok(None) };
        let group = match &mut self.by {
            Some(by) => by.read(binder, features).map_err(|error| absent(by, error))?,
            None => None,
        };
        let weight = match &mut self.weights {
            Some(weights) => {
                let name = weights.name().to_owned();
                let weight = weights.with(binder, features, |value| weight(&value, &name));
                weight.map_err(|error| absent(weights, error))?
            }
            None => 1.0,
        };
        Ok(Some(Known { truth, weight, group }))
    }

    /// Scores what is bound.
    fn score(&mut self) -> Result<()> {
        self.scorer.score();
        for (row, (number, known)) in self.known.iter().enumerate() {
            let answer = self.scorer.answer(row, 0).map_err(|error| error.in_row(*number))?;
            let (model, batch, place) = self.scorer.bound(row)?;
            let numbers: &[f64] = match &answer {
                Answer::Number(one) => std::slice::from_ref(one),
                Answer::Numbers(all) => all,
                Answer::Label(_) => &[],
            };
            if let Some(wrong) = numbers.iter().find(|number| !number.is_finite()) {
                let message =
                    format!("model {} answers {wrong}, with which nothing can be calibrated", model.reference());
                return Err(Error::new(Kind::OutOfRange, message).in_row(*number));
            }
            let scored = Scored { scorer: &self.scorer, row, model, place: (batch, place), numbers, answer: &answer };
            (self.take)(known, &scored).map_err(|error| error.in_row(*number))?;
        }
        self.known.clear();
        self.scorer.begin();
        Ok(())
    }
}

/// What a target says; `None` for NULL.
fn truth(value: &Scalar<'_>, labels: Option<&[String]>, name: &str, model: &str) -> Result<Option<Truth>> {
    if matches!(value, Scalar::Missing) {
        return Ok(None);
    }
    let Some(labels) = labels else {
        let wrong = |kind, what: &str| {
            Err(Error::new(
                kind,
                format!("the target \"{name}\" of model {model} is {value}, and a {what} is expected"),
            )
            .with_hint(
                "Leave such rows out: 'SELECT * FROM labelled_rows WHERE …'. Rows where it is NULL are left out.",
            ))
        };
        return match value {
            Scalar::Text(_) | Scalar::Other(_) | Scalar::Instant(_) => wrong(Kind::TypeMismatch, "number"),
            value => match value.to_f64() {
                Ok(number) if number.is_finite() => Ok(Some(Truth::Number(number))),
                _ => wrong(Kind::OutOfRange, "finite number"),
            },
        };
    };
    let text = shown(value);
    let by_name = text.as_ref().and_then(|text| labels.iter().position(|label| label == text));
    let number = if matches!(value, Scalar::Text(_)) { None } else { value.to_f64().ok() };
    let by_number = || number.and_then(|number| labels.iter().position(|label| label.parse() == Ok(number)));
    by_name.or_else(by_number).map(|class| Some(Truth::Class(class))).ok_or_else(|| {
        let known = quoted(labels.iter().map(String::as_str));
        let message =
            format!("the target \"{name}\" is {value}, which is none of the classes {known} of model {model}");
        Error::new(Kind::BadValue, message).with_hint("Rows where it is NULL are left out.")
    })
}

/// What a column of weights says.
fn weight(value: &Scalar<'_>, name: &str) -> Result<f64> {
    let number = if value.is_missing() { None } else { value.to_f64().ok() };
    number.filter(|number| *number >= 0.0 && number.is_finite()).ok_or_else(|| {
        let (kind, shown) = match value {
            Scalar::Missing => (Kind::MissingValue, "NULL".to_owned()),
            Scalar::Text(_) | Scalar::Other(_) => (Kind::TypeMismatch, value.to_string()),
            value => (Kind::OutOfRange, value.to_string()),
        };
        Error::new(kind, format!("the weight \"{name}\" is {shown}, and a number of 0 or more is expected"))
    })
}

/// A relation or the beginning of a query, for messages.
fn one_line(source: &str) -> String {
    let line = source.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
