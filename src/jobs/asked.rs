//! What a call asks for, and the job that it means: checked before anything is begun.

use e2i_core::{Error, Kind, Result};

use crate::catalog::schema::Schema;
use crate::jobs::job::{Job, OnError, Options};
use crate::jobs::source::{Column, Table};
use crate::jobs::targets::{self, Target, What};
use crate::jobs::{run, statements};
use crate::pg::role;

/// The options of a call.
pub struct Asked {
    /// The model.
    pub model: String,
    /// The table whose rows are scored.
    pub table: pgrx::pg_sys::Oid,
    /// What is written.
    pub targets: Vec<Target>,
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

impl Asked {
    /// The job, with a version and with tables that have what it needs.
    ///
    /// # Errors
    /// Whatever keeps it from being begun.
    pub fn job(&self, schema: Schema) -> Result<Job> {
        let source = Table::find(self.table)?;
        let key = source.key(self.key.as_deref())?;
        let mut options = self.options.clone();
        let version = Job::resolve(schema, &self.model, &source, &self.targets, self.into.is_some())?;
        if options.stale_only && !self.targets.iter().any(|target| target.what == What::Version) {
            return Err(Error::new(Kind::BadOption, "stale_only needs a target that keeps the version")
                .with_hint(r#"targets => '{"score": "churn_score", "version": "churn_version"}'"#));
        }
        if options.on_error == OnError::Stop
            && self.targets.iter().any(|it| matches!(it.what, What::Error | What::Blocked))
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
        };
        match &self.into {
            None => targets::check(&job.targets, &job.source)?,
            Some(name) => {
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
                    .with_hint("Name a column of it: target => 'churn_score'"));
                }
                check_key(&job.key, &table)?;
                targets::check(&job.targets, &table)?;
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
