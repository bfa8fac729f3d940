//! A scoring job: what is read, what is written, and how far it is.

use std::time::Duration;

use e2i_core::{Error, Kind, ModelReference, Result, Targets};
use serde::{Deserialize, Serialize};

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::jobs::source::{Column, Table};

/// The values of a key's columns, as texts in forms that every session reads the same.
pub type Key = Vec<String>;

/// A range of keys: after one, up to and with another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The last key before it; none for the beginning.
    pub after: Option<Key>,
    /// Its last key.
    pub upto: Key,
    /// The last key that is done; none before the first batch.
    pub reached: Option<Key>,
    /// Whether all is done.
    pub ended: bool,
}

impl Part {
    /// After which key there is something to do.
    pub fn from(&self) -> Option<&Key> {
        self.reached.as_ref().or(self.after.as_ref())
    }
}

/// What a batch did, in rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Scored.
    pub done: i64,
    /// Written.
    pub written: i64,
    /// Not scored.
    pub failed: i64,
    /// Refused for personal data.
    pub blocked: i64,
    /// Locked by others.
    pub skipped: i64,
    /// How often it was tried again; not rows.
    pub retried: i64,
}

/// A row that could not be scored.
pub struct RowError {
    /// Its key.
    pub key: Key,
    /// SQLSTATE.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// The feature, where one is to blame, and its value.
    pub feature: Option<String>,
    /// See above.
    pub value: Option<String>,
    /// Whether it holds what the service refuses.
    pub is_blocked: bool,
}

/// What becomes of a row that cannot be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The job ends.
    #[default]
    Stop,
    /// It gets NULL, and is kept as an error.
    Skip,
}

/// What is said of each row where it is explained, as `e2i_reasons` takes it; stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reasons {
    /// Reasons of a row.
    pub top: u64,
    /// Of which number.
    pub space: String,
    /// Of which class, if one was named.
    pub class: Option<String>,
    /// By which method, if one was named.
    pub method: Option<String>,
    /// How many orders are drawn, where they are.
    pub samples: Option<u64>,
    /// Until which standard error they are.
    pub error: Option<f64>,
    /// In which language.
    pub language: String,
    /// Those of one direction alone.
    pub towards: Option<String>,
}

/// How a job goes about it; stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Rows a batch; as many as take about half a second if not given.
    pub batch_rows: Option<u64>,
    /// See there.
    pub on_error: OnError,
    /// More errors end it.
    pub max_errors: Option<i64>,
    /// Whether rows that others have locked are left out.
    pub skips_locked: bool,
    /// Whether rows are written only where something changes.
    pub only_changed: bool,
    /// Whether rows are scored only where another version has.
    pub stale_only: bool,
    /// Whether it moves with deployments.
    pub follow: bool,
    /// Processes.
    pub workers: usize,
    /// Milliseconds between two batches.
    pub pause: u64,
    /// Milliseconds that a standby may be behind.
    pub max_lag: Option<u64>,
    /// Whether its table was made by it.
    pub created: bool,
    /// What is said of rows, where they are explained and not scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explains: Option<Reasons>,
}

impl Options {
    /// Between two batches.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.pause)
    }
}

/// A job that is under way.
pub struct Job {
    /// Where the extension is.
    pub schema: Schema,
    /// Its number; 0 before it has one.
    pub id: i64,
    /// The model as it was asked for.
    pub model: String,
    /// The version that scores, `churn:3`.
    pub version: String,
    /// What is read.
    pub source: Table,
    /// The columns whose order is followed.
    pub key: Vec<Column>,
    /// What is written, where it is not what is read.
    pub into: Option<Table>,
    /// What is written of a row.
    pub targets: Targets,
    /// Which rows, in SQL.
    pub condition: Option<String>,
    /// How.
    pub options: Options,
    /// Whose rights it has.
    pub by: String,
    /// What began it, if the clock did.
    pub schedule: Option<String>,
    /// The process that this one works for, and without which it ends.
    pub leader: Option<i32>,
}

impl Job {
    /// The table that is written.
    pub fn target(&self) -> &Table {
        self.into.as_ref().unwrap_or(&self.source)
    }

    /// The procedure that it is called by.
    pub fn procedure(&self) -> &'static str {
        if self.options.explains.is_some() { "e2i_explain_table" } else { "e2i_score_table" }
    }

    /// Its name.
    pub fn target_name(&self) -> &str {
        &self.target().name
    }

    /// The model that scores.
    pub fn model_name(&self) -> &str {
        self.version.split_once(':').map_or(&self.version, |(name, _)| name)
    }

    /// Its version.
    pub fn model_version(&self) -> &str {
        self.version.split_once(':').map_or("", |(_, version)| version)
    }

    /// Looks up which version the model means now, and whether the caller may still score with it.
    ///
    /// # Errors
    /// As [`Version::find`]; a target that is a feature of the version.
    pub fn resolve(schema: Schema, model: &str, table: &Table, targets: &Targets, is_into: bool) -> Result<String> {
        let version = Version::find(schema, &ModelReference::parse(model)?)?;
        let reference = version.reference();
        if !is_into
            && let Some((_, column)) =
                targets.iter().find(|(_, column)| version.interface.features.iter().any(|it| it.name == *column))
        {
            let message = format!("column {column:?} of {} is a feature of model {reference}", table.name);
            return Err(Error::new(Kind::BadOption, message)
                .with_hint("Write into another column: the next job would score what this one has written."));
        }
        Ok(reference)
    }
}
