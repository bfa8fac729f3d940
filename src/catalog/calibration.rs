//! Calibrations of versions: what rows whose truth is known have said of how sure they are.
//!
//! They are kept with the version and read with the owner's rights: whoever may score with a version gets to see margins, and never a
//! row. A change of them is one of the registry: scorers that were made before it are made anew.

use e2i_calibrate::{Method, Probabilities, Purpose, Scores, Spread};
use e2i_core::{Error, Kind, Result};
use pgrx::datum::{JsonB, Uuid};

use crate::catalog::event::Event;
use crate::catalog::hold::take;
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::pg::query::Query;
use crate::pg::role;
use crate::pg::table::{Key, Record};

const ADD: Query = Query::new(
    "INSERT INTO {ml}.ml_calibrations (model_id, purpose, number, method, grouped_by, \"group\", n, quantiles, weights, upper_quantiles,
         upper_weights, maps, scale, space, source, target, rows_left_out, made_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
);
const REPLACE: Query = Query::new("DELETE FROM {ml}.ml_calibrations WHERE model_id = $1 AND purpose = $2");
const REMOVE: Query = Query::new("DELETE FROM {ml}.ml_calibrations WHERE model_id = $1");
const CHECK: Query = Query::new(
    "UPDATE {ml}.ml_calibrations SET checked_level = $4, checked_n = $5, checked_covered = $6, checked_at = clock_timestamp()
     WHERE model_id = $1 AND purpose = $2 AND number = $3",
);

/// How sure a version is, for one purpose.
pub struct Calibration {
    /// How it was found.
    pub method: Method,
    /// The column that says which group a row is in; `None` where all are one.
    pub grouped_by: Option<String>,
    /// The feature that residuals are multiples of.
    pub scale: Option<String>,
    /// Whether curves are over margins.
    pub is_of_margins: bool,
    /// The groups.
    pub groups: Vec<Group>,
}

/// What is known of one group.
pub struct Group {
    /// The value of its column; `None` for rows where it is NULL, and of the only one.
    pub name: Option<String>,
    /// Rows that it was made from.
    pub n: i64,
    /// How far answers go; nowhere for probabilities.
    pub spread: Spread,
    /// Curves of probabilities.
    pub maps: Option<Probabilities>,
    /// What the last check of its coverage found.
    pub checked: Option<Checked>,
}

/// What a check of a group's coverage has found.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// The level.
    pub level: f64,
    /// Rows.
    pub n: i64,
    /// Those of them that were covered.
    pub covered: i64,
}

/// What a calibration was made from.
pub struct Made<'m> {
    /// The relation or query.
    pub source: &'m str,
    /// Its column that says what is true.
    pub target: &'m str,
    /// Rows where that was NULL.
    pub left_out: i64,
}

/// How a version is calibrated for a purpose; `None` where it is not.
///
/// # Errors
/// [`Kind::WrongState`] for a row that was changed by hand and cannot be read.
pub fn read(schema: Schema, id: &ModelId, purpose: Purpose) -> Result<Option<Calibration>> {
    let mut found: Vec<(i32, Calibration)> = vec![];
    let mut wrong = None;
    each(schema, id, |row| {
        if row.get::<String>(c"purpose").as_deref() == Some(purpose.name()) {
            match group(row) {
                Ok(Some(group)) => found.push(group),
                Ok(None) => {}
                Err(error) => wrong = Some(error),
            }
        }
    });
    if let Some(error) = wrong {
        return Err(error);
    }
    found.sort_by_key(|(number, _)| *number);
    let mut all = found.into_iter().map(|(_, one)| one);
    Ok(all.next().map(|mut first| {
        first.groups.extend(all.flat_map(|other| other.groups));
        first
    }))
}

/// A calibration of the one group that a row holds.
fn group(row: &Record<'_>) -> Result<Option<(i32, Calibration)>> {
    let Some((number, method)) = row.get::<i32>(c"number").zip(row.get::<String>(c"method")) else { return Ok(None) };
    let broken = |what: &str| {
        Error::new(Kind::WrongState, format!("a row of ml_calibrations cannot be read: its {what} were changed"))
            .with_hint("Calibrate the model again: SELECT e2i_calibrate('model:version', 'labelled_rows', 'target');")
    };
    let scores = |scores: Option<Vec<Option<f64>>>, weights: Option<Vec<Option<f64>>>| {
        let whole = |numbers: Vec<Option<f64>>| -> Option<Vec<f64>> { numbers.into_iter().collect() };
        let scores = scores.map(|scores| whole(scores).ok_or_else(|| broken("quantiles"))).transpose()?;
        let weights = weights.map(|weights| whole(weights).ok_or_else(|| broken("weights"))).transpose()?;
        if weights.as_ref().is_some_and(|weights| weights.len() != scores.as_ref().map_or(0, Vec::len)) {
            return Err(broken("weights"));
        }
        Ok::<_, Error>(scores.map(|scores| Scores::new(scores, weights)))
    };
    let lower = scores(row.get(c"quantiles"), row.get(c"weights"))?.unwrap_or_default();
    let upper = scores(row.get(c"upper_quantiles"), row.get(c"upper_weights"))?;
    let maps = row.text(c"maps").map(|maps| serde_json::from_str(&maps).map_err(|_| broken("maps"))).transpose()?;
    let level = row.get::<f64>(c"checked_level");
    let checked = level.zip(row.get::<i64>(c"checked_n")).zip(row.get::<i64>(c"checked_covered"));
    let group = Group {
        name: row.get(c"group"),
        n: row.get(c"n").unwrap_or_default(),
        spread: Spread::new(lower, upper),
        maps,
        checked: checked.map(|((level, n), covered)| Checked { level, n, covered }),
    };
    let calibration = Calibration {
        method: Method::from_name(&method)?,
        grouped_by: row.get(c"grouped_by"),
        scale: row.get(c"scale"),
        is_of_margins: row.get::<String>(c"space").as_deref() == Some("margin"),
        groups: vec![group],
    };
    Ok(Some((number, calibration)))
}

fn each(schema: Schema, id: &ModelId, read: impl FnMut(&Record<'_>)) {
    let table = schema.table(c"ml_calibrations");
    table.find(c"ml_calibrations_pkey", &[(c"model_id", Key::Uuid(*id))], read);
}

/// The columns that a version's groups are told by.
pub fn groupings(schema: Schema, id: &ModelId) -> Vec<String> {
    let mut found = vec![];
    each(schema, id, |row| found.extend(row.get::<String>(c"grouped_by")));
    found.sort();
    found.dedup();
    found
}

/// What checks of a version's coverage have found, each with the name of its group.
pub fn checks(schema: Schema, id: &ModelId) -> Vec<(Option<String>, Checked)> {
    let mut found = vec![];
    each(schema, id, |row| {
        if let Some(level) = row.get::<f64>(c"checked_level") {
            let count = |column| row.get::<i64>(column).unwrap_or_default();
            let checked = Checked { level, n: count(c"checked_n"), covered: count(c"checked_covered") };
            found.push((row.get(c"group"), checked));
        }
    });
    found
}

/// Keeps a calibration in the place of the one for the same purpose.
///
/// # Errors
/// [`e2i_core::Kind::UnknownModel`] when the version has been dropped meanwhile.
pub fn set(schema: Schema, version: &Version, calibration: &Calibration, made: &Made<'_>) -> Result<()> {
    let who = role::name(role::current());
    let (id, purpose) = (|| Uuid::from_bytes(version.id), calibration.method.purpose().name());
    schema.as_owner(|| {
        take(schema, &version.id, &version.reference())?;
        REPLACE.execute(schema, &[id().into(), purpose.into()]);
        let mut rows = 0;
        for (number, group) in calibration.groups.iter().enumerate() {
            rows += group.n;
            let (lower, upper) = (&group.spread.scores, group.spread.above.as_ref());
            let maps = group.maps.as_ref().map(serde_json::to_value).transpose();
            let maps = maps.map_err(|_| Error::new(Kind::Internal, "a curve cannot be written"))?;
            let space = if calibration.is_of_margins { "margin" } else { "probability" };
            ADD.execute_large(schema, || {
                vec![
                    id().into(),
                    purpose.into(),
                    i32::try_from(number).unwrap_or(i32::MAX).into(),
                    calibration.method.name().into(),
                    calibration.grouped_by.as_deref().into(),
                    group.name.as_deref().into(),
                    group.n.into(),
                    lower.sorted().to_vec().into(),
                    lower.weights().map(<[f64]>::to_vec).into(),
                    upper.map(|upper| upper.sorted().to_vec()).into(),
                    upper.and_then(Scores::weights).map(<[f64]>::to_vec).into(),
                    maps.map(JsonB).into(),
                    calibration.scale.as_deref().into(),
                    group.maps.as_ref().map(|_| space).into(),
                    made.source.into(),
                    made.target.into(),
                    made.left_out.into(),
                    who.as_str().into(),
                ]
            });
        }
        let details = serde_json::json!({
            "purpose": purpose, "method": calibration.method.name(), "source": made.source, "rows": rows, "rows_left_out": made.left_out,
        });
        record(schema, &who, version, "calibrate", &details);
        Ok(())
    })
}

/// Keeps what a check of a version's coverage has found: for each group, by its number.
///
/// # Errors
/// As [`set`].
pub fn check(
    schema: Schema,
    version: &Version,
    purpose: Purpose,
    source: &str,
    found: &[(usize, Checked)],
) -> Result<()> {
    let who = role::name(role::current());
    schema.as_owner(|| {
        take(schema, &version.id, &version.reference())?;
        let (mut n, mut covered) = (0, 0);
        for (number, checked) in found {
            let number = i32::try_from(*number).unwrap_or(i32::MAX);
            let id = Uuid::from_bytes(version.id);
            let arguments = [
                id.into(),
                purpose.name().into(),
                number.into(),
                checked.level.into(),
                checked.n.into(),
                checked.covered.into(),
            ];
            CHECK.execute(schema, &arguments);
            (n, covered) = (n + checked.n, covered + checked.covered);
        }
        let details = serde_json::json!({ "purpose": purpose.name(), "source": source, "rows": n, "covered": covered });
        record(schema, &who, version, "coverage", &details);
        Ok(())
    })
}

fn record(schema: Schema, who: &str, version: &Version, action: &str, details: &serde_json::Value) {
    let (model, number) = (Some(version.name.as_str()), Some(version.version.as_str()));
    Event { who, action, model, version: number, details: Some(details.to_string()), ..Event::default() }
        .record(schema);
}

/// Forgets the calibrations of a version that goes. Call with the owner's rights.
pub fn remove(schema: Schema, id: &ModelId) {
    REMOVE.execute(schema, &[Uuid::from_bytes(*id).into()]);
}
