//! `e2i_verify_model`: whether a version still scores its golden rows as training did.

use e2i_core::{Error, Kind};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::catalog::examples::examples;
use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::scoring::cache;
use crate::scoring::golden::verify;

/// Scores the golden rows of a version again, one row an output. Declared in `sql/scoring.sql`, because one of its columns
/// bears a keyword as its name.
#[pg_extern(sql = false)]
fn e2i_verify_model(
    model: &str,
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(row, i32),
        name!(output, String),
        name!(expected, String),
        name!(got, String),
        name!(difference, Option<f64>),
        name!(ok, bool),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let checks = || {
        let model = cache::model(schema, model)?;
        let examples = examples(schema, &model.id)?.ok_or_else(|| {
            Error::new(Kind::WrongState, format!("model {} was registered without examples", model.reference()))
                .with_hint(
                    "Register it again with golden rows: examples => '[{\"features\": {…}, \"prediction\": …}, …]'.",
                )
        })?;
        verify(&model, &examples)
    };
    let checks = checks().or_raise().into_iter();
    TableIterator::new(checks.map(|check| {
        let row = i32::try_from(check.row).unwrap_or(i32::MAX);
        (row, check.output.to_owned(), check.expected, check.got, check.difference, check.ok)
    }))
}
