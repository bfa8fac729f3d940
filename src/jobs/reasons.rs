//! Reasons of rows: what a job that explains has the server do in the place of scoring.
//!
//! A row has several reasons, each a row of the table that is written: those that are there of its batch are deleted, and
//! the new ones inserted, in the batch's one transaction. Everything else is any job's.

use e2i_core::{Error, Kind, Result};

use crate::jobs::job::{Job, Key, Reasons, RowError, Tally};
use crate::jobs::source::{Column, Table, literal, quoted};
use crate::pg::query::Row;
use crate::pg::statement::run;

/// What is written of a reason besides the row's key: the columns of `e2i_reasons`.
const COLUMNS: [(&str, &str); 6] = [
    ("rank", "integer"),
    ("feature", "text"),
    ("value", "text"),
    ("contribution", "double precision"),
    ("direction", "text"),
    ("text", "text"),
];

/// The column that tells the reasons of a row apart.
const RANK: &str = COLUMNS[0].0;

/// Columns of a table that is made for reasons.
pub(super) fn definitions() -> impl Iterator<Item = String> {
    COLUMNS.iter().map(|(name, of_type)| {
        let is_key = if *name == RANK { " NOT NULL" } else { "" };
        format!("{} {of_type}{is_key}", quoted(name))
    })
}

/// Whether a key has none of their names.
///
/// # Errors
/// As above.
pub(super) fn check_key(key: &[Column]) -> Result<()> {
    if let Some(column) = key.iter().find(|column| COLUMNS.iter().any(|(name, _)| *name == column.name)) {
        let message = format!("the key column {:?} has the name of a column of reasons", column.name);
        return Err(Error::new(Kind::BadOption, message)
            .with_hint("Name other columns that tell the rows apart: key => ARRAY['id']"));
    }
    Ok(())
}

/// Whether a table has the columns.
///
/// # Errors
/// As above.
pub(super) fn check(table: &Table) -> Result<()> {
    match COLUMNS.iter().find(|(name, _)| table.column(name).is_none()) {
        None => Ok(()),
        Some((name, of_type)) => Err(table.unknown(name).with_hint(format!(
            "ALTER TABLE {} ADD COLUMN {} {of_type};",
            table.name,
            quoted(name)
        ))),
    }
}

impl Job {
    /// The columns that tell rows of the table that is written apart.
    pub(super) fn written_key(&self) -> Vec<String> {
        let rank = self.options.explains.is_some().then(|| RANK.to_owned());
        self.key.iter().map(|column| column.name.clone()).chain(rank).collect()
    }

    /// Explains a range and writes it; with `is_careful`, rows that cannot be explained are kept as errors, and have no reasons.
    pub(super) fn explain(
        &self,
        reasons: &Reasons,
        table: &Table,
        (after, upto): (Option<&Key>, &Key),
        is_careful: bool,
    ) -> (Tally, Vec<RowError>) {
        let range = self.range(after, Some(upto));
        let meant = self.meant(&range.text);
        let errors = if is_careful { self.problems(&meant, &range.arguments) } else { vec![] };
        // In a table that the job has made there are none.
        if !self.options.created {
            run(
                &self.deletion(table, &self.range_in("e2i_old", after, Some(upto)).text, &meant),
                &range.arguments,
                |_| (),
            );
        }
        let counts = |row: &Row| (row.get::<i64>(1).unwrap_or(0), row.get::<i64>(2).unwrap_or(0));
        let sql = self.insertion(reasons, table, &meant, is_careful);
        let (handled, written) = run(&sql, &range.arguments, counts).1.pop().unwrap_or_default();
        let blocked = errors.iter().filter(|error| error.is_blocked).count() as i64;
        let failed = errors.len() as i64 - blocked;
        let done = (handled - failed - blocked).max(0);
        (Tally { done, written, failed, blocked, skipped: 0, retried: 0 }, errors)
    }

    /// Of the rows that are meant; by the range, too, so that an index of the table serves.
    fn deletion(&self, table: &Table, range: &str, meant: &str) -> String {
        let old = self.key.iter().map(|column| format!("e2i_old.{}", column.quoted())).collect::<Vec<_>>().join(", ");
        let (keys, source) = (self.key_list(), &self.source.name);
        let into = &table.name;
        format!("DELETE FROM {into} e2i_old WHERE {range} AND ({old}) IN (SELECT {keys} FROM {source} WHERE {meant})")
    }

    /// Answers how many rows were meant, and how many reasons were written. No name in it is one that a condition could mean.
    fn insertion(&self, reasons: &Reasons, table: &Table, meant: &str, is_careful: bool) -> String {
        let (keys, source, row) = (self.key_list(), &self.source.name, format!("{}.*", self.source.alone));
        let version = literal(&self.version);
        // Nothing is said where no model is given.
        let model = match is_careful {
            true => format!("CASE WHEN {} IS NULL THEN {version}::text END", self.problem()),
            false => version,
        };
        let names: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("e2i_{name}")).collect();
        let columns: Vec<String> = COLUMNS.iter().map(|(name, _)| quoted(name)).collect();
        let own: Vec<String> = self.key.iter().map(Column::quoted).collect();
        let (names, columns, own) = (names.join(", "), columns.join(", "), own.join(", "));
        let (schema, options, into) = (self.schema.quoted(), reasons.arguments(), &table.name);
        format!(
            "WITH e2i_explained AS MATERIALIZED (SELECT {keys}, e2i_reason.* FROM {source}
                LEFT JOIN LATERAL {schema}.e2i_reasons({model}, {row}, {options}) AS e2i_reason ({names}) ON true WHERE {meant}),
                e2i_written AS (INSERT INTO {into} ({own}, {columns}) SELECT {own}, {names} FROM e2i_explained WHERE e2i_rank IS NOT NULL RETURNING 1)
             SELECT (SELECT count(*) FROM e2i_explained WHERE coalesce(e2i_rank, 1) = 1), (SELECT count(*) FROM e2i_written)"
        )
    }
}

impl Reasons {
    /// As `e2i_reasons` takes them.
    fn arguments(&self) -> String {
        let text = |name: &str, value: Option<&str>| match value {
            Some(value) => format!(", {name} => {}", literal(value)),
            None => String::new(),
        };
        let samples = self.samples.map_or(String::new(), |samples| format!(", samples => {samples}"));
        let error = self.error.map_or(String::new(), |error| format!(", error => {error:e}"));
        format!(
            "k => {}, space => {}, language => {}{}{}{}{samples}{error}",
            self.top,
            literal(&self.space),
            literal(&self.language),
            text("class", self.class.as_deref()),
            text("method", self.method.as_deref()),
            text("towards", self.towards.as_deref()),
        )
    }
}
