//! How sure a version is, from rows whose truth is known: `e2i_calibrate`, `e2i_coverage`, `e2i_check_coverage`. Their SQL declarations are
//! in `sql/calibration.sql`.

use e2i_calibrate::Method;
use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::calibration::make::{self, Wanted};
use crate::calibration::measure::{self, Coverage, Measured};
use crate::calibration::rows::Beside;
use crate::catalog::calibration::{self, Made};
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given};
use crate::pg::{sqlstate, varlena};
use crate::scoring::cache;

/// Columns of [`e2i_coverage`].
type Line = (Option<String>, i64, i64, Option<f64>, Option<f64>, Option<f64>, Option<f64>, Option<bool>);

/// A text argument; `None` for NULL.
///
/// # Safety
/// `fcinfo` must be that of a call with so many arguments, of which this one is a text.
unsafe fn text<'t>(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<&'t str> {
    // SAFETY: as the caller promises.
    unsafe {
        let argument = (*fcinfo).args.as_slice(index + 1)[index];
        (!argument.isnull).then(|| varlena::text(argument.value))
    }
}

/// A text argument that must not be NULL.
///
/// # Safety
/// As [`text`].
unsafe fn required<'t>(fcinfo: pg_sys::FunctionCallInfo, index: usize, name: &str) -> Result<&'t str> {
    // SAFETY: as the caller promises.
    given(unsafe { text(fcinfo, index) }, name)
}

/// Calibrates a version with rows whose truth is known, read with the caller's rights. How many there were. Declared in
/// `sql/calibration.sql`.
#[pg_extern(sql = false)]
fn e2i_calibrate(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let found = sqlstate::keeping(|| unsafe {
        let schema = Schema::of_change(fcinfo);
        let (source, target) = (required(fcinfo, 1, "relation")?, required(fcinfo, 2, "target")?);
        let wanted = Wanted {
            source,
            beside: Beside { target, by: text(fcinfo, 4), weights: text(fcinfo, 5) },
            method: text(fcinfo, 3).map(Method::from_name).transpose()?,
            scale: text(fcinfo, 6),
            is_of_margins: is_of_margins(text(fcinfo, 7))?,
        };
        let version = cache::resolve(schema, required(fcinfo, 0, "model")?)?;
        let (calibration, rows, left_out) = make::make(schema, &version, &wanted)?;
        calibration::set(schema, &version, &calibration, &Made { source, target, left_out })?;
        tell(&version, target, left_out);
        Ok(rows)
    });
    found.or_raise()
}

fn is_of_margins(space: Option<&str>) -> Result<bool> {
    match space.unwrap_or("probability") {
        "probability" => Ok(false),
        "margin" => Ok(true),
        other => {
            Err(Error::new(Kind::BadOption, format!("unknown space {other:?}"))
                .with_hint("One of probability, margin."))
        }
    }
}

/// Says how many rows were left out.
fn tell(version: &Version, target: &str, left_out: i64) {
    if left_out > 0 {
        let rows = if left_out == 1 { "row" } else { "rows" };
        let message = format!("model {}: {left_out} {rows} left out, where \"{target}\" is NULL", version.reference());
        ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "").report(PgLogLevel::NOTICE);
    }
}

/// How many rows a version's intervals or sets cover. Declared in `sql/calibration.sql`.
#[pg_extern(sql = false)]
fn e2i_coverage(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(group, Option<String>),
        name!(n, i64),
        name!(covered, i64),
        name!(coverage, Option<f64>),
        name!(width, Option<f64>),
        name!(lowest, Option<f64>),
        name!(highest, Option<f64>),
        name!(is_within, Option<bool>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let found = sqlstate::keeping(|| unsafe {
        let schema = Schema::of_call(fcinfo);
        let (_, measured, level) = measured(fcinfo, schema, text(fcinfo, 4))?;
        lines(&measured, level)
    });
    TableIterator::new(found.or_raise())
}

/// The same, kept with the calibration. Declared in `sql/calibration.sql`.
#[pg_extern(sql = false)]
fn e2i_check_coverage(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(group, Option<String>),
        name!(n, i64),
        name!(covered, i64),
        name!(coverage, Option<f64>),
        name!(width, Option<f64>),
        name!(lowest, Option<f64>),
        name!(highest, Option<f64>),
        name!(is_within, Option<bool>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let found = sqlstate::keeping(|| unsafe {
        let schema = Schema::of_change(fcinfo);
        let (version, measured, level) = measured(fcinfo, schema, None)?;
        let source = required(fcinfo, 1, "relation")?;
        calibration::check(schema, &version, measured.purpose, source, &measured.checked)?;
        lines(&measured, level)
    });
    TableIterator::new(found.or_raise())
}

/// # Safety
/// `fcinfo` must be that of a call with a model, a relation, a target and a level.
unsafe fn measured(
    fcinfo: pg_sys::FunctionCallInfo,
    schema: Schema,
    by: Option<&str>,
) -> Result<(Version, Measured, f64)> {
    // SAFETY: as the caller promises.
    unsafe {
        let argument = (*fcinfo).args.as_slice(4)[3];
        let level = (!argument.isnull).then(|| f64::from_bits(argument.value.value() as u64));
        let level = given(level, "level")?;
        let (source, target) = (required(fcinfo, 1, "relation")?, required(fcinfo, 2, "target")?);
        let version = cache::resolve(schema, required(fcinfo, 0, "model")?)?;
        let measured = measure::measure(schema, &version, source, target, level, by)?;
        tell(&version, target, measured.left_out);
        Ok((version, measured, level))
    }
}

/// All rows first, then the groups.
fn lines(measured: &Measured, level: f64) -> Result<Vec<Line>> {
    let all = std::iter::once((None, measured.all));
    all.chain(measured.groups.iter().cloned()).map(|(group, coverage)| line(group, &coverage, level)).collect()
}

fn line(group: Option<String>, coverage: &Coverage, level: f64) -> Result<Line> {
    let (lowest, highest) = coverage.band(level)?;
    let share = coverage.share();
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok((
        group,
        count(coverage.n),
        count(coverage.covered),
        share,
        coverage.width(),
        share.map(|_| lowest),
        share.map(|_| highest),
        share.map(|share| (lowest..=highest).contains(&share)),
    ))
}
