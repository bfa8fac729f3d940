//! What a call asks for, and the job that it means: checked before anything is begun.

use e2i_core::{Error, Kind, Result, Targets, Written};
use serde_json::Value;

use crate::catalog::schema::Schema;
use crate::jobs::job::{Job, OnError, Options};
use crate::jobs::source::{Column, Table};
use crate::jobs::{reasons, run, statements, targets};
use crate::pg::role;

/// The options of a call.
pub struct Asked {
    /// The model.
    pub model: String,
    /// The table whose rows are scored.
    pub table: pgrx::pg_sys::Oid,
    /// What is written.
    pub targets: Targets,
    /// The table that is written, if it is another.
    pub into: Option<String>,
    /// The key, if it is not the primary one.
    pub key: Option<Vec<String>>,
    /// Which rows.
    pub condition: Option<String>,
    /// How.
    pub options: Options,
    /// Whether it begins anew where an earlier one could go on.
    pub restart: bool,
    /// What began it, if the clock did.
    pub schedule: Option<String>,
}

/// Most processes of a job.
const WORKERS: i64 = 64;

impl Asked {
    /// What the options of a schedule ask for, each named as an argument of `e2i_score_table`.
    ///
    /// # Errors
    /// What is no option, or not of its type, or out of its range.
    pub fn of_options(model: &str, table: pgrx::pg_sys::Oid, given: &Value) -> Result<Self> {
        let Value::Object(given) = given else { return Err(bad("options are no JSON object".to_owned())) };
        let text = |name: &str| match given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(bad(format!("the option {name} is a text, got {other}"))),
        };
        let number = |name: &str| match given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                value.as_i64().map(Some).ok_or_else(|| bad(format!("the option {name} is a number, got {value}")))
            }
        };
        let truth = |name: &str| match given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                value.as_bool().map(Some).ok_or_else(|| bad(format!("the option {name} is true or false, got {value}")))
            }
        };
        if let Some(name) = given.keys().find(|name| !OPTIONS.contains(&name.as_str())) {
            return Err(bad(format!("unknown option {name:?}")).with_hint(format!("One of {}.", OPTIONS.join(", "))));
        }
        let key = match given.get("key") {
            None | Some(Value::Null) => None,
            Some(Value::Array(names)) => {
                let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
                Some(names.ok_or_else(|| bad("the option key is an array of column names".to_owned()))?)
            }
            Some(other) => return Err(bad(format!("the option key is an array of column names, got {other}"))),
        };
        let into = text("into_table")?;
        let max_errors = number("max_errors")?;
        Ok(Self {
            model: model.to_owned(),
            table,
            targets: targets::parse(text("target")?.as_deref(), given.get("targets"), into.is_some())?,
            into,
            key,
            condition: text("where")?,
            options: Options {
                batch_rows: number("batch_rows")?.map(|rows| positive("batch_rows", rows)).transpose()?,
                on_error: parse_on_error(text("on_error")?.as_deref(), max_errors)?,
                max_errors,
                skips_locked: parse_locked(text("locked")?.as_deref())?,
                only_changed: truth("only_changed")?.unwrap_or(false),
                stale_only: truth("stale_only")?.unwrap_or(false),
                follow: truth("follow")?.unwrap_or(false),
                workers: parse_workers(number("workers")?)?,
                pause: number("pause_ms")?.map(|pause| positive("pause_ms", pause)).transpose()?.unwrap_or(0),
                max_lag: number("max_lag_ms")?.map(|lag| positive("max_lag_ms", lag)).transpose()?,
                created: false,
                explains: None,
            },
            restart: false,
            schedule: None,
        })
    }

    /// The job, with a version and with tables that have what it needs.
    ///
    /// # Errors
    /// Whatever keeps it from being begun.
    pub fn job(&self, schema: Schema) -> Result<Job> {
        let source = Table::find(self.table)?;
        let key = source.key(self.key.as_deref())?;
        let mut options = self.options.clone();
        let version = Job::resolve(schema, &self.model, &source, &self.targets, self.into.is_some())?;
        if options.stale_only && self.targets.column(Written::Version).is_none() {
            return Err(Error::new(Kind::BadOption, "stale_only needs a target that keeps the version")
                .with_hint(r#"targets => '{"score": "churn_score", "version": "churn_version"}'"#));
        }
        if options.on_error == OnError::Stop
            && self.targets.iter().any(|(it, _)| matches!(it, Written::Error | Written::Blocked | Written::Violations))
        {
            options.on_error = OnError::Skip;
        }
        if options.skips_locked && self.into.is_some() {
            return Err(Error::new(
                Kind::BadOption,
                "locked => 'skip' is for rows that are written in their own table",
            )
            .with_hint("Leave it out: rows that are only read are never waited for."));
        }
        if self.into.is_none() && !source.is_plain {
            return Err(Error::new(Kind::BadOption, format!("{} is no table, and cannot be written", source.name))
                .with_hint("Write into a table: into_table => 'scores'"));
        }
        let mut job = Job {
            schema,
            id: 0,
            model: self.model.clone(),
            version,
            source,
            key,
            into: None,
            targets: self.targets.clone(),
            condition: self.condition.clone(),
            options,
            by: role::name(role::current()),
            schedule: self.schedule.clone(),
            leader: None,
        };
        match &self.into {
            None => targets::check(&job.targets, &job.source)?,
            Some(name) => {
                if job.options.explains.is_some() {
                    reasons::check_key(&job.key)?;
                }
                let table = match statements::found(name)? {
                    Some(table) => table,
                    None => {
                        job.create(name);
                        job.options.created = true;
                        statements::found(name)?.ok_or_else(|| {
                            Error::new(Kind::WrongState, format!("the table {name} was made and is not found"))
                        })?
                    }
                };
                if table.oid == job.source.oid {
                    return Err(Error::new(
                        Kind::BadOption,
                        format!("into_table is the table that is scored, {}", table.name),
                    )
                    .with_hint(match job.options.explains {
                        None => "Name a column of it: target => 'churn_score'",
                        Some(_) => "Name another one, which is made where it is not there.",
                    }));
                }
                check_key(&job.key, &table)?;
                match job.options.explains {
                    None => targets::check(&job.targets, &table)?,
                    Some(_) => reasons::check(&table)?,
                }
                job.into = Some(table);
            }
        }
        job.check_condition();
        Ok(job)
    }
}

/// The table that is written has the key's columns.
fn check_key(key: &[Column], table: &Table) -> Result<()> {
    match key.iter().find(|column| table.column(&column.name).is_none()) {
        None => Ok(()),
        Some(column) => Err(table.unknown(&column.name).with_hint(format!(
            "ALTER TABLE {} ADD COLUMN {} {};",
            table.name,
            column.quoted(),
            column.type_name
        ))),
    }
}

/// Runs `f` and raises what it says is wrong; a subtransaction undoes it.
pub fn raised<R>(f: impl FnOnce() -> Result<R>) -> std::result::Result<R, run::Caught> {
    use crate::error::OrRaise;
    run::guarded(|| f().or_raise())
}

const OPTIONS: [&str; 15] = [
    "target",
    "targets",
    "into_table",
    "key",
    "where",
    "batch_rows",
    "on_error",
    "max_errors",
    "locked",
    "only_changed",
    "stale_only",
    "follow",
    "workers",
    "pause_ms",
    "max_lag_ms",
];

fn bad(message: String) -> Error {
    Error::new(Kind::BadOption, message)
        .with_hint(r#"options => '{"target": "churn_score", "where": "is_active", "on_error": "skip"}'"#)
}

/// A number of something.
///
/// # Errors
/// What is not above 0.
pub fn positive(name: &str, number: i64) -> Result<u64> {
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| Error::new(Kind::BadOption, format!("{name} is at least 1, got {number}")))
}

/// How many processes; one if not given.
///
/// # Errors
/// None, or too many.
pub fn parse_workers(workers: Option<i64>) -> Result<usize> {
    let workers = workers.unwrap_or(1);
    usize::try_from(workers)
        .ok()
        .filter(|_| (1..=WORKERS).contains(&workers))
        .ok_or_else(|| Error::new(Kind::BadOption, format!("workers is from 1 to {WORKERS}, got {workers}")))
}

/// What becomes of rows that cannot be scored; a number of them that is allowed is a wish to go on.
///
/// # Errors
/// What is none of these, or contradicts itself.
pub fn parse_on_error(on_error: Option<&str>, max_errors: Option<i64>) -> Result<OnError> {
    if let Some(most) = max_errors.filter(|most| *most < 0) {
        return Err(Error::new(Kind::BadOption, format!("max_errors is at least 0, got {most}")));
    }
    match on_error {
        None if max_errors.is_some() => Ok(OnError::Skip),
        None => Ok(OnError::Stop),
        Some("stop") if max_errors.is_some() => {
            Err(Error::new(Kind::BadOption, "max_errors is for on_error => 'skip'").with_hint("Leave one of them out."))
        }
        Some("stop") => Ok(OnError::Stop),
        Some("skip") => Ok(OnError::Skip),
        Some(other) => {
            Err(Error::new(Kind::BadOption, format!("unknown on_error {other:?}")).with_hint("One of stop, skip."))
        }
    }
}

/// Whether rows that others have locked are left out.
///
/// # Errors
/// What is neither.
pub fn parse_locked(locked: Option<&str>) -> Result<bool> {
    match locked.unwrap_or("wait") {
        "wait" => Ok(false),
        "skip" => Ok(true),
        other => Err(Error::new(Kind::BadOption, format!("unknown locked {other:?}")).with_hint("One of wait, skip.")),
    }
}
