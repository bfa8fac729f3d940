//! `e2i_explain_table`: a scoring job whose answers are reasons. Its SQL declaration is in `sql/reasons.sql`.

use e2i_core::{Error, Kind, Result, Targets};
use e2i_explain::{Direction, Method, Space};
use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::api::jobs::{cannot_commit, milliseconds};
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given, raise, without_nulls};
use crate::jobs::asked::{Asked, parse_on_error, parse_workers, positive};
use crate::jobs::job::{Options, Reasons};
use crate::jobs::score_table;
use crate::pg::commits::{Ground, as_procedure, may_commit};

/// Writes why a table's rows have their scores, batch by batch. Declared in `sql/reasons.sql`.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn e2i_explain_table(
    model: Option<&str>,
    table: Option<pg_sys::Oid>,
    into_table: Option<&str>,
    top: Option<i32>,
    space: Option<&str>,
    class: Option<&str>,
    method: Option<&str>,
    samples: Option<i32>,
    error: Option<f64>,
    language: Option<&str>,
    towards: Option<&str>,
    key: Option<Vec<Option<String>>>,
    condition: Option<&str>,
    batch_rows: Option<i32>,
    on_error: Option<&str>,
    max_errors: Option<i64>,
    workers: Option<i32>,
    pause: Option<Interval>,
    max_lag: Option<Interval>,
    restart: Option<bool>,
    fcinfo: pg_sys::FunctionCallInfo,
) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let reasons = || -> Result<Reasons> {
        // What would end the first batch is said before anything is begun.
        let space = Space::from_name(space.unwrap_or("margin"))?.name();
        method.map(Method::from_name).transpose()?;
        towards.map(Direction::from_name).transpose()?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        Ok(Reasons {
            top: positive("top", top.unwrap_or(3).into())?,
            space: space.to_owned(),
            class: text(class),
            method: text(method),
            samples: samples.map(|samples| positive("samples", samples.into())).transpose()?,
            error: error.map(positive_error).transpose()?,
            language: language.unwrap_or("en").to_owned(),
            towards: text(towards),
        })
    };
    let read = || -> Result<Asked> {
        Ok(Asked {
            model: given(model, "model")?.to_owned(),
            table: given(table, "table")?,
            targets: Targets::of_reasons(),
            into: Some(given(into_table, "into_table")?.to_owned()),
            key: key.map(|key| without_nulls("key", key)).transpose()?,
            condition: condition.map(str::to_owned),
            options: Options {
                batch_rows: batch_rows.map(|rows| positive("batch_rows", rows.into())).transpose()?,
                on_error: parse_on_error(on_error, max_errors)?,
                max_errors,
                workers: parse_workers(workers.map(i64::from))?,
                pause: pause.map(|pause| milliseconds("pause", &pause)).transpose()?.unwrap_or(0),
                max_lag: max_lag.map(|lag| milliseconds("max_lag", &lag)).transpose()?,
                explains: Some(reasons()?),
                ..Options::default()
            },
            restart: restart.unwrap_or(false),
            schedule: None,
        })
    };
    let asked = read().or_raise();
    // SAFETY: as above.
    if !unsafe { may_commit(fcinfo) } {
        let instead = "in one transaction: INSERT INTO customer_reasons SELECT c.id, r.* FROM customers c, e2i_reasons('churn', c) r;";
        raise(&cannot_commit("e2i_explain_table", instead));
    }
    as_procedure(|| score_table(schema, &asked, Ground::Procedure));
}

fn positive_error(error: f64) -> Result<f64> {
    let is_error = error.is_finite() && error > 0.0;
    is_error.then_some(error).ok_or_else(|| Error::new(Kind::BadOption, "error must be greater than 0 and finite"))
}
