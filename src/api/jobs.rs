//! Scoring jobs: `e2i_score_table`, `e2i_cancel_scoring_job`, and what is wrong with a row that cannot be scored.

use std::time::{Duration, Instant};

use e2i_clock::Times;
use e2i_core::{Answer, Error, Kind, Result, Written};
use e2i_privacy::refusal;
use pgrx::datum::Interval;
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::datum::features::{Features, Spelling};
use crate::error::{OrRaise, code, given, raise, without_nulls};
use crate::jobs::asked::{Asked, parse_locked, parse_on_error, parse_workers, positive};
use crate::jobs::job::Options;
use crate::jobs::schedule::{self, Wanted, When};
use crate::jobs::targets;
use crate::jobs::{cancel, score_table};
use crate::pg::commits::{Ground, as_procedure, may_commit};
use crate::pg::{call_site, sqlstate, varlena};
use crate::scoring::CallSite;
use crate::scoring::arm::Asked as Question;
use crate::scoring::engines::Preference;

/// Scores a table's rows batch by batch. Declared in `sql/jobs.sql`.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn e2i_score_table(
    model: Option<&str>,
    table: Option<pg_sys::Oid>,
    target: Option<&str>,
    targets: Option<Document<'_>>,
    into_table: Option<&str>,
    key: Option<Vec<Option<String>>>,
    condition: Option<&str>,
    batch_rows: Option<i32>,
    on_error: Option<&str>,
    max_errors: Option<i64>,
    locked: Option<&str>,
    only_changed: Option<bool>,
    stale_only: Option<bool>,
    follow: Option<bool>,
    workers: Option<i32>,
    pause: Option<Interval>,
    max_lag: Option<Interval>,
    restart: Option<bool>,
    fcinfo: pg_sys::FunctionCallInfo,
) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let read = || -> Result<Asked> {
        let model = given(model, "model")?.to_owned();
        let table = given(table, "table")?;
        let targets = targets.map(|targets| targets.read("targets")).transpose()?;
        Ok(Asked {
            model,
            table,
            targets: targets::parse(target, targets.as_ref(), into_table.is_some())?,
            into: into_table.map(str::to_owned),
            key: key.map(|key| without_nulls("key", key)).transpose()?,
            condition: condition.map(str::to_owned),
            options: Options {
                batch_rows: batch_rows.map(|rows| positive("batch_rows", rows.into())).transpose()?,
                on_error: parse_on_error(on_error, max_errors)?,
                max_errors,
                skips_locked: parse_locked(locked)?,
                only_changed: only_changed.unwrap_or(false),
                stale_only: stale_only.unwrap_or(false),
                follow: follow.unwrap_or(false),
                workers: parse_workers(workers.map(i64::from))?,
                pause: pause.map(|pause| milliseconds("pause", &pause)).transpose()?.unwrap_or(0),
                max_lag: max_lag.map(|lag| milliseconds("max_lag", &lag)).transpose()?,
                created: false,
                explains: None,
            },
            restart: restart.unwrap_or(false),
            schedule: None,
        })
    };
    let asked = read().or_raise();
    // SAFETY: as above.
    if !unsafe { may_commit(fcinfo) } {
        let instead = "in one transaction: UPDATE customers c SET churn_score = e2i_predict('churn', c);";
        raise(&cannot_commit("e2i_score_table", instead));
    }
    as_procedure(|| score_table(schema, &asked, Ground::Procedure));
}

/// A job that is called where it cannot commit; `instead` is what can be done there.
pub(super) fn cannot_commit(procedure: &str, instead: &str) -> Error {
    let message =
        format!("{procedure} commits batch by batch, and cannot do so inside a transaction block or a function");
    Error::new(Kind::WrongState, message)
        .with_hint(format!("CALL it by itself, outside of BEGIN and COMMIT; {instead}"))
}

pub(super) fn milliseconds(name: &str, interval: &Interval) -> Result<u64> {
    u64::try_from(interval.as_micros() / 1000).map(|it| Duration::from_millis(it).as_millis() as u64).map_err(|_| {
        Error::new(Kind::BadOption, format!("{name} is negative")).with_hint(format!("{name} => '100 ms'"))
    })
}

/// Has a job end after the batch that it is at. Declared in `sql/jobs.sql`.
#[pg_extern(sql = false)]
fn e2i_cancel_scoring_job(id: Option<i64>, fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    given(id, "id").and_then(|id| cancel(schema, id)).or_raise()
}

/// Has the clock begin a job, again and again. Declared in `sql/jobs.sql`.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn e2i_schedule_scoring(
    name: Option<&str>,
    model: Option<&str>,
    table: Option<pg_sys::Oid>,
    target: Option<&str>,
    every: Option<Interval>,
    options: Option<Document<'_>>,
    starting: Option<TimestampWithTimeZone>,
    cron: Option<&str>,
    time_zone: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || -> Result<()> {
        let name = given(name, "name")?;
        let when = when(every, cron, time_zone)?;
        let mut options = match options {
            Some(options) => options.read("options")?,
            None => serde_json::json!({}),
        };
        if let (Some(target), Some(options)) = (target, options.as_object_mut()) {
            options.insert("target".to_owned(), target.into());
        }
        let asked = Asked::of_options(given(model, "model")?, given(table, "table")?, &options)?;
        schedule::put(schema, &Wanted { name, asked: &asked, options: &options, when: &when, starting })
    };
    run().or_raise();
}

/// Every so long, or at the times of a cron text.
fn when(every: Option<Interval>, cron: Option<&str>, time_zone: Option<&str>) -> Result<When> {
    const HINT: &str = "every => '1 day', or cron => '0 3 * * 1-5' for three from Monday to Friday";
    match (every, cron) {
        (Some(_), Some(_)) => Err(Error::new(Kind::BadOption, "both every and cron are given").with_hint(HINT)),
        (None, None) => Err(Error::new(Kind::BadOption, "neither every nor cron says when").with_hint(HINT)),
        (Some(_), None) if time_zone.is_some() => {
            Err(Error::new(Kind::BadOption, "time_zone is for cron").with_hint("Leave it out."))
        }
        (Some(every), None) if every.as_micros() < 1_000_000 => {
            Err(Error::new(Kind::BadOption, "every is at least a second").with_hint("every => '1 day'"))
        }
        (Some(every), None) => Ok(When::Every(format!("{} microseconds", every.as_micros()))),
        (None, Some(cron)) => {
            Times::parse(cron)?;
            Ok(When::Cron { text: cron.trim().to_owned(), time_zone: time_zone.map(str::to_owned) })
        }
    }
}

/// Removes a schedule; a run that is under way goes on. Declared in `sql/jobs.sql`.
#[pg_extern(sql = false)]
fn e2i_unschedule_scoring(name: Option<&str>, fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    given(name, "name").and_then(|name| schedule::drop(schema, name)).or_raise();
}

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_score_problem() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// See the function of the same name in `sql/jobs.sql`.
///
/// # Safety
/// Called by the server only.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_score_problem(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server calls with a valid fcinfo.
    match sqlstate::keeping(|| unsafe { problem(fcinfo) }).or_raise() {
        Some(problem) => problem.into_datum().unwrap_or(pg_sys::Datum::from(0)),
        None => {
            // SAFETY: as above.
            unsafe { (*fcinfo).isnull = true };
            pg_sys::Datum::from(0)
        }
    }
}

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_score_latency() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// See the function of the same name in `sql/jobs.sql`.
///
/// # Safety
/// Called by the server only.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_score_latency(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server calls with a valid fcinfo.
    let took = sqlstate::keeping(|| unsafe { alone(fcinfo) }.and_then(|(scored, took)| scored.map(|_| took)));
    pg_sys::Datum::from((took.or_raise().as_secs_f64() * 1e3).to_bits())
}

/// What is wrong with a row; that the model is not there, or cannot be asked this, is an error.
unsafe fn problem(fcinfo: pg_sys::FunctionCallInfo) -> Result<Option<Vec<Option<String>>>> {
    // SAFETY: as the caller promises.
    let (scored, _) = unsafe { alone(fcinfo) }?;
    Ok(scored.err().filter(|error| error.kind() != Kind::Interrupted).map(|error| told(&error)))
}

/// What comes of a row that is scored by itself, and how long that takes.
unsafe fn alone(fcinfo: pg_sys::FunctionCallInfo) -> Result<(Result<Answer>, Duration)> {
    // SAFETY: as the caller promises, with the three arguments of the declaration, none of them NULL.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(3);
        let site: &mut CallSite = call_site::state(fcinfo);
        let place = call_site::Place::of_call(fcinfo);
        let name = varlena::text(arguments[2].value);
        let question = Written::of_name(name).and_then(Written::question);
        let question = question.ok_or_else(|| Error::new(Kind::BadOption, format!("{name:?} asks a model nothing")))?;
        let asked = Question { question: Some(question), function: None, calibrated: None };
        site.enter(place);
        let found = || Ok((Schema::of_call(fcinfo), Preference::current()));
        let scorer = site.scorer(found, varlena::text(arguments[0].value), asked, |_| Ok(()))?;
        let begun = Instant::now();
        let scored = scorer.score_one(Features::of_datum(Spelling::Row, arguments[1].value));
        Ok((scored, begun.elapsed()))
    }
}

/// SQLSTATE, message, the feature that the message names, whether the row holds personal data that is refused, and which.
fn told(error: &Error) -> Vec<Option<String>> {
    let message = error.message();
    let feature = message.split_once("feature \"").and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
    let refused = refusal(message);
    vec![
        Some(code(error.kind())),
        Some(message.to_owned()),
        feature.map(str::to_owned),
        refused.map(|_| "blocked".to_owned()),
        refused.map(|(feature, kind)| format!("{feature}: {kind}")),
    ]
}
