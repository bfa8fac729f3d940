//! The statements of a job, written as the caller would write them: nothing is renamed, so that a condition may name the table.

use e2i_core::{Result, Written};
use pgrx::PgMemoryContexts;

use crate::jobs::job::{Job, Key, OnError, RowError, Tally};
use crate::jobs::reasons;
use crate::jobs::source::{Column, Table, literal, quoted};
use crate::jobs::targets::{self, Terms};
use crate::on_write::usual;
use crate::pg::filling;
use crate::pg::query::{Argument, Row};
use crate::pg::statement::{in_common_forms, parsed, run};

/// What is written, into which column, and the expression that gives it.
type Values<'v> = Vec<(Written, &'v str, String)>;

/// A condition with its arguments.
pub(super) struct Range {
    pub(super) text: String,
    pub(super) arguments: Vec<Argument>,
}

fn list(key: &[Column]) -> String {
    key.iter().map(Column::quoted).collect::<Vec<_>>().join(", ")
}

fn key_of(row: &Row, columns: usize) -> Key {
    in_common_forms(|| (1..=columns).map(|column| row.text(column as i32).unwrap_or_default()).collect())
}

impl Job {
    /// The key's columns, of the table that is read.
    pub(super) fn key_list(&self) -> String {
        self.key_in(&self.source.alone)
    }

    fn key_in(&self, table: &str) -> String {
        self.key.iter().map(|column| format!("{table}.{}", column.quoted())).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn range(&self, after: Option<&Key>, upto: Option<&Key>) -> Range {
        self.range_in(&self.source.alone, after, upto)
    }

    /// A range of a table that has the key's columns.
    pub(super) fn range_in(&self, table: &str, after: Option<&Key>, upto: Option<&Key>) -> Range {
        let mut range = Range { text: String::new(), arguments: vec![] };
        for (operator, bound) in [(">", after), ("<=", upto)] {
            let Some(bound) = bound else { continue };
            let first = range.arguments.len();
            in_common_forms(|| {
                range.arguments.extend(self.key.iter().zip(bound).map(|(column, text)| parsed(column.of_type, text)));
            });
            let numbers: Vec<String> = (first + 1..=range.arguments.len()).map(|number| format!("${number}")).collect();
            let and = if range.text.is_empty() { "" } else { " AND " };
            range.text += &format!("{and}({}) {operator} ({})", self.key_in(table), numbers.join(", "));
        }
        if range.text.is_empty() {
            range.text = "true".to_owned();
        }
        range
    }

    /// Which rows of a range are meant.
    pub(super) fn meant(&self, range: &str) -> String {
        let mut text = range.to_owned();
        if let Some(condition) = &self.condition {
            // What ends in a comment ends with its line.
            text += &format!(" AND ({condition}\n)");
        }
        if self.options.stale_only {
            text += &format!(" AND {}", self.is_stale());
        }
        text
    }

    /// Whether a row was not scored by this version, or with other features where their hash is kept.
    fn is_stale(&self) -> String {
        let column = |what| self.targets.column(what).map(quoted);
        let Some(kept) = column(Written::Version) else { return "true".to_owned() };
        let (version, alone) = (literal(&self.version), &self.source.alone);
        let hash = format!("{}.e2i_features_hash({version}, {alone}.*)", self.schema.quoted());
        match &self.into {
            None => {
                let changed = column(Written::FeaturesHash)
                    .map_or(String::new(), |column| format!(" OR {alone}.{column} IS DISTINCT FROM {hash}"));
                format!("({alone}.{kept} IS DISTINCT FROM {version}{changed})")
            }
            Some(table) => {
                let same = self.key.iter().map(|it| format!("e2i_scored.{0} = {alone}.{0}", it.quoted()));
                let same = same.collect::<Vec<_>>().join(" AND ");
                let unchanged = column(Written::FeaturesHash)
                    .map_or(String::new(), |column| format!(" AND e2i_scored.{column} IS NOT DISTINCT FROM {hash}"));
                format!(
                    "NOT EXISTS (SELECT FROM {} e2i_scored WHERE {same} AND e2i_scored.{kept} = {version}{unchanged})",
                    table.name
                )
            }
        }
    }

    /// Has the server look at the condition, so that what is wrong with it is said before anything is begun.
    pub fn check_condition(&self) {
        run(&format!("SELECT FROM {} WHERE {} LIMIT 0", self.source.name, self.meant("true")), &[], |_| ());
    }

    /// The last key that there is.
    pub fn last_key(&self) -> Option<Key> {
        let order: Vec<String> =
            self.key.iter().map(|column| format!("{}.{} DESC", self.source.alone, column.quoted())).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY {} LIMIT 1", self.key_list(), self.source.name, order.join(", "));
        run(&sql, &[], |row| key_of(row, self.key.len())).1.pop()
    }

    /// About how many rows are meant, where they are many and all of the table.
    pub fn estimate(&self) -> Option<i64> {
        let are_all = self.condition.is_none() && !self.options.stale_only;
        if are_all { self.source.estimate() } else { None }
    }

    /// Rows of a range that are meant.
    pub fn count(&self, after: Option<&Key>, upto: Option<&Key>) -> i64 {
        let range = self.range(after, upto);
        let sql = format!("SELECT count(*) FROM {} WHERE {}", self.source.name, self.meant(&range.text));
        run(&sql, &range.arguments, |row| row.get::<i64>(1).unwrap_or(0)).1.pop().unwrap_or(0)
    }

    /// Rows of a range, meant or not.
    pub fn keys_between(&self, after: Option<&Key>, upto: &Key) -> u64 {
        let range = self.range(after, Some(upto));
        let sql = format!("SELECT count(*) FROM {} WHERE {}", self.source.name, range.text);
        let count = run(&sql, &range.arguments, |row| row.get::<i64>(1).unwrap_or(0)).1.pop().unwrap_or(0);
        u64::try_from(count).unwrap_or(0)
    }

    /// The key that stands so many rows further, if the range has as many.
    pub fn key_at(&self, after: Option<&Key>, upto: &Key, rows: u64) -> Option<Key> {
        let range = self.range(after, Some(upto));
        let keys = self.key_list();
        let (table, offset) = (&self.source.name, rows.saturating_sub(1));
        let sql = format!("SELECT {keys} FROM {table} WHERE {} ORDER BY {keys} OFFSET {offset} LIMIT 1", range.text);
        run(&sql, &range.arguments, |row| key_of(row, self.key.len())).1.pop()
    }

    /// An expression that says what is wrong with a row. What is explained are the numbers of an answer.
    pub(super) fn problem(&self) -> String {
        let (schema, version, row) = (self.schema.quoted(), literal(&self.version), format!("{}.*", self.source.alone));
        let explained = self.options.explains.as_ref().map(|_| Written::Vector);
        let asked = self.targets.iter().map(|(written, _)| written).filter(|written| written.is_answer());
        let problems = asked
            .chain(explained)
            .map(|written| format!("{schema}.e2i_score_problem({version}, {row}, {})", literal(written.name())));
        format!("coalesce({})", problems.collect::<Vec<_>>().join(", "))
    }

    /// Scores a range and writes it; with `is_careful`, row by row, those that cannot be scored being kept as errors.
    pub fn score(&self, after: Option<&Key>, upto: &Key, is_careful: bool) -> (Tally, Vec<RowError>) {
        if let (Some(reasons), Some(table)) = (&self.options.explains, &self.into) {
            return self.explain(reasons, table, (after, upto), is_careful);
        }
        let range = self.range(after, Some(upto));
        let meant = self.meant(&range.text);
        let errors = if is_careful { self.problems(&meant, &range.arguments) } else { vec![] };
        let blocked = errors.iter().filter(|error| error.is_blocked).count() as i64;
        let failed = errors.len() as i64 - blocked;
        let problem = is_careful.then(|| self.problem());
        let (schema, row) = (self.schema.quoted(), format!("{}.*", self.source.alone));
        let asked = self.targets.iter().map(|(written, _)| written).find(|written| written.is_answer());
        let asked = asked.unwrap_or(Written::Score).name();
        let terms = Terms { schema: &schema, version: &self.version, row: &row, asked, problem: problem.as_deref() };
        let values: Values<'_> = self
            .targets
            .iter()
            .map(|(written, column)| (written, column, targets::expression(written, &terms)))
            .collect();
        let sees_all = !self.options.only_changed && !self.options.skips_locked;
        let seen = if sees_all { 0 } else { self.count(after, Some(upto)) };
        let (locked, written) = match &self.into {
            Some(table) => {
                let filled = self.fill(table, &values, &meant, &range.arguments);
                let insert = || run(&self.insert(table, &values, &meant), &range.arguments, |_| ()).0;
                (None, filled.unwrap_or_else(insert) as i64)
            }
            None if self.options.skips_locked => {
                let sql = self.update_unlocked(&values, &meant);
                let counts = |row: &Row| (row.get::<i64>(1).unwrap_or(0), row.get::<i64>(2).unwrap_or(0));
                let (locked, written) = run(&sql, &range.arguments, counts).1.pop().unwrap_or_default();
                (Some(locked), written)
            }
            None => (None, run(&self.update(&values, &meant), &range.arguments, |_| ()).0 as i64),
        };
        let handled = locked.unwrap_or(if self.options.only_changed { seen.max(written) } else { written });
        let skipped = locked.map_or(0, |locked| (seen - locked).max(0));
        let done = (handled - failed - blocked).max(0);
        (Tally { done, written, failed, blocked, skipped, retried: 0 }, errors)
    }

    fn assignments(&self, values: &[(Written, &str, String)]) -> String {
        let each = values.iter().map(|(_, column, value)| format!("{} = {value}", quoted(column)));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Whether a row would change; not for when it was scored alone.
    fn changes(&self, table: &str, values: &[(Written, &str, String)]) -> String {
        let each = values.iter().filter(|(written, ..)| !matches!(written, Written::ScoredAt | Written::Latency));
        let each = each.map(|(_, column, value)| format!("{table}.{} IS DISTINCT FROM {value}", quoted(column)));
        format!("({})", each.collect::<Vec<_>>().join(" OR "))
    }

    fn update(&self, values: &[(Written, &str, String)], meant: &str) -> String {
        let (table, alone) = (&self.source.name, &self.source.alone);
        let changed = match self.options.only_changed {
            true => format!(" AND {}", self.changes(alone, values)),
            false => String::new(),
        };
        format!("UPDATE {table} SET {} WHERE {meant}{changed}", self.assignments(values))
    }

    /// The same for rows that nobody has locked; answers how many those were, and how many were written.
    fn update_unlocked(&self, values: &[(Written, &str, String)], meant: &str) -> String {
        let (table, alone, keys) = (&self.source.name, &self.source.alone, self.key_list());
        let same = self.key.iter().map(|column| format!("{alone}.{0} = e2i_locked.{0}", column.quoted()));
        let mut condition = same.collect::<Vec<_>>().join(" AND ");
        if self.options.only_changed {
            condition += &format!(" AND {}", self.changes(alone, values));
        }
        format!(
            "WITH e2i_locked AS MATERIALIZED (SELECT {keys} FROM {table} WHERE {meant} FOR NO KEY UPDATE OF {alone} SKIP LOCKED),
                e2i_written AS (UPDATE {table} SET {} FROM e2i_locked WHERE {condition} RETURNING 1)
             SELECT (SELECT count(*) FROM e2i_locked), (SELECT count(*) FROM e2i_written)",
            self.assignments(values)
        )
    }

    /// The rows of another table.
    fn select(&self, values: &[(Written, &str, String)], meant: &str) -> String {
        let expressions: Vec<&str> = values.iter().map(|(.., value)| value.as_str()).collect();
        format!("SELECT {}, {} FROM {} WHERE {meant}", self.key_list(), expressions.join(", "), self.source.name)
    }

    /// Appends them without an INSERT, which for each row costs more than scoring it does; `None` where the table needs one.
    fn fill(
        &self,
        table: &Table,
        values: &[(Written, &str, String)],
        meant: &str,
        arguments: &[Argument],
    ) -> Option<u64> {
        let keys =
            self.key.iter().map(|it| (it.name.as_str(), it.type_name.as_str(), self.source.is_plain && it.is_not_null));
        let targets = self.targets.iter().map(|(written, column)| (column, usual(written), false));
        let columns: Vec<_> = keys.chain(targets).collect();
        let are_as_made = table.columns.len() == columns.len()
            && table.columns.iter().zip(&columns).all(|(column, (_, type_name, _))| column.type_name == *type_name);
        if !are_as_made {
            return None;
        }
        let columns: Vec<filling::Column> =
            columns.into_iter().map(|(name, _, is_never_null)| filling::Column { name, is_never_null }).collect();
        filling::fill(table.oid, &columns, &self.select(values, meant), arguments)
    }

    fn insert(&self, table: &Table, values: &[(Written, &str, String)], meant: &str) -> String {
        let columns: Vec<String> = values.iter().map(|(_, column, _)| quoted(column)).collect();
        let mut sql = format!(
            "INSERT INTO {} ({}, {}) {}",
            table.name,
            list(&self.key),
            columns.join(", "),
            self.select(values, meant)
        );
        if self.is_upsert(table) {
            let set: Vec<String> = columns.iter().map(|column| format!("{column} = EXCLUDED.{column}")).collect();
            sql += &format!(" ON CONFLICT ({}) DO UPDATE SET {}", list(&self.key), set.join(", "));
            if self.options.only_changed {
                let given = values
                    .iter()
                    .map(|(written, column, _)| (*written, *column, format!("EXCLUDED.{}", quoted(column))));
                sql += &format!(" WHERE {}", self.changes(&table.alone, &given.collect::<Vec<_>>()));
            }
        }
        sql
    }

    /// Whether rows that are there are written over: not in a table that the job has made, where none are.
    fn is_upsert(&self, table: &Table) -> bool {
        !self.options.created && table.is_unique(&self.written_key())
    }

    /// Rows that cannot be scored. Where they are written they are locked, so that they stay so.
    pub(super) fn problems(&self, meant: &str, arguments: &[Argument]) -> Vec<RowError> {
        let (table, alone, columns) = (&self.source.name, &self.source.alone, self.key.len());
        let lock = match (&self.into, self.options.skips_locked) {
            (Some(_), _) => String::new(),
            (None, false) => format!(" FOR NO KEY UPDATE OF {alone}"),
            (None, true) => format!(" FOR NO KEY UPDATE OF {alone} SKIP LOCKED"),
        };
        let sql = format!(
            "SELECT {}, e2i_found.p[1], e2i_found.p[2], e2i_found.p[3], e2i_found.p[4],
                left(to_jsonb({alone}.*) ->> CASE WHEN e2i_found.p[4] IS NULL THEN e2i_found.p[3] END, 200)
             FROM {table} CROSS JOIN LATERAL (SELECT {} AS p OFFSET 0) AS e2i_found
             WHERE {meant} AND e2i_found.p IS NOT NULL{lock}",
            self.key_list(),
            self.problem()
        );
        let text = |row: &Row, place: usize| row.get::<String>((columns + place) as i32);
        let found = run(&sql, arguments, |row| RowError {
            key: key_of(row, columns),
            code: text(row, 1).unwrap_or_default(),
            message: text(row, 2).unwrap_or_default(),
            feature: text(row, 3),
            value: text(row, 5),
            is_blocked: text(row, 4).is_some(),
        });
        found.1
    }

    /// Whether errors of rows are kept.
    pub fn keeps_errors(&self) -> bool {
        self.options.on_error == OnError::Skip
    }

    /// Makes the table that is to be written, with the columns of the key of the one that is read; see [`Self::complete`].
    pub fn create(&self, name: &str) {
        let mut columns: Vec<String> =
            self.key.iter().map(|column| format!("{} {} NOT NULL", column.quoted(), column.type_name)).collect();
        match self.options.explains {
            Some(_) => columns.extend(reasons::definitions()),
            None => {
                columns.extend(
                    self.targets.iter().map(|(written, column)| format!("{} {}", quoted(column), usual(written))),
                );
            }
        }
        run(&format!("CREATE TABLE {name} ({})", columns.join(", ")), &[], |_| ());
    }

    /// Gives the table that a job has made its primary key, if it has none: an index is built at once in a fraction of the time that
    /// its growing with each row takes.
    ///
    /// # Errors
    /// A table that is gone.
    pub fn complete(&mut self) -> Result<()> {
        let Some(table) = &self.into else { return Ok(()) };
        let now = Table::find(table.oid)?;
        let key = self.written_key();
        if !now.is_unique(&key) {
            let columns = key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
            run(&format!("ALTER TABLE {} ADD PRIMARY KEY ({columns})", now.name), &[], |_| ());
            self.into = Some(Table::find(now.oid)?);
        }
        Ok(())
    }
}

/// Runs `f` in memory that is given back with it.
pub fn in_own_memory<R>(f: impl FnOnce() -> R) -> R {
    let mut context = PgMemoryContexts::new("e2i_serve scoring batch");
    // SAFETY: what is made inside is used inside; an ERROR deletes the context with its parent.
    unsafe { context.switch_to(|_| f()) }
}

/// A table by a name as SQL writes it; `None` if there is none.
pub fn found(name: &str) -> Result<Option<Table>> {
    let oid = run("SELECT pg_catalog.to_regclass($1)::oid", &[name.into()], |row| row.get::<pgrx::pg_sys::Oid>(1));
    oid.1.into_iter().flatten().next().map(Table::find).transpose()
}
